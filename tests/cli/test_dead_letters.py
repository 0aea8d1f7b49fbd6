"""`saga dead-letters`."""

import shlex


def test_each_letter_names_the_next_move(shop):
    doubtful, exhausted = shop.in_doubt(), shop.exhausted()
    shop.clock.turn(61)
    result = shop("dead-letters")
    assert result.exit_code == 0
    heading, first, or_never, second = result.stdout.splitlines()
    assert heading.split() == ["SAGA", "STEP", "REASON", "SINCE", "DETAIL", "NEXT", "MOVE"]
    assert first.split()[:4] == ["shop.order", doubtful, "tell", "in_doubt"]
    assert "1 min 1 s ago" in first
    assert first.endswith(f"saga resolve {doubtful} --step tell --as done --result '…' --reason '…'")
    assert or_never.strip() == f"saga resolve {doubtful} --step tell --as never --reason '…'"
    assert second.endswith(f"saga retry {exhausted} --step label --reason '…'")
    assert "shop.Broken: no" in second


def test_a_move_that_is_pasted_as_it_is_is_refused(shop):
    shop.in_doubt()
    shop.exhausted()
    for letter in shop.json("dead-letters"):
        result = shop(*shlex.split(letter["next"])[1:])
        assert result.exit_code == 2
    never = "saga resolve {} --step tell --as never --reason '…'".format(shop.json("dead-letters")[0]["saga"])
    assert shop(*shlex.split(never)[1:]).exit_code == 2
    assert len(shop.json("dead-letters")) == 2


def test_a_move_whose_dots_are_filled_in_is_done(shop):
    saga_id = shop.in_doubt()
    done, never, *_ = [
        line[7:] for line in shop("show", saga_id).stdout.splitlines() if line[:7] in ("  run: ", "   or: ")
    ]
    assert shop(*shlex.split(done.replace("…", '"told"', 1).replace("…", "looked"))[1:]).exit_code == 0
    assert shop.sagas.store.load(saga_id).step("tell").result == "told"
    other = shop.in_doubt()
    assert shop(*shlex.split(never.replace(saga_id, other).replace("…", "looked"))[1:]).exit_code == 0
    assert shop.sagas.store.load(other).step("tell").status == "failed"


def test_json_has_stable_names(shop):
    saga_id = shop.exhausted()
    assert shop.json("dead-letters") == [
        {
            "saga": saga_id,
            "name": "shop.parcel",
            "state": "FAILED",
            "step": "label",
            "item": 0,
            "direction": "action",
            "reason": "exhausted",
            "detail": "shop.Broken: no\nluck",
            "result": None,
            "since": "2030-01-01T12:00:00.000Z",
            "moves": ["retry", "skip"],
            "next": f"saga retry {saga_id} --step label --reason '…'",
        }
    ]


def test_a_name_and_a_limit_narrow_the_list(shop):
    for _ in range(3):
        shop.in_doubt()
    parcel = shop.exhausted()
    assert [each["saga"] for each in shop.json("dead-letters", "--name", "shop.parcel")] == [parcel]
    result = shop("dead-letters", "--limit", "2")
    assert len(result.stdout.splitlines()) == 1 + 2 * 2
    assert "there are more" in result.stderr


def test_none_is_good_news(shop):
    result = shop("dead-letters")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "0 dead letters\n")


def test_a_terminal_shows_the_commands_unbroken(shop, on_a_terminal):
    on_a_terminal()
    saga_id = shop.in_doubt()
    shown = shop("dead-letters").stdout.splitlines()
    assert f"  saga resolve {saga_id} --step tell --as done --result '…' --reason '…'" in shown
