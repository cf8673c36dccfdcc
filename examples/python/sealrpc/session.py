"""A session after its handshake: frames, calls, credit and outcomes, docs/protocol.md §8 and §9.

Nothing here does I/O. Records that arrive go into `receive`. `next_record` seals what is ready at
that moment, so it is asked when the outer stream can take a record. Times are seconds of a
monotonic clock.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import ceil
from typing import Literal, TypeVar

from grpc import StatusCode

from .errors import ChannelError, SealrpcError
from .handshake import MAX_CREDIT, Established
from .keys import u16, u32
from .messages import Entry, Message, RequestHeader, ResponseHeader, Status
from .records import MALFORMED, MAX_PLAINTEXT_BYTES, Opener, Padding, RecordType, Sealer

Outcome = Literal["executed", "not-executed", "unknown"]
STATUS_OF = {status.value[0]: status for status in StatusCode}
FRAME_HEADER = struct.Struct(">BBII")
FRAME_COST = 64
FAIR_BYTES = 65_536
MAX_HEADER_BYTES = 65_536
PING_AFTER_SECONDS = 20
_M = TypeVar("_M", bound=Message)


class FrameType(IntEnum):
    OPEN = 1
    HEADERS = 2
    MESSAGE = 3
    END = 4
    CANCEL = 5
    CREDIT = 6
    PING = 7
    PONG = 8
    GOAWAY = 9
    REFUSED = 10


MORE, COMPRESSED, ELSEWHERE = 1, 2, 1
_FLAGS = {FrameType.MESSAGE: MORE | COMPRESSED, FrameType.REFUSED: ELSEWHERE}
_LENGTH = {FrameType.CREDIT: 4, FrameType.GOAWAY: 4, FrameType.PING: 8, FrameType.PONG: 8}
_LENGTH[FrameType.CANCEL] = 0
_OF_SESSION = (FrameType.PING, FrameType.PONG, FrameType.GOAWAY)
_OF_CLIENT = (FrameType.OPEN, FrameType.CANCEL)
_ELSEWHERE = (4, 8, 14)  # DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE
_REFUSED_WITH = {ELSEWHERE: _ELSEWHERE, 0: (*_ELSEWHERE, 12)}  # and UNIMPLEMENTED
_STATE, _CREDIT, _LIMIT = 2, 3, 4
_KEY = re.compile(r"[0-9a-z_.-]+")
_RESERVED = {"grpc-timeout", "grpc-encoding", "grpc-status", "grpc-message", "te", "content-type"}


@dataclass(frozen=True)
class Ending:
    """How a call ended, and whether the enclave may have run it (§9.3)."""

    status: StatusCode
    details: str
    outcome: Outcome
    code: str | None = None
    trailers: tuple[Entry, ...] = ()


@dataclass(eq=False)
class Call:
    """One call. The application queues into `outbox` and takes with `Session.take`."""

    method: str
    metadata: Sequence[Entry] = ()
    authority: str = ""
    deadline: float | None = None
    max_message_bytes: int = 4 * 1024 * 1024
    changed: Callable[[], None] = lambda: None
    """Called after everything that the application may be waiting for."""

    id: int = 0
    """0 until OPEN is sealed."""
    outbox: deque[bytes] = field(default_factory=deque)
    half_closed: bool = False
    headers: tuple[Entry, ...] | None = None
    encoding: str = ""
    """Of the messages that come compressed: this client knows none."""
    inbox: deque[bytes] = field(default_factory=deque)
    ending: Ending | None = None

    sent_of_first: int = 0
    """Bytes of the outbox's first message that were sent in pieces."""
    sent_end: bool = False
    send_credit: int = 0
    receive_credit: int = 0
    """What the enclave may still send."""
    partial: bytearray = field(default_factory=bytearray)
    partial_bytes: int = 0
    """The length announced for the message under way; 0 if none is."""
    partial_cost: int = 0
    costs: deque[int] = field(default_factory=deque)
    """What each message of the inbox cost."""
    wanted: bool = False
    """Whether the application waits for a message."""

    @property
    def outbox_bytes(self) -> int:
        return sum(map(len, self.outbox)) - self.sent_of_first


