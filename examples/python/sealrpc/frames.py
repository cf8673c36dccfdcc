"""Frames: docs/protocol.md §8. Numbers in comments are the conditions of §8.1."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeVar

from .errors import ChannelError
from .messages import Message
from .records import MAX_PLAINTEXT_BYTES

HEADER = struct.Struct(">BBII")
MAX_HEADER_BYTES = 65_536
MESSAGE_COST = 64
MORE, COMPRESSED, ELSEWHERE = 1, 2, 1
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


class Alert(IntEnum):
    MALFORMED = 1
    STATE = 2
    CREDIT = 3
    LIMIT = 4
    POLICY = 5
    INTERNAL = 6


OF_SESSION = (FrameType.PING, FrameType.PONG, FrameType.GOAWAY)
_OF_CLIENT = (FrameType.OPEN, FrameType.CANCEL)
_FLAGS = {FrameType.MESSAGE: MORE | COMPRESSED, FrameType.REFUSED: ELSEWHERE}
_LENGTH = {
    FrameType.CANCEL: 0,
    FrameType.CREDIT: 4,
    FrameType.PING: 8,
    FrameType.PONG: 8,
    FrameType.GOAWAY: 4,
}


class Frame(NamedTuple):
    kind: FrameType
    flags: int
    call_id: int
    body: bytes


def frame(kind: FrameType, call_id: int, body: bytes = b"", flags: int = 0) -> bytes:
    return HEADER.pack(kind, flags, call_id, len(body)) + body


def room(frames: bytearray) -> int:
    """Bytes that the body of one more frame may have in this record."""
    return MAX_PLAINTEXT_BYTES - 1 - len(frames) - HEADER.size


def parse_frames(content: bytes) -> Iterator[Frame]:
    """Yields the enclave's frames one by one: those before a bad one take effect."""
    at = 0
    while at < len(content):
        body_at = at + HEADER.size
        if body_at > len(content):
            raise malformed("a frame header is cut short")  # 1
        number, flags, call_id, length = HEADER.unpack_from(content, at)
        at = body_at + length
        if at > len(content):
            raise malformed("a frame goes beyond its record")  # 1
        if number < 0x80:
            yield _checked(number, flags, call_id, content[body_at:at])


def _checked(number: int, flags: int, call_id: int, body: bytes) -> Frame:
    try:
        kind = FrameType(number)
    except ValueError as error:
        raise malformed(f"frame type {number}") from error  # 2
    if flags & ~_FLAGS.get(kind, 0):
        raise malformed(f"flags {flags} on {kind.name}")  # 3
    if len(body) != _LENGTH.get(kind, len(body)):
        raise malformed(f"{kind.name} of {len(body)} bytes")  # 4
    if (call_id == 0) != (kind in OF_SESSION):
        raise malformed(f"call_id {call_id} on {kind.name}")  # 5
    if kind in _OF_CLIENT:
        raise malformed(f"{kind.name} of the enclave", Alert.STATE)  # 6
    return Frame(kind, flags, call_id, body)


def parse_body(cls: type[_M], body: bytes) -> _M:
    """ResponseHeader or Status (7)."""
    if len(body) > MAX_HEADER_BYTES:
        raise malformed(f"{cls.__name__} of {len(body)} bytes", Alert.LIMIT)
    try:
        return cls.parse(body)
    except ValueError as error:
        raise malformed(f"{cls.__name__} does not parse") from error


def malformed(message: str, alert: Alert = Alert.MALFORMED) -> ChannelError:
    return ChannelError("malformed-frame", message, alert)
