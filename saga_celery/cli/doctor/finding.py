"""What an examination found: fine, to be mended, or merely worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "OK"
    NOTE = "NOTE"
    """Worth knowing, or could not be found out; harms no promise."""
    FIX = "FIX"
    """Something has to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's answer."""

    level: Level
    subject: str
    text: str
    fix: str = ""
    """What to do."""

    def __str__(self) -> str:
        line = f"{self.level:<4} {self.subject}: {self.text}"
        return f"{line} → {self.fix}" if self.fix else line


def ok(subject: str, text: str) -> Finding:
    """Something is as it should be."""
    return Finding(level=Level.OK, subject=subject, text=text)


def note(subject: str, text: str, fix: str = "") -> Finding:
    """Something is worth knowing, or could not be looked at."""
    return Finding(level=Level.NOTE, subject=subject, text=text, fix=fix)


def fix(subject: str, text: str, fix: str) -> Finding:
    """Something has to be done."""
    return Finding(level=Level.FIX, subject=subject, text=text, fix=fix)
