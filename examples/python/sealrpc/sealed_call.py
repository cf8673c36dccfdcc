"""The calls of a channel, with the methods of those of `grpc.aio`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sequence,
)
from typing import Any

from grpc import StatusCode, aio

from .call import Call, Ending, Outcome
from .errors import SealrpcError
from .messages import Entry
from .session import Session

OUTBOX_BYTES = 262_144
"""Of requests that wait for credit."""


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


class SealedCall:
    """One call: await it, or iterate over its messages."""

    def __init__(
        self,
        session_of: Callable[[], Awaitable[Session]],
        call: Call,
        requests: tuple[Any, Callable[[Any], bytes]],
        deserialize: Callable[[bytes], Any] | None,
        streams_responses: bool,
    ) -> None:
        self._session_of, self._call = session_of, call
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
        """Begins the call on a session, and queues its requests as fast as they leave."""
        call = self._call
        try:
            session = await self._session_of()
            if call.ending:
                return
            self._session = session
            session.begin(call)
            async for request in _each(requests):
                while call.outbox_bytes >= OUTBOX_BYTES and not call.ending:
                    self._changed.clear()
                    await self._changed.wait()
                if call.ending:
                    return
                call.outbox.append(serialize(request))
                session.changed()
            call.half_closed = True
            session.changed()
        except SealrpcError as error:
            self._end_locally(Ending(error.status, str(error), "not-executed", error.code))
        except Exception as error:
            self._end(StatusCode.UNKNOWN, f"the requests ended with {error!r}")

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
