"""`hn verify`: a healthy run passes, every file that was touched is named, and nothing is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from hypernoise.experiments.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Hn = Callable[..., list[str]]
    Refusal = Callable[..., str]
    Contents = Callable[[Path], dict[str, bytes]]

NAME = "shapes-base"


@pytest.fixture
def store(results: Path) -> RunStore:
    """The finished run of base: five prompts, two seeds, pieces of four."""
    (folder,) = (results / "runs").glob(f"{NAME}-*")
    return RunStore(folder)


@pytest.fixture
def found(
    monkeypatch: pytest.MonkeyPatch, results: Path, capsys: pytest.CaptureFixture[str], store: RunStore
) -> Callable[[], list[str]]:
    """Verifies the run, which must fail with one sentence, and returns the findings, paths from the run's folder."""
    from hypernoise.cli import main  # noqa: PLC0415

    def verify() -> list[str]:
        monkeypatch.setattr("sys.argv", ["hn", "verify", NAME, "--device", "cpu", "--results", str(results)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        findings = printed.out.splitlines()
        assert end.value.code == 2
        assert printed.err == (
            f"hn: The run {store.folder.name} is not what was computed: {len(findings)} findings, above.\n"
        )
        return [finding.replace(f"{store.folder}/", "") for finding in findings]

    return verify


def edited(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], *, line: int = 0) -> None:
    """Change one line of a file, its checksum left as it was."""
    lines = path.read_text().splitlines()
    lines[line] = json.dumps(change(json.loads(lines[line])), sort_keys=True)
    path.write_text("\n".join(lines) + "\n")


def test_a_healthy_run_passes_and_nothing_is_written(hn: Hn, results: Path, contents: Contents) -> None:
    before = contents(results)
    (line,) = hn("verify", NAME, "--device", "cpu", "--results", results)
    assert line.startswith("shapes-base-geneval-shapes-")
    assert line.endswith(
        ": 10 images, their records and costs are as they were computed; 10 of them, judged again, score the same."
    )
    (line,) = hn("verify", NAME, "--images", 0, "--results", results)
    assert "; 0 of them, " in line
    (line,) = hn("verify", NAME, "--images", 1, "--device", "cpu", "--results", results)
    assert "; 4 of them, " in line
    assert contents(results) == before


def test_a_truncated_and_a_changed_image_are_named(store: RunStore, found: Callable[[], list[str]]) -> None:
    truncated, changed = (store.image_path(**key) for key in keys(store)[2:4])
    truncated.write_bytes(truncated.read_bytes()[:200])
    with Image.open(changed) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(changed)
    paths = [path.relative_to(store.folder) for path in (truncated, changed)]
    assert found() == [
        f"The image {paths[0]} is missing or cannot be read",
        f"The image {paths[1]} has changed since it was scored",
    ]


def keys(store: RunStore) -> list[dict[str, int]]:
    return [{name: record[name] for name in ("prompt_index", "seed")} for record in store.records()]


def test_an_edited_record_is_named(store: RunStore, found: Callable[[], list[str]]) -> None:
    edited(store.piece_path("records", 1), lambda record: record | {"score": 1 - record["score"]}, line=2)
    edited(store.piece_path("costs", 0), lambda cost: cost | {"seconds": 0.0})
    assert found() == ["costs/00000.jsonl, line 1, is damaged", "records/00001.jsonl, line 3, is damaged"]


def test_a_forged_record_with_a_new_checksum_is_found_by_the_judge(
    store: RunStore, found: Callable[[], list[str]]
) -> None:
    records, costs = store.records(), store.costs()
    forged = records[0] | {"score": 1 - records[0]["score"]}
    store.write_piece(0, [forged, *records[1:4]], costs[:4])
    place = f"prompt {forged['prompt_index']}, seed {forged['seed']}"
    assert found() == [
        f"records/00000.jsonl says {forged['score']:g} of {place}, and the judge {records[0]['score']:g}"
    ]


def test_a_record_of_another_prompt_is_named(store: RunStore, found: Callable[[], list[str]]) -> None:
    records, costs = store.records(), store.costs()
    store.write_piece(0, [records[0] | {"prompt": "another"}, *records[1:4]], costs[:4])
    assert found() == [f"records/00000.jsonl names another prompt than {records[0]['prompt']!r}"]


def test_missing_and_strange_files_are_named(store: RunStore, found: Callable[[], list[str]]) -> None:
    store.piece_path("records", 2).unlink()
    strangers = [store.piece_path("costs", 7), store.image_path(99, 0)]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert found() == [
        "records/00002.jsonl cannot be read (No such file or directory)",
        "costs/00007.jsonl does not belong to the run",
        "images/00099/00000.png does not belong to the run",
    ]


def test_an_edited_manifest_is_named(store: RunStore, refusal: Refusal, results: Path) -> None:
    def verify() -> str:
        return refusal("verify", NAME, "--device", "cpu", "--results", results)

    intact = store.manifest_path.read_text()
    store.manifest_path.write_text(intact.replace('"seeds": 2', '"seeds": 3'))
    assert verify() == f"{store.manifest_path} is damaged."
    store.manifest_path.write_text(intact)
    manifest = store.manifest()
    forged = [
        manifest | {"settings": manifest["settings"] | {"seeds": 3}},
        manifest | {"run": "another"},
        manifest | {"settings": manifest["settings"] | {"unknown": 1}},
        {"run": manifest["run"]},
    ]
    for each in forged:
        store.write_manifest(each)
        assert verify() == f"{store.manifest_path} describes another run than {store.folder.name}."


def test_a_renamed_run_is_not_the_one_in_its_manifest(
    store: RunStore, refusal: Refusal, results: Path
) -> None:
    renamed = store.folder.rename(store.folder.with_name("best-of-all"))
    said = refusal("verify", "best-of-all", "--device", "cpu", "--results", results)
    assert said == f"{renamed / 'manifest.json'} describes another run than best-of-all."


@pytest.mark.parametrize("name", ["../runs", "/etc", "shapes-none", "*"])
def test_a_run_that_there_is_not(refusal: Refusal, results: Path, name: str) -> None:
    said = refusal("verify", name, "--results", results)
    assert said == f"In {results / 'runs'} no run's name begins with {name!r}; `hn ls runs` lists them."


def test_of_several_runs_one_must_be_named(refusal: Refusal, hn: Hn, results: Path) -> None:
    names = hn("ls", "runs", "--results", results)
    said = refusal("verify", "shapes", "--results", results)
    assert (
        said == f"'shapes' is the beginning of several runs: give more of one of {', '.join(sorted(names))}."
    )
