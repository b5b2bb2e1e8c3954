"""The prompt sets that noise hypernetworks are trained on, by name, and how each is read.

The paper trains on three of them together, about 70 thousand prompts (B.2): `pick-a-pic-v2`, `t2i-compbench-train`
and `abc-6k`. `shapes-train` is the embedded world's. Nothing is downloaded or imported before a set is asked for.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hypernoise.errors import HnError
from hypernoise.registry import nearest
from hypernoise.remote_files import RemoteFile, cache_folder, kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def distinct(prompts: Iterable[str]) -> list[str]:
    """The prompts without white space around them, in their order, without blank ones and repetitions."""
    return list(dict.fromkeys(prompt for line in prompts if (prompt := line.strip())))


def text_lines(content: bytes) -> list[str]:
    """The lines of a text file in UTF-8, whatever its line ends.

    Raises:
        ValueError: if it is not UTF-8.
    """
    return list(io.StringIO(content.decode("utf-8-sig"), newline=None))


def parquet_captions(content: bytes) -> list[str]:
    """The different values of a parquet file's column `caption`; needs pyarrow.

    Raises:
        ValueError: if it is no parquet file or has no such column.
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    try:
        table = pd.read_parquet(io.BytesIO(content), engine="pyarrow", columns=["caption"])
        return table["caption"].dropna().astype(str).unique().tolist()
    except (OSError, KeyError) as error:
        raise ValueError(str(error)) from error


def draw_distinct(draw: Callable[[], str], count: int) -> list[str]:
    """The first `count` different texts that `draw` gives.

    Raises:
        HnError: if a hundred times as many draws do not bring them.
    """
    drawn: dict[str, None] = {}
    for _ in range(100 * count):
        drawn[draw()] = None
        if len(drawn) == count:
            return list(drawn)
    raise HnError(
        f"There are no {count} different captions, only about {len(drawn)}; ask for at most that many."
    )


def shapes_captions(count: int, seed: int) -> list[str]:
    """`count` different captions that the embedded world may train on; none is of its evaluation suite.

    The more are asked for, the smaller the share of the tasks that have few captions, counting and single objects.
    """
    import numpy as np  # noqa: PLC0415

    from hypernoise.shapes.training.data import random_text  # noqa: PLC0415 - imports torch

    rng = np.random.default_rng(seed)
    return draw_distinct(lambda: random_text(rng), count)


@dataclass(frozen=True)
class PromptSet:
    """Prompts that somebody published, or that are drawn.

    Attributes:
        name: What the user types.
        description: What it holds and what should be known of it.
        license: Under which it was published.
        count: How many different prompts it holds; None where that was never counted.
        files: Where it is published, in the order in which it is read; none for a drawn set.
        read: Gives the lines or captions of one file's content; raises ValueError where it is no such file.
        needs: The package that `read` needs beyond the dependencies.
        draw: Gives the prompts of a drawn set.
    """

    name: str
    description: str
    license: str
    count: int | None
    files: tuple[RemoteFile, ...] = ()
    read: Callable[[bytes], list[str]] = text_lines
    needs: str | None = None
    draw: Callable[[], list[str]] | None = None

    def prompts(self, folder: Path) -> list[str]:
        """The set's different prompts; its files are kept below `folder`.

        Raises:
            HnError: if a file cannot be had, is not the one that it should be, or needs a package to be read.
        """
        if self.draw:
            return self.draw()
        if self.needs and find_spec(self.needs) is None:
            raise HnError(
                f"The prompts {self.name!r} are read with {self.needs}, which is not installed; "
                f"give: pip install {self.needs}."
            )
        place = folder / "prompts" / self.name
        return distinct(prompt for file in self.files for prompt in kept(file, place, self._parse))

    def kept(self, folder: Path) -> bool:
        """Whether nothing has to be downloaded, its files being kept below `folder`."""
        return all((folder / "prompts" / self.name / file.name).exists() for file in self.files)

    def _parse(self, content: bytes) -> list[str]:
        prompts = distinct(self.read(content))
        if not prompts:
            raise ValueError("no prompts")
        return prompts


def _t2i_compbench(category: str, commit: str, sha256: str) -> RemoteFile:
    repository = "https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench"
    return RemoteFile(f"{repository}/{commit}/examples/dataset/{category}_train.txt", sha256)


def _pick_a_pic(name: str, sha256: str | None) -> RemoteFile:
    dataset = "https://huggingface.co/datasets/yuvalkirstain/pickapic_v2_no_images"
    return RemoteFile(f"{dataset}/resolve/30b95c596f97e0ccb7bf8164fed302c680d598f3/data/{name}", sha256)


