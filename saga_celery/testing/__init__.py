"""Tools for the tests of people who write sagas; production code never imports this."""

from saga_celery.testing.inline import InlineRun, TaskNotFound, run_inline

__all__ = ["InlineRun", "TaskNotFound", "run_inline"]
