"""Every chore of the project: `nox -l` lists them."""

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")

PUBLISHED = {
    "imagereward": (
        "image-reward==1.5",
        "clip-anytorch==2.6.0",  # it imports OpenAI's package, which nothing installs with it
        "diffusers<0.32",
        "setuptools<81",
        "transformers<4.48",
    ),
    "hps": ("hpsv2==1.2.0", "open_clip_torch>=3.3,<4"),  # the latter for the vocabulary that its wheel lacks
    "detector": ("mmdet==3.3.0", "mmcv-lite==2.2.0", "safetensors", "setuptools<81", "torch", "torchvision"),
}
"""The package that a reward or GenEval's detector was published as, with versions of others that it runs with."""


def install(session: nox.Session, *groups: str) -> None:
    session.install(
        "-e", ".", *(dep for group in groups for dep in nox.project.dependency_groups(PYPROJECT, group))
    )


@nox.session
def quickstart(session: nox.Session) -> None:
    """The main job: Table 1, five methods on the embedded world, and a contact sheet (about 10 minutes)."""
    install(session)
    session.run("hn", "reproduce", "table1", "--model", "shapes", *session.posargs)
    session.run("hn", "show", "shapes-base", "--prompts", "6")


@nox.session
def laboratory(session: nox.Session) -> None:
    """Measure the embedded world's parts and which method is best at which cost (tens of minutes)."""
    install(session)
    session.run("hn", "shapes", "evaluate", *session.posargs)
    methods = ("hypernoise", "best-of-n", "hypernoise-best-of-n", "reno:shapes")
    chosen = [word for method in methods for word in ("--method", method)]
    session.run("hn", "budgets", "geneval", "--budget", "1,2,5,10,20,50", *chosen, *session.posargs)


@nox.session
def paper(session: nox.Session) -> None:
    """Make the paper's tables and figures anew on the embedded world, from its bundled adapters (about an hour)."""
    install(session)
    names = (
        "table1",
        "table5",
        "table6",
        "table7",
        "table8",
        "table9",
        "table10",
        "figure4",
        "figure5",
        "figure6",
        "figure8",
    )
    for name in names:
        session.run("hn", "reproduce", name, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests."""
    install(session, "tests")
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("model", list(PUBLISHED), ids=list(PUBLISHED))
def parity(session: nox.Session, model: str) -> None:
    """Rewards and the detector equal the published packages', on random weights of full size (about 5 minutes each)."""
    install(session)
    folder = Path(session.create_tmp())
    theirs = folder / "theirs" / "bin" / "python"
    session.run("python", "-m", "venv", "--clear", folder / "theirs")
    session.run(theirs, "-m", "pip", "install", "--quiet", *PUBLISHED[model], external=True)
    cache = {"HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    session.run(theirs, f"tests/parity/published_{model}.py", env=cache, external=True)
    comparison = "compare_detector.py" if model == "detector" else "compare_reward.py"
    session.run("python", f"tests/parity/{comparison}", model, env=cache)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of the installed dependencies; it fails if one of them cannot be looked up."""
    install(session, "audit")
    extras = PYPROJECT["project"]["optional-dependencies"]
    session.install(*(dep for extra in extras.values() for dep in extra))
    installed = Path(session.create_tmp()) / "installed.txt"
    installed.write_text(session.run("python", "-m", "pip", "freeze", "--exclude-editable", silent=True))
    session.run("pip-audit", "--strict", "--no-deps", "--disable-pip", "-r", installed, *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Static types."""
    install(session, "types", "tests")
    session.run("mypy")
