"""The benchmark of sagas that leave runs. How fast they do, no test asserts."""

from benchmarks.retention import measure
from saga_celery.store import SQLStore
from saga_celery.store.migrate import migrate


def test_all_sagas_leave_and_what_was_archived_is_small(sqlite_url):
    store = SQLStore(sqlite_url, chance=lambda: 0.5)
    migrate(store.connections)
    store.dispose()
    found = measure("sqlite", lambda: sqlite_url, 300, 100, idle=0.0)
    assert found["archive"]["sagas"] >= 150
    assert found["delete"]["sagas"] >= 150
    assert found["delete_archived"]["sagas"] == found["archive"]["sagas"]
    assert found["transition_ms"].keys() == {"alone", "beside_archive", "beside_delete"}
    assert 0 < found["bytes_archived"] <= 2_000 < found["bytes_of_a_saga"]
