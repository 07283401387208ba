"""The SQL of one import: typed rows in a staging table -> which are new, changed, the same or refused -> the tables.

Set-based, in the caller's transaction, on temporary tables that go with it. Nothing is written to the real
tables before `write`; until then everything is known, so a preview is the same work without the last step.
Identifiers in the SQL come from this file and the schema, never from a file or a person.
"""

# ruff: noqa: S608 - the SQL is put together from names in the schema only; values are parameters

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from accounts.ingest.parse import Batch
from accounts.ingest.schema import Column, Kind, Type
from accounts.models import (
    Account,
    Contact,
    Contract,
    Enquiry,
    Interaction,
    Issue,
    Order,
    OrderLine,
    Product,
    Promise,
)

MODELS: dict[str, type[Model]] = {
    "accounts": Account,
    "contacts": Contact,
    "products": Product,
    "orders": Order,
    "order_lines": OrderLine,
    "contracts": Contract,
    "interactions": Interaction,
    "issues": Issue,
    "promises": Promise,
    "enquiries": Enquiry,
}
SQL_TYPES = {
    Type.DATE: "date",
    Type.TIME: "timestamptz",
    Type.MONEY: "numeric(18,2)",
    Type.NUMBER: "numeric(14,3)",
    Type.INTEGER: "integer",
    Type.BOOLEAN: "boolean",
}
TEXTS = {Type.TEXT, Type.LONG_TEXT, Type.EMAIL}
# What the database fills in when a kept column of a new row is empty; the rest have defaults of their own.
NEW_ROW = {
    "billing_mode": "'repeat'", "lifecycle_stage": "'customer'", "role": "'other'", "is_active": "true",
    "marketing_consent": "false", "status": "'placed'", "notice_days": "0", "auto_renews": "false",
    "direction": "'out'", "severity": "'medium'", "validity": "'unknown'",
    "message_class": """CASE WHEN r."c_kind" = 'ticket' THEN 'service' ELSE '' END""",
}  # fmt: skip
# What a new row gets although the file has no such column (accounts.models.care.usual_class).
ALWAYS = {"interactions": ("message_class",)}
FIELDS = {"sku": "product_id", "order": "order_id"}
SAME = -1
EXAMPLES = 5
PART = 250_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the database step refuses a row: an SQL condition, the column at fault, and the reason after its value."""

    condition: str
    column: str
    reason: str


@dataclass(slots=True)
class Counts:
    """How many rows of each outcome, and a few of each to look at."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    accounts_created: int = 0
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def field_of(column: Column) -> str:
    """The table column that `column` of a file fills."""
    if column.refers_to:
        return FIELDS.get(column.name, f"{column.name}_id")
    return column.name


def escape(text: str) -> str:
    """`text` as COPY wants it."""
    if "\\" in text or "\n" in text or "\t" in text or "\r" in text:
        text = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return text


def copy_rows(cursor: CursorWrapper, table: str, columns: Sequence[Sequence[str | None]]) -> None:
    """COPY rows given column by column, as escaped text, None for NULL."""
    cells = [["\\N" if value is None else value for value in column] for column in columns]
    text = "\n".join(map("\t".join, zip(*cells, strict=True))) + "\n"
    cursor.copy_expert(f"COPY {table} FROM STDIN", io.BytesIO(text.encode()), 1 << 16)


