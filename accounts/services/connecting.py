"""Setting a connection up, step by step, as the pages do it: credentials, test, tables, fields, samples; and letting go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.crm import runs
from accounts.crm.engine import open_connector
from accounts.crm.errors import CrmError
from accounts.crm.linking import aliases_of, decide
from accounts.crm.mapping import ASIDE, Mapper
from accounts.crm.pkce import challenge_of
from accounts.crm.protocol import Ask, Connector, Field, Record, Table, Way
from accounts.crm.systems import connector_class
from accounts.crm.vault import Secrets, seal, unseal
from accounts.ingest.schema import Column, find_kind
from accounts.models import (
    Account,
    Connection,
    Contact,
    FieldMap,
    Order,
    Quarantine,
    RawRecord,
    StreamCursor,
    SyncRun,
    User,
    WriteBack,
)
from accounts.models.crm import Decision, Linkable, SyncState
from accounts.services.audit import write_audit

SAMPLES = 5
SAMPLE_PAGES = 5  # of a stream that others refer to
DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """What the map makes of the first records of a stream; `fields` is what can be mapped."""

    mapped: Sequence[Mapping[str, Any]] = ()
    left_out: int = 0
    fields: Sequence[Field] = field(default_factory=tuple)

    def ours(self, column: str) -> list[str]:
        """What one of our columns becomes; each value once."""
        told = (_text(one.get(column)) for one in self.mapped)
        return [text for text in dict.fromkeys(told) if text]


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())[:80]


@contextlib.contextmanager
def opened(connection: Connection) -> Iterator[Connector]:
    """The connector of a connection for the length of the block."""
    connector = open_connector(connection)
    try:
        yield connector
    finally:
        connector.link.close()


# Credentials ------------------------------------------------------------------------------------------------------


def ways_of(system: str) -> Sequence[Way]:
    """The ways in; where the connector names none, its credentials as they are."""
    connector = connector_class(system)
    if connector.ways:
        return connector.ways
    asks = [Ask(name, name.replace("_", " ").capitalize()) for name in connector.credential_names]
    return [Way("credentials", "With credentials", asks)]


@transaction.atomic
def begin_connection(
    name: str,
    system: str,
    *,
    options: Mapping[str, Any],
    credentials: Mapping[str, str],
    user: User | None = None,
) -> Connection:
    """A connection that was not tried yet; nothing is asked of the other side. CrmError when the system takes no such
    credential."""
    credentials = Secrets(credentials)  # an error page shows what local variables hold
    _check_names(system, credentials)
    connection = Connection.objects.create(
        name=name,
        system=system,
        record_source=_free_source(f"{system}-{name}"),
        options=dict(options),
        sealed_credentials=seal(credentials),
        created_by=user,
    )
    write_audit(user, "create_connection", connection, system=system, name=name)
    return connection


def _check_names(system: str, credentials: Mapping[str, str]) -> None:
    unknown = set(credentials) - set(connector_class(system).credential_names)
    if unknown:
        raise CrmError(f"{system} takes no credential called {', '.join(sorted(unknown))}.")


@transaction.atomic
def create_connection(
    name: str,
    system: str,
    *,
    options: Mapping[str, Any],
    credentials: Mapping[str, str],
    user: User | None = None,
) -> Connection:
    """A connection with the streams and maps its connector proposes, all in one. CrmError says why it cannot be.

    What is asked of the other side to propose a map (columns of a table) is asked here.
    """
    connection = begin_connection(name, system, options=options, credentials=credentials, user=user)
    with opened(connection) as connector:
        learn_streams(connection, connector)
    return connection


def _free_source(wanted: str) -> str:
    source, number = wanted[:60], 1
    while Connection.objects.filter(record_source=source).exists():
        number += 1
        source = f"{wanted[:56]}-{number}"
    return source


@transaction.atomic
def change_access(
    connection: Connection, *, options: Mapping[str, Any], credentials: Mapping[str, str], user: User | None
) -> Connection:
    """Other credentials and options; what is not given stays. A system that changed its mind is asked again at once.
    CrmError when the system takes no such credential."""
    credentials = Secrets(credentials)
    _check_names(connection.system, credentials)
    row = Connection.objects.select_for_update().get(pk=connection.pk)
    row.options = {**row.options, **options}
    row.sealed_credentials = seal({**_stored(row), **credentials})
    row.credentials_expire_at, row.message, row.wait_until = None, "", None
    row.save()
    write_audit(user, "save_credentials", row, names=sorted(credentials), options=sorted(options))
    return row


def _stored(connection: Connection) -> Mapping[str, str]:
    """What is stored; nothing where no key opens it any more, because it is being entered anew."""
    try:
        return unseal(connection.sealed_credentials)
    except CrmError:
        return {}


def stored_names(connection: Connection) -> set[str]:
    """Which credentials are stored; never their values."""
    return {name for name, value in _stored(connection).items() if value}


def try_connection(connection: Connection) -> str:
    """Try the credentials, and learn what can be read where nothing is known yet; one sentence on what was found.
    CrmError says what is wrong."""
    with opened(connection) as connector:
        found = connector.check()
        if not connection.streams.exists():
            learn_streams(connection, connector)
    Connection.objects.filter(pk=connection.pk).update(message="", updated_at=timezone.now())
    return found


def learn_streams(connection: Connection, connector: Connector) -> None:
    """Keep the streams of a connector that are not known yet, with the maps it proposes."""
    streams = list(connector.streams())
    with transaction.atomic():
        for number, stream in enumerate(streams):
            StreamCursor.objects.update_or_create(
                connection=connection, stream=stream.name, defaults={"number": number}
            )
            if stream.kind:
                FieldMap.objects.get_or_create(
                    connection=connection,
                    stream=stream.name,
                    defaults={
                        "kind": stream.kind,
                        "columns": dict(stream.columns),
                        "only_if": {name: list(values) for name, values in stream.only_if.items()},
                    },
                )


def sign_in_address(connection: Connection, back: str, state: str, verifier: str) -> str:
    """Where a person agrees that the system may be read. `verifier` is kept on our side until they are back; where the
    system takes it, only its challenge goes there (RFC 7636)."""
    with opened(connection) as connector:
        proof = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256"}
        return connector.sign_in_address(back, state, proof if connector.takes_proof else {})


def take_code(connection: Connection, code: str, back: str, verifier: str, user: User) -> None:
    """Turn what a person came back with into credentials, and keep them. CrmError says what is wrong."""
    proof = Secrets({"code_verifier": verifier})
    with opened(connection) as connector:
        renewed = connector.take_code(code, back, proof if connector.takes_proof else {})
    change_access(connection, options={}, credentials=renewed.credentials, user=user)
    Connection.objects.filter(pk=connection.pk).update(credentials_expire_at=renewed.expire_at)


# What is read ------------------------------------------------------------------------------------------------------


def list_tables(connection: Connection) -> Sequence[Table]:
    """What can be chosen from. CrmError says why it cannot be told."""
    with opened(connection) as connector:
        return connector.tables()


def choose_tables(connection: Connection, chosen: Sequence[Mapping[str, Any]], user: User) -> None:
    """Read these tables: each with name, kind, and what the connector says of it. What was read of others stays here,
    and is not followed any more. Kinds that others refer to are read first."""
    order = ("accounts", "products", "contacts", "orders")
    ranked = sorted(chosen, key=lambda one: order.index(one["kind"]) if one["kind"] in order else len(order))
    kept = {one["name"]: one for one in connection.options.get("tables", [])}
    tables = [_merged(kept.get(one["name"]), one) for one in ranked]
    with transaction.atomic():
        row = Connection.objects.select_for_update().get(pk=connection.pk)
        row.options = {**row.options, "tables": tables}
        row.save(update_fields=["options", "updated_at"])
        _forget_streams(row, {one["name"]: one["kind"] for one in tables})
        write_audit(user, "choose_tables", row, tables=[one["name"] for one in tables])
    connection.refresh_from_db()
    with opened(connection) as connector:
        connector.check()
        learn_streams(connection, connector)


def _merged(known: Mapping[str, Any] | None, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of the table before (its map among it), unless it holds something else now."""
    if known is None or known.get("kind") != chosen["kind"]:
        return dict(chosen)
    return {**known, **chosen}


