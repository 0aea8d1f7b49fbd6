"""Seals: text that a codec has made unreadable, under the name of the codec, so that codecs may follow one another."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol

from saga_celery.errors import PayloadUnavailable, SealBroken, StoreUnavailable

_BASE64 = "base64,"


class Codec(Protocol):
    """Makes bytes unreadable, and readable again. Called from any thread.

    Attributes:
        name: kept with all that it encodes; letters, digits, `.`, `-` and `_`. A codec that can not read what an
            earlier one of this name wrote needs another name.
    """

    @property
    def name(self) -> str:
        """See above."""
        ...

    def encode(self, data: bytes) -> bytes:
        """Make unreadable."""
        ...

    def decode(self, data: bytes) -> bytes:
        """Make readable again.

        Raises:
            StoreUnavailable: a service that it needs does not answer; it is asked again later.
            Exception: anything else: this is not what `encode` wrote, or the key is another one.
        """
        ...


class Seals:
    """Seals and opens text.

    Args:
        codecs: the first one seals, every one opens what was sealed under its name; none: nothing is sealed.
    """

    def __init__(self, codecs: Sequence[Codec]) -> None:
        self._codecs = {codec.name: codec for codec in reversed(codecs)}
        self._newest = codecs[0] if codecs else None

    @property
    def active(self) -> bool:
        """True when what is stored from now on is sealed."""
        return self._newest is not None

    def seal(self, text: str) -> str:
        """Make a text unreadable; as it is where there is no codec.

        Raises:
            PayloadUnavailable: the codec failed, so that nothing can be stored now.
        """
        if self._newest is None:
            return text
        try:
            encoded = self._newest.encode(text.encode())
        except Exception as error:
            raise PayloadUnavailable(f"codec {self._newest.name!r} can not encode: {error!r}") from error
        return f"{self._newest.name}:{_text(encoded)}"

    def open(self, seal: str) -> str:
        """Make a seal readable again.

        Raises:
            SealBroken: no codec of this process opens it.
            PayloadUnavailable: its codec can not tell now.
        """
        name, _, body = seal.partition(":")
        codec = self._codecs.get(name)
        if codec is None:
            known = ", ".join(map(repr, self._codecs)) or "none"
            raise SealBroken(f"it was sealed by codec {name!r}, and this process has {known}: see saga_codec")
        try:
            return codec.decode(_bytes(body)).decode()
        except StoreUnavailable as error:
            raise PayloadUnavailable(f"codec {name!r} can not decode now: {error}") from error
        except Exception as error:
            raise SealBroken(
                f"codec {name!r} can not open it ({type(error).__name__}): it was sealed with another key, or changed"
            ) from error


def _text(encoded: bytes) -> str:
    """Codecs that write text, as Fernet does, are spared a second base64."""
    text = encoded.decode("ascii") if encoded.isascii() else ""
    if text.isprintable() and text and not text.startswith(_BASE64):
        return text
    return _BASE64 + base64.b64encode(encoded).decode()


def _bytes(text: str) -> bytes:
    if text.startswith(_BASE64):
        try:
            return base64.b64decode(text.removeprefix(_BASE64), validate=True)
        except binascii.Error:
            return b""
    return text.encode()
