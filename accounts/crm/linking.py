"""Whether an account or a contact of a connected system is one that is known from elsewhere.

An account by the number we gave it, where the system keeps that, else by its exact name (without regard to case and
blanks); a contact among those of its account, by e-mail, or by name and telephone (accounts.likeness). One match that
no other record of the system has: it is that record, and its id there becomes an alias. More than one, or one that
only the telephone speaks for: quarantine, a person decides. None: a new record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection as database
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.crm.mapping import Mapped, as_text
from accounts.ingest.merge import ALIASED, MODELS
from accounts.likeness import DOUBTFUL, likeness, plainly
from accounts.models import Account, Connection, Contact, Quarantine, RawRecord, RecordAlias, User
from accounts.models.crm import Decision, Linkable

# Kind -> what an alias of it points with, and the columns that tell which one a record is.
LINKS = {Linkable.ACCOUNTS: "account", Linkable.CONTACTS: "contact"}
TELLING = {
    Linkable.ACCOUNTS: ("customer_number", "name"),
    Linkable.CONTACTS: ("account", "name", "email", "phone"),
}
# Per kind: source id, how sure (the smaller the surer), the record it could be, and whether another record of the system
# is that one already.
MATCHES = {
    Linkable.ACCOUNTS: """
WITH came AS (SELECT * FROM unnest(%(ids)s::text[], %(customer_number)s::text[], %(name)s::text[])
    AS c(source_id, number, name))
SELECT m.source_id, m.sure, m.id, EXISTS (
    SELECT FROM accounts_recordalias l WHERE l.account_id = m.id AND l.record_source = %(source)s)
FROM (
    SELECT c.source_id, 0 AS sure, a.id FROM came c JOIN accounts_account a ON a.external_id = c.number
    WHERE c.number <> '' AND a.record_source <> %(source)s AND NOT a.is_sample
    UNION ALL
    SELECT c.source_id, 1, a.id FROM came c JOIN accounts_account a ON upper(a.name) = upper(c.name)
    WHERE c.name <> '' AND a.record_source <> %(source)s AND NOT a.is_sample
) m
""",
    # Put together from names in the schema only.
    Linkable.CONTACTS: f"""
WITH came AS MATERIALIZED (
    SELECT c.source_id, c.account, {plainly("c")}
    FROM unnest(%(ids)s::text[], %(account)s::text[], %(name)s::text[], %(email)s::text[], %(phone)s::text[])
        AS c(source_id, account, name, email, phone)
), known AS MATERIALIZED (
    SELECT c.source_id, p.id, {plainly("p")}
    FROM came c JOIN {ALIASED["accounts"]} a ON a.external_id = c.account
    JOIN accounts_contact p ON p.account_id = a.id AND p.record_source <> %(source)s
)
SELECT m.source_id, m.sure, m.id, EXISTS (
    SELECT FROM accounts_recordalias l WHERE l.contact_id = m.id AND l.record_source = %(source)s)
FROM (
    SELECT c.source_id, k.id, {likeness("c", "k")} AS sure FROM came c JOIN known k ON k.source_id = c.source_id
) m WHERE m.sure IS NOT NULL
""",  # noqa: S608
}
# Of gone records of a source those that are known by another id, too, whose record is not known to be gone.
STILL_KNOWN = """
WITH gone AS (
    SELECT g.source_id, COALESCE(a.id, l.{link}_id) AS record
    FROM unnest(%(ids)s::text[]) AS g(source_id)
    LEFT JOIN {table} a ON a.record_source = %(source)s AND a.external_id = g.source_id
    LEFT JOIN accounts_recordalias l ON l.record_source = %(source)s AND l.external_id = g.source_id
        AND l.{link}_id IS NOT NULL
), known_as AS (
    SELECT g.source_id, a.record_source, a.external_id FROM gone g JOIN {table} a ON a.id = g.record
    UNION ALL
    SELECT g.source_id, l.record_source, l.external_id
    FROM gone g JOIN accounts_recordalias l ON l.{link}_id = g.record
)
SELECT DISTINCT k.source_id FROM known_as k
WHERE (k.record_source, k.external_id) <> (%(source)s, k.source_id) AND NOT EXISTS (
    SELECT FROM accounts_connection c
    JOIN accounts_fieldmap m ON m.connection_id = c.id AND m.kind = %(kind)s
    JOIN accounts_rawrecord r ON r.connection_id = c.id AND r.stream = m.stream AND r.source_id = k.external_id
    WHERE c.record_source = k.record_source AND r.deleted_at IS NOT NULL)
