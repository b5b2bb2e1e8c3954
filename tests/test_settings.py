"""Settings given as text."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hypernoise.errors import HnError
from hypernoise.settings import as_dict, overridden


@dataclass(frozen=True)
class Settings:
    """One field of each type that settings have."""

    rate: float = 0.5
    steps: int = 3
    fast: bool = True
    rule: str = "sum"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@dataclass(frozen=True)
class Empty:
    """Nothing to set."""


def test_values_take_the_type_of_the_field() -> None:
    changed = overridden(
        Settings(), {"rate": "2", "steps": "7", "fast": "False", "rule": "max"}, owner="a method"
    )
    assert changed == Settings(2.0, 7, False, "max")
    assert isinstance(changed.rate, float)
    assert isinstance(changed.fast, bool)


def test_what_is_not_named_stays() -> None:
    assert overridden(Settings(rate=9.0), {"steps": "4"}, "it") == Settings(rate=9.0, steps=4)


def test_the_given_settings_are_not_changed() -> None:
    given = Settings()
    overridden(given, {"steps": "4"}, "it")
    assert given == Settings()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("step", "4", "reno has no setting 'step': did you mean 'steps'?"),
        ("steps", "4.0", "reno.steps is '4.0' but must be of type int."),
        ("steps", "", "reno.steps is '' but must be of type int."),
        ("rate", "fast", "reno.rate is 'fast' but must be of type float."),
        ("rate", "nan", "reno.rate is 'nan' but must be finite."),
        ("rate", "-inf", "reno.rate is '-inf' but must be finite."),
        ("fast", "1", "reno.fast is '1' but must be true or false."),
        ("steps", "0", "reno cannot run with these settings: steps must be at least 1."),
    ],
)
def test_a_wrong_setting_is_refused_in_a_sentence(name: str, text: str, sentence: str) -> None:
    with pytest.raises(HnError) as error:
        overridden(Settings(), {name: text}, "reno")
    assert str(error.value) == sentence


def test_where_nothing_can_be_set_that_is_said() -> None:
    with pytest.raises(HnError, match=r"^base has no setting 'n': there are none\.$"):
        overridden(Empty(), {"n": "3"}, "base")


def test_as_dict_is_plain_data() -> None:
    assert as_dict(Settings()) == {"rate": 0.5, "steps": 3, "fast": True, "rule": "sum"}
