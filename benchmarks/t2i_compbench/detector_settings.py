"""What the open-vocabulary detector is asked, and which of its boxes are objects."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class DetectorSettings:
    """The defaults were never calibrated on images: transformers' own threshold, 0.1, is meant to miss little.

    Attributes:
        query: The sentence about a noun, which stands for `{}`; transformers' documentation asks so.
        threshold: Objects must score above it, 0..1. The published detector's, 0.5, is of another scale.
        overlap: Intersection over union, 0..1, above which two boxes are one object, whatever their nouns, and the
            more confident remains; the published detector has the same number within a class.
    """

    query: str = "a photo of a {}"
    threshold: float = 0.2
    overlap: float = 0.5

    def __post_init__(self) -> None:
        for name in ("threshold", "overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        if self.query.count("{}") != 1:
            raise ValueError(f"a query needs one place for the noun, {{}}, got {self.query!r}")

    def identity(self) -> dict[str, str]:
        """The settings as facts that scores depend on."""
        return {f"detector {name}": str(value) for name, value in asdict(self).items()}


SETTINGS = DetectorSettings()
