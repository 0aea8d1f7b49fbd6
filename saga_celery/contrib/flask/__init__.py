"""Sagas in a Flask app: the extension `SagaCelery`."""

from saga_celery.contrib.flask.extension import SagaCelery

__all__ = ["SagaCelery"]
