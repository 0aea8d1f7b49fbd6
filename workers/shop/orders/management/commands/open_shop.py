"""`manage.py open_shop`: goods on the shelf, and a member of staff."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from workers.shop.orders.models import Product

GOODS = (("Tea", 490, 40), ("Teapot", 3_900, 12), ("Samovar", 64_900, 5))
"""Name, cents, and how many there are."""


class Command(BaseCommand):
    """May be called again and again: goods that are there stay as they are, the password becomes the one given."""

    help = "Put goods on the shelf and hire the member of staff of SHOP_STAFF_NAME and SHOP_STAFF_PASSWORD."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        for name, cents, in_stock in GOODS:
            Product.objects.get_or_create(name=name, defaults={"cents": cents, "in_stock": in_stock})
        staff, _ = get_user_model().objects.get_or_create(username=os.environ["SHOP_STAFF_NAME"])
        staff.is_staff = True
        staff.set_password(os.environ["SHOP_STAFF_PASSWORD"])
        staff.save()
