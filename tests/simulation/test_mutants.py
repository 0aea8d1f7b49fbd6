"""Every known way to break the protocol is noticed by the simulator."""

import pytest

from tests.simulation.mutants import KILLED_BY, MUTANTS
from tests.simulation.runner import first_violation

SEEDS = 1500


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mutant_is_killed(name):
    seeds = [KILLED_BY[name]] if name in KILLED_BY else []
    with MUTANTS[name]():
        assert first_violation([*seeds, *range(SEEDS)]) is not None, f"{name} survived {SEEDS} worlds"


def test_without_a_mutant_the_same_worlds_are_well():
    assert first_violation([*KILLED_BY.values(), *range(50)]) is None
