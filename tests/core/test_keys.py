"""Keys are short, and no two activities have the same."""

from itertools import product

from saga_celery.core.keys import LONGEST, slot_key
from saga_celery.core.states import Direction, Slot


def test_they_name_their_activity():
    assert slot_key("s1", Slot("charge", 3, Direction.COMPENSATION, 2)) == "s1:charge:3:2:compensation"


def test_long_names_do_not_make_them_long_or_alike():
    slots = [Slot("x" * 300 + end, item, direction, 2) for end, item, direction in product("ab", (0, 1), Direction)]
    keys = {slot_key("s1", slot) for slot in slots}
    assert len(keys) == len(slots)
    assert all(key.startswith("s1:xxx") and len(key) <= LONGEST for key in keys)
