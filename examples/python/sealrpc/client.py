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
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import Any

import grpc
from grpc import StatusCode, aio

from .errors import ChannelError, SealrpcError, TransportError
from .evidence import Policy, verify
from .handshake import Attest, ClientHandshake
from .messages import RECORD, Entry, unwrap, wrap
from .records import Padding
from .session import Call, Ending, Outcome, Session, entries

CONNECT = "/sealrpc.v1.AttestedChannelService/Connect"
HANDSHAKE_SECONDS = 5
CLOSE_SECONDS = 5
OUTBOX_BYTES = 262_144
_OPTIONS = [("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 262_164)]

Metadata = Sequence[tuple[str, str | bytes]]


class CallError(aio.AioRpcError):
    """A call that did not end with OK."""

    def __init__(self, ending: Ending, initial_metadata: aio.Metadata) -> None:
        self.outcome: Outcome = ending.outcome
        """Whether the enclave's application was given the call (§9.3)."""
        self.reason = ending.code
        """The code of §13; None if the status is the application's own answer."""
        trailers = _metadata(ending.trailers)
        trailers.add("sealrpc-outcome", ending.outcome)
        if ending.code:
            trailers.add("sealrpc-code", ending.code)
        if ending.outcome == "unknown":
            trailers.add("grpc-retry-pushback-ms", "-1")
        super().__init__(ending.status, initial_metadata, trailers, ending.details)


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
            aio.secure_channel(target, credentials, _OPTIONS)
            if credentials
            else aio.insecure_channel(target, _OPTIONS)
        )
        self._policy, self._attest, self._padding = policy, attest, padding
        self.authority, self.max_message_bytes = target, max_message_bytes
        self._connecting = asyncio.Lock()
        self._current: Connection | None = None
        self._connections: set[Connection] = set()

    async def __aenter__(self) -> AttestedChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = CLOSE_SECONDS) -> None:
        """Ends every session in order, or after `grace` seconds without it."""
        await asyncio.gather(*(connection.close(grace) for connection in self._connections))
        await self._outer.close()

    async def session(self) -> Session:
        """An attested session that takes calls: the one in use, or a new one."""
        async with self._connecting:
            if self._current is None or not self._current.session.takes_calls:
                if self._current:
                    self._current.session.close()
                self._current = await self._connect()
            return self._current.session

    async def _connect(self) -> Connection:
        outer = self._outer.stream_stream(CONNECT)()
        handshake = ClientHandshake(
            lambda evidence, challenge: verify(evidence, self._policy, challenge, time.time()),
            attest=self._attest,
        )
        try:
            answer = await _answered(outer, handshake.hello())
            answer = await _answered(outer, handshake.finish(answer))
            session = Session(handshake.complete(answer), time.monotonic, self._padding)
        except BaseException:
            outer.cancel()
            raise
        connection = Connection(session, outer)
        self._connections.add(connection)
        connection.over.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

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
                entries(metadata),
                self.authority,
                None if timeout is None else time.monotonic() + timeout,
                self.max_message_bytes,
            )
            serialize = request_serializer or bytes
            return SealedCall(
                self, call, (requests, serialize), response_deserializer, streams_responses
            )

        return start


class Connection:
    """Carries one session over its outer stream, in three tasks."""

    def __init__(self, session: Session, outer: Any) -> None:
        self.session = session
        self._outer = outer
        self._changed = asyncio.Event()
        session.changed = self._changed.set
        self.over = asyncio.ensure_future(self._run())

    async def close(self, grace: float | None) -> None:
        """Open calls have `grace` seconds; then they are cancelled, and `end` is sent (§7)."""
        self.session.close()
        await asyncio.wait([self.over], timeout=grace)
        self.session.cancel_all()
        await asyncio.wait([self.over], timeout=1)
        self.session.fail(ChannelError("session-expired", "the channel was closed"))
        await self.over

    async def _run(self) -> None:
        reading, ticking = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._tick())
        try:
            await self._write()
            if not self.session.error:
                await self._outer.done_writing()
                await asyncio.wait([reading], timeout=1)
        finally:
            reading.cancel()
            ticking.cancel()
            self._outer.cancel()

    async def _read(self) -> None:
        """Goes on whatever the writes do: credit bounds what arrives, never an unread stream."""
        try:
            while (message := await self._outer.read()) is not aio.EOF:
                number, record = unwrap(message)
                if number != RECORD:
                    raise ChannelError("malformed-handshake", "a message out of order")
                self.session.receive(record)
            self.session.truncate()
        except (aio.AioRpcError, aio.UsageError):
            self.session.truncate()
        except ChannelError as error:
            self.session.fail(error)

    async def _write(self) -> None:
        while not self.session.is_over:
            self._changed.clear()
            if record := self.session.next_record():
                try:
                    await self._outer.write(wrap(RECORD, record))
                except (aio.AioRpcError, asyncio.InvalidStateError):
                    self.session.truncate()
            elif not self.session.is_over:
                await self._changed.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.session.tick()


