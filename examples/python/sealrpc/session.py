"""A session after its handshake: the calls on it, liveness, its end. docs/protocol.md §8 to §11.

Nothing here does I/O. Records that arrive go into `receive`. `next_record` seals what is ready at
that moment, so it is asked when the outer stream can take a record. Times are seconds of a
monotonic clock. Numbers in comments are the conditions of §8.1.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from math import ceil

from grpc import StatusCode

from . import metadata
from .call import Call, Ending, Outcome, Unacceptable
from .errors import ChannelError, SealrpcError
from .frames import (
    ELSEWHERE,
    MAX_HEADER_BYTES,
    OF_SESSION,
    Alert,
    Frame,
    FrameType,
    frame,
    malformed,
    parse_body,
    parse_frames,
    room,
)
from .handshake import Established
from .keys import u16, u32
from .messages import RequestHeader, ResponseHeader, Status
from .records import MAX_PLAINTEXT_BYTES, Opener, Padding, RecordType, Sealer

FAIR_BYTES = 65_536
PING_AFTER_SECONDS = 20
_STATUSES = {status.value[0]: status for status in StatusCode}
_ELSEWHERE = (4, 8, 14)  # DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE
_REFUSED_WITH = {ELSEWHERE: _ELSEWHERE, 0: (*_ELSEWHERE, 12)}  # and UNIMPLEMENTED


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
        message = call.take()
        self._grant(call)
        return message

    def cancel(self, call: Call, status: StatusCode, details: str) -> None:
        """Ends a call from this side: its deadline, its cancel, a limit."""
        if call.ending:
            return
        if call.id:
            self._control.append(frame(FrameType.CANCEL, call.id))
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
            for received in parse_frames(frames):
                self._receive_frame(received)
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
            self._control.append(frame(FrameType.PING, 0, self._ping))
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
            frames += frame(FrameType.PONG, 0, self._pong)
            self._pong = None
        while self._control and len(frames) < FAIR_BYTES:
            frames += self._control.popleft()
        while self._grants and len(frames) < FAIR_BYTES:
            call_id, granted = self._grants.popitem()
            if call_id in self._open:
                frames += frame(FrameType.CREDIT, call_id, u32(granted))

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
            if call.half_closed and not call.outbox and not call.sent_end and room(frames) >= 0:
                frames += frame(FrameType.END, call.id)
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
        if room(frames) < len(header):
            return False
        self._waiting.popleft()
        self._last_id = call.id = self._last_id + 1
        self._open[call.id] = call
        call.send_credit, call.receive_credit = self.terms.initial_credit, self._window
        frames += frame(FrameType.OPEN, call.id, header)
        self._grant(call)
        return True

    def _write_piece(self, call: Call, frames: bytearray) -> bool:
        piece = call.next_piece(room(frames))
        if piece is None:
            return False
        body, flags = piece
        frames += frame(FrameType.MESSAGE, call.id, body, flags)
        return True

    def _grant(self, call: Call) -> None:
        # The enclave must know of the call before it can be granted anything.
        if call.id in self._open and (amount := call.next_grant(self._window)):
            self._grants[call.id] = self._grants.get(call.id, 0) + amount
            self.changed()

    # Receiving.

    def _receive_frame(self, received: Frame) -> None:
        kind, flags, call_id, body = received
        if kind in OF_SESSION:
            return self._receive_session_frame(kind, body)
        if call_id > self._last_id:
            raise malformed(f"{kind.name} of a call that was never opened", Alert.STATE)  # 9
        if kind is not FrameType.CREDIT:
            self._answered = max(self._answered, call_id)
        call = self._open.get(call_id)
        if call is None:  # it is over
            return
        if kind is FrameType.HEADERS:
            self._receive_headers(call, parse_body(ResponseHeader, body))
        elif kind is FrameType.MESSAGE:
            self._receive_message(call, body, flags)
        elif kind is FrameType.CREDIT:
            call.add_send_credit(int.from_bytes(body, "big"))
        elif kind is FrameType.END:
            self._receive_end(call, parse_body(Status, body))
        else:
            self._receive_refused(call, parse_body(Status, body), flags)
        call.changed()

    def _receive_session_frame(self, kind: FrameType, body: bytes) -> None:
        if kind is FrameType.PING:
            if self._pong is not None:
                raise malformed("PING while an answer is due", Alert.STATE)  # 20
            self._pong = body
        elif kind is FrameType.PONG:
            if body != self._ping:
                raise malformed("PONG that answers no PING", Alert.STATE)  # 20
            self._ping = None
        else:
            last = int.from_bytes(body, "big")
            if self._goaway is not None or last < self._answered:
                raise malformed("GOAWAY twice, or below an answered call", Alert.STATE)  # 17
            self._goaway = last
            for call in [call for call in self._open.values() if call.id > last]:
                details = "the enclave goes away, and has not run it"
                ending = Ending(StatusCode.UNAVAILABLE, details, "not-executed", "draining")
                self._finish(call, ending)
            self.close()

    def _receive_headers(self, call: Call, header: ResponseHeader) -> None:
        headers = metadata.received(header.metadata)
        if call.headers is not None:
            raise malformed("a second HEADERS", Alert.STATE)  # 10
        call.headers, call.encoding = headers or (), header.encoding
        if headers is None:
            self.cancel(call, StatusCode.INTERNAL, "illegal metadata")

    def _receive_message(self, call: Call, body: bytes, flags: int) -> None:
        try:
            call.receive_piece(body, flags)
        except Unacceptable as error:
            self.cancel(call, error.status, str(error))
        self._grant(call)

    def _receive_end(self, call: Call, status: Status) -> None:
        if call.is_inside_message and status.code == 0:
            raise malformed("OK inside a message")  # 14
        self._finish(call, _ending(status, "executed"))

    def _receive_refused(self, call: Call, status: Status, flags: int) -> None:
        if call.headers is not None:
            raise malformed("REFUSED after HEADERS", Alert.STATE)  # 18
        if status.code not in _REFUSED_WITH[flags & ELSEWHERE]:
            raise malformed(f"REFUSED with status {status.code}")  # 19
        self._finish(call, _ending(status, "not-executed", "refused"))

    def _finish(self, call: Call, ending: Ending) -> None:
        if call in self._waiting:
            self._waiting.remove(call)
        self._open.pop(call.id, None)
        call.outbox.clear()
        call.ending = ending
        call.changed()


def _ending(status: Status, outcome: Outcome, code: str | None = None) -> Ending:
    trailers = metadata.received(status.trailers)
    if trailers is None:
        return Ending(StatusCode.INTERNAL, "illegal metadata", outcome, code)
    shown = _STATUSES.get(status.code, StatusCode.UNKNOWN)
    return Ending(shown, status.message, outcome, code, trailers)


def _unsealed(details: str) -> Ending:
    return Ending(StatusCode.UNAVAILABLE, details, "not-executed", "session-expired")
