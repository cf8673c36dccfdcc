"""A session over its outer stream, a call of grpcio's own: docs/protocol.md §3."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from grpc import aio

from .errors import ChannelError, TransportError
from .handshake import ClientHandshake
from .messages import RECORD, unwrap, wrap
from .records import Padding
from .session import Session

CONNECT = "/sealrpc.v1.AttestedChannelService/Connect"
HANDSHAKE_SECONDS = 5
OPTIONS = [("grpc.enable_retries", 0), ("grpc.max_receive_message_length", 262_164)]


async def connect(outer: aio.Channel, handshake: ClientHandshake, padding: Padding) -> Connection:
    """Opens an attested session. Raises SealrpcError."""
    stream: Any = outer.stream_stream(CONNECT)()
    try:
        answer = await _answered(stream, handshake.hello())
        answer = await _answered(stream, handshake.finish(answer))
        session = Session(handshake.complete(answer), time.monotonic, padding)
    except BaseException:
        stream.cancel()
        raise
    return Connection(session, stream)


class Connection:
    """Carries one session over its outer stream, in three tasks."""

    def __init__(self, session: Session, stream: Any) -> None:
        self.session = session
        self._stream = stream
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
        self.over.cancel()
        await asyncio.wait([self.over])

    async def _run(self) -> None:
        reading, ticking = asyncio.ensure_future(self._read()), asyncio.ensure_future(self._tick())
        try:
            await self._write()
            if not self.session.error:
                await self._stream.done_writing()
                await asyncio.wait([reading], timeout=1)
        finally:
            self.session.truncate()  # whatever ended it; does nothing after an orderly end
            reading.cancel()
            ticking.cancel()
            self._stream.cancel()

    async def _read(self) -> None:
        """Goes on whatever the writes do: credit bounds what arrives, never an unread stream."""
        try:
            while (message := await self._stream.read()) is not aio.EOF:
                number, record = unwrap(message)
                if number != RECORD:
                    raise ChannelError("malformed-handshake", "a message out of order")
                self.session.receive(record)
        except aio.AioRpcError:
            pass  # the host's word, which means nothing
        except ChannelError as error:
            self.session.fail(error)
        finally:
            self.session.truncate()

    async def _write(self) -> None:
        while not self.session.is_over:
            self._changed.clear()
            if record := self.session.next_record():
                try:
                    await self._stream.write(wrap(RECORD, record))
                except (aio.AioRpcError, asyncio.InvalidStateError):
                    self.session.truncate()
            elif not self.session.is_over:
                await self._changed.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            if self.session.error:  # a second ago, and the writer still waits for the host
                self._stream.cancel()
            self.session.tick()


async def _answered(stream: Any, message: bytes) -> bytes:
    """Sends a message of the handshake, and waits for its answer."""

    async def answered() -> Any:
        await stream.write(message)
        return await stream.read()

    try:
        answer = await asyncio.wait_for(answered(), HANDSHAKE_SECONDS)
    except asyncio.TimeoutError as error:
        raise ChannelError("handshake-timeout", "no answer to the handshake in time") from error
    except (aio.AioRpcError, asyncio.InvalidStateError) as error:
        raise TransportError("unreachable", "the outer stream ended in the handshake") from error
    if answer is aio.EOF:
        raise TransportError("unreachable", "the outer stream ended in the handshake")
    return bytes(answer)
