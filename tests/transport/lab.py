"""Real workers in processes of their own, and a way to send them a saga's messages."""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import redis
from celery import Celery

from saga_celery.core.states import Direction, Message, Slot
from saga_celery.engine.ports import Outgoing
from saga_celery.settings import Settings
from saga_celery.transport.publisher import CeleryTransport, task_id
from tests.transport.fake_runtime import PLAN

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60
_numbers = itertools.count(1)


def id_of(sent: Outgoing) -> str:
    """Of the task that a message is."""
    return task_id(sent.saga_id, sent.slot, sent.attempt, sent.resends)


def outgoing(task, *args, saga_id=None, step="charge", direction=Direction.ACTION, **more):
    options = {"queue": more.pop("queue", "steps"), **more.pop("options", {})}
    defaults = {
        "saga_id": saga_id or str(uuid.uuid5(uuid.NAMESPACE_OID, f"{os.getpid()} {next(_numbers)}")),
        "saga_name": "shop.order",
        "plan_hash": PLAN,
        "slot": Slot(step, 0, direction, 1),
        "attempt": 1,
        "epoch": 0,
        "message": Message(task=task, args=args, options=options),
        "claim": False,
        "safe": True,
        "resends": 0,
        "timeout": 60.0,
        "headers": {},
    }
    return Outgoing(**{**defaults, **more})


class Lab:
    """One Redis database, the workers on it, and what they wrote down."""

    def __init__(self, url, log):
        self.url = url
        self.log = log
        self.notes = redis.Redis.from_url(url, socket_timeout=None)
        self.notes.flushdb()
        self.celery = Celery("lab", broker=url, set_as_current=False)
        # Publishing gives up quickly, as a web request must not hang; a test waits for a busy machine.
        patience = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        self.celery.conf.update(task_default_queue="steps", broker_transport_options=patience)
        self.settings = Settings(foreign_queues=("foreign",))
        self.transport = CeleryTransport(self.celery, self.settings)
        self.workers = []

    def start(self, app="some_app", *options, wait=True, **environment):
        environment = {**os.environ, "SAGA_TEST_BROKER": self.url, **environment}
        command = [sys.executable, "-m", "celery", "-A", f"tests.transport.{app}", "worker", "-l", "INFO"]
        command += [
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "-n",
            f"w{next(_numbers)}@lab",
            *options,
        ]
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.workers.append(worker)
        if wait:
            assert self.notes.blpop("ready", timeout=PATIENCE), self.log.read_text()[-3000:]
        return worker

    def send(self, message):
        self.transport.send([message])
        return message.saga_id

    def news(self, saga_id, timeout=PATIENCE):
        """The next news of a saga; None when there are none in time."""
        found = self.notes.blpop(f"news:{saga_id}", timeout=timeout)
        return json.loads(found[1]) if found else None

    def run(self, task, *args, **more):
        """Send a step and return the first news of it."""
        news = self.news(self.send(outgoing(task, *args, **more)))
        assert news is not None, self.log.read_text()[-3000:]
        return news

    def await_log(self, words):
        """Wait until some worker has written this down."""
        deadline = time.monotonic() + PATIENCE
        while words not in (log := self.log.read_text()):
            assert time.monotonic() < deadline, log[-3000:]
            threading.Event().wait(0.05)

    def barrier(self, queue="steps"):
        """Returns when everything sent to a worker with one seat before has been dealt with."""
        assert self.run("ok", "barrier", queue=queue)["kind"] == "AttemptSucceeded"

    def nothing_more(self, saga_id):
        self.barrier()
        return self.notes.llen(f"news:{saga_id}") == 0

    def stop(self):
        """Kill all workers with their children: a warm shutdown takes four seconds, and here nobody looks at it."""
        for worker in self.workers:
            if worker.poll() is None:
                main = psutil.Process(worker.pid)
                for process in [main, *main.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
            worker.wait()
        self.transport._broker.close()
        self.celery.close()
        self.notes.close()
