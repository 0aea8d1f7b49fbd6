"""Tasks as users have them. celery-types knows what `@shared_task` takes and gives; `@app.task` is `Any` to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from celery import shared_task
from pydantic import BaseModel


class Order(BaseModel):
    order_id: int
    cents: int
    lines: list[str]


class Trip(BaseModel):
    city: str


class Reservation(TypedDict):
    id: str
    warehouse: str


@dataclass
class Charge:
    id: str


@dataclass
class Approval:
    ok: bool
    by: str


@shared_task
def reserve_stock(order_id: int, lines: list[str]) -> Reservation:
    return {"id": "r", "warehouse": "north"}


@shared_task
def release_stock(reservation_id: str) -> None: ...


@shared_task
def ask_manager(order_id: int) -> Approval:
    return Approval(ok=True, by="boss")


@shared_task
def create_shipment(order_id: int, warehouse: str) -> str:
    return "s"


@shared_task
def send_receipt(order_id: int, shipment: str) -> None: ...


@shared_task
def add_points(order_id: int) -> int:
    return 1
