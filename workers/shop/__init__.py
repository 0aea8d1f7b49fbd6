"""A small Django shop whose orders are sagas: `python -m workers.shop` opens it on this machine; see docs/django.md."""

from workers.shop.celery import app as celery_app

__all__ = ("celery_app",)
