from __future__ import annotations

import traceback
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, SecretStr, field_serializer, field_validator

from saga_celery.definition.payloads import NotPlain
from saga_celery.definition.shapes import Mismatch, Shape


class Line(TypedDict):
    sku: str
    note: NotRequired[str]


class Loose(TypedDict, total=False):
    count: int


class Basket(TypedDict):
    lines: list[Line]
    loose: Loose


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Line, {"sku": "tea"}, {"note": "x"}),
        (list[Line], [{"sku": "tea", "note": "x"}], [{}]),
        (Line | None, None, {}),
        (Optional[Line], {"sku": "tea"}, 3),  # noqa: UP045 - the old spelling is its own kind of object
        (dict[str, Line], {"a": {"sku": "tea"}}, {"a": {}}),
        (Loose, {}, {"count": "many"}),
        (Basket, {"lines": [{"sku": "tea"}], "loose": {}}, {"lines": [{}], "loose": {}}),
        (Annotated[list[int], Field(max_length=1)], [1], [1, 2]),
    ],
    ids=range(8),
)
def test_typed_dicts_of_the_standard_library_are_decoded_wherever_they_stand(
    annotation: object, good: object, bad: object
):
    shape = Shape(annotation, {})

    assert shape.decode(good) == good
    assert shape.encode(good) == good
    with pytest.raises(Mismatch, match="does not fit"):
        shape.decode(bad)


# ------------------------------------------------------------------------------------------- what is told of a misfit


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str = Field(alias="cardNumber")

    @field_validator("number")
    @classmethod
    def _check(cls, number: str) -> str:
        if not number.isdigit():
            raise ValueError(f"{number} is no number of a card")
        return number


class Cash(BaseModel):
    kind: Literal["cash"]
    cents: int


Payment = Annotated[Card | Cash, Field(discriminator="kind")]
SECRET = "S-4111"


@pytest.mark.parametrize(
    ("annotation", "plain", "told"),
    [
        (Card, {"number": SECRET}, "does not fit Card: cardNumber: Field required"),
        (Card, {"cardNumber": SECRET}, "does not fit Card: cardNumber: not accepted (value_error)"),
        (Cash, {"kind": "cash", "cents": SECRET}, "does not fit Cash: cents: Input should be a valid integer, unable"),
        (Payment, {"kind": SECRET}, "not accepted (union_tag_invalid)"),
        (UUID, SECRET, "does not fit UUID: not accepted (uuid_parsing)"),
        (dict[str, Line], {SECRET: {"note": "x"}}, "*.sku: Field required"),
        (list[Line], [{"sku": 1, SECRET: 2}], "0.sku: Input should be a valid string"),
    ],
    ids=range(7),
)
def test_what_does_not_fit_is_named_by_its_place_and_never_told(annotation: Any, plain: Any, told: str):
    with pytest.raises(Mismatch) as caught:
        Shape(annotation, {}).decode(plain)

    assert told in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_who_hands_a_value_in_hears_what_its_own_validator_says_of_it():
    with pytest.raises(Mismatch, match="is no Card: cardNumber: Value error, S-4111 is no number of a card"):
        Shape(Card, {}).encode({"cardNumber": SECRET})


class Login(BaseModel):
    user: str
    password: SecretStr


class OpenLogin(Login):
    @field_serializer("password")
    def spelt_out(self, password: SecretStr) -> str:
        return password.get_secret_value()


def test_a_secret_that_would_be_written_as_asterisks_is_refused_with_the_ways_out():
    with pytest.raises(NotPlain, match=r"written as asterisks.*annotate it as str.*saga_redact.*field_serializer"):
        Shape(list[Login], {}).encode([Login(user="ann", password=SecretStr("hunter2"))])


def test_a_secret_whose_serializer_gives_its_value_is_taken():
    shape, login = Shape(OpenLogin, {}), OpenLogin(user="ann", password=SecretStr("hunter2"))
    assert shape.encode(login) == {"user": "ann", "password": "hunter2"}
    assert shape.decode(shape.encode(login)) == login