def _forget_streams(connection: Connection, kinds: Mapping[str, str]) -> None:
    connection.streams.exclude(stream__in=kinds).delete()
    for saved in connection.maps.all():
        if kinds.get(saved.stream) != saved.kind:
            saved.delete()


@transaction.atomic
def want_stream(connection: Connection, stream: str, *, is_wanted: bool) -> None:
    """Whether a stream is read."""
    connection.streams.filter(stream=stream).update(is_wanted=is_wanted, updated_at=timezone.now())


# Samples -----------------------------------------------------------------------------------------------------------


def sample_stream(connection: Connection, saved: FieldMap) -> Sample:
    """The first records of a stream beside what its map makes of them. CrmError says why they cannot be had."""
    with opened(connection) as connector:
        records = [one for one in connector.sample(saved.stream) if not one.is_deleted]
        emails = User.objects.exclude(email="").values_list("email", flat=True)
        mapper = Mapper(
            saved.kind,
            saved.columns,
            saved.only_if,
            _Referred(connector),
            frozenset(email.lower() for email in emails),
        )
        taken = [one for one in records if mapper.takes(one.payload)]
        fields = connector.fields(saved.stream) or _fields_seen(records)
        return Sample(
            [_row(mapper, one) for one in taken[:SAMPLES]],
            len(records) - len(taken),
            fields,
        )


