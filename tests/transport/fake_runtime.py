"""A runtime without a database: news go to Redis lists, claims to Redis hashes."""

import json
from dataclasses import asdict
from functools import cached_property
from types import SimpleNamespace

import redis

from saga_celery.app.payloads import payloads_of
from saga_celery.core.events import AttemptClaimed, AttemptStarted, ProbeAnswered, Verdict
from saga_celery.core.plan import Plan, PlannedStep
from saga_celery.core.states import Activity, SagaState, StepState, StepStatus, Turn, TurnKind
from saga_celery.engine.ports import Living
from saga_celery.engine.sweeper import Swept
from saga_celery.errors import SchemaOutOfDate, StoreUnavailable
from saga_celery.settings import Settings
from saga_celery.transport.publisher import CeleryTransport
from saga_celery.transport.run_on import RunOn

PLAN = "0123456789abcdef"


class FakeStore:
    def __init__(self, notes):
        self.notes = notes

    def load(self, saga_id):
        claimed = self.notes.hgetall(f"claim:{saga_id}")
        activity = Activity(
            attempt=int(claimed.get(b"attempt", 1)),
            epoch=int(claimed.get(b"epoch", 0)),
            worker=claimed.get(b"worker", b"").decode(),
        )
        step = StepState(name="charge", status=StepStatus.DISPATCHED, action=activity)
        turn = Turn(kind=TurnKind.CANCEL) if self.notes.exists(f"cancelled:{saga_id}") else None
        return SagaState(id=saga_id, name="shop.order", plan_hash=PLAN, steps={("charge", 0): step}, turn=turn)

    def keep_up(self, saga_id, version):
        pass

    def await_again(self, saga_id, slot, attempt, seconds):
        note = {"kind": "await_again", "slot": list(slot), "attempt": attempt, "seconds": seconds}
        self.notes.rpush(f"news:{saga_id}", json.dumps(note))

    def extend(self, saga_id, slot, attempt, worker):
        if self.notes.decr(f"away:{saga_id}") >= 0:
            raise StoreUnavailable("the test took the database away")
        note = {"kind": "extend", "slot": list(slot), "attempt": attempt, "worker": worker}
        self.notes.rpush(f"signs:{saga_id}", json.dumps(note))
        return not self.notes.exists(f"unwanted:{saga_id}")

    def plan(self, plan_hash):
        return Plan(saga="shop.order", steps=(PlannedStep(name="charge"),))


class FakeCoordinator:
    def __init__(self, notes, parks):
        self.notes, self.parks = notes, parks

    def handle(self, saga_id, news):
        if self.notes.decr(f"down:{saga_id}") >= 0:
            raise StoreUnavailable("the test took the database away")
        if self.notes.exists(f"broken:{saga_id}") and not self.parks:
            raise RuntimeError("a bug")
        note = {"kind": type(news).__name__, "parks": self.parks, **asdict(news)}
        self.notes.rpush(f"news:{saga_id}", json.dumps(note))
        return SimpleNamespace(facts=self.claim(saga_id, news) if isinstance(news, AttemptStarted) else ())

    def claim(self, saga_id, news):
        if news.rival_alive:
            return ()
        epoch = self.notes.hincrby(f"claim:{saga_id}", "epoch", 1)
        self.notes.hset(f"claim:{saga_id}", mapping={"worker": news.worker, "attempt": news.attempt})
        return (AttemptClaimed(slot=news.slot, attempt=news.attempt, epoch=epoch, worker=news.worker),)


class FakeRuntime:
    def __init__(self, celery, url):
        self.celery = celery
        self.url = url
        self.disposed = 0

    @cached_property
    def notes(self):
        return redis.Redis.from_url(self.url)

    @cached_property
    def settings(self):
        return Settings.from_conf(self.celery.conf)

    @cached_property
    def transport(self):
        return CeleryTransport(self.celery, self.settings)

    @cached_property
    def run_on(self):
        return RunOn(
            self.celery, settings=lambda: self.settings, transport=lambda: self.transport, has_plan=self.has_plan
        )

    @cached_property
    def payloads(self):
        return payloads_of(self.settings, None)

    @property
    def has_store(self):
        return bool(self.settings.database_url)

    @cached_property
    def store(self):
        return FakeStore(self.notes)

    def coordinator(self, *, parks_render_failures):
        return FakeCoordinator(self.notes, parks_render_failures)

    def sweeper(self):
        return SimpleNamespace(tick=self.tick)

    def tick(self):
        self.notes.incr("ticks")
        return Swept()

    def has_plan(self, saga_name, plan_hash):
        return plan_hash == PLAN

    def interpret(self, saga_id, slot, attempt, result):
        return ProbeAnswered(slot=slot, attempt=attempt, verdict=Verdict.FOUND, result=result)

    def check_settings(self):
        payloads_of(self.settings, None)

    def check_schema(self):
        if self.settings.database_url == "old":
            raise SchemaOutOfDate("run `celery -A some_app saga migrate`")

    def beat(self, worker, running, swept=None):
        seen = [{**asdict(each), "slot": list(each.slot)} for each in running]
        self.notes.rpush("beats", json.dumps({"worker": worker, "running": seen}))
        self.notes.ltrim("beats", -200, -1)
        for each in seen:
            self.notes.rpush(f"seen:{each['saga_id']}", json.dumps(each))

    def farewell(self, worker):
        self.notes.rpush("farewells", worker)

    def living(self):
        workers = frozenset(name.decode() for name in self.notes.smembers("living"))
        known = frozenset(name.decode() for name in self.notes.smembers("known"))
        return Living(workers=workers, known=known | workers, attempts={})

    def dispose(self):
        self.disposed += 1
        self.__dict__.pop("notes", None)
        self.__dict__.pop("store", None)