class Merge:
    """One import on its way from staging to the tables. Call `stage` for each batch, then `resolve`, `count`,
    and `write` unless it is a preview."""

    def __init__(
        self,
        cursor: CursorWrapper,
        kind: Kind,
        columns: Sequence[Column],
        *,
        source: str,
        currency: str,
        zone: str,
        create_accounts: bool,
        by_email: bool,
    ) -> None:
        self.cursor = cursor
        self.kind = kind
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in columns)
        self.table = MODELS[kind.name]._meta.db_table
        self.source = source
        self.currency = currency
        self.zone = zone
        self.create_accounts = create_accounts and "account" in self.names
        self.by_email = by_email and kind.name == "contacts" and "email" in self.names
        self.problems = list(self._problems())
        self.staged = 0
        self.has_gaps = False
        self.aliased: set[str] = set()

    # Staging ------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the temporary tables of this run."""
        self.cursor.execute("SET LOCAL work_mem = '96MB'")
        self.cursor.execute("SET LOCAL client_min_messages = 'warning'")
        self.aliased = {kind for kind in ALIASED if self._has_aliases(kind)}
        for table in ("import_rows", "import_resolved", "import_repeats", "import_changed", "import_refused"):
            self.cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")
        cells = "".join(f', "c_{c.name}" {SQL_TYPES.get(c.type, "text")}' for c in self.columns)
        self.cursor.execute(f"CREATE TEMP TABLE import_rows (line bigint NOT NULL{cells}) ON COMMIT DROP")

    def _has_aliases(self, kind: str) -> bool:
        """Whether ids of this source stand for records of others."""
        self.cursor.execute(
            "SELECT EXISTS (SELECT FROM accounts_recordalias"
            f" WHERE record_source = %s AND {ALIAS_OF[kind]} IS NOT NULL)",
            [self.source],
        )
        return bool(self.cursor.fetchone()[0])

    def stage(self, batch: Batch) -> None:
        """Copy one batch of good rows into the staging table."""
        if not batch.lines:
            return
        self.staged += len(batch.lines)
        self.has_gaps = self.has_gaps or None in batch.columns.get(self.kind.key, ())
        columns: list[Sequence[str | None]] = [[str(line) for line in batch.lines]]
        for column in self.columns:
            cells = batch.columns[column.name]
            if column.type in TEXTS:
                cells = [cell and escape(cell) for cell in cells]
            columns.append(cells)
        copy_rows(self.cursor, "import_rows", columns)

    # Finding out what each row means ------------------------------------------------------------------------

    def resolve(self) -> None:
        """Look up what the rows refer to and which known row each one is; mark rows that cannot be taken."""
        self.cursor.execute("ANALYZE import_rows")
        self.cursor.execute(self._resolve_sql(), {"source": self.source, "currency": self.currency})
        self.cursor.execute("ANALYZE import_resolved")
        if self.by_email:
            self._match_by_email()
        self._mark_repeats()
        if self.kind.name in self.aliased:
            self._take_one_of_each()
        if "parent" in self.names:
            self._mark_circles()
            self._mark_lost_parents()
        self._find_changed()

    def _resolve_sql(self) -> str:
        picks, joins = self._references()
        cases = " ".join(f"WHEN {problem.condition} THEN {i}" for i, problem in enumerate(self.problems))
        problem = f"CASE {cases} END" if cases else "NULL"
        inner = (
            f"SELECT s.*, {''.join(f'{pick}, ' for pick in picks)} {self._key()} AS key,"
            f" ({problem})::int AS problem FROM import_rows s {' '.join(joins)}"
        )
        return (
            "CREATE TEMP TABLE import_resolved ON COMMIT DROP AS"
            f" SELECT q.*, NULL::bigint AS other, t.id AS target_id FROM ({inner}) q"
            f" LEFT JOIN {self._known_of(self.kind.name)} t ON {self._target_match()}"
        )

    def _known_of(self, kind: str) -> str:
        """Where known rows are looked up: also by ids of this source that stand for others."""
        return ALIASED[kind] if kind in self.aliased else MODELS[kind]._meta.db_table

    def _references(self) -> tuple[list[str], list[str]]:
        """What to pick from which joined tables, for every column that points at another record."""
        picks: list[str] = []
        joins: list[str] = []
        for column in self.columns:
            if column.refers_to:
                picks.append(f"r_{column.name}.id AS {field_of(column)}")
                joins.append(self._join(column))
        if self._has_account_currency:
            picks.append("r_account.currency AS account_currency")
        if "contact" in self.names and self.kind.name == "enquiries":
            picks = [pick for pick in picks if not pick.endswith("AS account_id")]
            given = "r_account.id, " if "account" in self.names else ""
            picks.append(f"COALESCE({given}r_contact.account_id) AS account_id")
        return picks, joins

    def _join(self, column: Column) -> str:
        alias, cell = f"r_{column.name}", f's."c_{column.name}"'
        if column.refers_to == "users":
            return f"LEFT JOIN accounts_user {alias} ON lower({alias}.email) = {cell}"
        if column.refers_to == "churn_reasons":
            return f"LEFT JOIN accounts_churnreason {alias} ON {alias}.code = lower({cell})"
        key = "sku" if column.refers_to == "products" else "external_id"
        return f"LEFT JOIN {self._known_of(column.refers_to)} {alias} ON {alias}.record_source = %(source)s AND {alias}.{key} = {cell}"

    @property
    def _has_account_currency(self) -> bool:
        return "account" in self.names and "currency" in self.kind.names

    def _key(self) -> str:
        """The id of a row within its source; where the file gives none, made of what tells records apart and of
        the how-manieth such row it is, so that the same rows get the same ids wherever they stand in a later file."""
        if self.kind.key in self.names and self.kind.column(self.kind.key).required:
            return f's."c_{self.kind.key}"'
        parts = ", ".join(f's."c_{name}"' for name in self.kind.identity)
        nth = f"row_number() OVER (PARTITION BY {parts} ORDER BY s.line)"
        if not self.kind.key:
            return nth
        texts = (self._identity_text(self.kind.column(name)) for name in self.kind.identity)
        made = f"'line:' || {nth} || ':' || md5(concat_ws(E'\\x1f', {', '.join(texts)}))"
        if self.kind.key not in self.names:
            return made
        own = f's."c_{self.kind.key}"'
        return f"COALESCE({own}, {made})" if self.has_gaps else own

    @staticmethod
    def _identity_text(column: Column) -> str:
        cell = f's."c_{column.name}"'
        if column.type is Type.TIME:
            return f"to_char({cell} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
        return f"to_char({cell}, 'YYYY-MM-DD')" if column.type is Type.DATE else f"{cell}::text"

    def _target_match(self) -> str:
        if self.kind.name == "order_lines":
            return "t.order_id = q.order_id AND t.product_id = q.product_id AND t.line_number = q.key"
        return f"t.record_source = %(source)s AND t.{self.kind.key} = q.key"

    def _problems(self) -> Iterator[Problem]:
        """What can be wrong with a row that only the database knows."""
        for column in self.columns:
            is_made = column.name == "parent" or (column.name == "account" and self.create_accounts)
            if column.refers_to and not is_made:
                unknown = f's."c_{column.name}" IS NOT NULL AND r_{column.name}.id IS NULL'
                yield Problem(unknown, column.name, UNKNOWN[column.refers_to])
        for condition, column_name, reason in CHECKS.get(self.kind.name, ()):
            if all(name in self.names for name in _named(condition)):
                yield Problem(condition, column_name, reason)
        if "contact" in self.names and "account" in self.names:
            yield Problem(
                "r_contact.account_id <> r_account.id", "contact", "is a contact of another account"
            )
        yield Problem("false", "parent", f"is below the account itself, or more than {DEEPEST} levels up")
        yield Problem("false", "parent", "is neither a known account nor one in this file")
        yield Problem(
            "false", self.kind.key or "order", "comes again in line {other}, which was taken instead"
        )

    @property
    def _in_circle(self) -> int:
        return len(self.problems) - 3

    @property
    def _no_parent(self) -> int:
        return len(self.problems) - 2

    @property
    def _repeated(self) -> int:
        return len(self.problems) - 1

    def _match_by_email(self) -> None:
        """A contact whose id is new but whose e-mail the account already has, once, is that contact."""
        self.cursor.execute(
            "UPDATE import_resolved r SET target_id = m.id FROM ("
            " SELECT DISTINCT ON (k.id) k.id, n.line FROM import_resolved n JOIN ("
            "   SELECT min(id) AS id, account_id, lower(email) AS email FROM accounts_contact WHERE email <> ''"
            "   AND account_id IN (SELECT account_id FROM import_resolved WHERE target_id IS NULL AND problem IS NULL)"
            "   GROUP BY account_id, lower(email) HAVING count(*) = 1) k"
            "  ON k.account_id = n.account_id AND k.email = n.c_email"
            "  WHERE n.target_id IS NULL AND n.problem IS NULL"
            "  AND NOT EXISTS (SELECT FROM import_resolved o WHERE o.target_id = k.id)"
            "  ORDER BY k.id, n.line DESC) m WHERE r.line = m.line"
        )

    def _mark_repeats(self) -> None:
        """Of rows with the same id the last is taken. The others are refused, unless they say exactly the same."""
        if self.kind.name == "order_lines":
            return
        self.cursor.execute(
            "CREATE TEMP TABLE import_repeats ON COMMIT DROP AS SELECT key, max(line) AS last"
            " FROM import_resolved WHERE problem IS NULL GROUP BY key HAVING count(*) > 1"
        )
        if not self._number("SELECT count(*) FROM import_repeats"):
            return
        mine = ", ".join(f'r."c_{name}"' for name in self.names)
        self.cursor.execute(
            f"UPDATE import_resolved r SET other = d.last, problem = CASE WHEN ROW({mine}) IS NOT DISTINCT FROM"
            f" ROW({mine.replace('r.', 'l.')}) THEN {SAME} ELSE {self._repeated} END"
            " FROM import_repeats d JOIN import_resolved l ON l.line = d.last"
            " WHERE r.key = d.key AND r.line < d.last AND r.problem IS NULL"
        )

    def _take_one_of_each(self) -> None:
        """Of several ids that stand for one record, that of the record itself is taken, else the last: somebody said
        that they are one, so the others say nothing new."""
        self.cursor.execute(
            f"UPDATE import_resolved r SET problem = {SAME} FROM ("
            " SELECT q.line, row_number() OVER (PARTITION BY q.target_id"
            "   ORDER BY (t.record_source = %(source)s AND t.external_id = q.key) DESC, q.line DESC) AS nth"
            f"  FROM import_resolved q JOIN {self.table} t ON t.id = q.target_id WHERE q.problem IS NULL) d"
            " WHERE r.line = d.line AND d.nth > 1",
            {"source": self.source},
        )

    def _mark_circles(self) -> None:
        """Refuse rows that, going up from parent to parent in this file and among known accounts, come back to
        themselves or to no end."""
        self.cursor.execute(
            CIRCLES_SQL, {"source": self.source, "deepest": DEEPEST, "problem": self._in_circle}
        )

    def _mark_lost_parents(self) -> None:
        """Refuse rows whose parent is neither known nor taken from this file, and those that hang on them."""
        while True:
            self.cursor.execute(
                f"UPDATE import_resolved r SET problem = {self._no_parent} WHERE problem IS NULL"
                " AND c_parent IS NOT NULL AND parent_id IS NULL AND NOT EXISTS"
                " (SELECT FROM import_resolved p WHERE p.key = r.c_parent AND p.problem IS NULL)"
            )
            if not self.cursor.rowcount:
                return

    def _find_changed(self) -> None:
        differences = " OR ".join(
            f'(t."{name}" IS DISTINCT FROM {value})' for name, value in self._updates().items()
        )
        self.cursor.execute(
            "CREATE TEMP TABLE import_changed ON COMMIT DROP AS SELECT r.line, r.target_id FROM import_resolved r"
            f" JOIN {self.table} t ON t.id = r.target_id WHERE r.problem IS NULL AND ({differences or 'false'})"
        )

    def _updates(self) -> dict[str, str]:
        """Field -> what a known row gets, as SQL over r (resolved) and t (the row as it is)."""
        values: dict[str, str] = {}
        for column in self.columns:
            if column.name in {self.kind.key, "parent"} or (
                self.kind.name == "order_lines" and column.refers_to
            ):
                continue
            name = field_of(column)
            cell = f"r.{name}" if column.refers_to else f'r."c_{name}"'
            if column.keeps:
                cell = f'COALESCE({cell}, t."{name}")'
            elif column.type in TEXTS and not column.refers_to:
                cell = f"COALESCE({cell}, '')"
            values[name] = cell
        if "parent" in self.names:
            # -1: the parent is a row of this file that has no id yet, so this row will change.
            values["parent_id"] = (
                "CASE WHEN r.c_parent IS NULL OR r.parent_id > 0 THEN r.parent_id ELSE -1 END"
            )
        return values

    # Reporting ----------------------------------------------------------------------------------------------

    def refused(self) -> Iterator[tuple[int, Problem, int, str]]:
        """(line, problem, other line, value) of the rows refused here, by line, a few thousand at a time."""
        columns = [problem.column for problem in self.problems]
        cells = " ".join(
            f'WHEN {i} THEN "c_{name}"::text' for i, name in enumerate(columns) if name in self.names
        )
        value = f"CASE problem {cells} END" if cells else "''"
        self.cursor.execute(
            "CREATE TEMP TABLE import_refused ON COMMIT DROP AS SELECT line, problem,"
            f" COALESCE(other, 0) AS other, COALESCE({value}, '') AS value FROM import_resolved"
            f" WHERE problem <> {SAME}"
        )
        after = -1
        while True:
            self.cursor.execute(
                "SELECT line, problem, other, value FROM import_refused WHERE line > %s ORDER BY line LIMIT 5000",
                [after],
            )
            rows = self.cursor.fetchall()
            for line, problem, other, text in rows:
                yield line, self.problems[problem], other, text
            if not rows:
                return
            after = rows[-1][0]

    def count(self) -> Counts:
        """How many rows are new, changed and the same, with examples."""
        self.cursor.execute(
            f"SELECT count(*) FILTER (WHERE problem IS NULL AND target_id IS NULL),"
            f" count(*) FILTER (WHERE problem IS NULL OR problem = {SAME}) FROM import_resolved"
        )
        created, taken = self.cursor.fetchone()
        changed = self._number("SELECT count(*) FROM import_changed")
        counts = Counts(created=created, changed=changed, unchanged=taken - created - changed)
        if self.create_accounts:
            counts.accounts_created = self._number(f"SELECT count(*) FROM ({self._new_accounts()}) a")
        counts.examples = self._examples(counts)
        return counts

    def _number(self, sql: str) -> int:
        self.cursor.execute(sql)
        return int(self.cursor.fetchone()[0])

    def _examples(self, counts: Counts) -> dict[str, list[dict[str, Any]]]:
        cells = ", ".join(self._as_text(column) for column in self.columns)
        new = f"SELECT r.line, {cells} FROM import_resolved r WHERE problem IS NULL AND target_id IS NULL"
        same = (
            f"SELECT r.line, {cells} FROM import_resolved r WHERE problem IS NULL AND target_id IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM import_changed c WHERE c.line = r.line)"
        )
        return {
            "created": self._fetch_examples(new) if counts.created else [],
            "unchanged": self._fetch_examples(same) if counts.unchanged else [],
            "changed": self._changed_examples() if counts.changed else [],
        }

    def _as_text(self, column: Column) -> str:
        """A cell as people write it; moments in the company's time."""
        cell = f'r."c_{column.name}"'
        if column.type is Type.TIME:
            return f"to_char({cell} AT TIME ZONE '{self.zone}', 'YYYY-MM-DD HH24:MI')"
        return f"{cell}::text"

    def _fetch_examples(self, sql: str) -> list[dict[str, Any]]:
        # The first ones, unless finding them would mean to sort millions of rows.
        order = "ORDER BY r.line" if self.staged <= 100_000 else ""
        self.cursor.execute(f"{sql} {order} LIMIT {EXAMPLES}")
        return [
            {"line": line, "values": dict(zip(self.names, values, strict=True))}
            for line, *values in self.cursor.fetchall()
        ]

    def _changed_examples(self) -> list[dict[str, Any]]:
        """Changed rows with the values that change, before and after (plain columns only)."""
        plain = [
            column.name for column in self.columns if not column.refers_to and column.name != self.kind.key
        ]
        updates = self._updates()
        pairs = "".join(f', t."{name}"::text, ({updates[name]})::text' for name in plain)
        self.cursor.execute(
            f"SELECT r.line, r.key::text{pairs} FROM import_changed c JOIN import_resolved r ON r.line = c.line"
            f" JOIN {self.table} t ON t.id = c.target_id ORDER BY r.line LIMIT {EXAMPLES}"
        )
        examples = []
        for line, key, *values in self.cursor.fetchall():
            both = zip(plain, values[0::2], values[1::2], strict=True)
            differing = {name: [old, new] for name, old, new in both if old != new}
            examples.append({"line": line, "key": key, "changes": differing})
        return examples

    # Writing ------------------------------------------------------------------------------------------------

    def write(self, run_id: int, tick: Callable[[], None]) -> None:
        """Create and change the rows in the tables; what was there before is kept for the way back. `tick` is called
        now and then."""
        parameters: dict[str, str | int] = {"source": self.source, "currency": self.currency, "run": run_id}
        if self.create_accounts:
            self.cursor.execute(self._create_accounts_sql(), parameters)
            self.cursor.execute("ANALYZE accounts_account")
        self._keep_before(run_id)
        self.cursor.execute(self._update_sql(), parameters)
        self._insert_new(parameters, tick)
        if "parent" in self.names:
            self.cursor.execute(PARENTS_SQL, parameters)
            if "accounts" in self.aliased:
                self.cursor.execute(PARENTS_SQL.replace(OWN_ROW, "t.id = r.target_id"), parameters)

    def _insert_new(self, parameters: dict[str, str | int], tick: Callable[[], None]) -> None:
        """The new rows, a part at a time with their references checked at once: left to the commit, the checks of
        ten million rows would wait in memory."""
        self.cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if self.staged > PART:
            self.cursor.execute("CREATE INDEX ON import_resolved (line)")
        self.cursor.execute("SELECT COALESCE(min(line), 1), COALESCE(max(line), 0) FROM import_resolved")
        first, last = self.cursor.fetchone()
        for start in range(first, last + 1, PART):
            self.cursor.execute(self._insert_sql(), parameters | {"start": start, "end": start + PART})
            tick()
        self.cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    def _new_accounts(self) -> str:
        currency = "min(c_currency)" if "currency" in self.names and self._has_account_currency else "NULL"
        return (
            f"SELECT c_account AS id, {currency} AS currency FROM import_resolved"
            " WHERE problem IS NULL AND account_id IS NULL AND c_account IS NOT NULL GROUP BY c_account"
        )

    def _create_accounts_sql(self) -> str:
        return (
            "INSERT INTO accounts_account (record_source, external_id, name, currency, import_run_id,"
            " created_at, updated_at) SELECT %(source)s, a.id, a.id, COALESCE(a.currency, %(currency)s), %(run)s,"
            f" clock_timestamp(), clock_timestamp() FROM ({self._new_accounts()}) a ORDER BY a.id"
        )

    def _keep_before(self, run_id: int) -> None:
        names = [*self._updates(), *(["updated_at"] if self._is_stamped else [])]
        pairs = ", ".join(f"'{name}', t.\"{name}\"" for name in names)
        self.cursor.execute(
            'INSERT INTO accounts_importchange (run_id, "table", row_id, before)'
            f" SELECT %s, %s, t.id, jsonb_build_object({pairs}) FROM import_changed c"
            f" JOIN {self.table} t ON t.id = c.target_id",
            [run_id, self.table],
        )

    @property
    def _is_stamped(self) -> bool:
        return self.kind.name != "order_lines"

    def _update_sql(self) -> str:
        values = {name: value for name, value in self._updates().items() if name != "parent_id"}
        if self.create_accounts:
            values["account_id"] = "COALESCE(r.account_id, made.id)"
        if "parent" in self.names:
            values["parent_id"] = "r.parent_id"
        sets = ", ".join(f'"{name}" = {value}' for name, value in values.items())
        stamp = ", updated_at = clock_timestamp()" if self._is_stamped else ""
        return (
            f"UPDATE {self.table} t SET {sets}{stamp} FROM import_changed c"
            f" JOIN import_resolved r ON r.line = c.line {self._made_join()} WHERE t.id = c.target_id"
        )

    def _made_join(self) -> str:
        """The accounts that this very import has just made."""
        if not self.create_accounts:
            return ""
        return (
            "LEFT JOIN accounts_account made ON r.account_id IS NULL"
            " AND made.record_source = %(source)s AND made.external_id = r.c_account"
        )

    def _insert_sql(self) -> str:
        values = {"import_run_id": "%(run)s"} | self._new_row()
        if self._is_stamped:
            values |= {
                "created_at": "clock_timestamp()",
                "updated_at": "clock_timestamp()",
                "record_source": "%(source)s",
            }
        if self.kind.key:
            values[self.kind.key] = "r.key"
        fields = ", ".join(f'"{name}"' for name in values)
        return (
            f"INSERT INTO {self.table} ({fields}) SELECT {', '.join(values.values())} FROM import_resolved r"
            f" {self._made_join()} WHERE r.problem IS NULL AND r.target_id IS NULL"
            " AND r.line >= %(start)s AND r.line < %(end)s ORDER BY r.line"
        )

    def _new_row(self) -> dict[str, str]:
        """Field -> what a new row gets, as SQL over r."""
        values = {name: NEW_ROW[name] for name in ALWAYS.get(self.kind.name, ())}
        for column in self.columns:
            name = field_of(column)
            cell = f"r.{name}" if column.refers_to else f'r."c_{name}"'
            if column.keeps and name in NEW_ROW:
                cell = f"COALESCE({cell}, {self._default(name)})"
            elif column.type in TEXTS and not column.refers_to:
                cell = f"COALESCE({cell}, '')"
            values[name] = cell
        if self.create_accounts:
            values["account_id"] = "COALESCE(r.account_id, made.id)"
        elif self.kind.name == "enquiries":
            values["account_id"] = "r.account_id"
        if "currency" in self.kind.names:
            values["currency"] = self._new_currency()
        if self.kind.name == "order_lines":
            values["line_number"] = "r.key"
        return values

    def _default(self, name: str) -> str:
        return "'open'" if (self.kind.name, name) == ("promises", "status") else NEW_ROW[name]

    def _new_currency(self) -> str:
        cells = ['r."c_currency"'] if "currency" in self.names else []
        cells += ["r.account_currency"] if self._has_account_currency else []
        return f"COALESCE({', '.join([*cells, '%(currency)s'])})"


