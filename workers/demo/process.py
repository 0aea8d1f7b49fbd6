"""A process of the demo, with a log file and a group of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.05
STARTUP_SECONDS = 120
GRACE_SECONDS = 8


class NotStarted(Exception):
    """A process of the demo did not come up; the message ends with its log."""


class Process:
    """A command that runs on a leash, in its own process group, until it is stopped or killed."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "workers.demo.leash", str(os.getpid()), *command],
                env={**os.environ, **environment, "PYTHONPATH": _python_path()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        """Whether the command itself has ended, for whatever reason."""
        return self._popen.poll() is not None

    def await_sign(self, sign: Callable[[], bool]) -> None:
        """Wait until `sign` is seen, or raise when the process ends or takes too long."""
        deadline = time.monotonic() + STARTUP_SECONDS
        while not sign():
            if self._popen.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{self.name} did not start:\n{self._last_words()}")
            time.sleep(POLL_SECONDS)

    def await_log(self, words: str) -> None:
        """Wait until `words` are in the log."""
        self.await_sign(lambda: words in self.log.read_text(errors="replace"))

    def kill(self) -> None:
        """SIGKILL the whole group, as an out-of-memory killer or a lost machine would."""
        _signal_group(self.pid, signal.SIGKILL)
        self._popen.wait()

    def ask_to_stop(self) -> None:
        """Let the process end by itself."""
        if self._popen.poll() is None:
            self._popen.terminate()

    def stop(self) -> None:
        """Give it some time to end, then kill what is left of its group."""
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(GRACE_SECONDS)
        self.kill()

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _python_path() -> str:
    inherited = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT), inherited] if inherited else [str(ROOT)])
