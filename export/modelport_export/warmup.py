"""`assets.extra/tf_serving_warmup_requests`: the requests that a server replays before a version becomes available.

A TFRecord of PredictionLogs. The requests that prove a version are those that warm it: a row alone, and a batch. All
are Predict requests: servers run Predict on any signature, so this warms the graph behind `classify` as well.
Source of the format and of the limit: `saved_model_warmup_util.cc` of TensorFlow Serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from modelport import layout, tensors
from modelport.wire import messages
from modelport_export.proof.rows import Rows
from modelport_export.signatures import Array, Signature

RELATIVE_PATH = layout.WARMUP_REQUESTS
BATCH = 32  # the larger of the two batch sizes; a model of many signatures stays far below 1000 records


def write(
    folder: Path, model_name: str, feeds: Mapping[str, Mapping[str, Array]], signatures: Mapping[str, Signature]
) -> int:
    """Write the file into a version's folder.

    Args:
        folder: the version's.
        model_name: goes into the requests; the server does not check it.
        feeds: signature name → input alias → array of samples.
        signatures: say how they are cut.

    Returns:
        The number of records: for each signature one with a single row, and one with up to 32 when there are more.
    """
    path = folder / RELATIVE_PATH
    path.parent.mkdir(exist_ok=True)
    count = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, inputs in feeds.items():
            rows = Rows.of(signatures[name].inputs)
            units = rows.count(inputs)
            for size in sorted({1, min(units, BATCH)} if rows.is_open else {1}):
                batch = rows.take(inputs, range(size))
                log = messages.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model_name
                request.model_spec.signature_name = name
                for alias, array in batch.items():
                    request.inputs[alias].CopyFrom(tensors.encode(array))
                writer.write(log.SerializeToString())
                count += 1
    return count
