"""Which test would catch which bug of our peers; a test that is renamed or removed must be named anew here.

C: celery-saga, F: saga-framework, P: python-saga-orchestrator.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

GOING_ON = "tests/peers/test_going_on.py"
UNDOING = "tests/peers/test_undoing.py"
CHILDREN = "tests/acceptance/test_killed_children.py"
KINDS = "tests/acceptance/test_kinds_of_workers.py"
LOST = "tests/acceptance/test_nothing_is_lost.py::test_everything_dies_at_once"
ONE_WORKER = "tests/acceptance/test_one_worker.py"
STARTING = "tests/acceptance/test_starting.py"

COVERED: dict[str, tuple[str, ...]] = {
    # an undo declares retries and makes one attempt
    "C1": (f"{UNDOING}::test_an_undo_that_fails_is_tried_again",),
    # the first failing undo ends the chain, without a word
    "C2": (
        f"{UNDOING}::test_an_undo_that_fails_for_good_is_shown_and_the_earlier_ones_follow",
        f"{ONE_WORKER}::test_an_exhausted_undo_waits_for_a_person_and_harms_nobody",
    ),
    # an undo that is not registered counts as done
    "C3": (
        f"{UNDOING}::test_an_undo_that_no_worker_knows_is_never_taken_for_done",
        f"{ONE_WORKER}::test_an_undo_that_no_worker_knows_waits_for_a_person",
    ),
    # the step that raised is not undone, though it may have taken effect
    "C4": (
        f"{UNDOING}::test_a_step_that_raised_after_its_effect_is_undone_even_the_first_one",
        f"{UNDOING}::test_a_step_of_unknown_outcome_is_never_passed_over",
        f"{CHILDREN}::test_an_unkeyed_step_waits_for_a_person",
    ),
    # one key starts two sagas
    "C5": (
        f"{STARTING}::test_two_hundred_starts_with_one_key_from_eight_processes_make_one_saga",
        "tests/store/test_starts.py::test_of_sixteen_rivals_with_one_key_one_starts_a_saga",
        "tests/store/test_starts.py::test_a_key_outlives_its_saga",
    ),
    # a result that is no JSON: the effect is not undone, the saga hangs
    "C6": (
        f"{UNDOING}::test_an_effect_whose_result_is_no_json_is_undone_or_shown",
        f"{ONE_WORKER}::test_a_result_that_is_no_json_is_an_effect_without_result",
        "tests/transport/test_matrix.py::test_an_effect_whose_result_is_out_of_reach",
    ),
    # parallel branches erase each other's success
    "C7": (f"{UNDOING}::test_branches_that_end_at_the_same_moment_do_not_erase_each_other",),
    # the end is reported while a sibling still runs
    "C8": (f"{UNDOING}::test_nothing_is_undone_and_nothing_reported_while_a_sibling_runs",),
    # handlers that fire twice undo twice
    "C9": (f"{UNDOING}::test_news_that_come_twice_undo_once",),
    # a redelivered step that succeeded is run again
    "C10": (
        f"{GOING_ON}::test_news_of_a_success_that_come_again_start_nothing_again",
        f"{GOING_ON}::test_a_second_copy_is_refused_while_the_first_one_lives",
        "tests/transport/test_matrix.py::test_a_second_copy_of_a_living_workers_attempt_does_not_run",
    ),
    # stored, never published, never swept
    "C11": (
        f"{GOING_ON}::test_whatever_message_is_lost_between_two_transitions_the_saga_ends",
        f"{GOING_ON}::test_what_the_broker_refuses_goes_out_when_it_is_back",
        f"{GOING_ON}::test_what_only_ever_repeats_itself_is_listed_as_stuck",
        f"{STARTING}::test_a_start_without_redis_commits_at_once_and_runs_when_it_is_back",
    ),
    # a killed worker leaves its saga running for ever
    "C12": (
        LOST,
        f"{CHILDREN}::test_a_keyed_step_is_sent_again_under_its_key",
        f"{CHILDREN}::test_a_child_that_takes_the_place_of_another_one_can_use_the_database",
    ),
    # steps run inside the orchestrator: their options are ignored, and small pools deadlock
    "C13": (
        f"{KINDS}::test_a_pool_smaller_than_the_saga_runs_it_to_its_end",
        "tests/transport/test_publishing.py::test_routes_and_options_are_those_of_the_app",
    ),
    # workers use another store than the producer
    "C14": (f"{ONE_WORKER}::test_a_plain_errand",),
    # records expire
    "C15": (f"{GOING_ON}::test_a_saga_of_a_year_ago_is_still_undone",),
    # pickled code in the store
    "C16": (
        f"{GOING_ON}::test_everything_that_is_stored_is_text_or_plain_json",
        f"{GOING_ON}::test_a_lambda_is_no_step",
    ),
    # undos go to the default queue
    "C17": (f"{UNDOING}::test_the_queue_of_an_undo_is_its_own",),
    # results in one flat dict; plans in module globals
    "C18": (
        f"{GOING_ON}::test_results_of_steps_do_not_overwrite_each_other",
        f"{GOING_ON}::test_sagas_that_are_rendered_at_the_same_time_do_not_mix",
    ),
    # no timeouts, no cancel, no command line
    "C19": (
        f"{GOING_ON}::test_the_deadline_of_a_saga_undoes_what_took_effect",
        f"{GOING_ON}::test_a_step_without_an_answer_runs_into_its_timeout",
        f"{UNDOING}::test_a_completed_saga_is_not_aborted_and_what_is_in_flight_is_undone",
        f"{CHILDREN}::test_a_dead_letter_names_the_next_moves",
    ),
    # success and failure of steps are never written down
    "F1": (f"{GOING_ON}::test_every_success_and_failure_of_every_step_is_written_down",),
    # undos are not awaited
    "F2": (f"{UNDOING}::test_each_undo_is_awaited_before_the_next_one_and_before_the_end",),
    # a redelivered reply starts the next step again
    "F3": (f"{GOING_ON}::test_news_of_a_success_that_come_again_start_nothing_again",),
    # one failing undo stops the loop, and the wrong step is reported
    "F4": (f"{UNDOING}::test_an_undo_that_fails_for_good_is_shown_and_the_earlier_ones_follow",),
    # the failing step is not undone; no rows for steps
    "F5": (
        f"{UNDOING}::test_a_step_that_raised_after_its_effect_is_undone_even_the_first_one",
        f"{GOING_ON}::test_every_success_and_failure_of_every_step_is_written_down",
    ),
    # a crash between the row and the message hangs the saga
    "F6": (LOST, f"{GOING_ON}::test_whatever_message_is_lost_between_two_transitions_the_saga_ends"),
    # an exception in the saga's own code leaves it where it is
    "F7": (
        f"{GOING_ON}::test_a_saga_whose_own_code_raises_at_its_end_is_shown_and_goes_on_when_mended",
        f"{KINDS}::test_a_poisoned_saga_parks_and_is_retried_after_a_deploy",
    ),
    # two sagas can not share a participant
    "F8": (f"{GOING_ON}::test_two_sagas_share_a_participant",),
    # the shutdown of a worker counts as a failure of the business
    "F9": ("tests/transport/test_matrix.py::test_system_exit_settles_nothing_but_its_loss",),
    # between two steps nothing would ever come back to the saga, and no operator may act
    "P1": (
        LOST,
        f"{GOING_ON}::test_whatever_message_is_lost_between_two_transitions_the_saga_ends",
        f"{GOING_ON}::test_between_two_steps_an_operator_can_still_act",
    ),
    # one poisoned saga stops the batch, and is retried for ever
    "P2": (
        f"{GOING_ON}::test_a_poisoned_saga_parks_and_the_others_of_its_batch_go_on",
        f"{GOING_ON}::test_a_row_that_the_sweeper_can_not_deal_with_does_not_stop_the_batch",
        f"{KINDS}::test_a_poisoned_saga_parks_and_is_retried_after_a_deploy",
    ),
    # the failing step is not undone, least of all when it is the first
    "P3": (
        f"{UNDOING}::test_a_step_that_raised_after_its_effect_is_undone_even_the_first_one",
        f"{UNDOING}::test_a_step_of_unknown_outcome_is_never_passed_over",
    ),
    # abort works on what is completed, and undoes nothing
    "P4": (f"{UNDOING}::test_a_completed_saga_is_not_aborted_and_what_is_in_flight_is_undone",),
    # the lease is never renewed: long work runs twice
    "P5": (
        f"{GOING_ON}::test_a_step_that_its_worker_still_runs_is_left_alone_until_its_timeout",
        f"{GOING_ON}::test_a_second_copy_is_refused_while_the_first_one_lives",
    ),
    # undos have no timeout, and run twice
    "P6": (f"{UNDOING}::test_an_undo_has_a_lease_and_is_doubled_only_when_that_is_safe",),
    # a step that kills its worker loops for ever
    "P7": (
        f"{GOING_ON}::test_a_step_that_kills_every_worker_does_not_loop_for_ever",
        f"{CHILDREN}::test_a_step_that_kills_every_child_ends_with_its_attempts",
    ),
    # two drivers execute the same step
    "P8": (
        f"{GOING_ON}::test_two_drivers_send_a_step_once",
        f"{GOING_ON}::test_a_second_copy_is_refused_while_the_first_one_lives",
    ),
    # two starts race
    "P9": (f"{STARTING}::test_two_hundred_starts_with_one_key_from_eight_processes_make_one_saga",),
    # start() can not join the caller's transaction, and blocks
    "P10": (
        f"{STARTING}::test_a_saga_exists_if_and_only_if_the_callers_transaction_does",
        f"{STARTING}::test_a_start_does_not_wait_for_a_broker_that_never_answers",
    ),
    # what a dispatcher had claimed when it died is lost
    "P11": (
        f"{GOING_ON}::test_what_a_dead_sweeper_had_claimed_is_found_by_the_next_one",
        f"{GOING_ON}::test_what_the_broker_refuses_goes_out_when_it_is_back",
    ),
    # a timeout ends the saga and undoes nothing
    "P12": (f"{GOING_ON}::test_the_deadline_of_a_saga_undoes_what_took_effect",),
    # after an exhausted undo there is neither skip nor resolve nor a list
    "P13": (
        f"{UNDOING}::test_what_waits_for_a_person_can_be_found_skipped_resolved_and_retried",
        f"{CHILDREN}::test_an_unkeyed_step_waits_for_a_person",
    ),
    # an edit of the definition corrupts sagas under way
    "P14": (f"{GOING_ON}::test_a_deploy_with_another_order_of_steps_does_not_touch_sagas_under_way",),
    # a slow saga makes the sweep slow
    "P15": (f"{GOING_ON}::test_the_sweeper_runs_no_code_of_a_saga",),
    # a step that returns nothing is run again and again
    "P16": (f"{GOING_ON}::test_a_step_that_returns_nothing_has_succeeded",),
}
BUGS = [f"{peer}{number}" for peer, last in (("C", 19), ("F", 9), ("P", 16)) for number in range(1, last + 1)]


@cache
def functions_in(file: str) -> frozenset[str]:
    """The test functions of a file."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_of_a_peer_is_covered_by_a_test_that_exists(bug: str) -> None:
    assert COVERED[bug]
    for node in COVERED[bug]:
        file, _, test = node.partition("::")
        assert test.startswith("test_")
        assert test in functions_in(file), f"{bug}: there is no {node}"


def test_no_other_bug_is_listed() -> None:
    assert sorted(COVERED) == sorted(BUGS)
