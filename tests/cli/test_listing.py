"""`saga list`."""

from saga_celery.core import events as e


def test_the_newest_comes_first_in_columns(shop):
    first = shop.completed(key="order-1")
    shop.clock.turn(90)
    second = shop.start(key="order-2")
    shop.clock.turn(5)
    result = shop("list")
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["ID", "NAME", "KEY", "STATE", "AGE", "MOVED"]
    assert rows[0].split() == [second, "shop.order", "order-2", "PENDING", "5.0", "s", "5.0", "s", "ago"]
    assert rows[1].startswith(first)
    assert "1 min 35 s" in rows[1]
    assert result.stderr == "2 sagas\n"


def test_json_has_stable_names(shop):
    saga_id = shop.start(key="order-1")
    assert shop.json("list") == [
        {
            "id": saga_id,
            "name": "shop.order",
            "key": "order-1",
            "state": "PENDING",
            "version": 0,
            "suspended": False,
            "suspension": None,
            "overdue": False,
            "created_at": "2030-01-01T12:00:00.000Z",
            "updated_at": "2030-01-01T12:00:00.000Z",
            "ended_at": None,
            "deadline_at": None,
            "lock": None,
            "priority": None,
            "starts_at": None,
            "standing": None,
            "parent_id": None,
            "archived": False,
        }
    ]


def found(shop, *args):
    return [row["id"] for row in shop.json("list", *args)]


def test_everything_that_is_known_narrows_the_list(shop):
    old = shop.completed(key="k", tags={"customer": "7", "shop": "1"})
    shop.clock.turn(7200)
    other = shop.start(key="j", tags={"customer": "7"})
    parcel = shop.start("shop.parcel", key="k")
    assert found(shop, "--name", "shop.parcel") == [parcel]
    assert found(shop, "--state", "completed") == [old]
    assert sorted(found(shop, "--tag", "customer=7")) == sorted([old, other])
    assert found(shop, "--tag", "customer=7", "--tag", "shop=1") == [old]
    assert found(shop, "--tag", "customer=7", "--tag", "shop=2") == []
    assert found(shop, "--tag", "shop=1", "--tag", "shop=1") == [old]
    assert sorted(found(shop, "--key", "k")) == sorted([old, parcel])
    assert found(shop, "--key", "k", "--name", "shop.parcel") == [parcel]
    assert found(shop, "--key", "k", "--state", "COMPLETED") == [old]
    assert found(shop, "--key", "k", "--since", "1h") == [parcel]
    assert found(shop, "--key", "nobody's") == []
    assert sorted(found(shop, "--since", "1h")) == sorted([other, parcel])


def test_stuck_is_what_waits_for_a_person_or_for_a_sweeper(shop):
    parked = shop.in_doubt(key="k")
    waits = shop.start(key="k2")
    assert found(shop, "--stuck") == [parked]
    shop.clock.turn(600)
    assert sorted(found(shop, "--stuck")) == sorted([parked, waits])
    assert found(shop, "--stuck", "--key", "k2") == [waits]
    shop.news(waits, e.OperatorAsked(verb=e.Verb.CANCEL, actor="a", reason="r"))
    assert found(shop, "--stuck", "--key", "k2") == []


def test_the_limit_is_told(shop):
    for _ in range(5):
        shop.start()
    assert len(found(shop)) == 5
    result = shop("list", "--limit", "3")
    assert len(result.stdout.splitlines()) == 4
    assert "there are more" in result.stderr


def test_flags_are_shown(shop):
    saga_id = shop.start("shop.parcel")
    shop.news(saga_id, e.Nudged())
    shop.succeed(saga_id, "ship", "p")
    shop.news(saga_id, e.DeadlinePassed())
    assert shop("list").stdout.splitlines()[1].endswith("overdue")


def test_nothing_found_is_no_failure(shop):
    result = shop("list", "--name", "shop.order")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no saga fits\n")


def test_a_misspelt_name_is_told_from_an_empty_list(shop):
    result = shop("list", "--name", "shop.ordr")
    assert result.exit_code == 3
    assert result.stderr == "Error: no saga is called 'shop.ordr'; did you mean 'shop.order'?\n"
    assert "known are: shop.order, shop.parcel" in shop("list", "--name", "zzz").stderr


def test_misspelt_options_are_usage(shop):
    assert "did you mean 'PENDING'?" in shop("list", "--state", "pendin").stderr
    assert "known are: PENDING, RUNNING" in shop("list", "--state", "zzz").stderr
    for wrong in (["--state", "pendin"], ["--tag", "x"], ["--tag", "=x"], ["--since", "soon"], ["--limit", "0"]):
        assert shop("list", *wrong).exit_code == 2
    assert "one value for each tag" in shop("list", "--tag", "a=1", "--tag", "a=2").stderr


def test_tables_that_are_missing_name_the_command(unmigrated):
    for command in (["list"], ["show", "x"], ["dead-letters"], ["cancel", "x", "--reason", "r"]):
        result = unmigrated(*command)
        assert result.exit_code == 3
        assert result.stderr.endswith("run: saga migrate\n")
        assert result.stderr.count("\n") == 1


def test_a_terminal_shows_ids_unbroken(shop, on_a_terminal):
    on_a_terminal()
    saga_id = shop.start(key="a-rather-long-key-that-takes-much-of-the-line")
    assert saga_id in shop("list").stdout
