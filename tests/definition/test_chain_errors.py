"""What can not be kept is refused when the chain is made, with the part and the way out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import chain, chord, group

from saga_celery import DefinitionError, compensation, saga_chain, saga_step
from tests.definition.chain_shop import charge, notify, pack, pay, refund, release, reserve
from tests.definition.shop import OrderSaga


def frozen() -> Any:
    canvas = group(notify.si())
    canvas["immutable"] = True
    return canvas


def with_arguments() -> Any:
    canvas = chain(reserve.s(), charge.s())
    canvas["args"] = (4,)
    return canvas


def nameless() -> Any:
    signature = notify.si()
    signature["task"] = ""
    return signature


A = (reserve.s(1), release.s())

WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "nothing": (lambda: saga_chain("t"), "saga_chain('t'): has no steps; write for example"),
    "name": (lambda: saga_chain("my shop", A), "'my shop' can not be a name; use letters, digits"),
    "no name": (lambda: saga_chain(A, A), "can not be a name"),  # type: ignore[arg-type]
    "class": (lambda: saga_chain(OrderSaga.name, A), "is the name of the class OrderSaga"),
    "timeout": (lambda: saga_chain("t", A, timeout=3), "timeout=3 is no time span"),  # type: ignore[arg-type]
    "limit": (lambda: saga_chain("t", A, max_running=0), "max_running=0 is no limit; write a whole number from 1"),
    "past": (lambda: saga_chain("t", A, timeout=timedelta(0)), "is no time span"),
    # ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────
    "task": (lambda: saga_chain("t", A, reserve), "part 2: the task shop.tasks.reserve itself; write its signature"),
    "none": (lambda: saga_chain("t", None), "part 1: there is None; leave the place empty"),
    "dict": (lambda: saga_chain("t", {"task": "x"}), "a dict; make a signature of it: celery.signature("),
    "text": (lambda: saga_chain("t", "shop.reserve"), "a str; write a signature: task.s(…)"),
    "nameless": (lambda: saga_chain("t", nameless()), "a signature without the name of a task"),
    "three": (lambda: saga_chain("t", (reserve.s(1), release.s(), release.s())), "a tuple of 3; a pair is (action, "),
    "only a list": (
        lambda: saga_chain("t", [A, A]),
        "to run its members one behind the other write saga_chain(name, *",
    ),
    "only pairs": (lambda: saga_chain("t", (A, A)), "a list is its only part"),
    "no members": (lambda: saga_chain("t", A, []), "part 2: a group without members; leave it out"),
    "nested list": (lambda: saga_chain("t", A, [A, [A]]), "a list within a list or a pair"),
    "nested pair": (lambda: saga_chain("t", (reserve.s(1), A)), "a pair within a pair"),
    "step in pair": (lambda: saga_chain("t", (saga_step(reserve.s(1)), release.s())), "saga_step(action, compensation"),
    "undo alone": (lambda: saga_chain("t", compensation(release.s())), "write the pair (action, compensation(…))"),
    "sent": (
        lambda: saga_chain("t", type("AsyncResult", (), {})()),
        "the task was sent already; write task.s(…), and leave sending to the saga",
    ),
    # ── options of signatures ───────────────────────────────────────────────────────────────────────────────────
    "link": (
        lambda: saga_chain("t", A, linked(charge.s())),
        "part 2, shop.tasks.charge: link=[shop.tasks.notify()] can not be kept: what runs next is the next part",
    ),
    "link_error": (
        lambda: saga_chain("t", A, charge.s().on_error(notify.si())),
        "part 2, shop.tasks.charge: link_error=[shop.tasks.notify()] can not be kept: what runs on failure is the "
        "compensation: write the pair",
    ),
    "countdown": (lambda: saga_chain("t", notify.si().set(countdown=3)), "countdown=3 can not be kept: a saga sends"),
    "eta": (lambda: saga_chain("t", notify.si().set(eta="now")), "eta='now' can not be kept"),
    "expires": (lambda: saga_chain("t", notify.si().set(expires=3)), "write saga_step(…, timeout=…)"),
    "retry": (lambda: saga_chain("t", notify.si().set(retry=True)), "for attempts write saga_step(…, retry=Retry("),
    "unknown option": (
        lambda: saga_chain("t", notify.si().set(shadow="x")),
        "the option 'shadow' of shop.tasks.notify",
    ),
    "pickle": (lambda: saga_chain("t", notify.si().set(serializer="pickle")), "sagas speak JSON only"),
    "no json": (
        lambda: saga_chain("t", reserve.s(object())),
        "step reserve: the arguments of shop.tasks.reserve are no",
    ),
    "undo's link": (
        lambda: saga_chain("t", (reserve.s(1), release.s().on_error(notify.si()))),
        "part 1, shop.tasks.reserve, its compensation, shop.tasks.release: link_error=",
    ),
    # ── canvas ──────────────────────────────────────────────────────────────────────────────────────────────────
    "map": (lambda: saga_chain("t", reserve.map([1, 2])), "a xmap can not stand here; one message would do many"),
    "starmap": (lambda: saga_chain("t", reserve.starmap([(1,)])), "write group(task.s(*x) for x in items)"),
    "chunks": (lambda: saga_chain("t", reserve.chunks([(1,)], 1)), "a chunks can not stand here"),
    "errback of a chain": (
        lambda: saga_chain("t", chain(reserve.s(1), charge.s()).on_error(notify.si())),
        "part 1, the chain: link_error=[shop.tasks.notify()] can not be kept",
    ),
    "options of a chain": (
        lambda: saga_chain("t", chain(reserve.s(1), charge.s()).set(queue="q")),
        "part 1, the chain: queue='q'; set it on the signatures in it",
    ),
    "countdown of a group": (
        lambda: saga_chain("t", group(notify.si()).set(countdown=1)),
        "the group: countdown=1 can",
    ),
    "arguments of a chain": (lambda: saga_chain("t", with_arguments()), "has arguments of its own; give them to the"),
    "immutable group": (lambda: saga_chain("t", frozen()), "the group: is immutable; write .si()"),
    "group in a group": (
        lambda: saga_chain("t", group(group(notify.si(), notify.si()), notify.si())),
        "part 1, a member of a group: a group can not stand here; a group is a part of its own",
    ),
    "chord in a group": (
        lambda: saga_chain("t", group(chord([notify.si()], pack.s()), notify.si())),
        "a member of a group: a chord can not stand here; write the group and the body as two parts",
    ),
    "group in a branch": (
        lambda: saga_chain("t", group(chain(reserve.s(1), group(pack.s(), pack.s())), notify.si())),
        "a chain within a group: a group can not stand here",
    ),
    "undo of a chain": (
        lambda: saga_chain("t", (chain(reserve.s(1), charge.s()), release.s())),
        "part 1: a chain can not stand here; write its signatures as parts of their own, each with its compensation",
    ),
    "undo by a chain": (
        lambda: saga_chain("t", (reserve.s(1), chain(release.s(), notify.si()))),
        "its compensation: a chain can not stand here",
    ),
    "one undo for a group": (
        lambda: saga_chain("t", (group(reserve.s(1), reserve.s(2)), release.s())),
        "part 1: a group is undone member by member: write (group(a, b), group(undo_a, undo_b))",
    ),
    "too few undos": (
        lambda: saga_chain("t", (group(reserve.s(1), reserve.s(2)), group(release.s()))),
        "part 1: 2 members and 1 compensations",
    ),
    # ── compensations= ──────────────────────────────────────────────────────────────────────────────────────────
    "misspelt": (
        lambda: saga_chain("t", chain(reserve.s(1), charge.s()), compensations={"shop.tasks.reserv": release.s()}),
        "compensations names 'shop.tasks.reserv', which is no task of it; did you mean 'shop.tasks.reserve'?",
    ),
    "foreign": (
        lambda: saga_chain("t", notify.si(), compensations={"zzz": release.s()}),
        "its tasks are: shop.tasks.notify",
    ),
    "no mapping": (lambda: saga_chain("t", A, compensations=[release.s()]), "write {'task': undo.s()}"),  # type: ignore[arg-type]
    "no undo": (
        lambda: saga_chain("t", A, compensations={reserve: 3}),
        "compensations['shop.tasks.reserve'], its comp",
    ),
    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────────
    "takes nothing": (
        lambda: saga_chain("t", A, notify.s()),
        "step notify: shop.tasks.notify can not be called so: ",
    ),
    "lacks a result": (
        lambda: saga_chain("t", A, charge.si()),
        "missing 1 required positional argument: 'reservation'; as a .si() it takes no result here",
    ),
    "undo lacks a result": (lambda: saga_chain("t", (reserve.s(1), release.si())), "step reserve: shop.tasks.release"),
    "undo takes too many": (
        lambda: saga_chain("t", (reserve.s(1), release.s(2))),
        "as a .s() it takes a result in fro",
    ),
    "key twice": (
        lambda: saga_chain("t", A, saga_step(pay.si(1, key="k"), key_argument="key")),
        "'key' is the key_argument and given as well",
    ),
    # ── options of steps ────────────────────────────────────────────────────────────────────────────────────────
    "step timeout": (lambda: saga_step(notify.si(), timeout=-1), "saga_step(shop.tasks.notify): timeout=-1; give more"),
    "step retry": (lambda: saga_step(notify.si(), retry=3), "retry=3; write retry=Retry(attempts=…)"),  # type: ignore[arg-type]
    "step fatal": (lambda: saga_step(notify.si(), fatal="X"), "fatal='X'; write a list: fatal=['X']"),
    "undo fatal": (lambda: compensation(notify.si(), fatal=[3]), "compensation(shop.tasks.notify): fatal=3"),  # type: ignore[list-item]
    "step name": (lambda: saga_step(notify.si(), name="a b"), "name='a b'; use letters, digits and _"),
    "step key": (
        lambda: saga_step(notify.si(), key_argument="a b"),
        "key_argument='a b'; it is the name of one of the",
    ),
    "step of a group": (lambda: saga_step(group(notify.si())), "saga_step: a group can not stand here"),
    "undo of nothing": (lambda: compensation(None), "compensation: there is None"),  # type: ignore[arg-type]
    "two names": (
        lambda: saga_chain("t", saga_step(notify.si(), name="a"), saga_step(notify.si(), name="a")),
        "two steps are named 'a'",
    ),
    "two pivots": (
        lambda: saga_chain("t", saga_step(notify.si(), pivot=True), saga_step(charge.si(1), pivot=True)),
        "shop.tasks.charge is a second pivot beside shop.tasks.notify",
    ),
    "pivot in a group": (
        lambda: saga_chain("t", A, [saga_step(notify.si(), pivot=True), notify.si()]),
        "is a pivot inside a group; make it a part of its own",
    ),
    "undo of the pivot": (
        lambda: saga_chain("t", saga_step(reserve.s(1), release.s(), pivot=True)),
        "shop.tasks.release would never run: shop.tasks.reserve is the pivot or behind it",
    ),
    "undo behind": (
        lambda: saga_chain("t", saga_step(notify.si(), pivot=True), (charge.s(), refund.s())),
        "shop.tasks.refund would never run",
    ),
}


def linked(signature: Any) -> Any:
    signature.link(notify.si())
    return signature


@pytest.mark.parametrize("case", WRONG)
def test_what_can_not_be_kept_is_named_with_the_way_out(case: str):
    make, message = WRONG[case]
    with pytest.raises(DefinitionError) as caught:
        make()

    assert message in str(caught.value)