UNKNOWN = {
    "accounts": "is no known account; import the accounts first, or let unknown accounts be created",
    "contacts": "is no known contact; import the contacts first",
    "products": "is no known product; import the products first",
    "orders": "is no known order; import the orders first",
    "users": "is nobody's e-mail here; add that person first",
    "churn_reasons": "is no known reason for leaving; use a code from the settings",
}
# (condition over s, column at fault, reason); the database's own constraints, told before it has to refuse.
CHECKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "accounts": (("s.c_parent = s.c_external_id", "parent", "is the account itself"),),
    "contracts": (("s.c_ends_on < s.c_starts_on", "ends_on", "is before the contract starts"),),
    "issues": (("s.c_resolved_at < s.c_opened_at", "resolved_at", "is before the issue was opened"),),
    "enquiries": (
        ("s.c_responded_at < s.c_received_at", "responded_at", "is before the enquiry was received"),
    ),
}


def _under_ids(kind: str, more: str) -> str:
    """Records under the ids of one source: its own, and those of others that an alias of the source stands for."""
    table = MODELS[kind]._meta.db_table
    return (
        f"(SELECT id, record_source, external_id, {more} FROM {table} WHERE record_source = %(source)s"
        f" UNION ALL SELECT a.id, l.record_source, l.external_id, a.{more} FROM accounts_recordalias l"
        f" JOIN {table} a ON a.id = l.{ALIAS_OF[kind]}"
        f" WHERE l.record_source = %(source)s AND l.{ALIAS_OF[kind]} IS NOT NULL)"
    )


