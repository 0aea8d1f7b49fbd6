"""An application whose saga chooses by its input, and has a point of no return."""

from __future__ import annotations

from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import SKIP, Abort, Retry, Saga, Skip, step
from tests.acceptance.shop import QUICK, app

__all__ = ["app"]


class Parcel(BaseModel):
    """What to send, and how."""

    name: str
    express: bool = False
    greeting: str = ""
    refused: bool = False
    label: str = "shop.do"
    """The task behind the pivot."""


class ParcelSaga(Saga[Parcel, str]):
    name = "shop.parcel"

    @step
    def reserve(self, parcel: Parcel) -> Signature[str]:
        return self.task("shop.do", f"{parcel.name}:reserve", key=self.key())

    @reserve.compensate
    def release(self, parcel: Parcel) -> Signature[str]:
        return self.task("shop.do", f"{parcel.name}:release", key=self.key())

    @step
    def wrap(self, parcel: Parcel) -> Signature[str] | Skip:
        return self.task("shop.do", f"{parcel.name}:{parcel.greeting}", key=self.key()) if parcel.greeting else SKIP

    @wrap.compensate
    def unwrap(self, parcel: Parcel, wrap: str) -> Signature[str]:
        return self.task("shop.do", f"{parcel.name}:unwrap", key=self.key())

    @step(pivot=True)
    def ship(self, parcel: Parcel, wrap: str | None) -> Signature[str]:
        if parcel.refused:
            raise Abort("the address is unknown")
        way = "courier" if parcel.express else "post"
        return self.task("shop.do", f"{parcel.name}:{way} {'with' if wrap else 'without'} a card", key=self.key())

    @step(retry=Retry(attempts=2, delay=QUICK))
    def label(self, parcel: Parcel) -> Signature[str]:
        return self.task(parcel.label, f"{parcel.name}:label", key=self.key())

    def result(self, parcel: Parcel, ship: str) -> str:
        return ship
