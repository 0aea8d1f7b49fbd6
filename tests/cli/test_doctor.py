"""`saga doctor`."""

import json

import pytest
import sqlalchemy as sa
from celery import Celery

from saga_celery import SagaApp
from saga_celery.cli.doctor import broker, configuration, workers
from saga_celery.cli.doctor.finding import Level
from saga_celery.core import events as e
from saga_celery.core.states import Slot
from saga_celery.definition import registry
from saga_celery.errors import PublishFailed
from saga_celery.store.schema import saga_worker
from saga_celery.store.version import head


@pytest.fixture
def answers(monkeypatch):
    """What the workers answer; nobody is there unless a test says so."""
    known = {
        "active_queues": {"w1@host": [{"name": "saga"}]},
        "registered": {"w1@host": ["card.charge [rate=1]", "card.refund"]},
    }
    monkeypatch.setattr(workers, "_asked", lambda app, question: known[question])
    return known


def nothing():
    """A task."""


@pytest.fixture
def healthy(shop, answers):
    """A shop where nothing has to be mended."""
    shop.app.task(name="mail.tell", shared=False, acks_late=True, reject_on_worker_lost=True)(nothing)
    shop.sagas.beat("w1@host", [], 0.0)
    shop.completed()
    return shop


def findings(shop):
    return {each["subject"]: each for each in shop.json("doctor")}


def test_where_nothing_has_to_be_mended_it_is_0(healthy):
    result = healthy("doctor")
    assert result.exit_code == 0, result.stdout
    assert "FIX" not in result.stdout
    assert f"OK   schema: version {head()}" in result.stdout
    assert "OK   hooks: none is given up" in result.stdout
    assert "OK   sweeper: w1@host finished a round 0.0 s ago" in result.stdout
    assert "OK   coordinator: queue 'saga' is consumed by w1@host" in result.stdout
    assert "OK   tasks: the 3 that recent messages name are known" in result.stdout


def test_json_has_stable_names(healthy):
    first = healthy.json("doctor")[0]
    assert first == {
        "level": "OK",
        "subject": "settings",
        "text": "every saga_* key is known and has a value that can be",
        "fix": None,
    }


def test_quiet_tells_only_what_matters(healthy):
    assert "OK " not in healthy("doctor", quiet=True).stdout


def test_whatever_has_to_be_mended_is_3_with_the_fix(shop, answers):
    result = shop("doctor")
    assert result.exit_code == 3
    assert (
        "FIX  sweeper: none ever finished a round → start a worker that has saga_database_url, or `saga sweep`"
        in result.stdout.splitlines()
    )


def test_a_sweeper_that_fell_silent(healthy):
    healthy.clock.turn(60)
    found = findings(healthy)["sweeper"]
    assert (found["level"], found["text"]) == ("FIX", "none lives; the latest round was 1 min ago")


def test_a_worker_that_lives_and_whose_sweeper_hangs(healthy):
    healthy.clock.turn(59)
    healthy.sagas.beat("w1@host", [])
    assert findings(healthy)["sweeper"]["level"] == "OK"
    healthy.clock.turn(2)
    healthy.sagas.beat("w1@host", [], 61.0)
    found = findings(healthy)["sweeper"]
    assert (found["level"], found["text"]) == ("FIX", "w1@host lives, but finished its latest round 1 min 1 s ago")
    assert "`the sweeper of worker`" in found["fix"]
    healthy.sagas.beat("w2@host", [], 0.0)
    assert findings(healthy)["sweeper"]["text"] == "w2@host finished a round 0.0 s ago; 1 more sweeps"


def test_workers_that_are_told_not_to_sweep_are_no_sweepers(healthy):
    with healthy.sagas.store.connections.transaction() as connection:
        connection.execute(sa.update(saga_worker).values(swept_at=None))
    healthy.app.conf.saga_sweeper = False
    healthy.sagas._settings = None
    found = findings(healthy)["sweeper"]
    assert (found["level"], found["fix"]) == ("FIX", "start `saga sweep`")
    healthy.sagas.beat("saga-sweep@host.7", [], 0.0)
    assert findings(healthy)["sweeper"]["level"] == "OK"


def test_a_setting_that_is_unknown_stops_it(shop):
    shop.app.conf.saga_queu = "x"
    shop.sagas._settings = None
    (only,) = shop.json("doctor")
    assert only["level"] == "FIX"
    assert "did you mean saga_queue?" in only["text"]


def test_without_a_database_the_rest_is_looked_at(shop, answers):
    shop.app.conf.saga_database_url = ""
    shop.sagas._settings = None
    found = findings(shop)
    assert found["database"]["level"] == "NOTE"
    assert found["coordinator"]["level"] == "OK"


def test_a_database_that_does_not_answer(shop, answers, monkeypatch):
    def refuse(*args):
        raise sa.exc.OperationalError("", {}, Exception("connection refused"))

    shop.sagas.store.dispose()
    monkeypatch.setattr(sa.engine.Engine, "connect", refuse)
    found = findings(shop)
    assert found["database"]["level"] == "FIX"
    assert "connection refused" in found["database"]["text"]
    assert found["schema"]["level"] == "NOTE"


