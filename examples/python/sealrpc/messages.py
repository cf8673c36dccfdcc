"""The protobuf messages of docs/protocol.md §3, with a reader that is as strict as §2 and §8.1 ask:
a known field of a wrong wire type is refused, which parsers of protobuf libraries let pass."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import ChannelError

MAX_RECORD_BYTES = 262_160
HELLO, FINISH, RECORD = 1, 2, 3
"""The fields of ConnectRequest and ConnectResponse."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_M = TypeVar("_M", bound="Message")


def numbered(number: int, kind: Any, default: Any) -> Any:
    """A field with its number; `kind` is int, bool, bytes, str or another message."""
    return dataclasses.field(default=default, metadata={"number": number, "kind": kind})


@dataclass(frozen=True)
class Message:
    """A dataclass whose fields know their numbers. A default of () makes a field repeated."""

    def serialize(self) -> bytes:
        out = bytearray()
        for field in dataclasses.fields(self):
            number, kind = field.metadata["number"], field.metadata["kind"]
            value = getattr(self, field.name)
            if field.default == () and kind is int:
                packed = b"".join(map(_varint, value))
                out += _tagged(number, packed) if packed else b""
            elif field.default == ():
                for item in value:
                    out += _tagged(number, _octets(item))
            elif value != field.default:
                out += (
                    _varint(number << 3) + _varint(value)
                    if kind in (int, bool)
                    else (_tagged(number, _octets(value)))
                )
        return bytes(out)

    @classmethod
    def parse(cls: type[_M], data: bytes) -> _M:
        """Raises ValueError if `data` is no such message. Unknown fields are skipped."""
        known = {field.metadata["number"]: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        reader = _Reader(data)
        while not reader.at_end:
            number, wire_type, value = reader.field()
            if (field := known.get(number)) is None:
                continue
            kind, repeated = field.metadata["kind"], field.default == ()
            if repeated and kind is int and wire_type == _BYTES:
                items = tuple(_Reader(value).varints())
            elif wire_type != (_VARINT if kind in (int, bool) else _BYTES):
                raise ValueError(f"field {number} has wire type {wire_type}")
            else:
                items = (_typed(kind, value),)
            values[field.name] = values.get(field.name, ()) + items if repeated else items[0]
        return cls(**values)


@dataclass(frozen=True)
class ClientHello(Message):
    version: int = numbered(1, int, 0)
    random: bytes = numbered(2, bytes, b"")


@dataclass(frozen=True)
class Hello(Message):
    client_hello: bytes = numbered(1, bytes, b"")


@dataclass(frozen=True)
class HelloReply(Message):
    enclave_params: bytes = numbered(1, bytes, b"")
    evidence: bytes = numbered(2, bytes, b"")
    session_id: bytes = numbered(3, bytes, b"")
    path: tuple[bytes, ...] = numbered(4, bytes, ())
    leaf_index: int = numbered(5, int, 0)
    format: int = numbered(6, int, 0)


@dataclass(frozen=True)
class EnclaveParams(Message):
    versions: tuple[int, ...] = numbered(1, int, ())
    suites: tuple[int, ...] = numbered(2, int, ())
    mlkem768_ek: bytes = numbered(3, bytes, b"")
    client_attestation: bool = numbered(4, bool, False)
    app_info: bytes = numbered(5, bytes, b"")


@dataclass(frozen=True)
class Finish(Message):
    suite: int = numbered(1, int, 0)
    enc: bytes = numbered(2, bytes, b"")
    sealed: bytes = numbered(3, bytes, b"")


@dataclass(frozen=True)
class ClientFinished(Message):
    evidence: bytes = numbered(1, bytes, b"")
    initial_credit: int = numbered(2, int, 0)


@dataclass(frozen=True)
class FinishReply(Message):
    sealed: bytes = numbered(1, bytes, b"")


@dataclass(frozen=True)
class ServerFinished(Message):
    max_age_ms: int = numbered(1, int, 0)
    max_idle_ms: int = numbered(2, int, 0)
    max_concurrent_calls: int = numbered(3, int, 0)
    max_delay_ms: int = numbered(4, int, 0)
    initial_credit: int = numbered(5, int, 0)
    refused: int = numbered(6, int, 0)


@dataclass(frozen=True)
class Entry(Message):
    key: str = numbered(1, str, "")
    value: bytes = numbered(2, bytes, b"")


@dataclass(frozen=True)
class RequestHeader(Message):
    method: str = numbered(1, str, "")
    metadata: tuple[Entry, ...] = numbered(2, Entry, ())
    sent_ms: int = numbered(3, int, 0)
    timeout_ms: int = numbered(4, int, 0)
    encoding: str = numbered(5, str, "")
    authority: str = numbered(6, str, "")


@dataclass(frozen=True)
class ResponseHeader(Message):
    metadata: tuple[Entry, ...] = numbered(1, Entry, ())
    encoding: str = numbered(2, str, "")


@dataclass(frozen=True)
class Status(Message):
    code: int = numbered(1, int, 0)
    message: str = numbered(2, str, "")
    trailers: tuple[Entry, ...] = numbered(3, Entry, ())


def wrap(kind: int, body: bytes) -> bytes:
    """An outer message with one handshake message or one record."""
    return _tagged(kind, body)


def unwrap(message: bytes) -> tuple[int, bytes]:
    """The one field of an outer message: exactly one of the three, once, and nothing else (§3)."""
    is_record = message[:1] == b"\x1a"
    code = "malformed-record" if is_record else "malformed-handshake"
    reader = _Reader(message)
    try:
        number, wire_type = divmod(reader.take(1)[0], 8)
        if wire_type != _BYTES or number not in (HELLO, FINISH, RECORD):
            raise ValueError(f"field {number} of wire type {wire_type}")
        length = reader.varint(max_bytes=4)
        if is_record and length > MAX_RECORD_BYTES:
            raise ChannelError("record-too-large", f"a record of {length} bytes is announced")
        body = reader.take(length)
        if not reader.at_end:
            raise ValueError("more than one field")
    except ValueError as error:
        raise ChannelError(code, f"no outer message: {error}") from error
    return number, body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tagged(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def _octets(value: bytes | str | Message) -> bytes:
    if isinstance(value, Message):
        return value.serialize()
    return value.encode() if isinstance(value, str) else value


def _typed(kind: Any, value: Any) -> Any:
    if kind is str:
        return value.decode()  # UnicodeDecodeError is a ValueError
    return kind.parse(value) if issubclass(kind, Message) else kind(value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ValueError("it ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def varint(self, max_bytes: int = 10) -> int:
        value = 0
        for shift in range(0, 7 * max_bytes, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80 and value >= 2**53:
                break
            if byte < 0x80:
                return value
        raise ValueError("a number is too large")

    def varints(self) -> list[int]:
        values = []
        while not self.at_end:
            values.append(self.varint())
        return values

    def field(self) -> tuple[int, int, Any]:
        """Number, wire type, and an int for a varint, else bytes."""
        number, wire_type = divmod(self.varint(), 8)
        if number == 0:
            raise ValueError("field number 0")
        if wire_type == _VARINT:
            return number, wire_type, self.varint()
        if wire_type == _BYTES:
            return number, wire_type, self.take(self.varint())
        if wire_type in (_FIXED32, _FIXED64):
            return number, wire_type, self.take(4 if wire_type == _FIXED32 else 8)
        raise ValueError(f"wire type {wire_type}")