def _row(mapper: Mapper, record: Record) -> Mapping[str, Any]:
    mapped = mapper.row(record.source_id, record.payload)
    return {**mapped.row, **mapped.aside}


class _Referred:
    """Records of other streams by id, asked of the system itself: nothing is landed before the first sync."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.known: dict[str, dict[str, Mapping[str, Any]]] = {}

    def __call__(self, stream: str, source_id: str) -> Mapping[str, Any] | None:
        if stream not in self.known:
            self.known[stream] = self._first(stream)
        return self.known[stream].get(source_id)

    def _first(self, stream: str) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        position = None
        for _ in range(SAMPLE_PAGES):
            page = self.connector.pull(stream, None, position)
            found |= {one.source_id: one.payload for one in page.records}
            position = page.position
            if position is None:
                break
        return found


def _fields_seen(records: Sequence[Record]) -> list[Field]:
    """The fields that the first records have, by their dotted paths."""
    seen: dict[str, None] = {}
    for record in records[:20]:
        for path in _paths(record.payload, DEEPEST):
            seen[path] = None
    return [Field(path, path.removeprefix("properties.")) for path in seen]


def _paths(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and depth > 1 and inner:
            yield from (f"{name}.{path}" for path in _paths(inner, depth - 1))
        else:
            yield str(name)


def _described(column: Column) -> str:
    """What a column holds, where it names another record by its id."""
    if column.refers_to and column.refers_to != "users":
        return f"which of the {column.refers_to.replace('_', ' ')} it belongs to"
    return column.describes


def columns_to_map(kind_name: str) -> list[tuple[str, str, bool]]:
    """Our columns that a map may fill: name, what it holds in words, and whether it has to be filled. The id of a
    record is the system's own and needs no map."""
    kind = find_kind(kind_name)
    columns = [
        (column.name, _described(column), column.required)
        for column in kind.columns
        if column.name != "external_id"
    ]
    aside = {
        "salesperson": "e-mail of whoever won it; names the original salesperson of the account",
        "customer_number": "our own id of the account, where they keep it; it then settles which account it is",
    }
    return [*columns, *((name, aside[name], False) for name in ASIDE.get(kind_name, ()))]


# Runs ---------------------------------------------------------------------------------------------------------------