# The seven files, and their order, are those that the paper's published code reads. Each is pinned to a commit that
# holds it; line ends are part of the checksums (CRLF in all but numeracy).
_T2I_COMMIT = "7710d059c3391fe97fbf9e2ad3813ed0e7d87979"
_T2I_COMPBENCH = PromptSet(
    name="t2i-compbench-train",
    description="The training prompts of T2I-CompBench: color, complex, texture, shape, spatial, non-spatial and "
    "numeracy, 700 of each before repetitions are dropped. Six of them are also evaluation prompts of its shape and "
    "spatial categories.",
    license="MIT",
    count=4859,
    files=(
        _t2i_compbench(
            "color", _T2I_COMMIT, "db5d3287027d453f8c977f0c7315f8a01a770f02f61fa54ae19406762982393f"
        ),
        _t2i_compbench(
            "complex", _T2I_COMMIT, "d214ac45cb3c5307dd14a144c8c69aa5ffdcc7be74ff71b5dac989f8ca9f924b"
        ),
        _t2i_compbench(
            "texture", _T2I_COMMIT, "4846315c5972f9e9cc82e4833099e8ec2c28b999ca77269512715f3f56bde54f"
        ),
        _t2i_compbench(
            "shape", _T2I_COMMIT, "451bdfccd330d4cf979d45664817be7959e89250b93d5c591cc562b858175a87"
        ),
        _t2i_compbench(
            "spatial", _T2I_COMMIT, "af14cdf2320057d98f94077e6211c2ddfaabfbb9e3842873657baabb17e00de6"
        ),
        _t2i_compbench(
            "non_spatial",
            "9af0f65672ae1fb510b7a71112dac2d610afa41c",
            "dbac5a9ec83204dcd0c3538a12d3212e2ce66db6f7ba45b49a1d869b2d3f2430",
        ),
        _t2i_compbench(
            "numeracy",
            "fc2c9b9f8ec357dcf1bb1b382c0df017afe9cd8c",
            "f66bb8708cb0be23c0406e14d892b25661b2b71e3e72abddc79c38466ab629c6",
        ),
    ),
)

_ABC_6K = PromptSet(
    name="abc-6k",
    description="Attribute binding prompts: captions of COCO, each followed by itself with two colors exchanged, one "
    "a line. 52 of them are also evaluation prompts of T2I-CompBench's color category.",
    license="MIT with use restrictions on models, as the repository's LICENSE has it",
    count=6388,
    files=(
        RemoteFile(
            "https://raw.githubusercontent.com/weixi-feng/Structured-Diffusion-Guidance/"
            "773b2ba068c6cc60443d5d747a725413c8c9d46f/ABC-6K.txt",
            "47fa3ec1a839e6b74bb4f8e3746b454c8a8fb469cef66effddd172473f0f507b",
        ),
    ),
)

# The paper's published code reads a `pickapic_prompts.json` that does not come with it.
_PICK_A_PIC = PromptSet(
    name="pick-a-pic-v2",
    description="The captions of Pick-a-Pic v2's training split, typed by users of a web application and not "
    "cleaned: expect offensive ones. 282 MB are downloaded. Never verified by this project, which could not reach "
    "the dataset: of its two files one is checked against the checksum that Hugging Face shows, the other is pinned "
    "at the first download, and neither was ever read here.",
    license="see the dataset's page on Hugging Face",
    count=None,
    files=(
        _pick_a_pic("train-00000-of-00002-c261d1ef2a61d087.parquet", None),
        _pick_a_pic(
            "train-00001-of-00002-4fc6e0b8b7258189.parquet",
            "77e7583b6972e2b521f8788a4b3798e79e4a6b562fde4be97fc4f5b31cd46074",
        ),
    ),
    read=parquet_captions,
    needs="pyarrow",
)

_SHAPES_TRAIN = PromptSet(
    name="shapes-train",
    description="Captions of the embedded world, drawn as its generator's training drew them: never an evaluation "
    "prompt.",
    license="MIT",
    count=1000,
    draw=partial(shapes_captions, 1000, seed=0),
)

CATALOGUE = {each.name: each for each in (_T2I_COMPBENCH, _ABC_6K, _PICK_A_PIC, _SHAPES_TRAIN)}
"""Every prompt set that has a name."""


def load(name_or_path: str | Path, folder: Path | None = None) -> list[str]:
    """The different prompts of a set in the catalogue, or else of a text file with one prompt a line.

    A file that is called like a set is reached by a path with its folder, `./abc-6k`.

    Args:
        name_or_path: The name or the path.
        folder: Where downloads are kept; `cache_folder()` unless told.

    Raises:
        HnError: if there is no such set or file, or its prompts cannot be had; the sentence says what to do.
    """
    if isinstance(name_or_path, str) and name_or_path in CATALOGUE:
        return CATALOGUE[name_or_path].prompts(folder or cache_folder())
    path = Path(name_or_path)
    if not path.exists():
        raise HnError(
            f"There is no prompt set or file called {str(name_or_path)!r}: "
            f"{nearest(str(name_or_path), list(CATALOGUE))}"
        )
    return _from_file(path)


def _from_file(path: Path) -> list[str]:
    try:
        prompts = distinct(text_lines(path.read_bytes()))
    except OSError as error:
        raise HnError(
            f"{path} cannot be read ({error.strerror}); give a text file with one prompt a line."
        ) from None
    except ValueError:
        raise HnError(f"{path} is not text in UTF-8; give a text file with one prompt a line.") from None
    if not prompts:
        raise HnError(f"{path} holds no prompts; write one a line.")
    return prompts


def load_all(names_or_paths: Iterable[str]) -> list[str]:
    """The different prompts of several sets, set by set; raises as `load` does."""
    return distinct(prompt for name in names_or_paths for prompt in load(name))