def test_tables_that_are_missing(unmigrated, answers):
    found = findings(unmigrated)["schema"]
    assert found["level"] == "FIX"
    assert found["fix"] == "saga migrate"


def test_what_should_have_moved_and_what_waits_for_a_person(healthy):
    healthy.in_doubt()
    healthy.start()
    healthy.clock.turn(3600)
    found = findings(healthy)
    assert found["overdue"]["level"] == "FIX"
    assert "59 min" in found["overdue"]["text"]
    assert (found["dead letters"]["level"], found["dead letters"]["text"]) == ("FIX", "1 wait for a person")


def test_sqlite_that_can_not_switch_to_wal(healthy, monkeypatch):
    monkeypatch.setattr("saga_celery.store.connections._set_up", lambda connection, entry: None)
    healthy.sagas.store.dispose()
    with healthy.sagas.store.connections.autocommit() as connection:
        connection.execute(sa.text("PRAGMA journal_mode=DELETE"))
    found = findings(healthy)["sqlite"]
    assert (found["level"], found["text"][:19]) == ("FIX", "journal_mode delete")


def test_a_broker_that_does_not_answer(healthy, monkeypatch):
    def refuse(self, act):
        raise PublishFailed("connection refused")

    monkeypatch.setattr(broker.Broker, "use", refuse)
    found = findings(healthy)
    assert found["broker"]["level"] == "FIX"
    assert found["workers"]["level"] == "NOTE"


def test_workers_that_do_not_consume(healthy, answers):
    answers["active_queues"] = {"w1@host": [{"name": "celery"}]}
    assert "none of them consumes queue 'saga'" in findings(healthy)["coordinator"]["text"]
    answers["active_queues"] = {}
    assert "no worker answered" in findings(healthy)["coordinator"]["text"]


def test_tasks_that_nobody_knows(healthy, answers):
    answers["registered"] = {}
    found = findings(healthy)["tasks"]
    assert found["level"] == "FIX"
    assert "card.charge" in found["text"]
    assert "mail.tell" not in found["text"]


def test_steps_that_can_only_park(shop, answers):
    found = findings(shop)["unknown outcomes"]
    assert found["level"] == "NOTE"
    assert found["text"] == "these steps can only park in doubt: shop.order.tell"


@pytest.mark.parametrize(
    ("accepted", "level"),
    [
        (["json"], Level.OK),
        (["application/json"], Level.OK),
        (["json", "msgpack"], Level.NOTE),
        (["json", "pickle"], Level.FIX),
        (["json", "yaml"], Level.FIX),
        (["msgpack"], Level.FIX),
    ],
)
def test_only_data_is_accepted(shop, accepted, level):
    shop.app.conf.accept_content = accepted
    assert configuration.content_types(shop.app).level is level


def test_prefetching_is_worth_a_note(shop):
    shop.app.conf.worker_prefetch_multiplier = 4
    assert configuration.prefetch(shop.app).level is Level.NOTE


def test_early_acknowledgement_is_worth_a_note(healthy):
    healthy.app.task(name="card.charge", shared=False)(nothing)
    found = findings(healthy)["acks_late"]
    assert found["level"] == "NOTE"
    assert "card.charge" in found["text"]
    assert "mail.tell" not in found["text"]
    healthy.app.conf.saga_participants = ["card.*", "nobody.*"]
    healthy.sagas._settings = None
    found = findings(healthy)
    assert found["acks_late"]["level"] == "OK"
    assert "'nobody.*' matches no task" in found["saga_participants"]["text"]


def test_workers_are_asked_for_a_second(shop, monkeypatch):
    class Control:
        def inspect(self, timeout):
            assert timeout == workers.PATIENCE
            return self

        def active_queues(self):
            return None

    monkeypatch.setattr(type(shop.app), "control", Control())
    assert workers.consuming(shop.app, shop.sagas.settings).level is Level.FIX


def test_an_app_that_defines_no_sagas(shop, answers, monkeypatch):
    monkeypatch.setattr(registry, "_sagas", {})
    found = findings(shop)
    assert found["sagas"]["level"] == "NOTE"
    assert found["tasks"]["level"] == "NOTE"


def test_steps_that_can_all_be_asked_repeated_or_undone(shop, answers):
    del registry._sagas["shop.order"]
    assert findings(shop)["unknown outcomes"]["level"] == "OK"


# ── Redis ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class FakeRedis:
    def __init__(self, policy, limit):
        self.settings = {"maxmemory-policy": policy, "maxmemory": limit}

    def config_get(self, name):
        if isinstance(self.settings[name], Exception):
            raise self.settings[name]
        return {name: self.settings[name]}


