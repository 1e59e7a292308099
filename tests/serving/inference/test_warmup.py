"""Recorded requests are replayed before a version answers; one that fails, fails the load."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from modelport import tensors
from modelport.errors import DataLoss, InvalidArgument, Unimplemented, Unknown
from modelport.wire import messages
from modelport_client import Client
from modelport_serving import AUTO, Options, Server
from modelport_serving.inference import warmup
from tests.support import graphs


def record(version, *logs):
    """Write a warm-up file of PredictionLogs, or of bytes."""
    path = version / warmup.RELATIVE_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log if isinstance(log, bytes) else log.SerializeToString())
    return version


def predict_log(dtype=np.float32, name="m", **inputs):
    log = messages.PredictionLog()
    log.predict_log.request.model_spec.name = name
    for alias, value in inputs.items():
        log.predict_log.request.inputs[alias].CopyFrom(tensors.encode(np.asarray(value, dtype)))
    return log


def replayed(version, iterations=1, **replayers):
    return warmup.replay(version, replayers, iterations)


def test_each_request_is_run_in_order(tmp_path):
    seen = []
    record(tmp_path, predict_log(x=[1]), predict_log(x=[2]), b"")
    done = replayed(tmp_path, 2, predict_log=lambda r: seen.append(tensors.decode(r.inputs["x"]).item()))
    assert seen == [1, 1, 2, 2]
    assert done.records == 3, "an empty record is a log of nothing"
    assert done.seconds >= 0


def test_there_is_nothing_to_replay(tmp_path):
    assert replayed(tmp_path) is None
    assert replayed(record(tmp_path)).records == 0


def test_what_cannot_be_replayed_fails(tmp_path):
    with pytest.raises(InvalidArgument, match=r"Failed to parse warmup record: b'.*tf_serving_warmup_requests"):
        replayed(record(tmp_path, b"\xff" * 300))
    with pytest.raises(Unimplemented, match="Unsupported log_type for warmup: 6"):
        replayed(record(tmp_path, predict_log(x=[1])), classify_log=print)
    (tmp_path / warmup.RELATIVE_PATH).write_bytes(b"no TFRecord")
    with pytest.raises(DataLoss, match="TFRecord"):
        replayed(tmp_path)


def test_there_are_at_most_1000(tmp_path):
    runs = []
    record(tmp_path, *[predict_log()] * 1000)
    assert replayed(tmp_path, predict_log=runs.append).records == 1000
    record(tmp_path, *[predict_log()] * 1001)
    with pytest.raises(InvalidArgument, match=r"exceeds the maximum \(1000\)"):
        replayed(tmp_path, predict_log=runs.append)


def serving(base, **options):
    chosen = {"model_name": "m", "model_base_path": str(base), "port": AUTO, "max_num_load_retries": 0, **options}
    return Server(Options(**chosen))


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({}, 2),
        ({"num_request_iterations_for_warmup": 3}, 6),
        ({"enable_model_warmup": False}, 0),
        ({"enable_batching": True}, 2),
    ],
)
def test_a_version_is_warm_before_it_answers(tmp_path, add_version, options, runs):
    record(add_version(tmp_path / "m", 1, "row_counter"), predict_log(x=[1]), predict_log(x=[1, 2], name="whoever"))
    with serving(tmp_path / "m", **options) as server, Client(server.grpc_address) as client:
        assert client.predict("m", {"x": np.zeros(1, np.float32)})["calls"].tolist() == [runs + 1]


def test_all_kinds_of_requests_are_replayed(tmp_path):
    graphs.save(tmp_path / "m" / "1", graphs.examples)
    example = tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list={"value": [0.25]})})
    )
    logs = []
    for kind, signature in (("classify_log", "serving_default"), ("regress_log", "regress")):
        log = messages.PredictionLog()
        request = getattr(log, kind).request
        request.model_spec.signature_name = signature
        request.input.example_list.examples.add().ParseFromString(example.SerializeToString())
        logs.append(log)
    log = messages.PredictionLog()
    request = log.multi_inference_log.request
    request.input.CopyFrom(logs[0].classify_log.request.input)
    for method, signature in (("classify", "serving_default"), ("regress", "regress")):
        task = request.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name, task.model_spec.signature_name = "m", signature
    record(tmp_path / "m" / "1", *logs, log)
    with serving(tmp_path / "m") as server, server.core.handle(messages.ModelSpec(name="m")) as servable:
        assert servable.warmup_s is not None
    log.multi_inference_log.request.tasks[0].method_name = "nothing"
    record(tmp_path / "m" / "1", *logs, log)
    with pytest.raises(Unknown, match="UNIMPLEMENTED: Unsupported signature method_name: nothing"):
        serving(tmp_path / "m").start()


@pytest.mark.parametrize("options", [{}, {"enable_batching": True}], ids=["alone", "batched"])
def test_a_request_that_fails_keeps_its_version_from_answering(tmp_path, add_version, options):
    base = tmp_path / "m"
    record(add_version(base, 1, "matrix"), predict_log(x=np.zeros((1, 9))))
    with pytest.raises(Unknown, match=r"INVALID_ARGUMENT: .*size-incompatible"):
        serving(base, **options).start()
    shutil.rmtree(base / "1" / "assets.extra")
    with serving(base, **options) as server:
        assert server.core.manager.available("m") == [1]
