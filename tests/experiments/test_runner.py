"""From plan to records, with the real models: what is recorded, what is left alone, what is made again."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch

from hypernoise.errors import HnError
from hypernoise.experiments.bench import Plan, plan
from hypernoise.experiments.runner import Job, Workbench, execute
from hypernoise.experiments.store import RunStore
from hypernoise.methods import Base, Method, Outcome, Sample, Spent
from hypernoise.pixels import to_pixels
from hypernoise.rewards.ensemble import Ensemble
from hypernoise.rewards.redness import Redness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hypernoise.experiments.bench import Request
    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.methods import Batch

    Run = Callable[..., tuple[RunStore, list[int]]]

CPU = torch.device("cpu")


@pytest.fixture
def prepared(small_request: Request) -> tuple[Plan, list[Prompt]]:
    """The small run of base, and its prompts."""
    (only,), prompts, _ = plan(small_request, CPU)
    return only, prompts


class Watched(Method):
    """The base method, which keeps the batches that it was given and the images that it made."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Sample]] = []
        self.images: list[torch.Tensor] = []

    def __call__(self, batch: Batch) -> Outcome:
        self.batches.append(batch.samples)
        outcome = Base(Base.presets["paper"])(batch)
        self.images += outcome.images
        return outcome


class Failing(Method):
    """A method whose images of seed 1 are broken in one pixel."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, batch: Batch) -> Outcome:
        outcome = Base(Base.presets["paper"])(batch)
        for row, sample in enumerate(batch.samples):
            if sample.seed == 1:
                outcome.images[row, 0, 3, 4] = self.value
        return replace(outcome, spent=Spent(nfe=1, reward_forwards=2, reward_backwards=3))


class Hungry(Method):
    """A method that needs more memory than there is for batches above a size."""

    name: ClassVar[str] = "base"

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.tried: list[int] = []

    def __call__(self, batch: Batch) -> Outcome:
        self.tried.append(len(batch.samples))
        if len(batch.samples) > self.largest:
            raise torch.OutOfMemoryError
        return Base(Base.presets["paper"])(batch)


@pytest.fixture
def run(prepared: tuple[Plan, list[Prompt]], workbench: Workbench) -> Run:
    """Does the small run in a folder; its store and what was told of the progress."""

    def do(folder: Path, method: Any = None, bench: Workbench = workbench) -> tuple[RunStore, list[int]]:
        told: list[int] = []
        chosen: Method = method or prepared[0].method
        execute(Job(prepared[0].settings, prepared[1], bench, chosen, RunStore(folder)), told.append)
        return RunStore(folder), told

    return do


def test_a_record_says_all_of_its_sample(
    run: Run, prepared: tuple[Plan, list[Prompt]], workbench: Workbench, tmp_path: Path
) -> None:
    watched = Watched()
    store, told = run(tmp_path, watched)
    _, prompts = prepared
    records = store.records()
    by_index = {prompt.index: prompt for prompt in prompts}
    assert [(r["prompt_index"], r["seed"]) for r in records] == [
        (p.index, s) for p in prompts for s in (0, 1)
    ]
    assert told == [4, 4, 2]
    for record, image in zip(records, watched.images, strict=True):
        prompt = by_index[record["prompt_index"]]
        pixels = store.read_image(record)
        assert np.array_equal(pixels, to_pixels(image[None])[0])
        assert record["image_sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
        assert (record["prompt"], record["task"]) == (prompt.text, prompt.task)
        (judged,) = workbench.judge([pixels], [prompt])
        assert {name: record[name] for name in ("score", "reason", "details")} == asdict(judged)
        stored = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        alone = workbench.reward.score(stored, workbench.reward.encode([prompt.text]))
        assert record["rewards"] == {"shapes-match": pytest.approx(alone.item(), abs=1e-4)}
        assert (record["nfe"], record["reward_forwards"], record["reward_backwards"]) == (1, 0, 0)
        assert (record["llm_calls"], record["llm_tokens"]) == (0, 0)
        assert "method_details" not in record


def test_costs_stand_beside_the_records(run: Run, tmp_path: Path) -> None:
    store, _ = run(tmp_path)
    costs = store.costs()
    assert [cost["batch"] for cost in costs] == [4] * 8 + [2] * 2
    assert all(cost["seconds"] > 0 for cost in costs)


def test_the_manifest_says_what_was_run_and_where(
    run: Run, prepared: tuple[Plan, list[Prompt]], workbench: Workbench, tmp_path: Path
) -> None:
    manifest = run(tmp_path)[0].manifest()
    settings = prepared[0].settings
    assert manifest["run"] == settings.run
    assert manifest["settings"] == asdict(settings)
    assert manifest["settings"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert set(map(len, manifest["settings"]["weights"].values())) == {64}
    assert manifest["parameters"] == workbench.generator.parameters
    assert {"processor", "cores", "threads", "device"} <= manifest["machine"].keys()


def test_a_finished_run_computes_and_changes_nothing(
    run: Run, prepared: tuple[Plan, list[Prompt]], workbench: Workbench, tmp_path: Path
) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    run(tmp_path)
    before = state()
    idle = Workbench("shapes", prepared[0].settings.rewards, workbench.benchmark, "shapes", CPU)
    watched = Watched()
    _, told = run(tmp_path, watched, idle)
    assert told == [4, 4, 2]
    assert watched.batches == []
    assert not vars(idle).keys() & {"generator", "reward", "judge"}
    assert state() == before


def test_a_run_begun_elsewhere_is_finished_there(run: Run, tmp_path: Path) -> None:
    store, _ = run(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        run(tmp_path)  # finished: nothing would be computed here
        (tmp_path / "records" / "00001.jsonl").unlink()
        with pytest.raises(
            HnError, match=rf"was begun elsewhere \(threads {threads}, here {threads + 1}\); "
        ):
            run(tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert len(store.records()) == 6


@pytest.mark.parametrize("kind", ["records", "costs"])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_what_is_lost_alone_is_made_again_in_the_same_batch(
    run: Run,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
    kind: str,
    lost: int,
) -> None:
    watched = Watched()
    run(tmp_path, watched)
    before = {name: data for name, data in contents(tmp_path).items() if "costs" not in name}
    (tmp_path / kind / f"0000{lost}.jsonl").unlink()
    again = Watched()
    run(tmp_path, again)
    assert again.batches == [watched.batches[lost]]
    assert {name: data for name, data in contents(tmp_path).items() if "costs" not in name} == before


def test_damage_is_told_before_anything_is_computed(run: Run, tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "records" / "00000.jsonl").unlink()
    damaged = tmp_path / "records" / "00002.jsonl"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    watched = Watched()
    with pytest.raises(HnError, match=r"records/00002\.jsonl, line 2, is damaged; delete that file"):
        run(tmp_path, watched)
    assert watched.batches == []


def test_following_the_sentence_s_advice_mends_the_run(
    run: Run, tmp_path: Path, contents: Callable[[Path], dict[str, bytes]]
) -> None:
    run(tmp_path)
    before = contents(tmp_path / "records")
    damaged = [tmp_path / name for name in ("manifest.json", "records/00001.jsonl", "costs/00002.jsonl")]
    for path in damaged:
        path.write_bytes(path.read_bytes()[5:])
    for path in damaged:
        with pytest.raises(HnError, match=f"{path}.* is damaged; delete that file and give the same command"):
            run(tmp_path)
        path.unlink()
    run(tmp_path)
    assert contents(tmp_path / "records") == before


def test_another_run_s_manifest_is_refused(
    run: Run, prepared: tuple[Plan, list[Prompt]], workbench: Workbench, tmp_path: Path
) -> None:
    run(tmp_path)
    other = replace(prepared[0].settings, first_seed=8)
    with pytest.raises(HnError, match="belongs to another run"):
        execute(Job(other, prepared[1], workbench, prepared[0].method, RunStore(tmp_path)), print)


def test_after_a_full_disk_the_run_goes_on(
    run: Run,
    prepared: tuple[Plan, list[Prompt]],
    workbench: Workbench,
    tmp_path: Path,
    contents: Callable[[Path], dict[str, bytes]],
    fill_the_disk_for: Callable[[Path], None],
) -> None:
    expected = contents(run(tmp_path / "undisturbed")[0].folder / "records")
    store = RunStore(tmp_path / "full")

    def fill(_: int) -> None:
        fill_the_disk_for(store.folder / "records" / "00001.jsonl")

    with pytest.raises(HnError, match=r"^The disk is full: .*records/00001\.jsonl was not written"):
        execute(Job(prepared[0].settings, prepared[1], workbench, prepared[0].method, store), fill)
    assert contents(store.folder / "records") == {"00000.jsonl": expected["00000.jsonl"]}
    run(store.folder)
    assert contents(store.folder / "records") == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_image_that_is_not_finite_is_recorded_as_failed(run: Run, tmp_path: Path, value: float) -> None:
    undisturbed = run(tmp_path / "good")[0].records()
    store, _ = run(tmp_path / "bad", Failing(value))
    for good, bad in zip(undisturbed, store.records(), strict=True):
        if bad["seed"] == 1:
            assert (bad["score"], bad["reason"]) == (0.0, "failed: the image is not finite")
            assert store.read_image(bad)[3, 4, 0] == 0
        else:
            assert bad == good | {"reward_forwards": 2, "reward_backwards": 3}


class Telling(Method):
    """A method that spends differently on every sample, and says what it did."""

    def __init__(self) -> None:
        pass

    def __call__(self, batch: Batch) -> Outcome:
        outcome = Base(Base.presets["paper"])(batch)
        spent = [
            Spent(nfe=sample.seed, llm_calls=2, llm_tokens=sample.prompt_index, llm_seconds=0.5)
            for sample in batch.samples
        ]
        return Outcome(outcome.images, spent, [{"prompt": prompt} for prompt in batch.prompts])


def test_what_a_sample_cost_and_how_it_was_made_is_its_own(run: Run, tmp_path: Path) -> None:
    store, _ = run(tmp_path, Telling())
    for record, cost in zip(store.records(), store.costs(), strict=True):
        assert record["nfe"] == record["seed"]
        assert (record["llm_calls"], record["llm_tokens"]) == (2, record["prompt_index"])
        assert record["method_details"] == {"prompt": record["prompt"]}
        assert cost["llm_seconds"] == 0.5
        assert "llm_seconds" not in record  # records are the same however often a run is repeated


class Unbounded(Redness):
    """A reward that has no number for dark images."""

    def score(self, images: torch.Tensor, text: Any) -> torch.Tensor:
        return super().score(images, text) / 0


def test_a_reward_that_is_not_finite_is_recorded_as_none(
    run: Run, workbench: Workbench, tmp_path: Path
) -> None:
    bench = Workbench("shapes", {"redness": 1.0}, workbench.benchmark, "shapes", CPU)
    vars(bench).update(generator=workbench.generator, reward=Ensemble([(Unbounded(), 1.0)]))
    store, _ = run(tmp_path, None, bench)
    assert [record["rewards"] for record in store.records()] == [{"redness": None}] * 10


def test_each_prompt_is_encoded_once(
    run: Run, prepared: tuple[Plan, list[Prompt]], workbench: Workbench, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Counted(Redness):
        def encode(self, prompts: Sequence[str]) -> Any:
            asked.extend(prompts)
            return super().encode(prompts)

    bench = Workbench("shapes", {"redness": 1.0}, workbench.benchmark, "shapes", CPU)
    vars(bench).update(generator=workbench.generator, reward=Ensemble([(Counted(), 1.0)]))
    run(tmp_path, None, bench)
    assert asked == [prompt.text for prompt in prepared[1]]


def test_what_depends_on_the_prompt_goes_to_its_samples(
    prepared: tuple[Plan, list[Prompt]], workbench: Workbench
) -> None:
    by_index = {prompt.index: prompt for prompt in prepared[1]}
    first, second, *_ = by_index
    batch = workbench.batch([Sample(second, 0), Sample(first, 5), Sample(second, 1)], by_index, 1)
    alone = workbench.generator.encode([by_index[first].text]).tensors["embeddings"]
    assert torch.allclose(batch.condition.tensors["embeddings"][1], alone[0], atol=1e-5)
    texts = batch.texts["shapes-match"].tensors["embeddings"]
    assert torch.equal(texts[0], texts[2])
    assert not torch.equal(texts[0], texts[1])


def test_pixels_are_rounded_clamped_and_finite() -> None:
    values = torch.tensor([0.0, 1.0, 0.5, 1.7, -2.0, 100.4 / 255, float("nan"), float("inf"), float("-inf")])
    pixels = to_pixels(values.view(1, 1, 3, 3).expand(2, 3, 3, 3))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (2, 3, 3, 3)
    assert pixels[1, :, :, 2].flatten().tolist() == [0, 255, 128, 255, 0, 100, 0, 0, 0]


def test_batches_are_halved_until_they_fit_in_memory_and_stay_so(run: Run, tmp_path: Path) -> None:
    whole, told = run(tmp_path / "whole")
    hungry = Hungry(1)
    parts, _ = run(tmp_path / "parts", hungry)
    assert hungry.tried == [4, 2] + [1] * 10
    for one, other in zip(parts.records(), whole.records(), strict=True):
        assert (one["prompt_index"], one["seed"]) == (other["prompt_index"], other["seed"])
        pixels = [store.read_image(record).astype(int) for store, record in ((parts, one), (whole, other))]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1  # a batch of another size rounds differently
    assert {cost["batch"] for cost in parts.costs()} == {1}
    assert {cost["batch"] for cost in whole.costs()} == {4, 2}
    assert sum(told) == len(parts.records())


def test_an_image_that_does_not_fit_in_memory_is_said_in_a_sentence(run: Run, tmp_path: Path) -> None:
    with pytest.raises(HnError, match="One image of shapes by base does not fit in the memory of cpu"):
        run(tmp_path / "run", Hungry(0))
    assert RunStore(tmp_path / "run").records() == []
