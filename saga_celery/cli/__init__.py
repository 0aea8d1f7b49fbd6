"""The command line: the click group `saga`, mounted as `celery -A proj saga`.

A file for each command, imported below; `show` has its text in `saga_page`. They share what they work on (`target`),
what is typed (`options`, `durations`), how they end (`exits`), the commands to paste (`next_moves`), and how things are
laid out (`table`, `styles`) and shown (`screen`, `richly`). Those of other surfaces join them (`further`). Words and
records are those of every surface: `saga_celery.app.reading`.
"""

from __future__ import annotations

from saga_celery.cli.alerting import alert
from saga_celery.cli.checking import check
from saga_celery.cli.dead_letters import list_dead_letters
from saga_celery.cli.doctor.command import doctor_command
from saga_celery.cli.further import further_commands
from saga_celery.cli.graphing import graph
from saga_celery.cli.group import saga
from saga_celery.cli.hooking import hooks
from saga_celery.cli.listing import list_sagas
from saga_celery.cli.migrating import migrate
from saga_celery.cli.operating import cancel, compensate, rerun, resolve, resume, retry, skip, suspend
from saga_celery.cli.pausing import pause, unpause
from saga_celery.cli.pruning import archive, prune
from saga_celery.cli.queueing import list_locks
from saga_celery.cli.sending import send
from saga_celery.cli.showing import show
from saga_celery.cli.starting import start
from saga_celery.cli.sweeping import sweep

__all__ = ["saga"]

for _name, _further in further_commands().items():  # first, so that none takes the name of one of ours
    saga.add_command(_further, _name)

for _command in (
    list_sagas,
    show,
    start,
    send,
    retry,
    skip,
    resolve,
    cancel,
    suspend,
    resume,
    compensate,
    rerun,
    pause,
    unpause,
    list_dead_letters,
    list_locks,
    hooks,
    alert,
    graph,
    check,
    migrate,
    sweep,
    archive,
    prune,
    doctor_command,
):
    saga.add_command(_command)
