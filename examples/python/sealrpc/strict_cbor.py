"""CBOR as docs/protocol.md §A.2 and §A.3 allow it: one way to write everything, and little of it.

Libraries for CBOR accept more: longer forms, tags, floats, keys that occur twice.
"""

from __future__ import annotations

from typing import Any

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
_NULL = 22
_MAX_DEPTH = 3


class Reader:
    """Every method raises ValueError where the bytes are not what they must be."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def skip(self, expected: bytes) -> bool:
        """Whether the next bytes are these; if so they are taken."""
        found = self._data.startswith(expected, self._at)
        self._at += len(expected) if found else 0
        return found

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("something follows the end")

    def byte_string(self) -> bytes:
        major, length = self._head()
        if major != BYTES:
            raise ValueError("no byte string where one is due")
        return self._take(length)

    def document(self) -> dict[str, Any]:
        """The one map of a payload; it alone may have an indefinite length."""
        is_indefinite = self.skip(b"\xbf")
        if is_indefinite:
            result: dict[Any, Any] = {}
            while not self.skip(b"\xff"):
                self._pair(result, 1)
        else:
            major, length = self._head()
            if major != MAP:
                raise ValueError("the payload is no map")
            result = self._map(length, 1)
        self.end()
        if not all(isinstance(key, str) for key in result):
            raise ValueError("a key of the payload is no text")
        return result

    def _take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ValueError("it ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _head(self) -> tuple[int, int]:
        """Major type and argument, in its shortest form."""
        initial = self._take(1)[0]
        major, argument = initial >> 5, initial & 31
        if argument < 24:
            return major, argument
        if argument > 27:
            raise ValueError("an indefinite or reserved length")
        size = 1 << (argument - 24)
        value = int.from_bytes(self._take(size), "big")
        if value < (24 if size == 1 else 1 << (4 * size)) or major == SIMPLE:
            raise ValueError("a float, or not the shortest form")
        return major, value

    def _item(self, depth: int) -> Any:
        major, value = self._head()
        if major == UNSIGNED:
            return value
        if major == NEGATIVE:
            return -1 - value
        if major == BYTES:
            return self._take(value)
        if major == TEXT:
            return self._take(value).decode()
        if depth == _MAX_DEPTH and major in (ARRAY, MAP):
            raise ValueError("nested too deep")
        if major == ARRAY:
            return [self._item(depth + 1) for _ in range(value)]
        if major == MAP:
            return self._map(value, depth + 1)
        if major == SIMPLE and value == _NULL:
            return None
        raise ValueError("a tag or simple value")

    def _map(self, length: int, depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for _ in range(length):
            self._pair(result, depth)
        return result

    def _pair(self, result: dict[Any, Any], depth: int) -> None:
        key = self._item(depth)
        if not isinstance(key, (int, str)) or key in result:
            raise ValueError("a key that occurs twice, or is neither number nor text")
        result[key] = self._item(depth)
