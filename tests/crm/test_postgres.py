"""Tables of a real PostgreSQL: the test server itself, in a schema of its own, read by a role that may only read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection as database

from accounts.crm.engine import open_connector
from accounts.crm.errors import CrmError, SignInRefused
from accounts.crm.postgres import connector as postgres
from accounts.models import Account, Connection, FieldMap, Order
from accounts.services.connecting import create_connection
from accounts.services.crm import check_connection
from tests.crm.servers.relay import Relay, relay_to
from tests.crm.storm import undisturbed
from tests.crm.syncing import end_state, sync

SCHEMA = 'odd "schema"'


def server() -> dict[str, str]:
    """How the test database itself is reached."""
    given = database.get_connection_params()
    return {name: given[name] for name in ("host", "user", "password", "dbname")}


@pytest.fixture
def shop(db: None) -> Iterator[Any]:
    """A second session on the server, that commits: the shop whose tables are read."""
    session = psycopg2.connect(**server())
    session.autocommit = True
    with session.cursor() as cursor:
        clear(cursor)
        cursor.execute("CREATE ROLE shop_reader LOGIN PASSWORD 'reader-password-1'")
        cursor.execute('CREATE SCHEMA "odd ""schema"""')
        cursor.execute(
            'CREATE TABLE "odd ""schema"""."Cust;omers" ("Customer ID" int PRIMARY KEY, name text,'
            ' "Since" date, changed timestamptz)'
        )
        cursor.execute(
            'CREATE TABLE "odd ""schema""".sales (id text PRIMARY KEY, customer int, booked timestamptz, total numeric)'
        )
        cursor.execute('GRANT USAGE ON SCHEMA "odd ""schema""" TO shop_reader')
        cursor.execute('GRANT ALL ON ALL TABLES IN SCHEMA "odd ""schema""" TO shop_reader')
        cursor.execute(
            'INSERT INTO "odd ""schema"""."Cust;omers" SELECT n, \'Shop \' || n, \'2024-01-01\','
            " '2026-01-01'::timestamptz + n * interval '1 hour' FROM generate_series(1, 25) n"
        )
        cursor.execute(
            'INSERT INTO "odd ""schema""".sales SELECT \'S\' || n, 1 + n % 25,'
            " '2026-02-01'::timestamptz, n + 0.10 FROM generate_series(1, 60) n"
        )
        yield cursor
        clear(cursor)
    session.close()


def clear(cursor: Any) -> None:
    cursor.execute('DROP SCHEMA IF EXISTS "odd ""schema""" CASCADE')
    cursor.execute("DROP ROLE IF EXISTS shop_reader")


@pytest.fixture
def relay(db: None) -> Iterator[Relay]:
    with relay_to(Path(server()["host"]) / ".s.PGSQL.5432") as found:
        yield found


@pytest.fixture
def port(relay: Relay) -> int:
    return relay.port


@pytest.fixture
def connection(db: None, shop: Any, port: int, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr(postgres, "PAGE", 10)
    monkeypatch.setattr(postgres, "IDS_AT_ONCE", 10)
    monkeypatch.setattr(postgres.Connector, "calls_per_second", 1e6)
    return create_connection("shop", "postgres", options=options(port), credentials=credentials())


def options(port: int) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "database": database.settings_dict["NAME"],
        "sslmode": "prefer",
        "tables": [
            {"name": "customers", "kind": "accounts", "schema": SCHEMA, "table": "Cust;omers", "id": "Customer ID",
             "cursor": "changed"},
            {"name": "sales", "kind": "orders", "schema": SCHEMA, "table": "sales", "id": "id",
             "columns": {"account": "customer", "ordered_at": "booked", "amount": "total"}},
        ],
    }  # fmt: skip


PASSWORD = "reader-password-1"


def credentials(password: str = PASSWORD) -> dict[str, str]:
    return {"user": "shop_reader", "password": password}


def test_tables_are_read_followed_and_swept(connection: Connection, shop: Any) -> None:
    assert FieldMap.objects.get(stream="customers").columns == {"name": "name", "became_customer_on": "Since"}
    assert check_connection(connection) == "2 tables can be read."
    assert sync(connection).state == "done"
    assert (Account.objects.count(), Order.objects.count()) == (25, 60)
    assert str(Order.objects.get(external_id="S7").amount) == "7.10"
    assert Account.objects.get(external_id="4").became_customer_on == dt.date(2024, 1, 1)
    before = end_state(connection)

    assert sum(sync(connection).steps.values_list("rows_changed", flat=True)) == 0
    assert end_state(connection) == before

    table = '"odd ""schema"""."Cust;omers"'
    shop.execute(f"UPDATE {table} SET name = 'Renamed', changed = now() WHERE \"Customer ID\" IN (3, 4)")  # noqa: S608
    shop.execute(f"INSERT INTO {table} VALUES (26, 'No time', NULL, NULL), (27, 'Late', NULL, now())")  # noqa: S608
    shop.execute('DELETE FROM "odd ""schema""".sales WHERE id = \'S9\'')
    run = sync(connection)
    assert (
        run.steps.get(action="pull", stream="customers").rows_read == 4
    )  # what changed, and the last before
    assert Account.objects.filter(name="Renamed").count() == 2
    assert not Account.objects.filter(external_id="26").exists()  # without a time of change: with a full sync

    assert sync(connection, is_full=True).state == "done"
    assert Account.objects.filter(external_id="26").exists()
    assert Order.objects.get(external_id="S9").status == "cancelled"


def test_a_connection_that_breaks_in_the_middle_of_answers_changes_nothing(
    connection: Connection, relay: Relay, port: int
) -> None:
    """Each page is cut in its middle the first time it comes: it is read again, and nothing is doubled or lost."""
    calm = undisturbed(connection)
    stormy = create_connection("stormy", "postgres", options=options(port), credentials=credentials())
    relay.breaks = True

    run = sync(stormy)

    assert (run.state, run.message) == ("done", "")
    assert len(relay.broken) >= 8  # of nine pages: 25 customers and 60 sales, ten at a time
    assert end_state(stormy) == calm


def test_it_cannot_write_and_names_cannot_break_out(connection: Connection) -> None:
    connector = open_connector(connection)
    with pytest.raises(CrmError, match="read-only"):
        connector._rows(postgres.sql.SQL('DELETE FROM "odd ""schema""".sales RETURNING id'))  # type: ignore[attr-defined]
    with pytest.raises(CrmError, match="only read"):
        connector.push([])
    connector.close()
    connection.options["tables"][1]["table"] = 'sales"; DROP TABLE "odd ""schema""".sales; --'
    connection.save()
    run = sync(connection)
    assert run.state == "failed"
    assert "does not exist" in run.message


def test_wrong_credentials_and_private_addresses_are_told(
    connection: Connection, port: int, settings: Any
) -> None:
    connection.sealed_credentials = ""
    with pytest.raises(SignInRefused) as refused:
        create_connection("other", "postgres", options=options(port),
                          credentials=credentials("wrong-password-77"))  # fmt: skip
    assert "wrong-password-77" not in str(refused.value)
    settings.CRM_PRIVATE_HOSTS = []
    with pytest.raises(CrmError, match="private network"):
        check_connection(Connection.objects.get(name="shop"))