@pytest.mark.parametrize(
    ("policy", "limit", "level"),
    [
        ("noeviction", "0", Level.OK),
        (b"noeviction", b"100", Level.OK),
        ("allkeys-lru", "100", Level.FIX),
        ("allkeys-lru", "0", Level.NOTE),
        (Exception("unknown command"), "0", Level.NOTE),
    ],
)
def test_a_redis_that_drops_messages(shop, monkeypatch, policy, limit, level):
    class Producer:
        class channel:  # noqa: N801
            client = FakeRedis(policy, limit)

    monkeypatch.setattr(broker, "_is_redis", lambda app: True)
    monkeypatch.setattr(broker.Broker, "use", lambda self, act: act(Producer))
    (found,) = broker.keeps_messages(shop.app)
    assert found.level is level


def test_the_visibility_timeout_has_to_outlast_the_longest_step(shop, monkeypatch):
    monkeypatch.setattr(broker, "_is_redis", lambda app: True)
    (found,) = broker.waits_for_long_steps(shop.app, shop.sagas.settings)
    assert (found.level, found.text) == (
        Level.OK,
        "3600 s is longer than the longest step (saga_step_timeout: 300 s)",
    )
    shop.app.conf.broker_transport_options = {"visibility_timeout": 300}
    (found,) = broker.waits_for_long_steps(shop.app, shop.sagas.settings)
    assert found.level is Level.FIX


def test_a_real_redis(redis_server, shop):
    shop.app.conf.broker_url = redis_server.url
    assert broker.reachable(shop.app).level is Level.OK
    (found,) = broker.keeps_messages(shop.app)
    assert found.subject == "redis"


def test_a_redis_that_is_gone_is_told_within_two_seconds(shop):
    shop.app.conf.broker_url = "redis://127.0.0.1:1/0"
    assert broker.reachable(shop.app).level is Level.FIX


def misconfigured(**settings):
    """Another app, which some setting keeps from working."""
    app = Celery("misconfigured", broker="memory://", set_as_current=False)
    app.conf.update(settings)
    SagaApp(app)
    return app


def test_a_database_url_that_can_not_be_is_a_finding_and_the_rest_is_looked_at(shop, answers):
    app = misconfigured(saga_database_url="postgres://me:SECRET@host/name")
    found = {each["subject"]: each for each in map(json.loads, shop("doctor", "--json", app=app).stdout.splitlines())}
    assert (found["database"]["level"], found["database"]["fix"]) == ("FIX", "mend saga_database_url")
    assert "write postgresql+psycopg://" in found["database"]["text"]
    assert found["coordinator"]["level"] == "OK"


def test_a_database_url_that_can_not_be_is_one_line_for_every_command(shop):
    result = shop("list", app=misconfigured(saga_database_url="nonsense"))
    assert result.exit_code == 3
    assert "can not be read: write postgresql+psycopg://" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("saga_fernet_keys", ["abc"], "saga_fernet_keys: one of them is no Fernet key; make one with"),
        ("saga_payload_store", "s3://x", "saga_payload_store='s3://x': write file:///a/directory"),
        ("saga_payload_store", "nomod.X", "No module named 'nomod'; write the dotted path of something to import"),
        ("saga_codec", "json.dumps", "saga_codec='json.dumps': called without arguments"),
    ],
)
def test_a_setting_that_names_what_is_not_there(shop, answers, setting, value, sentence):
    result = shop("doctor", app=misconfigured(**{setting: value}))
    assert result.exit_code == 3
    assert result.stdout.startswith("FIX  settings: ")
    assert sentence in result.stdout
    assert result.stdout.endswith("mend the configuration of the Celery app\n")


@pytest.fixture
def routed(shop, request):
    """A healthy shop where the message of a step waits in a queue of its own."""
    shop.app.conf.task_routes = {"card.*": {"queue": "card desk"}}  # before Celery reads them
    healthy = request.getfixturevalue("healthy")
    healthy.news(healthy.start(), e.Nudged())
    return healthy


def test_a_queue_that_no_worker_consumes_is_named_with_its_tasks(routed, answers):
    result = routed("doctor")
    assert result.exit_code == 3
    text = "no worker that answers consumes queue 'card desk', where card.charge waits"
    assert f"FIX  queues: {text} → start a worker with -Q 'card desk', or route the task elsewhere" in result.stdout


def test_a_queue_of_foreign_workers_is_only_worth_knowing(routed, answers):
    routed.app.conf.saga_foreign_queues = ["card desk"]
    routed.sagas._settings = None
    assert findings(routed)["queues"]["level"] == "NOTE"


def test_a_queue_that_a_worker_consumes_is_fine(routed, answers):
    answers["active_queues"]["w2@host"] = [{"name": "card desk"}]
    assert findings(routed)["queues"]["text"] == "every queue in which a message waits is consumed"


def test_what_a_worker_has_begun_with_waits_in_no_queue(routed, answers):
    (row,) = routed.sagas.store.queries.find(limit=1)
    routed.news(row.id, e.AttemptStarted(slot=Slot("charge"), attempt=1, worker="w1@host"))
    assert findings(routed)["queues"]["text"] == "no message waits"


def test_where_the_routes_do_not_tell_the_queue_nothing_is_said_of_it(routed, answers, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(routed.app.amqp.router, "route", broken)
    assert "queues" not in findings(routed)
