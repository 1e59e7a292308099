"""The JSON of the REST API: bytes of a request → arrays, arrays and messages → bytes of an answer.

What TensorFlow Serving accepts, refuses and writes, with its texts; no HTTP, no model. The usual request, arrays of
numbers, passes through in bulk (`numeric_runs`, `number_texts`); everything else is read one value at a time.

    body ─► parser ─► document ─► predict_request ─► arrays        arrays ─► predict_response ─► body
                                  examples ─► tf.Examples          messages ─► api_messages ─► body
"""

from modelport_serving.rest.json.api_messages import encode_metadata, encode_status
from modelport_serving.rest.json.document import MAX_DEPTH, Document, parse_document, signature_name
from modelport_serving.rest.json.dump import dump
from modelport_serving.rest.json.examples import decode_examples
from modelport_serving.rest.json.parser import Impatient
from modelport_serving.rest.json.predict_request import PredictBody, decode_predict, decode_usual
from modelport_serving.rest.json.predict_response import encode_predictions
from modelport_serving.rest.json.results import encode_classifications, encode_error, encode_regressions

__all__ = [
    "MAX_DEPTH",
    "Document",
    "Impatient",
    "PredictBody",
    "decode_examples",
    "decode_predict",
    "decode_usual",
    "dump",
    "encode_classifications",
    "encode_error",
    "encode_metadata",
    "encode_predictions",
    "encode_regressions",
    "encode_status",
    "parse_document",
    "signature_name",
]
