"""`saga migrate`."""

import sqlalchemy as sa


def test_the_tables_are_made_once(unmigrated):
    shop = unmigrated
    assert shop("migrate", "--check").exit_code == 3
    assert shop("migrate").stdout.endswith("now\n")
    assert shop("migrate").stdout.endswith("already\n")
    assert shop("migrate", "--check").exit_code == 0
    assert shop("list").exit_code == 0


def test_the_statements_can_be_had_without_running_them(unmigrated):
    shop = unmigrated
    result = shop("migrate", "--sql")
    assert result.exit_code == 0
    assert "CREATE TABLE saga " in result.stdout
    assert shop("migrate", "--check").exit_code == 3


def test_tables_of_a_newer_release_are_left_alone(shop):
    with shop.sagas.store.connections.transaction() as connection:
        connection.execute(sa.text("UPDATE saga_schema_version SET version_num = '9999'"))
    for arguments in (["migrate"], ["migrate", "--check"]):
        result = shop(*arguments)
        assert result.exit_code == 3
        assert "upgrade saga_celery" in result.stderr


def test_printing_and_checking_exclude_each_other(shop):
    assert shop("migrate", "--sql", "--check").exit_code == 2
