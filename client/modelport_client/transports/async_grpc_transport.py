"""gRPC, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import grpc.aio

from modelport.wire.services import METHODS, stub
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.grpc_protocol import GrpcProtocol, metadata_of_call


class AsyncGrpcTransport:
    """One channel of `grpc.aio` to one target, in the event loop in which it is made.

    Args:
        protocol: of the target.
        credentials: for TLS; None for plain text.
    """

    opened = 0  # gRPC answers name their version: nothing depends on how many connections there were

    def __init__(self, protocol: GrpcProtocol, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._protocol = protocol
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(protocol.target, options=protocol.options)
        else:
            self._channel = grpc.aio.secure_channel(protocol.target, credentials, options=protocol.options)
        self._stubs = {name: stub(self._channel, name) for name in METHODS}

    async def perform(
        self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]
    ) -> Any:
        """What the answer to a call of the protocol says. Cancelling the task cancels the call."""
        exchange = getattr(self._protocol, method)(*arguments, deadline)
        trailing = None
        try:
            call = self._stubs[exchange.rpc](
                exchange.request, timeout=deadline.check(), metadata=metadata_of_call(headers)
            )
            response = await call
            if exchange.wants_trailing:
                trailing = tuple(await call.trailing_metadata())
        except grpc.RpcError as error:
            raise self._protocol.translated(error, deadline) from error
        except grpc.aio.UsageError as error:  # on a closed channel
            raise self._protocol.closed(error) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._protocol.closed("while it was asked") from error  # closing cancels the calls under way
        return exchange.read(response, trailing)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