class Session:
    def __init__(
        self, established: Established, clock: Callable[[], float], padding: Padding = "padme"
    ) -> None:
        """`established` has just been completed: the session's clock begins now."""
        self.terms = established.terms
        self.claims = established.claims
        self.error: SealrpcError | None = None
        """Why the session is over, if it did not end in order."""
        self.changed: Callable[[], None] = lambda: None
        """Called when `next_record` may have something."""
        now = clock()
        self._clock, self._zero, self._padding = clock, now, padding
        self._window = established.initial_credit
        self._sealer = Sealer(established.suite, established.send_secret, now)
        self._opener = Opener(established.suite, established.receive_secret, now)
        self._waiting: deque[Call] = deque()  # OPEN is not sealed yet
        self._open: dict[int, Call] = {}
        self._last_id = 0
        self._answered = 0  # the highest call_id that got an answer
        self._control: deque[bytes] = deque()
        self._grants: dict[int, int] = {}
        self._pong: bytes | None = None
        self._ping: bytes | None = None
        self._heard = self._used = now
        self._goaway: int | None = None
        self._closing = False
        self._alert: int | None = None
        self._sent_end = self._received_end = False

    # What the application does.

    @property
    def takes_calls(self) -> bool:
        """Whether a new call may begin here; else it is time for another session (§11)."""
        terms, now = self.terms, self._clock()
        idle = min(terms.max_idle_ms, 600_000) / 1000
        busy = bool(self._open or self._waiting) or now - self._used < max(idle - 30, idle / 2)
        young = now - self._zero < 0.8 * min(terms.max_age_ms, 10_800_000) / 1000
        return young and busy and not (self._closing or self.error)

    @property
    def is_over(self) -> bool:
        """Whether the outer stream is to be ended: `end` went both ways, or the session failed."""
        return (self._sent_end and self._received_end) or (
            self.error is not None and self._alert is None
        )

    def begin(self, call: Call) -> None:
        if not self.takes_calls:
            return self._finish(call, _unsealed("the session takes no calls"))
        self._waiting.append(call)
        self.changed()

    def take(self, call: Call) -> bytes | None:
        """The next message. None: there is none yet, the call's `changed` will tell."""
        if call.inbox:
            call.wanted = False
            call.costs.popleft()
            kept = call.receive_credit + call.partial_cost + sum(call.costs)
            self._grant(call, self._window - kept, self._window // 2)
            return call.inbox.popleft()
        call.wanted = True
        self._grant_wanted(call)
        return None

    def cancel(self, call: Call, status: StatusCode, details: str) -> None:
        """Ends a call from this side: its deadline, its cancel, a limit."""
        if call.ending:
            return
        if call.id:
            self._control.append(_frame(FrameType.CANCEL, call.id))
        self._finish(call, Ending(status, details, "unknown" if call.id else "not-executed"))
        self.changed()

    def cancel_all(self) -> None:
        for call in list(self._open.values()):
            self.cancel(call, StatusCode.CANCELLED, "the channel was closed")

    def close(self) -> None:
        """Takes no more calls, and sends `end` when the open ones are over."""
        self._closing = True
        for call in list(self._waiting):
            self._finish(call, _unsealed("the session takes no more calls"))
        self.changed()

    # What the outer stream does.

    def receive(self, record: bytes) -> None:
        """Handles a record. A fault of the enclave ends the session."""
        if self.error:
            return
        now = self._clock()
        try:
            kind, frames = self._opener.open(record, now)
            self._heard = now
            if kind is RecordType.ALERT:
                code = int.from_bytes(frames, "big")
                raise ChannelError("peer-alert", f"the enclave ended the session: alert {code}")
            if frames:
                self._used = now
            self._receive_frames(frames)
            if kind is RecordType.END:
                self._received_end = True
                if self._open:
                    raise ChannelError("truncated", "the enclave ended with calls open")
                self.close()
        except ChannelError as error:
            self.fail(error)
        self.changed()

    def fail(self, error: SealrpcError) -> None:
        """Ends the session at once. Calls whose OPEN was sealed may have run."""
        if self.error or self.is_over:
            return
        self.error = error
        self._alert = error.alert if isinstance(error, ChannelError) else None
        for call in list(self._waiting):
            self._finish(call, _unsealed(str(error)))
        for call in list(self._open.values()):
            self._finish(call, Ending(error.status, str(error), "unknown", error.code))
        self.changed()

    def truncate(self) -> None:
        """The outer stream ended. Before `end` that is never an orderly end, whatever it says."""
        if not self._received_end or self._open:
            self.fail(ChannelError("truncated", "the outer stream ended before the session"))

    def tick(self) -> None:
        """To be called when a deadline is over, and once a second: for liveness (§8.6), and key
        updates without traffic."""
        now = self._clock()
        for call in [*self._waiting, *self._open.values()]:
            if call.deadline is not None and call.deadline <= now:
                self.cancel(call, StatusCode.DEADLINE_EXCEEDED, "the deadline is over")
        silent = now - self._heard
        if self._open and silent >= PING_AFTER_SECONDS and self._ping is None:
            self._ping = struct.pack(">d", now)
            self._control.append(_frame(FrameType.PING, 0, self._ping))
        if self._ping and silent >= 2 * PING_AFTER_SECONDS:
            self.fail(ChannelError("truncated", "the enclave does not answer"))
        self.changed()

    def next_record(self) -> bytes | None:
        """Seals what is ready now, or gives None."""
        now = self._clock()
        if self.error or self._sent_end:
            alert, self._alert = self._alert, None
            if alert is None or self._sent_end:
                return None
            return self._sealer.seal(RecordType.ALERT, u16(alert), now, self._padding)
        frames = bytearray()
        self._write_control(frames)
        self._write_calls(frames)
        kind = RecordType.FRAMES
        if self._closing and not (self._open or self._waiting or self._control or self._pong):
            kind, self._sent_end = RecordType.END, True
        elif self._sealer.is_update_due(now):
            kind = RecordType.KEY_UPDATE
        elif not frames:
            return None
        if frames:
            self._used = now
        return self._sealer.seal(kind, bytes(frames), now, self._padding)

    # Sending.

    def _write_control(self, frames: bytearray) -> None:
        if self._pong is not None:
            frames += _frame(FrameType.PONG, 0, self._pong)
            self._pong = None
        while self._control and len(frames) < FAIR_BYTES:
            frames += self._control.popleft()
        while self._grants and len(frames) < FAIR_BYTES:
            call_id, granted = self._grants.popitem()
            if call_id in self._open:
                frames += _frame(FrameType.CREDIT, call_id, u32(granted))

    def _write_calls(self, frames: bytearray) -> None:
        while self._waiting and len(self._open) < self.terms.max_concurrent_calls:
            if not self._write_open(self._waiting[0], frames):
                break

        def little_first(call: Call) -> int:
            return min(call.outbox_bytes, FAIR_BYTES)

        # Of equals the one served last comes last.
        for call in sorted(self._open.values(), key=little_first):
            before = len(frames)
            share = FAIR_BYTES if len(self._open) > 1 else MAX_PLAINTEXT_BYTES
            while call.outbox and len(frames) - before < share:
                if not self._write_piece(call, frames):
                    break
            if call.half_closed and not call.outbox and not call.sent_end and _room(frames) >= 0:
                frames += _frame(FrameType.END, call.id)
                call.sent_end = True
            if len(frames) > before and call.id in self._open:
                self._open[call.id] = self._open.pop(call.id)
            if len(frames) > before:
                call.changed()

    def _write_open(self, call: Call, frames: bytearray) -> bool:
        now = self._clock()
        left_ms = 0
        if call.deadline is not None:
            if call.deadline <= now:
                self.cancel(call, StatusCode.DEADLINE_EXCEEDED, "the deadline is over")
                return True
            left_ms = max(1, ceil((call.deadline - now) * 1000))
        sent_ms = int((now - self._zero) * 1000)
        header = RequestHeader(
            call.method, tuple(call.metadata), sent_ms, left_ms, authority=call.authority
        ).serialize()
        if len(header) > MAX_HEADER_BYTES:
            self.cancel(call, StatusCode.RESOURCE_EXHAUSTED, "the metadata is too large")
            return True
        if _room(frames) < len(header):
            return False
        self._waiting.popleft()
        self._last_id = call.id = self._last_id + 1
        self._open[call.id] = call
        call.send_credit, call.receive_credit = self.terms.initial_credit, self._window
        frames += _frame(FrameType.OPEN, call.id, header)
        if call.wanted:
            self._grant_wanted(call)
        return True

    def _write_piece(self, call: Call, frames: bytearray) -> bool:
        """Writes the rest of the first message, or what credit and record have room for."""
        message, sent = call.outbox[0], call.sent_of_first
        budget = min(call.send_credit - FRAME_COST, _room(frames))
        if sent == 0 and 0 <= len(message) <= budget:
            flags, body = 0, message
        elif sent == 0:
            flags, body = MORE, u32(len(message)) + message[: max(0, budget - 4)]
            if len(body) < 5:
                return False
        else:
            body = message[sent : sent + max(0, budget)]
            flags = MORE if sent + len(body) < len(message) else 0
            if not body:
                return False
        call.send_credit -= FRAME_COST + len(body)
        call.sent_of_first += len(body) - (4 if sent == 0 and flags else 0)
        frames += _frame(FrameType.MESSAGE, call.id, body, flags)
        if not flags:
            call.outbox.popleft()
            call.sent_of_first = 0
        return True

    def _grant(self, call: Call, amount: int, at_least: int = 1) -> None:
        if amount >= at_least and call.id in self._open:
            call.receive_credit += amount
            self._grants[call.id] = self._grants.get(call.id, 0) + amount
            self.changed()

    def _grant_wanted(self, call: Call) -> None:
        """The application waits, so what the message under way needs is granted at once (§8.3)."""
        rest = call.partial_bytes - len(call.partial) if call.partial_bytes else 5
        self._grant(call, FRAME_COST + rest - call.receive_credit)

    # Receiving. Numbers in comments are those of §8.1.

    def _receive_frames(self, content: bytes) -> None:
        at = 0
        while at < len(content):
            body_at = at + FRAME_HEADER.size
            if body_at > len(content):
                raise _malformed(MALFORMED, "a frame header is cut short")  # 1
            number, flags, call_id, length = FRAME_HEADER.unpack_from(content, at)
            at = body_at + length
            if at > len(content):
                raise _malformed(MALFORMED, "a frame goes beyond its record")  # 1
            if number < 0x80:
                self._receive_frame(number, flags, call_id, content[body_at:at])

    def _receive_frame(self, number: int, flags: int, call_id: int, body: bytes) -> None:
        try:
            kind = FrameType(number)
        except ValueError as error:
            raise _malformed(MALFORMED, f"frame type {number}") from error  # 2
        if flags & ~_FLAGS.get(kind, 0):
            raise _malformed(MALFORMED, f"flags {flags} on {kind.name}")  # 3
        if len(body) != _LENGTH.get(kind, len(body)):
            raise _malformed(MALFORMED, f"{kind.name} of {len(body)} bytes")  # 4
        if (call_id == 0) != (kind in _OF_SESSION):
            raise _malformed(MALFORMED, f"call_id {call_id} on {kind.name}")  # 5
        if kind in _OF_CLIENT:
            raise _malformed(_STATE, f"{kind.name} of the enclave")  # 6
        if kind in _OF_SESSION:
            return self._receive_session_frame(kind, body)
        if call_id > self._last_id:
            raise _malformed(_STATE, f"{kind.name} of a call that was never opened")  # 9
        if kind is not FrameType.CREDIT:
            self._answered = max(self._answered, call_id)
        if call := self._open.get(call_id):
            receive = {
                FrameType.HEADERS: self._receive_headers,
                FrameType.MESSAGE: self._receive_message,
                FrameType.END: self._receive_end,
                FrameType.CREDIT: self._receive_credit,
                FrameType.REFUSED: self._receive_refused,
            }[kind]
            receive(call, flags, body)
            call.changed()

    def _receive_session_frame(self, kind: FrameType, body: bytes) -> None:
        if kind is FrameType.PING:
            if self._pong is not None:
                raise _malformed(_STATE, "PING while an answer is due")  # 20
            self._pong = body
        elif kind is FrameType.PONG:
            if body != self._ping:
                raise _malformed(_STATE, "PONG that answers no PING")  # 20
            self._ping = None
        else:
            last = int.from_bytes(body, "big")
            if self._goaway is not None or last < self._answered:
                raise _malformed(_STATE, "GOAWAY twice, or below an answered call")  # 17
            self._goaway = last
            for call in [call for call in self._open.values() if call.id > last]:
                details = "the enclave goes away, and has not run it"
                ending = Ending(StatusCode.UNAVAILABLE, details, "not-executed", "draining")
                self._finish(call, ending)
            self.close()

    def _receive_headers(self, call: Call, _: int, body: bytes) -> None:
        header = _parse(ResponseHeader, body)  # 7
        metadata = _entries(header.metadata)
        if call.headers is not None:
            raise _malformed(_STATE, "a second HEADERS")  # 10
        call.headers, call.encoding = _received(metadata), header.encoding
        if not all(map(_is_value, metadata)):
            self.cancel(call, StatusCode.INTERNAL, "illegal metadata")

    def _receive_message(self, call: Call, flags: int, body: bytes) -> None:
        is_first, more = not call.partial_bytes, flags & MORE
        if is_first and more and len(body) < 5:
            raise _malformed(MALFORMED, "a first piece without bytes")  # 4
        if call.headers is None:
            raise _malformed(_STATE, "MESSAGE before HEADERS")  # 11
        if not is_first and (not body or flags & COMPRESSED):
            raise _malformed(MALFORMED, "a later piece that is empty or compressed")  # 13
        length, piece = call.partial_bytes, body
        if is_first:
            length = int.from_bytes(body[:4], "big") if more else len(body)
            piece = body[4:] if more else body
        got = len(call.partial) + len(piece)
        if got > length or (got == length) == bool(more):
            raise _malformed(MALFORMED, "a message of another length than announced")  # 14
        cost = FRAME_COST + len(body)
        if cost > call.receive_credit:
            raise ChannelError("credit-overrun", "MESSAGE beyond its credit", _CREDIT)  # 15
        call.receive_credit -= cost
        call.partial_cost += cost
        if flags & COMPRESSED:
            status = StatusCode.UNIMPLEMENTED if call.encoding else StatusCode.INTERNAL
            return self.cancel(call, status, "a compressed message")
        if length > call.max_message_bytes:
            details = f"a message of {length} bytes, the limit is {call.max_message_bytes}"
            return self.cancel(call, StatusCode.RESOURCE_EXHAUSTED, details)
        call.partial += piece
        call.partial_bytes = length
        if not more:
            call.inbox.append(bytes(call.partial))
            call.costs.append(call.partial_cost)
            call.partial, call.partial_bytes, call.partial_cost = bytearray(), 0, 0
        elif call.wanted:
            self._grant_wanted(call)

    def _receive_end(self, call: Call, _: int, body: bytes) -> None:
        status = _parse(Status, body)  # 7
        trailers = _entries(status.trailers)
        if call.partial_bytes and status.code == 0:
            raise _malformed(MALFORMED, "OK inside a message")  # 14
        self._finish_as(call, "executed", None, status, trailers)

    def _receive_credit(self, call: Call, _: int, body: bytes) -> None:
        amount = int.from_bytes(body, "big")
        if amount == 0 or call.send_credit + amount > MAX_CREDIT:
            raise ChannelError("credit-overrun", "CREDIT of 0, or too much", _CREDIT)  # 16
        call.send_credit += amount

    def _receive_refused(self, call: Call, flags: int, body: bytes) -> None:
        status = _parse(Status, body)  # 7
        trailers = _entries(status.trailers)
        if call.headers is not None:
            raise _malformed(_STATE, "REFUSED after HEADERS")  # 18
        if status.code not in _REFUSED_WITH[flags & ELSEWHERE]:
            raise _malformed(MALFORMED, f"REFUSED with status {status.code}")  # 19
        self._finish_as(call, "not-executed", "refused", status, trailers)

    def _finish_as(
        self,
        call: Call,
        outcome: Outcome,
        code: str | None,
        status: Status,
        trailers: tuple[Entry, ...],
    ) -> None:
        if all(map(_is_value, trailers)):
            shown, details = STATUS_OF.get(status.code, StatusCode.UNKNOWN), status.message
        else:
            shown, details, trailers = StatusCode.INTERNAL, "illegal metadata", ()
        self._finish(call, Ending(shown, details, outcome, code, _received(trailers)))

    def _finish(self, call: Call, ending: Ending) -> None:
        if call in self._waiting:
            self._waiting.remove(call)
        self._open.pop(call.id, None)
        call.outbox.clear()
        call.ending = ending
        call.changed()


def entries(metadata: Sequence[tuple[str, str | bytes]]) -> tuple[Entry, ...]:
    """Metadata as it is sent. Raises ValueError where §3 forbids a key or a value."""
    sent = [
        Entry(key, value.encode() if isinstance(value, str) else value)
        for key, value in metadata
        if not key.startswith("sealrpc-")
    ]
    for entry in sent:
        if not _is_key(entry.key) or not _is_value(entry):
            raise ValueError(f"metadata {entry.key!r} is not allowed")
    return tuple(sent)


def _entries(received: tuple[Entry, ...]) -> tuple[Entry, ...]:
    for entry in received:
        if not _is_key(entry.key):
            raise _malformed(MALFORMED, "an illegal key of metadata")  # 7
    return received


def _received(metadata: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(entry for entry in metadata if not entry.key.startswith("sealrpc-"))


def _is_key(key: str) -> bool:
    return bool(_KEY.fullmatch(key)) and key not in _RESERVED


def _is_value(entry: Entry) -> bool:
    return entry.key.endswith("-bin") or all(0x20 <= byte <= 0x7E for byte in entry.value)


def _frame(kind: FrameType, call_id: int, body: bytes = b"", flags: int = 0) -> bytes:
    return FRAME_HEADER.pack(kind, flags, call_id, len(body)) + body


def _room(frames: bytearray) -> int:
    """Bytes that the body of one more frame may have in this record."""
    return MAX_PLAINTEXT_BYTES - 1 - len(frames) - FRAME_HEADER.size


def _parse(cls: type[_M], body: bytes) -> _M:
    if len(body) > MAX_HEADER_BYTES:
        raise _malformed(_LIMIT, f"{cls.__name__} of {len(body)} bytes")
    try:
        return cls.parse(body)
    except ValueError as error:
        raise _malformed(MALFORMED, f"{cls.__name__} does not parse") from error


def _malformed(alert: int, message: str) -> ChannelError:
    return ChannelError("malformed-frame", message, alert)


def _unsealed(details: str) -> Ending:
    return Ending(StatusCode.UNAVAILABLE, details, "not-executed", "session-expired")
