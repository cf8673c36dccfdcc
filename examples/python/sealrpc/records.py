"""Records: docs/protocol.md §7. Times are seconds of any monotonic clock."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from cryptography.exceptions import InvalidTag

from . import keys
from .errors import ChannelError
from .messages import MAX_RECORD_BYTES

Padding = Literal["none", "padme"] | int
"""What hides the lengths of records; a number is the size of buckets."""

TAG_BYTES = 16
_MALFORMED = 1
MAX_PLAINTEXT_BYTES = MAX_RECORD_BYTES - TAG_BYTES


class RecordType(IntEnum):
    FRAMES = 1
    END = 2
    KEY_UPDATE = 3
    ALERT = 4


class _Direction:
    def __init__(self, suite: int, secret: bytes, now: float) -> None:
        self._suite = suite
        self._install(secret, now)

    def _install(self, secret: bytes, now: float) -> None:
        self._secret = secret
        self._key = keys.Key.of(self._suite, keys.traffic_key(secret))
        self._since = now
        self._counted = 0
        self.counter = 0

    def _update(self, now: float) -> None:
        self._install(keys.next_secret(self._secret), now)


class Sealer(_Direction):
    """Seals the records of the direction from this client."""

    def is_update_due(self, now: float) -> bool:
        return self._counted >= 2**30 or now - self._since >= 600

    def seal(
        self, kind: RecordType, frames: bytes, now: float, padding: Padding = "padme"
    ) -> bytes:
        plaintext = frames + bytes([kind])
        plaintext = plaintext.ljust(padded_length(padding, len(plaintext)), b"\0")
        record = self._key.aead.encrypt(self._key.nonce(self.counter), plaintext, None)
        self.counter += 1
        self._counted += _cost(len(plaintext))
        if kind is RecordType.KEY_UPDATE:
            self._update(now)
        return record


class Opener(_Direction):
    """Opens the records of the direction to this client. After an error it opens no more."""

    _over = False

    def open(self, record: bytes, now: float) -> tuple[RecordType, bytes]:
        """The type and the frames; for an alert its two bytes. Raises ChannelError."""
        if len(record) > MAX_RECORD_BYTES:
            raise ChannelError("record-too-large", f"a record of {len(record)} bytes")
        if self._over:
            raise ChannelError("malformed-record", "a record after the last one", _MALFORMED)
        self._over = True
        plaintext_bytes = max(0, len(record) - TAG_BYTES)
        self._counted += _cost(plaintext_bytes)
        if now - self._since >= 1200 or self._counted >= 2**31:
            raise ChannelError("key-limit", "the enclave used a key for too long")
        try:
            if plaintext_bytes == 0:
                raise InvalidTag
            plaintext = self._key.aead.decrypt(self._key.nonce(self.counter), record, None)
        except InvalidTag as error:
            raise ChannelError("authentication-failed", "a record does not open") from error
        self.counter += 1
        content = plaintext.rstrip(b"\0")
        try:
            kind = RecordType(content[-1])
        except (IndexError, ValueError) as error:
            raise ChannelError("malformed-record", "no type of a record", _MALFORMED) from error
        frames = content[:-1]
        if kind is RecordType.ALERT and len(frames) != 2:
            raise ChannelError("malformed-record", "an alert without its code", _MALFORMED)
        if kind is RecordType.KEY_UPDATE:
            self._update(now)
        self._over = kind in (RecordType.END, RecordType.ALERT)
        return kind, frames


def padded_length(padding: Padding, length: int) -> int:
    """`length` counts frames and type."""
    if padding == "none":
        return length
    if padding == "padme":
        if length <= 256:
            return 256
        exponent = length.bit_length() - 1
        mask = (1 << (exponent - exponent.bit_length())) - 1
        return (length + mask) & ~mask
    return min(MAX_PLAINTEXT_BYTES, padding * -(-length // padding))


def _cost(plaintext_bytes: int) -> int:
    return 16 * (-(-plaintext_bytes // 16) + 1)
