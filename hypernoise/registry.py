"""Names and the classes behind them, imported only when they are asked for.

A third party adds to a table through an entry point of the group in `GROUPS`, named as the user shall type it.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from hypernoise.errors import HnError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GENERATORS = {
    "shapes": "hypernoise.generators.shapes:ShapesGenerator",
    "sana": "hypernoise.generators.sana_sprint:SanaSprint",
    "sana-1.6b": "hypernoise.generators.sana_sprint:SanaSprintLarge",
    "sd-turbo": "hypernoise.generators.sd_turbo:SdTurbo",
    "sdxl-turbo": "hypernoise.generators.sd_turbo:SdxlTurbo",
    "flux": "hypernoise.generators.flux_schnell:FluxSchnell",
    "sd-v2.1": "hypernoise.generators.reference:StableDiffusion21",
    "sdxl": "hypernoise.generators.reference:Sdxl",
    "dpo-sdxl": "hypernoise.generators.reference:DpoSdxl",
    "hyper-sdxl": "hypernoise.generators.reference:HyperSdxl",
    "flux-dev": "hypernoise.generators.reference:FluxDev",
    "sd3-medium": "hypernoise.generators.reference:StableDiffusion3Medium",
    "sd3.5-turbo": "hypernoise.generators.reference:StableDiffusion35Turbo",
}
METHODS = {
    "base": "hypernoise.methods:Base",
    "hypernoise": "hypernoise.methods:HyperNoise",
    "lora-finetune": "baselines.lora_finetune:LoraFinetune",
    "prompt-optimization": "baselines.prompt_optimization:PromptOptimization",
    "best-of-n": "baselines.best_of_n:BestOfN",
    "hypernoise-best-of-n": "baselines.hypernoise_best_of_n:HyperNoiseBestOfN",
    "reno": "baselines.reno:Reno",
}
REWARDS = {
    "redness": "hypernoise.rewards.redness:Redness",
    "shapes-clip": "hypernoise.rewards.shapes:ShapesClip",
    "shapes-match": "hypernoise.rewards.shapes:ShapesMatch",
    "hps": "hypernoise.rewards.hps:Hps",
    "imagereward": "hypernoise.rewards.imagereward:ImageReward",
    "clip": "hypernoise.rewards.clip:Clip",
    "pickscore": "hypernoise.rewards.pickscore:PickScore",
    "long-clip": "hypernoise.rewards.long_clip:LongClip",
    "vqascore": "hypernoise.rewards.vqascore:VqaScore",
}
BENCHMARKS = {
    "geneval": "benchmarks.geneval.benchmark:GenEval",
    "geneval-as-published": "benchmarks.geneval.benchmark:GenEvalAsPublished",
    "t2i-compbench": "benchmarks.t2i_compbench.benchmark:T2ICompBench",
    "t2i-compbench-other": "benchmarks.t2i_compbench.other_benchmark:T2ICompBenchOther",
    "dpg-bench": "benchmarks.dpg_bench.benchmark:DpgBench",
    "dpg-bench-as-published": "benchmarks.dpg_bench.benchmark:DpgBenchAsPublished",
    "diversity": "benchmarks.diversity.benchmark:Diversity",
}
REWRITERS = {
    "transformers": "hypernoise.rewriters.local_chat:LocalChat",
    "openai": "hypernoise.rewriters.chat_server:ChatServer",
    "shapes": "hypernoise.rewriters.shapes:ShapesRewriter",
}

KINDS = {
    "model": GENERATORS,
    "method": METHODS,
    "reward": REWARDS,
    "benchmark": BENCHMARKS,
    "rewriter": REWRITERS,
}
GROUPS = {
    "model": "hypernoise.generators",
    "method": "hypernoise.methods",
    "reward": "hypernoise.rewards",
    "benchmark": "hypernoise.benchmarks",
    "rewriter": "hypernoise.rewriters",
}


def nearest(name: str, names: list[str]) -> str:
    """A clause that helps somebody who typed `name` where one of `names` was wanted."""
    if not names:
        return "there are none."
    close = get_close_matches(name, names, n=1, cutoff=0.4)
    return f"did you mean {close[0]!r}?" if close else f"choose one of: {', '.join(names)}."


def names(kind: str) -> list[str]:
    """All names of a kind (a key of `KINDS`), the project's own first."""
    return [*KINDS[kind], *sorted(entry.name for entry in entry_points(group=GROUPS[kind]))]


def package(kind: str, name: str) -> dict[str, str]:
    """The third party's package that brings a name, with its version; empty for the project's own names."""
    if name in KINDS[kind]:
        return {}
    owners = (entry.dist for entry in entry_points(group=GROUPS[kind], name=name))
    return {owner.name: owner.version for owner in owners if owner}


def find(kind: str, name: str) -> Any:
    """The class that a name stands for.

    Raises:
        HnError: if no such name is known; the sentence offers the nearest one. Or if the third party's package that
            brings it cannot be imported.
    """
    if name in KINDS[kind]:
        module, attribute = KINDS[kind][name].split(":")
        return getattr(import_module(module), attribute)
    for entry in entry_points(group=GROUPS[kind], name=name):
        return _imported(kind, entry)
    raise HnError(f"There is no {kind} called {name!r}: {nearest(name, names(kind))}")


def _imported(kind: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # whatever a third party's code raises
        owner = entry.dist.name if entry.dist else entry.module
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise HnError(
            f"The {kind} {entry.name!r} is broken: its package {owner} cannot be imported ({said}); repair or "
            "uninstall that package."
        ) from error


def faults(kind: str) -> dict[str, str]:
    """What is wrong with those names of a kind whose third party's package cannot be imported, by name."""
    found = {}
    for entry in entry_points(group=GROUPS[kind]):
        try:
            find(kind, entry.name)
        except HnError as error:
            found[entry.name] = str(error)
    return found