class SealedCall:
    """One call, as `grpc.aio` gives it to callers: await it, or iterate over its messages."""

    def __init__(
        self,
        channel: AttestedChannel,
        call: Call,
        requests: tuple[Any, Callable[[Any], bytes]],
        deserialize: Callable[[bytes], Any] | None,
        streams_responses: bool,
    ) -> None:
        self._channel, self._call = channel, call
        self._deserialize = deserialize or bytes
        self._session: Session | None = None
        self._changed = asyncio.Event()
        call.changed = self._changed_now
        self._timer: asyncio.TimerHandle | None = None
        if call.deadline is not None:
            # A loop may wake a timer a little early.
            left = max(0, call.deadline - time.monotonic()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)
        self._feeder = asyncio.ensure_future(self._feed(*requests))
        self._answer = None if streams_responses else asyncio.ensure_future(self._single())

    def __await__(self) -> Generator[Any, None, Any]:
        if self._answer is None:
            raise TypeError("a call that streams responses is iterated over")
        return self._answer.__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            while (message := await self.read()) is not aio.EOF:
                yield message
        finally:
            self.cancel()  # does nothing where the call has ended

    async def read(self) -> Any:
        """The next message, or `grpc.aio.EOF` after the last one of a call that ended with OK."""
        while True:
            self._changed.clear()
            message = self._session.take(self._call) if self._session else None
            if message is not None:
                return self._deserialize(message)
            if ending := self._call.ending:
                if ending.status is StatusCode.OK:
                    return aio.EOF
                raise CallError(ending, _metadata(self._call.headers or ()))
            await self._changed.wait()

    async def initial_metadata(self) -> aio.Metadata:
        while self._call.headers is None and not self._call.ending:
            self._changed.clear()
            await self._changed.wait()
        return _metadata(self._call.headers or ())

    async def trailing_metadata(self) -> aio.Metadata:
        return _metadata((await self._ended()).trailers)

    async def code(self) -> StatusCode:
        return (await self._ended()).status

    async def details(self) -> str:
        return (await self._ended()).details

    def cancel(self) -> bool:
        return self._end(StatusCode.CANCELLED, "Locally cancelled by application!")

    def done(self) -> bool:
        return self._call.ending is not None

    async def _feed(self, requests: Any, serialize: Callable[[Any], bytes]) -> None:
        call = self._call
        try:
            session = await self._channel.session()
        except SealrpcError as error:
            return self._end_locally(Ending(error.status, str(error), "not-executed", error.code))
        if call.ending:
            return
        self._session = session
        session.begin(call)
        try:
            async for request in _each(requests):
                while call.outbox_bytes >= OUTBOX_BYTES and not call.ending:
                    self._changed.clear()
                    await self._changed.wait()
                if call.ending:
                    return
                call.outbox.append(serialize(request))
                session.changed()
        except Exception as error:
            self._end(StatusCode.UNKNOWN, f"the requests ended with {error!r}")
        call.half_closed = True
        session.changed()

    async def _single(self) -> Any:
        try:
            answer = await self.read()
            if answer is aio.EOF or await self.read() is not aio.EOF:
                self.cancel()
                details = "not exactly one answer"
                ending = Ending(StatusCode.INTERNAL, details, "executed")
                raise CallError(ending, _metadata(self._call.headers or ()))
            return answer
        finally:
            self.cancel()

    async def _ended(self) -> Ending:
        while not self._call.ending:
            self._changed.clear()
            await self._changed.wait()
        return self._call.ending

    def _expire(self) -> None:
        if self._session:
            self._session.tick()
        else:
            self._end(StatusCode.DEADLINE_EXCEEDED, "the deadline is over")

    def _end(self, status: StatusCode, details: str) -> bool:
        if self._call.ending:
            return False
        if self._session:
            self._session.cancel(self._call, status, details)
        else:
            self._end_locally(Ending(status, details, "not-executed"))
        return True

    def _end_locally(self, ending: Ending) -> None:
        if not self._call.ending:
            self._call.ending = ending
            self._changed_now()

    def _changed_now(self) -> None:
        self._changed.set()
        if self._call.ending and self._timer:
            self._timer.cancel()


_Start = Callable[..., SealedCall]


async def _answered(outer: Any, message: bytes) -> bytes:
    """Sends a message of the handshake, and waits for its answer."""

    async def answered() -> Any:
        await outer.write(message)
        return await outer.read()

    try:
        answer = await asyncio.wait_for(answered(), HANDSHAKE_SECONDS)
    except asyncio.TimeoutError as error:
        raise ChannelError("handshake-timeout", "no answer to the handshake in time") from error
    except (aio.AioRpcError, asyncio.InvalidStateError) as error:
        raise TransportError("unreachable", "the outer stream ended in the handshake") from error
    if answer is aio.EOF:
        raise TransportError("unreachable", "the outer stream ended in the handshake")
    return bytes(answer)


async def _each(requests: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


def _metadata(received: Sequence[Entry]) -> aio.Metadata:
    metadata = aio.Metadata()
    for entry in received:
        is_binary = entry.key.endswith("-bin")
        metadata.add(entry.key, entry.value if is_binary else entry.value.decode())
    return metadata
