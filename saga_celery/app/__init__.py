"""The app: composes store, transport and definitions."""

from saga_celery.app.checking import check_open_sagas
from saga_celery.app.saga_app import SagaApp

__all__ = ["SagaApp", "check_open_sagas"]
