"""gRPC, waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from modelport.wire.services import METHODS, stub
from modelport_client.transports.deadline import Deadline
from modelport_client.transports.grpc_protocol import GrpcProtocol, metadata_of_call


class GrpcTransport:
    """One channel to one target.

    Args:
        protocol: of the target.
        credentials: for TLS; None for plain text.
    """

    opened = 0  # gRPC answers name their version: nothing depends on how many connections there were

    def __init__(self, protocol: GrpcProtocol, credentials: grpc.ChannelCredentials | None = None) -> None:
        self._protocol = protocol
        if credentials is None:
            self._channel = grpc.insecure_channel(protocol.target, options=protocol.options)
        else:
            self._channel = grpc.secure_channel(protocol.target, credentials, options=protocol.options)
        self._stubs = {name: stub(self._channel, name) for name in METHODS}

    def perform(self, method: str, arguments: Sequence[Any], deadline: Deadline, headers: Mapping[str, str]) -> Any:
        """What the answer to a call of the protocol says. Errors are those of `modelport.errors`."""
        exchange = getattr(self._protocol, method)(*arguments, deadline)
        rpc = self._stubs[exchange.rpc]
        trailing = None
        try:
            if exchange.wants_trailing:
                response, call = rpc.with_call(
                    exchange.request, timeout=deadline.check(), metadata=metadata_of_call(headers)
                )
                trailing = call.trailing_metadata()
            else:
                response = rpc(exchange.request, timeout=deadline.check(), metadata=metadata_of_call(headers))
        except grpc.RpcError as error:
            raise self._protocol.translated(error, deadline) from error
        except ValueError as error:  # what gRPC raises on a closed channel
            raise self._protocol.closed(error) from error
        return exchange.read(response, trailing)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()
