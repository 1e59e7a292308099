"""What clients of one version notice of another's signatures: what breaks them, and what is new.

Signatures are in the manifest's form: name → {"inputs" | "outputs": {alias: {"dtype", "shape"}}}, -1 for a size that
varies, a shape of None for any number of dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Signatures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


def breaking(before: Signatures, after: Signatures) -> list[str]:
    """What a client of `before` can no longer do or no longer gets, a sentence each."""
    return list(_breaking(before, after))


def additions(before: Signatures, after: Signatures) -> list[str]:
    """What is new and breaks nobody."""
    found = [f"the signature {name!r} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        new = sorted(after[name]["outputs"].keys() - before[name]["outputs"].keys())
        found += [f"{name!r} has the output {alias!r} too" for alias in new]
    return sorted(found)


def _breaking(before: Signatures, after: Signatures) -> Iterator[str]:
    for name, old in sorted(before.items()):
        if name not in after:
            yield f"The signature {name!r} is gone ({_names(after)} are left)."
            continue
        new = after[name]
        for alias, spec in sorted(old["inputs"].items()):
            if alias not in new["inputs"]:
                yield f"{name!r} has no input {alias!r} any more ({_names(new['inputs'])} are its inputs)."
            elif spec["dtype"] != new["inputs"][alias]["dtype"]:
                yield f"The input {alias!r} of {name!r} was {spec['dtype']} and is {new['inputs'][alias]['dtype']}."
            elif not _takes(new["inputs"][alias]["shape"], spec["shape"]):
                yield _shapes(f"input {alias!r}", name, spec, new["inputs"][alias])
        for alias in sorted(new["inputs"].keys() - old["inputs"].keys()):
            yield f"{name!r} wants the input {alias!r}, which nobody sends."
        for alias, spec in sorted(old["outputs"].items()):
            if alias not in new["outputs"]:
                yield f"{name!r} has no output {alias!r} any more ({_names(new['outputs'])} are its outputs)."
            elif spec["dtype"] != new["outputs"][alias]["dtype"]:
                yield f"The output {alias!r} of {name!r} was {spec['dtype']} and is {new['outputs'][alias]['dtype']}."
            elif not _takes(spec["shape"], new["outputs"][alias]["shape"]):
                yield _shapes(f"output {alias!r}", name, spec, new["outputs"][alias])


def _takes(wide: Sequence[int] | None, narrow: Sequence[int] | None) -> bool:
    """Whether all that has the narrow shape has the wide one."""
    if wide is None:
        return True
    return (
        narrow is not None and len(wide) == len(narrow) and all(w in (-1, n) for w, n in zip(wide, narrow, strict=True))
    )


def _shapes(what: str, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return f"The {what} of {name!r} had the shape {_shape(old['shape'])} and has {_shape(new['shape'])}."


def _shape(sizes: Sequence[int] | None) -> str:
    return "of any rank" if sizes is None else "[" + ", ".join("?" if size < 0 else str(size) for size in sizes) + "]"


def _names(found: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, sorted(found))) or "none"
