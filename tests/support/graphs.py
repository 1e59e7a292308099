"""SavedModels made of a graph as it is, for dtypes, names and signatures that `tf.saved_model.save` does not write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from modelport.dtypes import DTYPES

# Inputs and outputs of a signature by alias: tensors, or what is written as their TensorInfo.
Ends = Mapping[str, Any]
Signatures = Mapping[str, tuple[Ends, Ends]]


def save(
    folder: Path,
    build: Callable[[], Signatures],
    tag_sets: Sequence[Sequence[str]] = (("serve",),),
    method: str = "tensorflow/serving/predict",
) -> Path:
    """Write the graph that `build` makes, without variables, as a meta graph for each tag set."""
    with tf.Graph().as_default() as graph:
        signatures = build()
        model = saved_model_pb2.SavedModel(saved_model_schema_version=1)
        for tags in tag_sets:
            meta = model.meta_graphs.add()
            meta.meta_info_def.tags.extend(tags)
            meta.graph_def.CopyFrom(graph.as_graph_def())
            for name, (inputs, outputs) in signatures.items():
                signature = meta.signature_def[name]
                signature.method_name = method
                for ends, infos in ((inputs, signature.inputs), (outputs, signature.outputs)):
                    for alias, end in ends.items():
                        infos[alias].CopyFrom(info_of(end))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def info_of(end: Any) -> meta_graph_pb2.TensorInfo:
    """The TensorInfo of a tensor, or of a name that is written as it is (float, of any number of rows)."""
    if isinstance(end, meta_graph_pb2.TensorInfo):
        return end
    if isinstance(end, str):
        info = meta_graph_pb2.TensorInfo(name=end, dtype=tf.float32.as_datatype_enum)
        info.tensor_shape.dim.add(size=-1)
        return info
    return tf.compat.v1.saved_model.build_tensor_info(end)


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Any:
    """An input of the graph; without a shape one of any rank."""
    return tf.compat.v1.placeholder(dtype, shape, name)


def identities() -> Signatures:
    """A signature `x -> y = x` for each dtype that a message can carry, of any rank, named as the dtype."""
    signatures = {}
    for dtype in DTYPES:
        x = placeholder(tf.as_dtype(dtype.number), name=f"x_{dtype.name}")
        signatures[dtype.name] = ({"x": x}, {"y": tf.raw_ops.Identity(input=x)})
    return signatures


def strings() -> Signatures:
    """What kernels say of bytes: `number`, `base64`, `image`, and `echo`; `x string[?] -> y`."""
    x = placeholder(tf.string, [None], "x")
    sizes = tf.map_fn(lambda data: tf.shape(tf.io.decode_png(data))[0], x, fn_output_signature=tf.int32)
    outputs = {
        "serving_default": tf.identity(x),
        "number": tf.strings.to_number(x),
        "base64": tf.io.decode_base64(x),
        "image": sizes,
    }
    return {name: ({"x": x}, {"y": y}) for name, y in outputs.items()}


def odd_ends() -> Signatures:
    """`serving_default(x float[?,4]) -> y = 2 x`, and signatures whose ends no dense tensor is."""
    x = placeholder(tf.float32, [None, 4], "x")
    y = tf.identity(x * 2, "y")
    sparse = tf.compat.v1.sparse_placeholder(tf.float32, [None, 4], "sparse")
    ragged = tf.RaggedTensor.from_tensor(x)
    with tf.control_dependencies([x]):
        nothing = tf.no_op("nothing")
    return {
        "serving_default": ({"x": x}, {"y": y}),
        "sparse_in": ({"x": sparse}, {"y": tf.sparse.to_dense(sparse) + 0}),
        "sparse_out": ({"x": x}, {"y": tf.sparse.from_dense(x)}),
        "ragged_out": ({"x": x}, {"y": ragged}),
        "one_of_two": ({"x": x}, {"y": y, "z": ragged}),
        "no_outputs": ({"x": x}, {"y": f"{nothing.name}:0"}),
        "second_output": ({"x": x}, {"y": "y:1"}),
        "not_there": ({"x": x}, {"y": "nobody:0"}),
    }


def resource() -> Signatures:
    """An output that is a handle of the process's memory."""
    handle = tf.raw_ops.MutexV2(name="handle")
    return {"serving_default": ({"x": placeholder(tf.float32, [None], "x")}, {"y": handle})}


def gated() -> Signatures:
    """`serving_default(x string[?]) -> y float[?], company int32[?]`: the numbers, and how many rows its run had.

    Each run waits for a token that a run of `go(tokens int32[?]) -> sent` brings; `free` does not wait. A run of bytes
    that are no number fails, when it got its token.
    """
    x = placeholder(tf.string, [None], "x")
    tokens = placeholder(tf.int32, [None], "tokens")
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.int32], shapes=[[]], shared_name="gate")
    token = tf.raw_ops.QueueDequeueV2(handle=queue, component_types=[tf.int32])[0]

    def answer(name: str) -> Ends:
        company = tf.fill([tf.shape(x)[0]], tf.shape(x)[0])
        return {"y": tf.strings.to_number(x, name=f"{name}_y"), "company": tf.identity(company, f"{name}_company")}

    with tf.control_dependencies([token]):
        waits = answer("gated")
    with tf.control_dependencies([tf.raw_ops.QueueEnqueueManyV2(handle=queue, components=[tokens])]):
        sent = tf.identity(tokens)
    return {
        "serving_default": ({"x": x}, waits),
        "free": ({"x": x}, answer("free")),
        "go": ({"tokens": tokens}, {"sent": sent}),
    }


def examples() -> Signatures:
    """Signatures over serialized tf.Examples with a float `x`: `classify`, `regress` and kinds that do not fit."""
    serialized = placeholder(tf.string, [None], "inputs")
    x = tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
    scores = tf.stack([x, 1.0 - x], axis=1, name="scores")
    labels = tf.stack([tf.fill(tf.shape(x), "yes"), tf.fill(tf.shape(x), "no")], axis=1, name="labels")
    given, two = {"inputs": serialized}, {"inputs": serialized, "other": placeholder(tf.float32, [None], "other")}
    doubled = tf.identity(2 * x, "doubled")
    return {
        "serving_default": (given, {"classes": labels, "scores": scores}),
        "scores_only": (given, {"scores": scores}),
        "classes_only": (given, {"classes": labels}),
        "flat_scores": (given, {"scores": doubled}),
        "integer_scores": (given, {"scores": tf.cast(scores, tf.int64)}),
        "one_row_of_scores": (given, {"scores": scores[:1]}),
        "unequal": (given, {"classes": labels[:, :1], "scores": scores}),
        "regress": (given, {"outputs": doubled}),
        "regress_column": (given, {"outputs": doubled[:, None]}),
        "regress_wide": (given, {"outputs": scores}),
        "regress_double": (given, {"outputs": tf.cast(doubled, tf.float64)}),
        "regress_one": (given, {"outputs": doubled[:1]}),
        "two_inputs": (two, {"outputs": doubled}),
        "other_input": ({"x": serialized}, {"outputs": doubled, "scores": scores}),
        "other_output": (given, {"y": doubled}),
    }


def with_default() -> Signatures:
    """`serving_default(x float[?], b float[?]) -> y = x + b`, whose `b` may be left out where its default is added."""
    x, b = placeholder(tf.float32, [None], "x"), placeholder(tf.float32, [None], "b")
    return {"serving_default": ({"x": x, "b": b}, {"y": x + b, "z": x - b})}
