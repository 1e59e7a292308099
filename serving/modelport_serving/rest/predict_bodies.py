"""JSON bodies → arrays and examples, without holding up the event loop.

A short body is read at once, as is one of numbers, which costs little. Whatever else there is in a longer one is read
on a thread, in Python, which gives the event loop its turn every few milliseconds; long bodies of numbers are read by
processes of their own where there are some (`parse_pool`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import modelport_serving.rest.json as rest_json
from modelport.errors import InvalidArgument
from modelport_serving.inference.data_plane import Columns
from modelport_serving.inference.off_loop import OffLoop
from modelport_serving.inference.run import DEFAULT_SIGNATURE
from modelport_serving.rest.json.content import Content
from modelport_serving.rest.parse_pool import SHORTEST, ParsePool, Read
from modelport_serving.servables.servable import Signature

_SHORT = 4096  # bytes: read one value at a time in two milliseconds at most
_FEW = 1000  # values of a longer body that are read on the event loop: a millisecond

Signatures = Mapping[str, Signature]


class Bodies:
    """Reads bodies for one event loop.

    Args:
        max_depth: of JSON.
        pool: processes that read long bodies of numbers.
        off_loop: threads for the others.
    """

    def __init__(self, max_depth: int, pool: ParsePool, off_loop: OffLoop) -> None:
        self._depth = max_depth
        self._pool = pool
        self.off_loop = off_loop

    async def parse(
        self, body: Content, signatures: Callable[[], Signatures | None], deadline: float | None
    ) -> PredictReader:
        """Parse a Predict body: what is wrong with its JSON is told before anything else.

        Args:
            body: the text.
            signatures: gives those of the version that will probably answer; None where there is none.
            deadline: on the monotonic clock; None for none.

        Returns:
            What reads its arrays; to be closed.

        Raises:
            InvalidArgument: no JSON, no object, nested too deep, or a signature name that is no string.
        """
        if len(body) >= SHORTEST and (known := signatures()) is not None:
            read = await self._pool.read(body, known, DEFAULT_SIGNATURE)
            if read is not None:
                return PredictReader(self, body, deadline, read.signature, read, None)
        if len(body) > SHORTEST:  # its values are about until the reader is closed
            self.off_loop.pause_collector()
        try:
            document = await self.document(body, deadline)
            return PredictReader(self, body, deadline, rest_json.signature_name(document), None, document)
        except BaseException:
            if len(body) > SHORTEST:
                self.off_loop.resume_collector()
            raise

    async def examples(
        self, body: Content, method: Literal["classify", "regress"], deadline: float | None
    ) -> tuple[str, list[bytes]]:
        """The signature that a Classify or Regress body names, "" for none, and its serialized examples."""

        def read() -> tuple[str, list[bytes]]:
            document = rest_json.parse_document(body, max_depth=self._depth, deadline=deadline)
            return rest_json.signature_name(document), rest_json.decode_examples(document, method)

        return await self.off_loop.run(len(body) > _SHORT, read)

    async def document(self, body: Content, deadline: float | None) -> rest_json.Document:
        """The parsed body; see `parse`."""
        if len(body) <= _SHORT:
            return rest_json.parse_document(body, max_depth=self._depth)
        if len(body) < SHORTEST:
            try:
                return rest_json.parse_document(body, max_depth=self._depth, most=_FEW)
            except rest_json.Impatient:
                pass
        return await self.off_loop.run(True, rest_json.parse_document, body, max_depth=self._depth, deadline=deadline)

    async def decode(self, document: rest_json.Document, name: str, dtypes: Mapping[str, int]) -> rest_json.PredictBody:
        """The arrays of a document for a signature; `name` is for error texts."""
        usual = rest_json.decode_usual(document, dtypes) if len(document.body) < SHORTEST else None
        if usual is not None:
            return usual
        return await self.off_loop.run(len(document.body) > _SHORT, rest_json.decode_predict, document, name, dtypes)


class PredictReader:
    """A Predict body that was parsed, and is to be read by a signature.

    Attributes:
        row_format: whether it came as rows; known once `columns` was called.
    """

    def __init__(
        self,
        bodies: Bodies,
        body: Content,
        deadline: float | None,
        name: str,
        read: Read | None,
        document: rest_json.Document | None,
    ) -> None:
        self.row_format = False
        self._bodies = bodies
        self._is_large = document is not None and len(body) > SHORTEST
        self._body = body
        self._deadline = deadline
        self._name = name
        self._read = read
        self._document = document

    def close(self) -> None:
        """Let the garbage collector go on; to be called once, when the body is read or cannot be."""
        if self._is_large:
            self._bodies.off_loop.resume_collector()

    async def columns(self, signatures: Signatures) -> Columns:
        """The signature that is meant, and an array for each of its inputs.

        Raises:
            InvalidArgument: there is no such signature, or the body does not fit it.
        """
        wanted = self._name or DEFAULT_SIGNATURE
        signature = signatures.get(wanted)
        if signature is None:
            raise InvalidArgument(f'Serving signature name: "{wanted}" not found in signature def')
        dtypes = signature.dtypes()
        if self._read is not None and self._read.dtypes == dtypes:
            found = self._read.body
        else:  # also where another version has come meanwhile
            document = self._document or await self._bodies.document(self._body, self._deadline)
            found = await self._bodies.decode(document, self._name or "DEFAULT", dtypes)
        self.row_format = found.row_format
        return signature, found.inputs