# Record kind -> the column of an alias that says whose it is, and the records under ids of the source.
ALIAS_OF = {"accounts": "account_id", "contacts": "contact_id"}
ALIASED = {"accounts": _under_ids("accounts", "currency"), "contacts": _under_ids("contacts", "account_id")}
OWN_ROW = "t.record_source = %(source)s AND t.external_id = r.key"
# Levels of parents above an account; nobody has so many.
DEEPEST = 50
CIRCLES_SQL = """
WITH RECURSIVE climb(line, key, at, depth) AS (
    SELECT r.line, r.key, r.c_parent, 1 FROM import_resolved r WHERE r.problem IS NULL AND r.c_parent IS NOT NULL
    UNION ALL
    SELECT c.line, c.key, COALESCE(f.c_parent, p.external_id), c.depth + 1
    FROM climb c
    LEFT JOIN import_resolved f ON f.key = c.at AND f.problem IS NULL
    LEFT JOIN accounts_account a ON f.key IS NULL AND a.record_source = %(source)s AND a.external_id = c.at
    LEFT JOIN accounts_account p ON p.id = a.parent_id
    WHERE c.at <> c.key AND c.depth <= %(deepest)s AND COALESCE(f.c_parent, p.external_id) IS NOT NULL
)
UPDATE import_resolved r SET problem = %(problem)s
FROM climb c WHERE c.line = r.line AND (c.at = c.key OR c.depth > %(deepest)s)
"""
PARENTS_SQL = (
    "UPDATE accounts_account t SET parent_id = p.id FROM import_resolved r JOIN accounts_account p"
    " ON p.record_source = %(source)s AND p.external_id = r.c_parent"
    " WHERE r.problem IS NULL AND r.c_parent IS NOT NULL AND r.parent_id IS NULL"
    f" AND {OWN_ROW}"
)


def _named(condition: str) -> list[str]:
    """The file columns a condition speaks of."""
    return [word.split("s.c_")[1] for word in condition.split() if word.startswith("s.c_")]
