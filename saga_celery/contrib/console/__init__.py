"""The sagas as a web console, for any framework to mount.

Functions from a `SagaApp` and plain data to JSON-able dicts, and one static page that shows them. Who may see and do
what, requests and CSRF protection are the business of the surface that mounts it.
"""

from saga_celery.contrib.console.actions import VERBS, act
from saga_celery.contrib.console.answers import Problem, problem
from saga_celery.contrib.console.assets import ASSETS, HEADERS, Asset, asset, embedded
from saga_celery.contrib.console.bulk import BULK_VERBS, act_on_many, matching
from saga_celery.contrib.console.graph import GRAPH_TYPE, draw, graph
from saga_celery.contrib.console.listing import counts, sagas
from saga_celery.contrib.console.one_saga import saga
from saga_celery.contrib.console.plan_record import look
from saga_celery.contrib.console.task_url import task_url

__all__ = [
    "ASSETS",
    "BULK_VERBS",
    "GRAPH_TYPE",
    "HEADERS",
    "VERBS",
    "Asset",
    "Problem",
    "act",
    "act_on_many",
    "asset",
    "counts",
    "draw",
    "embedded",
    "graph",
    "look",
    "matching",
    "problem",
    "saga",
    "sagas",
    "task_url",
]
