"""A small repository to be tortured, what is done with it, and what must hold of it whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from modelport import history, layout, marks
from modelport import manifest as manifests
from modelport.__main__ import main
from modelport.history import Entry
from modelport.manifest import Manifest
from modelport.repository import Repository
from modelport.serverconfig import Specific, parse_models, read

MODEL = "m"
FIRST = (1, 2, 3, 4)  # versions that are there at the beginning


def make(root: Path) -> Path:
    """Four whole versions; 2 is live, and was promoted after 1; 3 is pinned."""
    for number in FIRST:
        publish(root, str(number))
    for words in (["promote", MODEL, "1"], ["promote", MODEL, "2"], ["pin", f"{MODEL}@3", "a paper"]):
        assert run(root, words) == 0
    return root


def publish(root: Path, content: str) -> None:
    """A version as the exporter commits one; equal content is none."""
    with Repository(root).stage(MODEL) as staging:
        (staging.path / layout.SAVED_MODEL).write_text(content)
        (staging.path / layout.VARIABLES).mkdir()
        (staging.path / layout.VARIABLES / "variables.index").write_text(content * 100)
        published = staging.commit(Manifest(model=MODEL, content_digest=content))
    if published.new:
        history.append(root / MODEL, Entry("publish", published.version, None))


def run(root: Path, words: list[str]) -> int:
    """One of our commands on the repository's files."""
    flags = ["--repository", str(root)]
    if words[0] in ("promote", "rollback"):
        flags.append("--file-only")
    return main([*words, *flags])


# name → what is done; each changes something, however often it is done again
OPERATIONS: dict[str, Callable[[Path], object]] = {
    "publish": lambda root: publish(root, "another"),
    "promote": lambda root: run(root, ["promote", MODEL, "2" if live(root) == 1 else "1"]),
    "label": lambda root: run(root, ["promote", MODEL, "3", "--label", "canary"]),
    "rollback": lambda root: run(root, ["rollback", MODEL]),
    "pin": lambda root: run(root, ["pin", f"{MODEL}@4", "another paper"]),
    "gc": lambda root: run(root, ["gc", MODEL, "--keep", "1"]),
    "quarantine": lambda root: (
        4 not in Repository(root).versions(MODEL) or run(root, ["quarantine", f"{MODEL}@4", "bad"])
    ),
}


def live(root: Path) -> int | None:
    """The version that the configuration serves alone."""
    models = parse_models(read(root / layout.MODELS_CONFIG)).models or ()
    policy = models[0].policy if models else None
    return max(policy.versions) if isinstance(policy, Specific) else None


def check(root: Path) -> None:
    """What must hold after every kill: whole versions, a configuration that names what is there, a history to read."""
    repository = Repository(root)
    numbers = repository.versions(MODEL)
    assert 3 in numbers, f"the pinned version is gone: {numbers[:9]}"
    for number in numbers:
        path = repository.version_path(MODEL, number)
        assert repository.read_manifest(MODEL, number) is not None, f"{path} has no manifest"
        manifests.verify(path)
    for config in parse_models(read(root / layout.MODELS_CONFIG)).models or ():
        named = set(config.policy.versions) if isinstance(config.policy, Specific) else set()
        missing = (named | set(config.labels.values())) - set(numbers)
        assert not missing, f"the configuration names {missing}"
    entries = history.read(root / MODEL)
    assert len(entries) >= len(FIRST)
    assert marks.pins(root / MODEL)[3] == "a paper"


def check_clean(root: Path) -> None:
    """Nothing is left of those that were killed, once somebody came by in the same places."""
    left = [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.name.startswith((layout.STAGING_PREFIX, layout.COLLECTED_PREFIX, ".modelport-"))
    ]
    assert left == []


def sweep(root: Path) -> None:
    """Come by in every place: a publication, a promotion, a pin and a collection."""
    publish(root, "sweep")
    assert run(root, ["pin", f"{MODEL}@3", "a paper"]) == 0
    if "canary" in read(root / layout.MODELS_CONFIG):
        assert run(root, ["promote", MODEL, "--unlabel", "canary"]) == 0
    assert run(root, ["promote", MODEL, "latest"]) == 0
    assert run(root, ["gc", MODEL, "--keep", "9"]) == 0


def fresh(template: Path, root: Path) -> Path:
    """A copy of a repository, with its own paths in its configuration."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template, root)
    file = root / layout.MODELS_CONFIG
    file.write_text(file.read_text().replace(str(template), str(root)))
    return root
