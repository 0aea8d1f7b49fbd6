"""Payloads as files: `saga_payload_store = "file:///srv/sagas"`, on a disk that all workers share."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


class PayloadDirectory:
    """A directory for each saga, a file for each payload.

    A file appears whole or not at all: it is written under another name, brought to the disk, and renamed.

    Args:
        root: where; made at the first payload.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, saga_id: str, digest: str, body: bytes) -> None:
        """Keep a payload; what a digest stands for never changes, so a file that is there stays."""
        folder = self._folder(saga_id)
        if (folder / digest).exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(folder / digest)

    def get(self, saga_id: str, digest: str) -> bytes:
        """Read a payload.

        Raises:
            KeyError: there is none.
            OSError: the disk can not be read; also when the root itself is not there, as when it is not mounted.
        """
        try:
            return (self._folder(saga_id) / digest).read_bytes()
        except FileNotFoundError:
            if not self.root.is_dir():
                raise
            raise KeyError(digest) from None

    def delete(self, saga_id: str) -> None:
        """Delete the payloads of a saga."""
        shutil.rmtree(self._folder(saga_id), ignore_errors=True)

    def _folder(self, saga_id: str) -> Path:
        """In a few hundred directories, as some file systems do not like one with a million entries."""
        return self.root / saga_id[-2:] / saga_id
