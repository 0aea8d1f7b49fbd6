"""Which tests one test process runs as a whole: those that share a worker or a world which is dear to make.

Not xdist's own `xdist_group`, which pytest 9.2 made ineffective without a word.
"""

from xdist.scheduler import LoadScopeScheduling

TOGETHER = (
    "tests/acceptance/test_agency.py",
    "tests/acceptance/test_demo.py",
    "tests/acceptance/test_killed_children.py",
    "tests/acceptance/test_one_worker.py",
    "tests/acceptance/test_shop.py",
    "tests/simulation/test_simulation.py::TestNotVacuous",
    "tests/transport/test_liveness.py",
    "tests/transport/test_matrix.py",
    "tests/transport/test_workers.py",
    "tests/workers/test_fulfilment.py",
)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc,unused-ignore]
    """Hands out each of these as one piece, the longest first, and any other test by itself."""

    def _split_scope(self, nodeid: str) -> str:
        return next((whole for whole in TOGETHER if nodeid.startswith(whole)), nodeid)
