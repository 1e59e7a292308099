"""How a model is called: which named input goes where in its arguments.

A functional or Sequential model says it itself. A subclassed model says it through `input_signature=`, through samples,
or through the shapes that Keras recorded when it was built; the last only when nothing has to be guessed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from modelport.errors import FailedPrecondition, InvalidArgument
from modelport.tensors import as_array
from modelport_export import naming
from modelport_export.keras_layers import layers_of
from modelport_export.signatures import Spec, check_aliases, spec_of

_REMEDY = (
    "Give samples={'name': array, …} with one raw array for each input, or input_signature={'name': "
    "tf.TensorSpec([None, …], dtype), …}."
)
_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
# Layers whose input is an index or a text: the float32 that a bare shape suggests would be wrong for them.
_NOT_FLOAT = (
    keras.layers.Embedding,
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
    keras.layers.Hashing,
    keras.layers.HashedCrossing,
)


@dataclass(frozen=True)
class Call:
    """The named inputs of a model, and its arguments as a nesting of those names."""

    specs: Mapping[str, Spec]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None

    def __call__(self, model: Any, tensors: Mapping[str, Any]) -> Any:
        """Call the model for inference on named tensors."""
        args = [_place(argument, tensors) for argument in self.args]
        kwargs = {name: _place(argument, tensors) for name, argument in (self.kwargs or {}).items()}
        return model(*args, **kwargs, training=False)


def describe(model: Any, samples: Mapping[str, Any] | None = None, input_signature: Any = None) -> Call:
    """Find out how a model is called.

    Args:
        model: a built Keras model.
        samples: name → array; used for the names, shapes and dtypes of a subclassed model only.
        input_signature: name → tf.TensorSpec (or InputSpec), or a nesting of such with names of their own; overrides
            shapes and dtypes of any model, names of a subclassed one.

    Returns:
        The call, with every batch size unknown.

    Raises:
        FailedPrecondition: a subclassed model whose inputs cannot be derived.
        InvalidArgument: names or dtypes that cannot be served.
    """
    structure = _structure(model)
    if structure is not None:
        call = _from_structure(structure)
        return call if input_signature is None else _overridden(call, input_signature)
    if input_signature is not None:
        if isinstance(input_signature, list | tuple) and len(input_signature) == 1:
            input_signature = input_signature[0]
        if isinstance(input_signature, Mapping):
            return _from_names(model, input_signature, "input_signature")
        return _from_structure(input_signature)
    if samples:
        return _from_names(model, {name: _as_keras_takes(array) for name, array in samples.items()}, "samples")
    return _from_build(model)


def is_described_by_samples(model: Any) -> bool:
    """Whether shapes and dtypes of the model's inputs are known from samples only."""
    return _structure(model) is None


def _structure(model: Any) -> Any:
    """The nesting of a functional or Sequential model's inputs; None of a subclassed one."""
    functional = model._functional if isinstance(model, keras.Sequential) else model
    return getattr(functional, "_inputs_struct", None)


def _from_structure(structure: Any) -> Call:
    names = naming.input_names(structure)
    check_aliases(names, "input")
    tensors = [leaf for _, leaf in naming.leaves(structure)]
    specs = {name: _batched(tensor, name) for name, tensor in zip(names, tensors, strict=True)}
    return Call(specs, args=(naming.rebuild(structure, iter(names)),))


def _overridden(call: Call, input_signature: Any) -> Call:
    given = _from_structure(input_signature).specs
    if len(given) == 1 and len(call.specs) == 1 and not isinstance(input_signature, Mapping):
        given = dict(zip(call.specs, given.values(), strict=True))
    if set(given) != set(call.specs):
        raise InvalidArgument(
            f"Expected input_signature to name the model's inputs {list(call.specs)}. Received: {list(given)}"
        )
    return replace(call, specs={name: given[name] for name in call.specs})


def _from_names(model: Any, named: Mapping[str, Any], argument: str) -> Call:
    """Fit names to a subclassed model: to the parameters of its `call`, to the dict or list that it was built on."""
    names = list(named)
    check_aliases(names, "input")
    specs = {name: _batched(tensor, name) for name, tensor in named.items()}
    parameters = inspect.signature(model.call).parameters
    recorded = _recorded(model)
    if isinstance(recorded, Mapping) and set(recorded) == set(names):
        return Call(specs, args=({name: name for name in recorded},))
    among = [name for name in names if name in parameters]
    if len(among) == len(names):
        _refuse_missing(model, parameters, names, argument)
        return Call(specs, kwargs={name: name for name in names})
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.kind in _NAMED]
    if among or len(needed) > 1:
        raise InvalidArgument(
            f"Expected {argument} to name parameters of {type(model).__name__}.call{inspect.signature(model.call)}. "
            f"Received: {names}"
        )
    if isinstance(recorded, Mapping):
        raise InvalidArgument(
            f"Expected {argument} to name the inputs that the model was built on, {sorted(recorded)}. Received: {names}"
        )
    if isinstance(recorded, list):
        ordered = [f"input_{place}" for place in range(1, len(recorded) + 1)]
        if set(names) != set(ordered):
            raise InvalidArgument(
                f"Expected {argument} for a model that takes a list of {len(recorded)} inputs to say the order: the "
                f"names {ordered}, or input_signature=[tf.TensorSpec(…, name='first'), …]. Received: {names}"
            )
        return Call({name: specs[name] for name in ordered}, args=(ordered,))
    if len(names) == 1:
        return Call(specs, args=(names[0],))
    return Call(specs, args=({name: name for name in names},))


