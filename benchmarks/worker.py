"""A Celery worker: `python -m benchmarks.worker MODULE NAME CHILDREN QUEUES`.

Celery's own command imports the commands of all that is installed, saga_celery's as well: a plain chain's worker, and
one without saga code, are to be just that.
"""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Work until told to stop."""
    module, name, children, queues = sys.argv[1:]
    worker = import_module(module).app.Worker(
        hostname=f"{name}@bench",
        concurrency=int(children),
        queues=queues or None,
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
