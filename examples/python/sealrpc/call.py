"""One call: its messages in pieces, its credit both ways, and how it ends. docs/protocol.md §8, §9.

Numbers in comments are the conditions of §8.1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from grpc import StatusCode

from .errors import ChannelError
from .frames import COMPRESSED, MESSAGE_COST, MORE, Alert, malformed
from .handshake import MAX_CREDIT
from .keys import u32
from .messages import Entry

Outcome = Literal["executed", "not-executed", "unknown"]
_START_BYTES = 5  # the least that a message in pieces begins with: its length, and one byte


@dataclass(frozen=True)
class Ending:
    """How a call ended, and whether the enclave may have run it (§9.3)."""

    status: StatusCode
    details: str
    outcome: Outcome
    code: str | None = None
    trailers: tuple[Entry, ...] = ()


class Unacceptable(Exception):
    """A message that this client does not take: its call ends, the session goes on."""

    def __init__(self, status: StatusCode, details: str) -> None:
        super().__init__(details)
        self.status = status


@dataclass(eq=False)
class Call:
    """The application queues into `outbox`, and takes with `Session.take`."""

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
    sent_end: bool = False
    send_credit: int = 0
    headers: tuple[Entry, ...] | None = None
    encoding: str = ""
    inbox: deque[bytes] = field(default_factory=deque)
    is_wanted: bool = False
    """Whether the application waits for a message."""
    receive_credit: int = 0
    """What the enclave may still send."""
    ending: Ending | None = None

    _sent_bytes: int = 0  # of the outbox's first message, in pieces
    _partial: bytearray = field(default_factory=bytearray)
    _partial_bytes: int = 0  # the length announced for the message under way; 0 if none is
    _partial_cost: int = 0
    _costs: deque[int] = field(default_factory=deque)  # of each message of the inbox

    @property
    def outbox_bytes(self) -> int:
        return sum(map(len, self.outbox)) - self._sent_bytes

    @property
    def is_inside_message(self) -> bool:
        return self._partial_bytes > 0

    def next_piece(self, room: int) -> tuple[bytes, int] | None:
        """Body and flags of the next MESSAGE: as much of the first message as credit and a record
        with so much room allow. None if that is nothing."""
        message, sent = self.outbox[0], self._sent_bytes
        budget = min(self.send_credit - MESSAGE_COST, room)
        if sent == 0 and len(message) <= budget:
            body, flags = message, 0
        elif sent == 0:
            piece = message[: max(0, budget - 4)]
            body, flags = u32(len(message)) + piece, MORE
            sent = len(piece)
        else:
            piece = body = message[sent : sent + max(0, budget)]
            sent += len(piece)
            flags = MORE if sent < len(message) else 0
        if budget < 0 or (flags and sent == self._sent_bytes):
            return None
        self.send_credit -= MESSAGE_COST + len(body)
        self._sent_bytes = sent
        if not flags:
            self.outbox.popleft()
            self._sent_bytes = 0
        return body, flags

    def add_send_credit(self, amount: int) -> None:
        if amount == 0 or self.send_credit + amount > MAX_CREDIT:
            raise ChannelError("credit-overrun", "CREDIT of 0, or too much", Alert.CREDIT)  # 16
        self.send_credit += amount

    def receive_piece(self, body: bytes, flags: int) -> None:
        """The body of a MESSAGE. Raises ChannelError, or Unacceptable."""
        is_first, more = not self.is_inside_message, flags & MORE
        if is_first and more and len(body) < _START_BYTES:
            raise malformed("a first piece without bytes")  # 4
        if self.headers is None:
            raise malformed("MESSAGE before HEADERS", Alert.STATE)  # 11
        if not is_first and (not body or flags & COMPRESSED):
            raise malformed("a later piece that is empty or compressed")  # 13
        length, piece = self._partial_bytes, body
        if is_first:
            length = int.from_bytes(body[:4], "big") if more else len(body)
            piece = body[4:] if more else body
        received = len(self._partial) + len(piece)
        if received > length or (received == length) == bool(more):
            raise malformed("a message of another length than announced")  # 14
        cost = MESSAGE_COST + len(body)
        if cost > self.receive_credit:
            raise ChannelError("credit-overrun", "MESSAGE beyond its credit", Alert.CREDIT)  # 15
        self.receive_credit -= cost
        if flags & COMPRESSED:
            status = StatusCode.UNIMPLEMENTED if self.encoding else StatusCode.INTERNAL
            raise Unacceptable(status, "a compressed message")
        if length > self.max_message_bytes:
            details = f"a message of {length} bytes, the limit is {self.max_message_bytes}"
            raise Unacceptable(StatusCode.RESOURCE_EXHAUSTED, details)
        self._partial += piece
        self._partial_bytes = length
        self._partial_cost += cost
        if not more:
            self.inbox.append(bytes(self._partial))
            self._costs.append(self._partial_cost)
            self._partial, self._partial_bytes, self._partial_cost = bytearray(), 0, 0

    def take(self) -> bytes | None:
        self.is_wanted = not self.inbox
        if self.is_wanted:
            return None
        self._costs.popleft()
        return self.inbox.popleft()

    def next_grant(self, window: int) -> int:
        """What is to be granted now (§8.3): half of the window when that was consumed; and when the
        application waits, at once what the message under way, or the next one's begin, needs."""
        kept = self.receive_credit + self._partial_cost + sum(self._costs)
        due = window - kept if window - kept >= window // 2 else 0
        if self.is_wanted and not self.inbox:
            rest = self._partial_bytes - len(self._partial) or _START_BYTES
            due = max(due, MESSAGE_COST + rest - self.receive_credit)
        self.receive_credit += due
        return due
