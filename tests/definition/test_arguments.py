"""Arguments that would silently reach the task as text are refused, in whatever way they come."""

from __future__ import annotations

from collections import namedtuple
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pytest
from celery import Celery
from celery.canvas import Signature
from pydantic import BaseModel

from saga_celery import DefinitionError, InputRejected, saga_chain
from saga_celery.app.operating import with_plain_values
from saga_celery.core.events import OperatorAsked, Verb
from saga_celery.definition.arguments import plain_arguments
from saga_celery.definition.payloads import NotPlain
from saga_celery.definition.signatures import message_from

SECRET = "1.10"
app = Celery("arguments", broker="memory://", set_as_current=False)


@app.task(name="arguments.double", shared=False)
def double(amount, more=None):
    return amount * 2


class Price(BaseModel):
    amount: Decimal


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (Decimal(SECRET), "argument 1 is a Decimal, which the task would get as text; pass str(…)"),
        (UUID(int=1), "argument 1 is a UUID, which the task would get as text; pass str(…)"),
        (datetime(2030, 1, 1, tzinfo=UTC), "argument 1 is a datetime, which the task would get as text; pass its iso"),
        (date(2030, 1, 1), "argument 1 is a date, which the task would get as text; pass its isoformat()"),
        (time(12), "argument 1 is a time, which the task would get as text; pass its isoformat()"),
        (b"abc", "argument 1 is a bytes, which the task would get as text; pass base64.b64encode(…).decode()"),
        ({"lines": [1, {"price": Decimal(SECRET)}]}, "argument 1['lines'][1]['price'] is a Decimal"),
        (Pair(1, (Decimal(SECRET),)), "argument 1[1][0] is a Decimal"),
        ({Decimal(SECRET)}, "argument 1[0] is a Decimal"),
    ],
)
def test_it_is_named_with_what_to_pass_and_without_the_value(value, sentence):
    with pytest.raises(NotPlain) as refusal:
        plain_arguments([value], {})
    assert sentence in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_by_name():
    with pytest.raises(NotPlain, match="argument 'more' is a Decimal"):
        plain_arguments([], {"more": Decimal(SECRET)})


def test_what_has_a_plain_form_of_its_own_stays_as_it_was():
    given = [Price(amount=Decimal(SECRET)), (1, 2.5, "x", None, True)]
    assert plain_arguments(given, {"tags": {"a"}}) == ([{"amount": SECRET}, [1, 2.5, "x", None, True]], {"tags": ["a"]})


def test_a_step_of_a_class():
    signature: Signature = double.si(Decimal(SECRET))
    with pytest.raises(
        DefinitionError, match=r"Pay\.double: the arguments of arguments\.double .* argument 1 is a Decimal"
    ):
        message_from(signature, "Pay.double", 1000)


def test_a_part_of_a_chain():
    with pytest.raises(DefinitionError, match="argument 1 is a Decimal"):
        saga_chain("arguments.made", double.s(Decimal(SECRET)), double.s())


def test_the_start_of_a_chain():
    with pytest.raises(InputRejected, match="argument 1 is a Decimal"):
        saga_chain("arguments.started", double.s(), double.s()).script(Decimal(SECRET))


def test_what_an_operator_gives():
    with pytest.raises(InputRejected, match="argument 'amount' is a Decimal"):
        with_plain_values(
            OperatorAsked(verb=Verb.RETRY, actor="me", reason="why", kwargs={"amount": Decimal(SECRET)}), 1000
        )
