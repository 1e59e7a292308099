"""One signature of a version as a traced TensorFlow function."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from modelport.errors import FailedPrecondition, InvalidArgument, ModelportError
from modelport_export.signatures import Signature, Spec, check_aliases, spec_of

PREDICT_METHOD = "tensorflow/serving/predict"
CLASSIFY_METHOD = "tensorflow/serving/classify"

_PYTHON_OPS = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


@dataclass(frozen=True)
class Endpoint:
    """A signature, its traced function, and the function's argument for each input alias."""

    signature: Signature
    function: Any  # tf.types.experimental.ConcreteFunction
    arguments: Mapping[str, str]
    method_name: str = PREDICT_METHOD

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the graph in this process; alias → array both ways."""
        tensors = {
            self.arguments[alias]: tf.convert_to_tensor(array, self.signature.inputs[alias].row.number)
            for alias, array in inputs.items()
        }
        return {alias: np.asarray(tensor.numpy()) for alias, tensor in self.function(**tensors).items()}


def trace(
    function: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    inputs: Mapping[str, Spec],
    method_name: str = PREDICT_METHOD,
) -> Endpoint:
    """Trace a function of named tensors into a graph that a server can run.

    Args:
        function: input alias → tensor to output alias → tensor.
        inputs: alias → Spec.
        method_name: what the SignatureDef says it is for.

    Raises:
        FailedPrecondition: the function cannot be traced, or its graph holds what no server runs.
        InvalidArgument: an output that the API cannot carry.
    """
    arguments = _argument_names(list(inputs))
    specs = {
        arguments[alias]: tf.TensorSpec(
            None if spec.shape is None else [None if size == -1 else size for size in spec.shape],
            spec.row.number,
            name=arguments[alias],
        )
        for alias, spec in inputs.items()
    }

    refusals: list[ModelportError] = []

    def serve(**tensors: Any) -> Mapping[str, Any]:
        try:
            outputs = function({alias: tensors[argument] for alias, argument in arguments.items()})
            return {alias: _dense(alias, tensor) for alias, tensor in outputs.items()}
        except ModelportError as error:  # AutoGraph would hand it on as an error of its own
            refusals.append(error)
            raise

    try:
        concrete = tf.function(serve).get_concrete_function(**specs)
    except Exception as error:  # the user's own layers run here and raise what they like
        if refusals:
            raise refusals[0] from None
        raise FailedPrecondition(
            "Expected a model whose call can be traced into a TensorFlow graph: tensors only, without numpy. "
            f"Inputs: { {alias: spec.to_dict() for alias, spec in inputs.items()} }. "
            f"Received {type(error).__name__}: {error}"
        ) from error
    _refuse_what_servers_cannot_run(concrete)
    outputs = {alias: spec_of(t, f"output {alias!r}") for alias, t in concrete.structured_outputs.items()}
    check_aliases(list(outputs), "output")
    return Endpoint(Signature(dict(inputs), outputs), concrete, arguments, method_name)


def _argument_names(aliases: list[str]) -> dict[str, str]:
    """Aliases are free text, TensorFlow's argument names are not: `petal length (cm)` → `petal_length__cm_`."""
    names: dict[str, str] = {}
    for alias in aliases:
        name = re.sub(r"[^A-Za-z0-9_]", "_", alias)
        if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name) or name == "self":
            name = f"input_{name}"
        while name.lower() in (taken.lower() for taken in names.values()):
            name += "_"
        names[alias] = name
    return names


def _dense(alias: str, tensor: Any) -> Any:
    remedy = {tf.RaggedTensor: "Call .to_tensor() on it", tf.SparseTensor: "Call tf.sparse.to_dense on it"}
    if not tf.is_tensor(tensor) or type(tensor) in remedy:
        raise InvalidArgument(
            f"Expected output {alias!r} to be a dense tensor, which is all that the API carries. Received: "
            f"{type(tensor).__name__}. {remedy.get(type(tensor), 'Leave it out of what the model returns')}."
        )
    return tensor


def _refuse_what_servers_cannot_run(concrete: Any) -> None:
    for node in nodes(concrete.graph.as_graph_def()):
        if node.op in _PYTHON_OPS:
            raise FailedPrecondition(
                f"Expected a graph of TensorFlow operations. Received: {node.op} ({node.name!r}), which calls back "
                "into this Python process (tf.py_function, tf.numpy_function): no server runs it. Write that step "
                "with TensorFlow operations."
            )
        if node.attr["_XlaMustCompile"].b:
            raise FailedPrecondition(
                f"Expected a graph that runs without XLA, which TensorFlow Serving turns off by default. Received: "
                f"{node.name!r} compiled with jit_compile=True. Leave that off for serving."
            )


def nodes(graph_def: Any) -> Iterator[Any]:
    """All nodes of a graph and of the functions in its library."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def
