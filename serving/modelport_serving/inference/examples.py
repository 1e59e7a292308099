"""Classify, Regress and MultiInference: signatures over serialized tf.Examples.

Checks, their order and their texts are those of TensorFlow Serving's `classifier.cc`, `regressor.cc` and
`multi_inference.cc`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from google.protobuf import text_format

from modelport import dtypes
from modelport.errors import InvalidArgument, Unimplemented
from modelport.wire import messages
from modelport_serving.inference.example_answers import (
    Classification,
    Classified,
    Regression,
    fill_classifications,
    fill_regressions,
)
from modelport_serving.inference.run import (
    CLASSIFY_METHOD,
    DEFAULT_SIGNATURE,
    REGRESS_METHOD,
    Answer,
    Array,
    Rules,
    Run,
    fill_spec,
    planned,
    tensor_of,
)
from modelport_serving.servables.servable import Servable, Signature

T = TypeVar("T")

_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"


def examples_of(source: messages.Input) -> list[bytes]:
    """The serialized examples of an Input, the context put before each so that the example's own values win.

    Raises:
        InvalidArgument: there are none.
    """
    match source.WhichOneof("kind"):
        case "example_list":
            found = [example.SerializeToString() for example in source.example_list.examples]
        case "example_list_with_context":
            listed = source.example_list_with_context
            context = listed.context.SerializeToString()
            found = [context + example.SerializeToString() for example in listed.examples]
        case _:
            found = []
    if not found:
        raise InvalidArgument("Input is empty.")
    return found


def example_count(source: messages.Input) -> int:
    """How many examples an Input carries."""
    kind = source.WhichOneof("kind")
    return 0 if kind is None else len(getattr(source, kind).examples)


def plan_classify(
    servable: Servable, name: str, source: messages.Input | list[bytes], rules: Rules
) -> Run[Classification]:
    """Check a Classify request on the signature `name` ("" is the default one)."""
    signature = _signature(servable, name)
    _check_classify(signature, rules)
    examples = source if isinstance(source, list) else examples_of(source)
    aliases = [alias for alias in (_CLASSES, _SCORES) if alias in signature.outputs]

    def finish(arrays: Sequence[Array]) -> Classification:
        found = _classified(dict(zip(aliases, arrays, strict=True)), len(examples))
        return Answer(servable.id, signature.name, found)

    return _run(signature, examples, aliases, finish)


def plan_regress(servable: Servable, name: str, source: messages.Input | list[bytes], rules: Rules) -> Run[Regression]:
    """Check a Regress request on the signature `name` ("" is the default one)."""
    signature = _signature(servable, name)
    _check_regress(signature, rules)
    examples = source if isinstance(source, list) else examples_of(source)

    def finish(arrays: Sequence[Array]) -> Regression:
        return Answer(servable.id, signature.name, _regressed(arrays[0], len(examples)))

    return _run(signature, examples, [_OUTPUTS], finish)


def plan_multi_inference(
    servable: Servable, request: messages.MultiInferenceRequest, rules: Rules
) -> Run[messages.MultiInferenceResponse]:
    """Check a MultiInference request: all tasks in one run on the same examples."""
    tasks = _checked_tasks(servable, request, rules)
    examples = examples_of(request.input)
    feeds: dict[str, Array] = {}
    fetches: list[str] = []
    for signature, method in tasks:
        feeds[tensor_of(signature, _INPUTS, signature.inputs[_INPUTS])] = _strings(examples)
        wanted = (_CLASSES, _SCORES) if method == CLASSIFY_METHOD else (_OUTPUTS,)
        fetches += [_tensor(signature, alias) for alias in wanted if alias in signature.outputs]
    fetches = list(dict.fromkeys(fetches))

    def finish(arrays: Sequence[Array]) -> messages.MultiInferenceResponse:
        by_tensor = dict(zip(fetches, arrays, strict=True))
        response = messages.MultiInferenceResponse()
        for signature, method in tasks:
            result = response.results.add()
            fill_spec(result.model_spec, servable.id, signature.name)
            outputs = {alias: by_tensor[i.tensor] for alias, i in signature.outputs.items() if i.tensor in by_tensor}
            if method == CLASSIFY_METHOD:
                classified = _classified(outputs, len(examples))
                fill_classifications(result.classification_result, classified)
            else:
                fill_regressions(result.regression_result, _regressed(outputs[_OUTPUTS], len(examples)))
        return response

    return Run(feeds, fetches, finish, all(signature.merges for signature, _ in tasks))


def _run(
    signature: Signature, examples: Sequence[bytes], aliases: Sequence[str], finish: Callable[[Sequence[Array]], T]
) -> Run[T]:
    fetches = [_tensor(signature, alias) for alias in aliases]
    return planned(signature, {_INPUTS: _strings(examples)}, fetches, finish)


def _tensor(signature: Signature, alias: str) -> str:
    return tensor_of(signature, alias, signature.outputs[alias])


def _signature(servable: Servable, name: str) -> Signature:
    name = name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise InvalidArgument(f"No signature was found with the name: {name}")
    return signature


def _check_classify(signature: Signature, rules: Rules) -> None:
    _check_method(signature, "classification", CLASSIFY_METHOD, rules)
    if len(signature.inputs) != 1:
        raise InvalidArgument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if _INPUTS not in signature.inputs:
        raise InvalidArgument(f"No classification inputs found in SignatureDef: {_debug(signature)}")
    known = [alias for alias in (_CLASSES, _SCORES) if alias in signature.outputs]
    if not known:
        raise InvalidArgument(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_debug(signature)}"
        )


def _check_regress(signature: Signature, rules: Rules) -> None:
    _check_method(signature, "regression", REGRESS_METHOD, rules)
    if len(signature.inputs) != 1:
        raise InvalidArgument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgument("Expected one output Tensor.")
    if _INPUTS not in signature.inputs:
        raise InvalidArgument(f"No regression inputs found in SignatureDef: {_debug(signature)}")
    if _OUTPUTS not in signature.outputs:
        raise InvalidArgument(f"No regression outputs found in SignatureDef: {_debug(signature)}")


def _check_method(signature: Signature, kind: str, method: str, rules: Rules) -> None:
    if rules.check_method_name and signature.method_name != method:
        raise InvalidArgument(f"Expected {kind} signature method_name to be {method}. Was: {signature.method_name}")


def _checked_tasks(
    servable: Servable, request: messages.MultiInferenceRequest, rules: Rules
) -> list[tuple[Signature, str]]:
    tasks: list[tuple[Signature, str]] = []
    seen: set[str] = set()
    first = request.tasks[0].model_spec.name
    for task in request.tasks:
        spec = task.model_spec
        if not spec.name:
            raise InvalidArgument("Found ModelSpec with an empty model name.")
        if spec.name != first:
            raise InvalidArgument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise InvalidArgument(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        signature = servable.signatures.get(name)
        if signature is None:
            raise InvalidArgument(f"Requested signature not found in model graph: {name}")
        if task.method_name == CLASSIFY_METHOD:
            _check_classify(signature, rules)
        elif task.method_name == REGRESS_METHOD:
            _check_regress(signature, rules)
        else:
            raise Unimplemented(f"Unsupported signature method_name: {task.method_name}")
        tasks.append((signature, task.method_name))
    return tasks


def _strings(examples: Sequence[bytes]) -> Array:
    array = np.empty(len(examples), object)
    array[:] = examples
    return array


def _classified(outputs: dict[str, Array], count: int) -> Classified:
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    for alias, array, dtype in ((_CLASSES, classes, "DT_STRING"), (_SCORES, scores, "DT_FLOAT")):
        if array is None:
            continue
        if array.ndim != 2:
            raise InvalidArgument(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        if _dtype(array) != dtype:
            raise InvalidArgument(f"Expected {alias} Tensor of {dtype}. Got: {_dtype(array)}")
        if len(array) != count:
            raise InvalidArgument(f"Expected {alias} output batch size of {count}. Got: {len(array)}")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise InvalidArgument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    return Classified(classes, scores)


def _regressed(output: Array, count: int) -> Array:
    if output.ndim != 1 and not (output.ndim == 2 and output.shape[1] == 1):
        raise InvalidArgument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(output)}"
        )
    if len(output) != count:
        raise InvalidArgument(f"Input batch size did not match output batch size: {count} vs. {len(output)}")
    if _dtype(output) != "DT_FLOAT":
        raise InvalidArgument(f"Expected output Tensor of DT_FLOAT.  Got: {_dtype(output)}")
    return output.reshape(-1)


def _dtype(array: Array) -> str:
    return dtypes.of_array(array).enum_name


def _shape(array: Array) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"


def _debug(signature: Signature) -> str:
    return text_format.MessageToString(signature.proto)