"""


@dataclass(slots=True)
class Match:
    """The records one could be, as sure as the surest of them: id -> whether another record of the system is that one
    already."""

    sure: int
    found: dict[int, bool] = field(default_factory=dict)


def link_records(
    connection: Connection, kind: Linkable, mapped: Mapping[str, Mapped], raw_ids: Mapping[str, int]
) -> set[str]:
    """Link, quarantine or leave alone (new) the records that came and are not known yet; those that must wait for a
    person. In the caller's transaction; the same batch once more gives the same."""
    known = _known(connection.record_source, kind, list(mapped))
    unknown = [key for key in mapped if key not in known]
    decided = _decided([raw_ids[key] for key in unknown])
    open_ones = [key for key in unknown if raw_ids[key] not in decided]
    matches = _matches(connection, kind, {key: mapped[key] for key in open_ones})
    taken: set[int] = set()
    waiting: set[str] = set()
    for key in sorted(matches, key=lambda key: raw_ids[key]):
        match = matches[key]
        if reason := _why_not(match, kind, taken, connection):
            waiting.add(key)
            _quarantine(raw_ids[key], kind, sorted(match.found), reason)
        else:
            (record_id,) = match.found
            taken.add(record_id)
            aliases_of(kind, connection.record_source).get_or_create(
                record_source=connection.record_source,
                external_id=key,
                defaults={f"{LINKS[kind]}_id": record_id},
            )
    return waiting


def aliases_of(kind: Linkable, source: str) -> QuerySet[RecordAlias]:
    """The ids of a source that stand for accounts, or contacts, which came from another."""
    return RecordAlias.objects.filter(**{"record_source": source, f"{LINKS[kind]}__isnull": False})


def _known(source: str, kind: Linkable, ids: list[str]) -> set[str]:
    own = MODELS[kind]._base_manager.filter(record_source=source, external_id__in=ids)
    aliases = aliases_of(kind, source).filter(external_id__in=ids)
    return {*own.values_list("external_id", flat=True), *aliases.values_list("external_id", flat=True)}


def still_known(connection: Connection, kind: Linkable, gone_ids: Sequence[str]) -> set[str]:
    """Of records that are gone over there, those that are known by another id as well: from another source, or because
    two records there were merged into one, here or there. They are no former customers, and nobody has left."""
    if not gone_ids:
        return set()
    sql = STILL_KNOWN.format(link=LINKS[kind], table=MODELS[kind]._meta.db_table)
    with database.cursor() as cursor:
        cursor.execute(sql, {"ids": list(gone_ids), "source": connection.record_source, "kind": kind.value})
        return {source_id for (source_id,) in cursor.fetchall()}


def _decided(raw_ids: list[int]) -> set[int]:
    """Records a person said are new."""
    rows = Quarantine.objects.filter(raw_id__in=raw_ids, decision=Decision.NEW)
    return set(rows.values_list("raw_id", flat=True))


def _matches(connection: Connection, kind: Linkable, mapped: Mapping[str, Mapped]) -> dict[str, Match]:
    """Source id -> what it could be. The surest settle it: others are looked at only without one."""
    if not mapped or connection.options.get("match") == "never":
        return {}
    told = {name: [_told(one, name) for one in mapped.values()] for name in TELLING[kind]}
    with database.cursor() as cursor:
        cursor.execute(MATCHES[kind], {"source": connection.record_source, "ids": list(mapped), **told})
        return _surest(cursor.fetchall())


def _surest(rows: Iterable[tuple[str, int, int, bool]]) -> dict[str, Match]:
    matches: dict[str, Match] = {}
    for source_id, sure, record_id, is_taken in sorted(rows):
        match = matches.setdefault(source_id, Match(sure))
        if match.sure == sure:
            match.found[record_id] = is_taken
    return matches


def _told(one: Mapped, name: str) -> str:
    """What a record says, without regard to blanks."""
    return " ".join(as_text(one.aside.get(name) or one.row.get(name)).split())


def _why_not(match: Match, kind: Linkable, taken: set[int], connection: Connection) -> str:
    if len(match.found) > 1:
        return f"{len(match.found)} {kind} could be this one."
    if any(pk in taken or is_taken for pk, is_taken in match.found.items()):
        return f"Another record of {connection.name} is this {kind.label} already."
    if kind is Linkable.CONTACTS and match.sure == DOUBTFUL:
        return "Somebody with another name there has the same telephone number."
    return ""


def _quarantine(raw_id: int, kind: Linkable, candidates: list[int], reason: str) -> None:
    told = {"kind": kind, "candidates": candidates, "reason": reason, "decision": Decision.WAITING}
    Quarantine.objects.update_or_create(raw_id=raw_id, defaults=told)


@transaction.atomic
def decide(
    quarantine_id: int, user: User, *, record: Account | Contact | None = None, is_new: bool = False
) -> Quarantine:
    """A person says which of our records one is, that it is a new one, or (neither) that it is left out. It is taken in
    with the next run. Deciding again changes the decision, as long as the record was not taken in."""
    one = Quarantine.objects.select_for_update().select_related("raw__connection").get(pk=quarantine_id)
    kind = Linkable(one.kind)
    source, source_id = one.raw.connection.record_source, one.raw.source_id
    aliases_of(kind, source).filter(external_id=source_id).delete()
    setattr(one, LINKS[kind], record)
    if record is not None:
        one.decision = Decision.LINKED
        RecordAlias.objects.create(record_source=source, external_id=source_id, **{LINKS[kind]: record})
    else:
        one.decision = Decision.NEW if is_new else Decision.LEFT_OUT
    one.decided_by, one.decided_at = user, timezone.now()
    one.save()
    if one.decision != Decision.LEFT_OUT:
        RawRecord.objects.filter(pk=one.raw_id).update(is_pending=True, problem="")
    return one
