"""Names and what stands behind them, a third party's too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hypernoise.errors import HnError
from hypernoise.registry import GROUPS, KINDS, find, names, nearest, package

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in KINDS[kind]])
def test_every_name_finds_the_class_that_bears_it(kind: str, name: str) -> None:
    assert find(kind, name).name == name


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_listed_once(kind: str) -> None:
    assert names(kind) == list(KINDS[kind])


@pytest.mark.parametrize(
    ("kind", "typed", "meant"),
    [
        ("model", "shape", "shapes"),
        ("method", "bestofn", "best-of-n"),
        ("reward", "shape-match", "shapes-match"),
        ("benchmark", "Geneval", "geneval"),
        ("rewriter", "transformer", "transformers"),
    ],
)
def test_an_unknown_name_is_met_with_the_nearest(kind: str, typed: str, meant: str) -> None:
    with pytest.raises(HnError, match=f"no {kind} called '{typed}': did you mean '{meant}'"):
        find(kind, typed)


def test_where_nothing_is_near_all_are_named() -> None:
    with pytest.raises(
        HnError,
        match=r"choose one of: base, hypernoise, .*, best-of-n, hypernoise-best-of-n, reno\.$",
    ):
        find("method", "xyzzy")


def test_where_there_is_nothing_to_choose_that_is_said() -> None:
    assert nearest("n", []) == "there are none."


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that brings one of each kind."""
    info = tmp_path / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    entries = "".join(f"[{group}]\nours-{kind} = thirdparty_{kind}:Ours\n" for kind, group in GROUPS.items())
    (info / "entry_points.txt").write_text(entries)
    for kind in GROUPS:
        (tmp_path / f"thirdparty_{kind}.py").write_text(f"class Ours:\n    name = 'ours-{kind}'\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("third_party")
def test_a_third_party_adds_a_name(kind: str) -> None:
    assert names(kind) == [*KINDS[kind], f"ours-{kind}"]
    assert find(kind, f"ours-{kind}").name == f"ours-{kind}"
    with pytest.raises(HnError, match=f"did you mean 'ours-{kind}'"):
        find(kind, f"our-{kind}")
    assert package(kind, f"ours-{kind}") == {"thirdparty": "1.0"}
    assert all(package(kind, own) == {} for own in KINDS[kind])


@pytest.mark.usefixtures("third_party")
def test_a_third_party_s_name_is_of_one_kind() -> None:
    with pytest.raises(HnError):
        find("method", "ours-model")