def _refuse_missing(model: Any, parameters: Mapping[str, inspect.Parameter], names: Sequence[str], what: str) -> None:
    missing = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind in _NAMED and p.name not in (*names, "training")
    ]
    if missing:
        raise InvalidArgument(
            f"Expected {what} for all parameters of {type(model).__name__}.call that have no default; {missing} are "
            f"missing. Received: {list(names)}"
        )


def _from_build(model: Any) -> Call:
    recorded = _recorded(model)
    name = type(model).__name__
    if recorded is None or len(_parameters(model)) > 1:
        raise FailedPrecondition(
            f"Expected to learn the inputs of the subclassed model {name!r} from its build; Keras recorded "
            f"{'nothing' if recorded is None else 'one shape for several arguments'}. {_REMEDY}"
        )
    for layer in layers_of(model):
        if isinstance(layer, _NOT_FLOAT):
            raise FailedPrecondition(
                f"Expected to learn the dtypes of the subclassed model {name!r}'s inputs; Keras recorded only shapes, "
                f"and its layer {layer.name!r} ({type(layer).__name__}) does not take float32. {_REMEDY}"
            )
    return _from_structure(_shapes_to_specs(recorded))


def _recorded(model: Any) -> Any:
    """The nesting of shapes that the model was built on; None when there is no record of just one argument."""
    recorded = getattr(model, "_build_shapes_dict", None) or {}
    return _plain(next(iter(recorded.values()))) if len(recorded) == 1 else None


def _plain(shapes: Any) -> Any:
    """Shapes as tuples in plain dicts and lists; Keras wraps them, and reads them from a file as lists."""
    if isinstance(shapes, Mapping):
        return {key: _plain(value) for key, value in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return tuple(shapes)
    return [_plain(value) for value in shapes]


def _shapes_to_specs(shapes: Any) -> Any:
    if isinstance(shapes, dict):
        return {key: _shapes_to_specs(value) for key, value in shapes.items()}
    if isinstance(shapes, list):
        return [_shapes_to_specs(value) for value in shapes]
    return keras.InputSpec(shape=shapes, dtype=keras.config.floatx())


def _parameters(model: Any) -> list[str]:
    """The arguments of the model's `call` that are data where the user names none."""
    parameters = inspect.signature(model.call).parameters.values()
    return [p.name for p in parameters if p.kind in _NAMED and p.name not in ("training", "mask")]


def _as_keras_takes(value: Any) -> Any:
    """A sample as the model sees it: Keras turns Python floats and float64 arrays into its own float type."""
    array = as_array(value)
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array


def _batched(tensor: Any, name: str) -> Spec:
    """The tensor's Spec with an unknown batch size."""
    for kind in ("sparse", "ragged"):
        if getattr(tensor, kind, False):
            raise InvalidArgument(
                f"Expected input {name!r} to be dense, because the API carries dense tensors only. Received: a {kind} "
                "input. Take a dense input and convert it inside the model."
            )
    if getattr(tensor, "_keras_history", None) is not None and getattr(
        tensor._keras_history.operation, "optional", False
    ):
        raise InvalidArgument(
            f"Expected a model without optional inputs: a signature has no optional inputs, every input must be sent. "
            f"Received: the optional input {name!r}. Make it a required one with a neutral value (zeros), or build a "
            "second model without it for serving."
        )
    spec = spec_of(tensor, f"input {name!r}")
    if not spec.shape:
        raise InvalidArgument(f"Expected input {name!r} to have a batch dimension. Received: a scalar.")
    fixed = spec.shape[0] if isinstance(tensor, keras.KerasTensor) else -1  # samples have just as many as they have
    return replace(spec, shape=(fixed, *spec.shape[1:]))


def _place(argument: Any, tensors: Mapping[str, Any]) -> Any:
    names: Sequence[str] = [name for _, name in naming.leaves(argument)]
    return naming.rebuild(argument, iter([tensors[name] for name in names]))
