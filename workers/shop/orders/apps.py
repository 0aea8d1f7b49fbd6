"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """The shop's orders."""

    name = "workers.shop.orders"
    label = "orders"
