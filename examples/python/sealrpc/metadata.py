"""Metadata of calls: the values that docs/protocol.md §3 allows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .frames import malformed
from .messages import Entry

_KEY = re.compile(r"[0-9a-z_.-]+")
_RESERVED = {"grpc-timeout", "grpc-encoding", "grpc-status", "grpc-message", "te", "content-type"}


def sent(metadata: Sequence[tuple[str, str | bytes]]) -> tuple[Entry, ...]:
    """What travels. Raises ValueError for a key or a value that may not."""
    entries = [
        Entry(key, value.encode() if isinstance(value, str) else value)
        for key, value in metadata
        if not key.startswith("sealrpc-")
    ]
    for entry in entries:
        if not _is_key(entry.key) or not _is_value(entry):
            raise ValueError(f"metadata {entry.key!r} is not allowed")
    return tuple(entries)


def received(entries: tuple[Entry, ...]) -> tuple[Entry, ...] | None:
    """What the application may see; None if a value is illegal, which ends the call alone."""
    for entry in entries:
        if not _is_key(entry.key):
            raise malformed("an illegal key of metadata")  # 7 of §8.1
    if not all(map(_is_value, entries)):
        return None
    return tuple(entry for entry in entries if not entry.key.startswith("sealrpc-"))


def _is_key(key: str) -> bool:
    return bool(_KEY.fullmatch(key)) and key not in _RESERVED


def _is_value(entry: Entry) -> bool:
    return entry.key.endswith("-bin") or all(0x20 <= byte <= 0x7E for byte in entry.value)
