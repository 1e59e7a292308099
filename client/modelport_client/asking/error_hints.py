"""After a refusal: what the server would have taken, beside what it was given."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from modelport.dtypes import of_array
from modelport_client.results import Array, SignatureSpec, TensorSpec, VersionState


def of_inputs(inputs: Mapping[str, Array], name: str, signature: SignatureSpec) -> str:
    """One or more sentences on inputs that do not fit a signature; empty when they all fit."""
    problems = []
    missing = sorted(set(signature.inputs) - set(inputs) - signature.optional)
    for alias in sorted(set(inputs) - set(signature.inputs)):
        near = difflib.get_close_matches(alias, signature.inputs, 1, 0.4) or (missing if len(missing) == 1 else [])
        problems.append(f"unknown input {alias!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    problems += [f"missing input {alias!r}" for alias in missing]
    for alias in sorted(set(inputs) & set(signature.inputs)):
        array, spec = inputs[alias], signature.inputs[alias]
        if not _fits(array, spec):
            given = f"{of_array(array).name} {list(array.shape)}"
            problems.append(f"input {alias!r} should be {spec}, is {given}")
    if not problems:
        return ""
    return f"Expected for {name}{signature}. Received: {'; '.join(problems)}."


def of_outputs(outputs: Sequence[str], signature: SignatureSpec) -> str:
    """A sentence on output names that the signature does not have; empty when all exist."""
    wrong = [alias for alias in outputs if alias not in signature.outputs]
    if not wrong:
        return ""
    near = difflib.get_close_matches(wrong[0], signature.outputs, 1, 0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Expected outputs of {sorted(signature.outputs)}. Received: {wrong}.{hint}"


def of_versions(model: str, states: Sequence[VersionState]) -> str:
    """A sentence on the versions that a server has of a model."""
    seen = ", ".join(f"{state.version} ({state.state})" for state in states)
    return f"Versions of model {model!r} there: {seen}."


def _fits(array: Array, spec: TensorSpec) -> bool:
    if spec.dtype is not None and of_array(array) != spec.dtype:
        return False
    if spec.shape is None:
        return True
    same_rank = len(spec.shape) == array.ndim
    return same_rank and all(want in (-1, have) for want, have in zip(spec.shape, array.shape, strict=True))