def start_preview(connection: Connection, user: User | None) -> SyncRun:
    """Find out what taking everything in would do: everything is read (and kept for the first sync), nothing taken
    in."""
    return runs.start_sync(connection, is_full=True, is_dry_run=True, user=user)


def start_reading(
    connection: Connection, user: User | None, *, is_full: bool = False, accepts_deletions: bool = False
) -> SyncRun:
    """Begin a sync. What a preview has read need not be read again, unless the fields were chosen otherwise since."""
    last = connection.runs.filter(state=SyncState.DONE).first()
    if last is not None and last.is_dry_run:
        is_full = is_full or connection.maps.filter(updated_at__gt=last.created_at).exists()
    return runs.start_sync(connection, is_full=is_full, accepts_deletions=accepts_deletions, user=user)


# Later on ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def save_schedule(
    connection: Connection, *, pull_minutes: int, sweep_hours: int, user: User | None
) -> Connection:
    """How often what changed is read, and how often deleted records are looked for."""
    row = Connection.objects.select_for_update().get(pk=connection.pk)
    row.pull_minutes, row.sweep_hours = pull_minutes, sweep_hours
    row.save(update_fields=["pull_minutes", "sweep_hours", "updated_at"])
    write_audit(user, "save_schedule", row, pull_minutes=pull_minutes, sweep_hours=sweep_hours)
    return row


@transaction.atomic
def switch_write_back(connection: Connection, *, is_on: bool, user: User | None) -> None:
    """Whether scores are written into the other system. What was written stays there when it is switched off."""
    if is_on and not connector_class(connection.system).can_push:
        raise CrmError(f"{connector_class(connection.system).label} is only read.")
    Connection.objects.filter(pk=connection.pk).update(writes_back=is_on, updated_at=timezone.now())
    write_audit(user, "switch_write_back", connection, is_on=is_on)


@transaction.atomic
def settle_record(
    quarantine_id: int, user: User, *, record: Account | Contact | None = None, is_new: bool = False
) -> Quarantine:
    """Say which of our records a doubtful one is, that it is new, or (neither) that it is left out. CrmError when it was
    taken in as something else already."""
    known = Quarantine.objects.select_for_update(of=["self"]).select_related("raw").get(pk=quarantine_id)
    if is_taken_in(known):
        raise CrmError("It was taken in already, so this cannot be decided any more.")
    settled = decide(quarantine_id, user, record=record, is_new=is_new)
    told = {"decision": settled.decision, "kind": settled.kind, "record": record and record.pk}
    write_audit(user, "settle_record", settled, **told)
    return settled


def is_taken_in(one: Quarantine) -> bool:
    """Whether a decided record came in since."""
    return one.decision in {Decision.LINKED, Decision.NEW} and one.raw.applied_at is not None


@transaction.atomic
def disconnect(connection: Connection, user: User | None) -> None:
    """Forget a system: its credentials, maps, landed records, runs, and what waited for a decision. The accounts,
    contacts and orders that came from it stay, with their record source, so that connecting it again under the same
    name knows them."""
    row = Connection.objects.select_for_update().get(pk=connection.pk)
    SyncRun.objects.filter(connection=row, state__in=runs.OPEN).update(state=SyncState.CANCELLED)
    write_audit(user, "disconnect", row, system=row.system, name=row.name)
    for rows in (
        Quarantine.objects.filter(raw__connection=row),
        RawRecord.objects.filter(connection=row),
        WriteBack.objects.filter(connection=row),
    ):
        # Millions of rows need not be read to be deleted.
        rows._raw_delete(rows.db)
    row.delete()


def count_kept(connection: Connection) -> dict[str, int]:
    """What came from a system and stays when it is disconnected."""
    source = connection.record_source
    linked = aliases_of(Linkable.ACCOUNTS, source).count()
    return {
        "accounts": Account.objects.filter(record_source=source).count(),
        "linked": linked,
        "contacts": Contact.objects.filter(record_source=source).count(),
        "orders": Order.objects.filter(record_source=source).count(),
    }
