"""Whether REST answers the samples as gRPC does: what travels as text is the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

from modelport.errors import FailedPrecondition, ModelportError
from modelport_client import Client
from modelport_export.proof import parity
from modelport_export.proof.validation_server import ValidationServer
from modelport_export.signatures import REST_DTYPES, Array

UNITS = 8  # that are compared: rounding of text is that of the shortest decimals, which no row changes
MOST_BYTES = 2**22  # of a request's arrays: as text they are some five times as many


def compare(
    server: ValidationServer,
    name: str,
    requests: Mapping[str, Mapping[str, Array]],
    tolerances: Mapping[str, float],
    timeout: float,
) -> dict[str, str]:
    """Ask some samples over both protocols.

    Args:
        server: that has the version.
        name: the model's.
        requests: signature → inputs of a small request.
        tolerances: of each signature, see `parity`.
        timeout: seconds of a request.

    Returns:
        Signature → what came of it, in words.

    Raises:
        FailedPrecondition: REST answers otherwise.
    """
    told: dict[str, str] = {}
    with Client(server.rest_address, retry=False) as rest:
        for signature, inputs in requests.items():
            spec = server.client.metadata(name).signatures[signature]
            tensors = {**spec.inputs, **spec.outputs}
            unfit = sorted(
                a for a, t in tensors.items() if t.dtype is None or _plain(t.dtype.numpy_name) not in REST_DTYPES
            )
            if unfit:
                told[signature] = f"not asked: REST cannot carry {', '.join(unfit)}"
                continue
            if sum(_bytes(array) for array in inputs.values()) > MOST_BYTES:
                told[signature] = "not asked: one row is too large for text"
                continue
            expected = server.client.predict(name, inputs, signature=signature, timeout=timeout).raw
            if not all(map(parity.is_finite, expected.values())):
                told[signature] = "not asked: REST cannot carry NaN and infinity alike"
                continue
            if any(map(_is_no_text, expected.values())):
                told[signature] = "not asked: REST cannot carry bytes that are no UTF-8"
                continue
            try:
                received = rest.predict(name, inputs, signature=signature, timeout=timeout).raw
                parity.differences(expected, received, tolerances[signature])
            except (ModelportError, parity.Different) as error:
                raise FailedPrecondition(
                    f"Expected REST to answer samples of {signature!r} as gRPC does. Received: {error}"
                ) from error
            told[signature] = "as over gRPC"
    return told


def _plain(numpy_name: str) -> str:
    return "string" if numpy_name == "object" else numpy_name


def _bytes(array: Array) -> int:
    return sum(map(len, array.ravel())) if array.dtype == object else array.nbytes


def _is_no_text(array: Array) -> bool:
    if array.dtype != object:
        return False
    try:
        for value in array.ravel():
            value.decode()
    except UnicodeDecodeError:
        return True
    return False
