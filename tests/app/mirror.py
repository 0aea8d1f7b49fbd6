"""A codec for tests."""

from __future__ import annotations


class Mirror:
    """A codec that a child could break, but that leaves no plain text."""

    def __init__(self, name: str = "mirror", key: int = 255) -> None:
        self.name = name
        self._key = key

    def encode(self, data: bytes) -> bytes:
        return bytes([self._key]) + bytes(byte ^ self._key for byte in data)

    def decode(self, data: bytes) -> bytes:
        if data[0] != self._key:
            raise ValueError("another key")
        return bytes(byte ^ self._key for byte in data[1:])
