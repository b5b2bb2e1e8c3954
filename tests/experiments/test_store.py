"""What a run leaves on disk: read back as written, damage noticed wherever it strikes, a full disk survived."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hypernoise.errors import HnError
from hypernoise.experiments.plan import Piece
from hypernoise.experiments.store import RunStore
from hypernoise.methods import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANIFEST = {"run": "a-run", "settings": {"prompts": 2, "rewards": {"redness": 0.1}}, "parameters": 7}
PIECE = Piece(0, (Sample(3, 0), Sample(3, 1)))
LATER = Piece(12, (Sample(4, 0),))


def record(sample: Sample, **more: Any) -> dict[str, Any]:
    return {"prompt_index": sample.prompt_index, "seed": sample.seed} | more


def write(store: RunStore, piece: Piece) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    records = [record(s, score=1.0, prompt='a "star" ☆', rewards={"redness": None}) for s in piece.samples]
    costs = [record(sample, seconds=1 / 3) for sample in piece.samples]
    store.write_piece(piece.number, records, costs)
    return records, costs


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "run")


@pytest.fixture
def noisy() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def damaged(content: bytes) -> Iterator[bytes]:
    """Every way to lose the end, and every byte changed in three ways."""
    yield from (content[:length] for length in range(len(content)))
    for place, byte in enumerate(content):
        yield from (content[:place] + bytes([byte ^ bit]) + content[place + 1 :] for bit in (1, 32, 128))


def test_reads_back_what_was_written(store: RunStore) -> None:
    store.write_manifest(MANIFEST)
    later_records, later_costs = write(store, LATER)
    records, costs = write(store, PIECE)
    assert store.manifest() == MANIFEST
    assert store.records() == records + later_records
    assert store.costs() == costs + later_costs
    assert store.has_piece(PIECE)
    assert not store.has_piece(Piece(1, PIECE.samples))


def test_a_manifest_and_a_record_say_plainly_what_they_hold(store: RunStore) -> None:
    store.write_manifest(MANIFEST)
    write(store, PIECE)
    manifest = json.loads(store.manifest_path.read_text())
    line = json.loads((store.folder / "records" / "00000.jsonl").read_text().splitlines()[0])
    assert manifest["settings"] == MANIFEST["settings"]
    assert (line["prompt_index"], line["seed"], line["score"]) == (3, 0, 1.0)


def test_records_are_the_same_bytes_whatever_the_order_of_their_values(
    store: RunStore, tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    records, costs = write(store, PIECE)
    again = RunStore(tmp_path / "again")
    again.write_piece(0, [dict(reversed(each.items())) for each in records], costs)
    assert contents(again.folder) == contents(store.folder)


def test_a_value_that_is_no_number_is_never_stored(store: RunStore) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_piece(0, [record(PIECE.samples[0], score=float("nan"))], [])
    assert not (store.folder / "records").exists()


def test_a_piece_without_records_or_without_costs_is_not_finished(store: RunStore) -> None:
    for kind in ("costs", "records"):
        write(store, PIECE)
        (store.folder / kind / "00000.jsonl").unlink()
        assert not store.has_piece(PIECE)
        assert store.records() == store.costs() == []


def test_damage_of_any_byte_of_the_records_is_noticed(store: RunStore) -> None:
    records, _ = write(store, PIECE)
    path = store.folder / "records" / "00000.jsonl"
    sentence = (
        re.escape(str(path)) + r"(, line [12], is damaged| does not hold the samples it should); delete"
    )
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            intact = store.has_piece(PIECE)
        except HnError as error:
            assert re.match(sentence, str(error)), content  # noqa: PT017 - some changes are harmless
        else:
            assert intact
            assert store.records() == records, content


def test_damage_of_any_byte_of_the_manifest_is_noticed(store: RunStore) -> None:
    store.write_manifest(MANIFEST)
    for content in damaged(store.manifest_path.read_bytes()):
        store.manifest_path.write_bytes(content)
        try:
            manifest = store.manifest()
        except HnError as error:
            assert str(error).startswith(f"{store.manifest_path} is damaged; delete that file")  # noqa: PT017
        else:
            assert manifest == MANIFEST, content


@pytest.mark.parametrize("content", ["[]", "7", "null", '"text"', "{}", '{"sha256": 3}'])
def test_something_else_in_a_file_s_place_is_noticed(store: RunStore, content: str) -> None:
    store.write_manifest(MANIFEST)
    write(store, PIECE)
    store.manifest_path.write_text(content)
    (store.folder / "costs" / "00000.jsonl").write_text(content)
    with pytest.raises(HnError, match=r"manifest\.json is damaged"):
        store.manifest()
    with pytest.raises(HnError, match=r"costs/00000\.jsonl, line 1, is damaged"):
        store.costs()


@pytest.mark.parametrize(
    "samples",
    [
        PIECE.samples[:1],
        PIECE.samples[::-1],
        (*PIECE.samples, Sample(3, 2)),
        (Sample(3, 0), Sample(3, 0)),
        (Sample(3, 0), Sample(4, 1)),
        (),
    ],
)
@pytest.mark.parametrize("kind", ["records", "costs"])
def test_other_samples_than_the_piece_s_are_noticed(
    store: RunStore, kind: str, samples: tuple[Sample, ...]
) -> None:
    write(store, PIECE)
    others = RunStore(store.folder.parent / "others")
    write(others, Piece(0, samples))
    (others.folder / kind / "00000.jsonl").replace(store.folder / kind / "00000.jsonl")
    with pytest.raises(
        HnError, match=rf"{kind}/00000\.jsonl does not hold the samples it should; delete that"
    ):
        store.has_piece(PIECE)


def test_a_folder_in_a_file_s_place_is_noticed(store: RunStore) -> None:
    write(store, PIECE)
    path = store.folder / "records" / "00000.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(HnError, match=r"records/00000\.jsonl cannot be read \(.+\); check the disk"):
        store.records()


def test_where_there_is_no_run_that_is_said(store: RunStore) -> None:
    with pytest.raises(HnError, match=r"^There is no run in .*/run\.$"):
        store.manifest()


def test_images_come_back_pixel_by_pixel(store: RunStore, noisy: np.ndarray) -> None:
    digest = store.write_image(3, 1, noisy)
    assert digest == hashlib.sha256(noisy.tobytes()).hexdigest()
    assert np.array_equal(store.read_image(record(Sample(3, 1), image_sha256=digest)), noisy)


def test_damage_of_any_byte_of_an_image_is_noticed(store: RunStore, noisy: np.ndarray) -> None:
    image = record(Sample(3, 1), image_sha256=store.write_image(3, 1, noisy))
    path = store.image_path(3, 1)
    refused = 0
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        try:
            assert np.array_equal(store.read_image(image), noisy)
        except HnError as error:
            assert str(error).startswith(f"The image {path} ")  # noqa: PT017 - a byte may be without effect
            refused += 1
    assert refused > len(path.read_bytes())


@pytest.mark.parametrize("put", ["nothing", "another image", "a folder"])
def test_an_image_that_is_not_the_scored_one_is_refused(store: RunStore, noisy: np.ndarray, put: str) -> None:
    image = record(Sample(3, 1), image_sha256=store.write_image(3, 1, noisy))
    path = store.image_path(3, 1)
    path.unlink()
    if put == "another image":
        store.write_image(3, 1, noisy[::-1])
    elif put == "a folder":
        path.mkdir()
    problem = "has changed since it was scored" if put == "another image" else "is missing or cannot be read"
    with pytest.raises(HnError, match=re.escape(f"The image {path} {problem}; delete {store.folder}")):
        store.read_image(image)


def test_two_at_once_are_refused(store: RunStore) -> None:
    with store.locked():
        second = RunStore(store.folder).locked()
        with pytest.raises(HnError, match="Another process is working on the run run; wait until"):
            second.__enter__()
    with RunStore(store.folder).locked():
        pass


def test_the_lock_is_given_back_after_an_error(store: RunStore) -> None:
    with pytest.raises(RuntimeError), store.locked():
        raise RuntimeError
    with store.locked():
        pass


def test_what_a_killed_process_had_begun_is_swept_away(store: RunStore) -> None:
    store.write_manifest(MANIFEST)
    write(store, PIECE)
    leftovers = [
        store.folder / name for name in (".manifest.json.7.partial", "records/.00001.jsonl.7.partial")
    ]
    for path in leftovers:
        path.write_bytes(b"half")
    with store.locked():
        assert not any(path.exists() for path in leftovers)
        assert store.has_piece(PIECE)
        assert store.manifest() == MANIFEST


def test_a_run_s_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"a file")
    with (
        pytest.raises(HnError, match=r"runs/a cannot be written \(.+\); check the folder"),
        RunStore(tmp_path / "runs" / "a").locked(),
    ):
        pass


@pytest.mark.parametrize("kind", ["costs", "records"])
def test_a_full_disk_leaves_the_piece_unfinished(
    store: RunStore, kind: str, fill_the_disk_for: Callable[[Path], None]
) -> None:
    records, _ = write(store, LATER)
    fill_the_disk_for(store.folder / kind / "00000.jsonl")
    with pytest.raises(HnError, match=rf"^The disk is full: .*{kind}/00000\.jsonl was not written; free"):
        write(store, PIECE)
    assert not store.has_piece(PIECE)
    assert store.records() == records
    assert not list(store.folder.rglob(".*.partial"))


def test_a_full_disk_leaves_no_half_image(
    store: RunStore, noisy: np.ndarray, fill_the_disk_for: Callable[[Path], None]
) -> None:
    path = store.image_path(3, 1)
    fill_the_disk_for(path)
    with pytest.raises(HnError, match=r"^The disk is full: "):
        store.write_image(3, 1, noisy)
    assert list(path.parent.iterdir()) == []
