"""Become a user, then a command: PostgreSQL refuses to run as root. `python as_user.py USER COMMAND…`."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Change the user, renew the leash (the change clears it), become the command."""
    user, *command = sys.argv[1:]
    if user:
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
    os.execv(command[0], command)  # noqa: S606 - the command is the benchmark's own


if __name__ == "__main__":
    main()
