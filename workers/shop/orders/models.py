"""What the shop keeps. The sagas have tables of their own, in the same database."""

from __future__ import annotations

from django.db import models
from django.urls import reverse


def price_tag(cents: int) -> str:
    """As it stands on a price tag."""
    return f"{cents // 100}.{cents % 100:02}"


class Product(models.Model):
    """Something on the shelf."""

    name = models.CharField(max_length=60, unique=True)
    cents = models.PositiveIntegerField()
    in_stock = models.PositiveIntegerField()

    class Meta:
        ordering = ("cents",)

    def __str__(self) -> str:
        return f"{self.name} at {self.price}"

    @property
    def price(self) -> str:
        """Of one."""
        return price_tag(self.cents)


class Order(models.Model):
    """What a customer asked for; how far it got is known to its saga."""

    customer = models.CharField(max_length=60)
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField()
    cents = models.PositiveIntegerField()
    parcel = models.CharField(max_length=60, blank=True)
    placed_at = models.DateTimeField(auto_now_add=True)

    @property
    def key(self) -> str:
        """The key that its saga is started with."""
        return f"order-{self.pk}"

    @property
    def price(self) -> str:
        """Of the whole."""
        return price_tag(self.cents)

    def get_absolute_url(self) -> str:
        """Its page."""
        return str(reverse("orders:order", args=[self.pk]))


class Charge(models.Model):
    """Money taken; what a payment provider would have in its books."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT)
    cents = models.PositiveIntegerField()
    card_ending = models.CharField(max_length=4)
    refunded = models.BooleanField(default=False)


class Verdict(models.Model):
    """What a member of staff said of an order."""

    order = models.OneToOneField(Order, on_delete=models.PROTECT)
    ok = models.BooleanField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)
