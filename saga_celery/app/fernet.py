"""Fernet (AES-128-CBC with HMAC-SHA256, from `cryptography`) as a codec, with keys that may follow one another."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from saga_celery.errors import NotConfigured


class FernetCodec:
    """Seals with the first key and opens with every one (`MultiFernet`).

    To change keys: put the new one in front everywhere, restart, and take the old one away once no saga is left that it
    sealed.

    Args:
        keys: as `Fernet.generate_key()` makes them, the newest first.

    Raises:
        NotConfigured: `cryptography` is not installed, or a key is none.
    """

    name = "fernet"

    def __init__(self, keys: Sequence[str]) -> None:
        fernet = _module()
        try:
            self._fernet = fernet.MultiFernet([fernet.Fernet(key) for key in keys])
        except (TypeError, ValueError):  # its text is left out, as it may quote the key
            raise NotConfigured(
                "saga_fernet_keys: one of them is no Fernet key; make one with "
                "`python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'`"
            ) from None

    def encode(self, data: bytes) -> bytes:
        """Encrypt and sign."""
        token: bytes = self._fernet.encrypt(data)
        return token

    def decode(self, data: bytes) -> bytes:
        """Check and decrypt.

        Raises:
            cryptography.fernet.InvalidToken: none of the keys fits.
        """
        plain: bytes = self._fernet.decrypt(data)
        return plain


def _module() -> Any:
    try:
        return importlib.import_module("cryptography.fernet")
    except ImportError as error:
        raise NotConfigured('saga_fernet_keys needs cryptography: pip install "saga-celery[crypto]"') from error
