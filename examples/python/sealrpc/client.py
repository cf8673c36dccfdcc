"""A channel for generated `grpc.aio` stubs whose calls only an attested enclave can read.

    async with AttestedChannel("host:443", policy) as channel:
        notary = NotaryServiceStub(channel)
        answer = await notary.SignDigest(request, timeout=5)

The outer stream is a call of grpcio's own; docs/protocol.md §3 says what it carries, §11 how long a
session lives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from grpc import aio

from . import metadata as entries
from .call import Call
from .connection import OPTIONS, Connection, connect
from .errors import TransportError
from .evidence import Policy, verify
from .handshake import Attest, ClientHandshake
from .records import Padding
from .sealed_call import SealedCall
from .session import Session

CLOSE_SECONDS = 5
Metadata = Sequence[tuple[str, str | bytes]]
_Start = Callable[..., SealedCall]


class AttestedChannel:
    """Has what stubs use of a `grpc.aio.Channel`. It connects when the first call begins."""

    def __init__(
        self,
        target: str,
        policy: Policy,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        attest: Attest | None = None,
        padding: Padding = "padme",
        max_message_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        """`credentials` are for TLS to the proxy, which the protocol does not need."""
        self._outer = (
            aio.secure_channel(target, credentials, OPTIONS)
            if credentials
            else aio.insecure_channel(target, OPTIONS)
        )
        self.policy, self._attest, self._padding = policy, attest, padding
        self.authority, self.max_message_bytes = target, max_message_bytes
        self._connecting: asyncio.Future[Session] | None = None
        self._current: Connection | None = None
        self._closed = False
        self._connections: set[Connection] = set()

    async def __aenter__(self) -> AttestedChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = CLOSE_SECONDS) -> None:
        """Ends every session in order, or after `grace` seconds without it."""
        self._closed = True
        await asyncio.gather(*(connection.close(grace) for connection in self._connections))
        await self._outer.close()

    async def session(self) -> Session:
        """An attested session that takes calls: the one in use, or a new one."""
        if self._closed:
            raise TransportError("closed", "the channel is closed")
        if self._current and self._current.session.takes_calls:
            return self._current.session
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.ensure_future(self._connect())
        # However many calls wait, one attempt is made; and none of them can cancel it.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Session:
        if self._current:
            self._current.session.close()
        handshake = ClientHandshake(
            lambda evidence, challenge: verify(evidence, self.policy, challenge, time.time()),
            attest=self._attest,
        )
        connection = await connect(self._outer, handshake, self._padding)
        self._connections.add(connection)
        connection.over.add_done_callback(lambda _: self._connections.discard(connection))
        self._current = connection
        return connection.session

    def unary_unary(self, method: str, *codecs: Any, **more: Any) -> _Start:
        return self._start(method, False, False, *codecs, **more)

    def unary_stream(self, method: str, *codecs: Any, **more: Any) -> _Start:
        return self._start(method, False, True, *codecs, **more)

    def stream_unary(self, method: str, *codecs: Any, **more: Any) -> _Start:
        return self._start(method, True, False, *codecs, **more)

    def stream_stream(self, method: str, *codecs: Any, **more: Any) -> _Start:
        return self._start(method, True, True, *codecs, **more)

    def _start(
        self,
        method: str,
        streams_requests: bool,
        streams_responses: bool,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool = False,
    ) -> _Start:
        def start(
            request: Any, *, timeout: float | None = None, metadata: Metadata = ()
        ) -> SealedCall:
            requests = request if streams_requests else [request]
            call = Call(
                method,
                entries.sent(metadata),
                self.authority,
                None if timeout is None else time.monotonic() + timeout,
                self.max_message_bytes,
            )
            serialize = request_serializer or bytes
            return SealedCall(
                self.session, call, (requests, serialize), response_deserializer, streams_responses
            )

        return start
