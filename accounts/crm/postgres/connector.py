"""Any PostgreSQL table or view, for those who load with an ELT tool or keep their orders in a database.

Read-only by the session, not by promise. Names of tables and columns are quoted, values are parameters. With a cursor
column (a time of last change) what changed is read in the order (cursor, id); without one, everything is read each time
and the hashes tell what changed. The first pass goes by id, so that rows without a time of change come in too.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from django.conf import settings
from psycopg2 import sql
from psycopg2.extensions import connection as Session  # noqa: N812 - it is a class

from accounts.crm.errors import CrmError, SignInRefused, TryLater
from accounts.crm.guard import pinned_address
from accounts.crm.protocol import Ask, Field, IdPage, Page, Position, Record, Stream, Table, Way
from accounts.crm.protocol import Connector as Base
from accounts.ingest.headers import suggest
from accounts.ingest.schema import find_kind

PAGE = 5_000
IDS_AT_ONCE = 20_000
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
SSL_MODES = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
TIMES = {"timestamp with time zone", "timestamp without time zone", "date"}
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
# Tables and views that the role may read, with their columns and the one that is the primary key.
TABLES = r"""
SELECT n.nspname AS schema, c.relname AS name,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum) AS types,
       (SELECT k.attname::text FROM pg_index i JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\_%%' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
GROUP BY c.oid, n.nspname, c.relname ORDER BY n.nspname, c.relname LIMIT 200
"""
LIKELY_CHANGED = (
    "updated_at",
    "modified_at",
    "changed_at",
    "last_modified",
    "write_date",
    "updated",
    "changed",
)
WAYS = (
    Way(
        "role",
        "With a role that may only read",
        (
            Ask("host", "Server", "Its name or address.", is_credential=False, is_hidden=False),
            Ask("port", "Port", is_credential=False, is_hidden=False, default="5432"),
            Ask("database", "Database", is_credential=False, is_hidden=False),
            Ask(
                "sslmode",
                "Encryption",
                "Over the internet always required.",
                is_credential=False,
                is_hidden=False,
                default="require",
                choices=(
                    ("require", "Required"),
                    ("verify-full", "Required, and the certificate is checked"),
                    ("prefer", "Where the server has it"),
                    ("disable", "None: inside your own network"),
                ),
            ),
            Ask("user", "User", is_hidden=False),
            Ask("password", "Password"),
        ),
        (
            "Ask whoever keeps the database for a role of its own for Mainstay: CREATE ROLE mainstay LOGIN PASSWORD '…'.",
            "It only has to read: GRANT USAGE ON SCHEMA …; GRANT SELECT ON the tables to be read.",
            "A server inside your own network has to be named in MAINSTAY_CRM_PRIVATE_HOSTS first.",
        ),
        "https://www.postgresql.org/docs/current/sql-grant.html",
    ),
)


class Connector(Base):
    """Options: host, port, database, sslmode, and `tables`: [{name, schema, table, id, cursor, kind, columns,
    only_if}], of which schema ("public"), cursor, columns (guessed) and only_if may be left out."""

    label = "PostgreSQL"
    credential_names = ("user", "password")
    calls_per_second = 50.0
    burst = 50
    about = "Any table or view, for what an ELT tool has loaded or a database of your own."
    ways = WAYS
    has_tables = True

    _session: Session | None = None

    # The server -------------------------------------------------------------------------------------------------

    def _open(self) -> Session:
        if self._session is None:
            self.link.pace.wait()
            self._session = self._connect()
        return self._session

    def _connect(self) -> Session:
        options = self.link.options
        host, port = str(options.get("host", "")), int(options.get("port", 5432))
        mode = options.get("sslmode", "require")
        if mode not in SSL_MODES:
            raise CrmError(f"sslmode is one of {', '.join(sorted(SSL_MODES))}.")
        address = pinned_address(host, port, settings.CRM_PRIVATE_HOSTS)
        try:
            session = psycopg2.connect(
                host=host,
                hostaddr=address,
                port=port,
                dbname=options.get("database", ""),
                sslmode=mode,
                connect_timeout=CONNECT_SECONDS,
                application_name="mainstay",
                options=f"-c statement_timeout={STATEMENT_SECONDS}s -c timezone=UTC",
                user=self.link.secrets["user"],
                password=self.link.secrets["password"],
            )
        except psycopg2.OperationalError as problem:
            raise self._why(problem) from None
        session.set_session(readonly=True, autocommit=True)
        return session

    def _why(self, problem: psycopg2.Error) -> CrmError:
        said = self.link.secrets.scrub(" ".join(str(problem).split()))[:200]
        if "password authentication failed" in said or "no pg_hba.conf entry" in said:
            return SignInRefused(f"The server does not let us in: {said}")
        return TryLater(f"The server cannot be reached: {said}", 30)

    def _rows(self, query: sql.Composable, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self.link.still_here()
        session = self._open()
        try:
            with session.cursor() as cursor:
                cursor.execute(query, list(values))
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as problem:
            self.close()
            raise self._why(problem) from None
        except psycopg2.Error as problem:
            raise CrmError(f"The server refuses the query: {str(problem).splitlines()[0]}") from None

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    # What there is ----------------------------------------------------------------------------------------------

    def check(self) -> str:
        for stream in self.streams():
            table = self._table(stream.name)
            cursor = table.get("cursor")
            types = self._types(table)
            if table["id"] not in types:
                raise CrmError(f"{table['table']} has no column '{table['id']}'.")
            if cursor and types.get(cursor) not in TIMES:
                raise CrmError(f"The cursor column '{cursor}' of {table['table']} is no date or time.")
        if not self.link.options.get("tables"):
            return f"Signed in; {len(self.tables()):,} tables and views may be read."
        return f"{len(self.link.options['tables'])} tables can be read."

    def tables(self) -> Sequence[Table]:
        """What the role may read (at most 200), with guesses at the key and the time of change."""
        found = []
        for row in self._rows(sql.SQL(TABLES)):
            times = [name for name, kind in zip(row["columns"], row["types"], strict=True) if kind in TIMES]
            changed = next((name for name in LIKELY_CHANGED if name in times), "")
            option = {"schema": row["schema"], "table": row["name"]}
            name = row["name"] if row["schema"] == "public" else f"{row['schema']}.{row['name']}"
            found.append(Table(name, row["columns"], times, option, row["key"] or "", changed))
        return found

    def fields(self, stream: str) -> Sequence[Field]:
        return [Field(name, name) for name in self._types(self._table(stream))]

    def streams(self) -> Sequence[Stream]:
        tables: list[dict[str, Any]] = self.link.options.get("tables", [])
        return [
            Stream(
                table["name"],
                table["kind"],
                table.get("columns") or self._guessed(table),
                table.get("only_if", {}),
            )
            for table in tables
        ]

    def _guessed(self, table: Mapping[str, Any]) -> dict[str, str]:
        """Our column -> theirs, by the names that the import door knows; the id is the record's own."""
        kind = find_kind(table["kind"])
        found = {ours: theirs for theirs, ours in suggest(list(self._types(table)), kind).items()}
        found.pop(kind.key, None)
        return found

    def _types(self, table: Mapping[str, Any]) -> dict[str, str]:
        name = sql.Identifier(table.get("schema", "public"), table["table"]).as_string(self._open())
        rows = self._rows(sql.SQL(COLUMNS), [name])
        if not rows:
            raise CrmError(f"There is no table or view {name}, or it may not be read.")
        return {row["attname"]: row["format_type"] for row in rows}

    def _table(self, stream: str) -> dict[str, Any]:
        for table in self.link.options.get("tables", []):
            if table["name"] == stream:
                found: dict[str, Any] = table
                return found
        raise CrmError(f"No table is called '{stream}' any more.")

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        table = self._table(stream)
        asked_at = self._rows(sql.SQL("SELECT clock_timestamp() AS now"))[0]["now"]
        by_id = since is None or not table.get("cursor") or "id" in (position or {})
        if by_id and "at" not in (position or {}):
            rows = self._after_id(table, (position or {}).get("id"))
            last = {"id": _as_text(rows[-1][table["id"]])} if rows else None
        else:
            rows = self._after_change(table, since, position)
            last = _change_position(rows[-1], table) if rows else None
        records = [self._record(table, row) for row in rows]
        return Page(records, last if len(rows) == PAGE else None, asked_at)

    def _after_id(self, table: Mapping[str, Any], after: str | None, only: str = "*") -> list[dict[str, Any]]:
        key = sql.Identifier(table["id"])
        query = sql.SQL("SELECT {only} FROM {table} {where} ORDER BY {key} LIMIT {limit}").format(
            only=sql.SQL("*") if only == "*" else sql.Identifier(only),
            table=sql.Identifier(table.get("schema", "public"), table["table"]),
            where=sql.SQL("WHERE {key} > %s").format(key=key) if after is not None else sql.SQL(""),
            key=key,
            limit=sql.Literal(PAGE if only == "*" else IDS_AT_ONCE),
        )
        return self._rows(query, [after] if after is not None else [])

    def _after_change(
        self, table: Mapping[str, Any], since: dt.datetime | None, position: Position | None
    ) -> list[dict[str, Any]]:
        names = {
            "cursor": sql.Identifier(table["cursor"]),
            "key": sql.Identifier(table["id"]),
            "table": sql.Identifier(table.get("schema", "public"), table["table"]),
        }
        later = "({cursor}, {key}) > (%s, %s)" if position else "{cursor} >= %s"
        query = sql.SQL("SELECT * FROM {table} WHERE {later} ORDER BY {cursor}, {key} LIMIT {limit}").format(
            later=sql.SQL(later).format(**names), limit=sql.Literal(PAGE), **names
        )
        values = [position["at"], position["id"]] if position else [since]
        return self._rows(query, values)

    def _record(self, table: Mapping[str, Any], row: Mapping[str, Any]) -> Record:
        if row[table["id"]] is None:
            raise CrmError(f"{table['table']} has a row without {table['id']}.")
        cursor = table.get("cursor")
        return Record(
            _as_text(row[table["id"]]),
            {name: _as_json(value) for name, value in row.items()},
            _moment(row[cursor]) if cursor else None,
            volatile=frozenset([cursor] if cursor else []),
        )

    def ids(self, stream: str, position: Position | None) -> IdPage:
        table = self._table(stream)
        rows = self._after_id(table, (position or {}).get("id"), only=table["id"])
        ids = [_as_text(row[table["id"]]) for row in rows]
        return IdPage(ids, {"id": ids[-1]} if len(ids) == IDS_AT_ONCE else None)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        table = self._table(stream)
        query = sql.SQL("SELECT * FROM {table} WHERE {key}::text = ANY(%s)").format(
            table=sql.Identifier(table.get("schema", "public"), table["table"]),
            key=sql.Identifier(table["id"]),
        )
        return [self._record(table, row) for row in self._rows(query, [list(ids)])]


def _change_position(row: Mapping[str, Any], table: Mapping[str, Any]) -> Position:
    return {"at": row[table["cursor"]].isoformat(), "id": _as_text(row[table["id"]])}


def _as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


def _as_json(value: Any) -> Any:
    """A value as the landing keeps it: decimals as text, so that no digit is lost."""
    if isinstance(value, decimal.Decimal | uuid.UUID | dt.timedelta):
        return str(value)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return None
    return value


def _moment(value: Any) -> dt.datetime | None:
    """The time of a change; a date is its midnight, a time without zone is UTC."""
    if value is None:
        return None
    if not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    moment: dt.datetime = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return moment
