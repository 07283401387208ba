"""Whether an account of a connected system is one that is known from elsewhere.

By the number we gave it, where the system keeps that, else by its exact name (without regard to case and blanks). One
match that no other record of the system has: it is that account, and its id there becomes an alias. More than one:
quarantine, a person decides. None: a new account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from accounts.crm.mapping import Mapped
from accounts.models import Account, Connection, Quarantine, RawRecord, RecordAlias, User
from accounts.models.crm import Decision

MATCHES = """
SELECT c.source_id, c.how, a.id, EXISTS (
    SELECT FROM accounts_recordalias l WHERE l.account_id = a.id AND l.record_source = %(source)s)
FROM (SELECT source_id, 'number' AS how, number AS wanted FROM unnest(%(ids)s::text[], %(numbers)s::text[])
        AS n(source_id, number) WHERE number <> '') c
JOIN accounts_account a ON a.external_id = c.wanted AND a.record_source <> %(source)s AND NOT a.is_sample
UNION ALL
SELECT c.source_id, 'name', a.id, EXISTS (
    SELECT FROM accounts_recordalias l WHERE l.account_id = a.id AND l.record_source = %(source)s)
FROM unnest(%(ids)s::text[], %(names)s::text[]) AS c(source_id, wanted)
JOIN accounts_account a ON upper(a.name) = c.wanted AND a.record_source <> %(source)s AND NOT a.is_sample
WHERE c.wanted <> ''
"""
# Of gone accounts of a source those that are known by another id, too, whose record is not known to be gone.
STILL_KNOWN = """
WITH gone AS (
    SELECT g.source_id, COALESCE(a.id, l.account_id) AS account
    FROM unnest(%(ids)s::text[]) AS g(source_id)
    LEFT JOIN accounts_account a ON a.record_source = %(source)s AND a.external_id = g.source_id
    LEFT JOIN accounts_recordalias l ON l.record_source = %(source)s AND l.external_id = g.source_id
), known_as AS (
    SELECT g.source_id, a.record_source, a.external_id FROM gone g JOIN accounts_account a ON a.id = g.account
    UNION ALL
    SELECT g.source_id, l.record_source, l.external_id FROM gone g JOIN accounts_recordalias l ON l.account_id = g.account
)
SELECT DISTINCT k.source_id FROM known_as k
WHERE (k.record_source, k.external_id) <> (%(source)s, k.source_id) AND NOT EXISTS (
    SELECT FROM accounts_connection c
    JOIN accounts_fieldmap m ON m.connection_id = c.id AND m.kind = 'accounts'
    JOIN accounts_rawrecord r ON r.connection_id = c.id AND r.stream = m.stream AND r.source_id = k.external_id
    WHERE c.record_source = k.record_source AND r.deleted_at IS NOT NULL)
"""


@dataclass(slots=True)
class Verdict:
    """What became of the unknown accounts of a batch: those that must wait for a person."""

    waiting: dict[str, str] = field(default_factory=dict)  # source id -> reason


def link_accounts(connection: Connection, mapped: dict[str, Mapped], raws: dict[str, RawRecord]) -> Verdict:
    """Link, quarantine or leave alone (new) the accounts that came and are not known yet. In the caller's
    transaction; the same batch once more gives the same."""
    verdict = Verdict()
    known = _known(connection.record_source, list(mapped))
    unknown = [key for key in mapped if key not in known]
    decided = _decided(connection, [raws[key].pk for key in unknown])
    open_ones = [key for key in unknown if raws[key].pk not in decided]
    matches = _matches(connection, {key: mapped[key] for key in open_ones})
    taken: set[int] = set()
    for key in sorted(open_ones, key=lambda key: raws[key].pk):
        found = matches.get(key, [])
        reason = _why_not(found, taken, connection)
        if reason:
            verdict.waiting[key] = reason
            _quarantine(raws[key], [pk for pk, _ in found], reason)
        elif found:
            taken.add(found[0][0])
            _alias(connection, key, found[0][0])
    return verdict


def _known(source: str, ids: list[str]) -> set[str]:
    accounts = Account.objects.filter(record_source=source, external_id__in=ids)
    aliases = RecordAlias.objects.filter(record_source=source, external_id__in=ids)
    return {
        *accounts.values_list("external_id", flat=True),
        *aliases.values_list("external_id", flat=True),
    }


def still_known(connection: Connection, gone_ids: Sequence[str]) -> set[str]:
    """Of accounts that are gone over there, those that are known by another id as well: from another source, or because
    two records there were merged into one, here or there. They have not become former customers."""
    if not gone_ids:
        return set()
    with database.cursor() as cursor:
        cursor.execute(STILL_KNOWN, {"ids": list(gone_ids), "source": connection.record_source})
        return {source_id for (source_id,) in cursor.fetchall()}


def _decided(connection: Connection, raw_ids: list[int]) -> set[int]:
    """Records a person said are new accounts."""
    rows = Quarantine.objects.filter(raw_id__in=raw_ids, decision=Decision.NEW)
    return set(rows.values_list("raw_id", flat=True))


def _matches(connection: Connection, mapped: dict[str, Mapped]) -> dict[str, list[tuple[int, bool]]]:
    """Source id -> the accounts it could be, and whether each belongs to another record of the system already. A
    match by number settles it; names are looked at only without one."""
    if not mapped or connection.options.get("match") == "never":
        return {}
    with database.cursor() as cursor:
        cursor.execute(
            MATCHES,
            {
                "source": connection.record_source,
                "ids": list(mapped),
                "numbers": [one.aside.get("customer_number", "") for one in mapped.values()],
                "names": [_plain(one.row.get("name")) for one in mapped.values()],
            },
        )
        rows = cursor.fetchall()
    found: dict[str, dict[str, dict[int, bool]]] = {}
    for source_id, how, pk, is_taken in rows:
        found.setdefault(source_id, {}).setdefault(how, {})[pk] = is_taken
    return {key: sorted((by.get("number") or by["name"]).items()) for key, by in found.items()}


def _plain(name: object) -> str:
    return " ".join(str(name or "").split()).upper()


def _why_not(found: Sequence[tuple[int, bool]], taken: set[int], connection: Connection) -> str:
    if len(found) > 1:
        return f"{len(found)} accounts could be this one."
    if found and (found[0][1] or found[0][0] in taken):
        return f"Another record of {connection.name} is this account already."
    return ""


def _quarantine(raw: RawRecord, candidates: list[int], reason: str) -> None:
    Quarantine.objects.update_or_create(
        raw=raw, defaults={"candidates": candidates, "reason": reason, "decision": Decision.WAITING}
    )


def _alias(connection: Connection, source_id: str, account_id: int) -> None:
    RecordAlias.objects.get_or_create(
        record_source=connection.record_source,
        external_id=source_id,
        defaults={"account_id": account_id},
    )


@transaction.atomic
def decide(
    quarantine_id: int, user: User, *, account: Account | None = None, is_new: bool = False
) -> Quarantine:
    """A person says which account a record is, that it is a new one, or (neither) that it is left out. It is taken in
    with the next run. Deciding again changes the decision, as long as the record was not taken in."""
    one = Quarantine.objects.select_for_update().select_related("raw__connection").get(pk=quarantine_id)
    if account is not None:
        one.decision, one.account = Decision.LINKED, account
        RecordAlias.objects.update_or_create(
            record_source=one.raw.connection.record_source,
            external_id=one.raw.source_id,
            defaults={"account": account},
        )
    else:
        one.decision, one.account = (Decision.NEW if is_new else Decision.LEFT_OUT), None
    one.decided_by, one.decided_at = user, timezone.now()
    one.save()
    if one.decision != Decision.LEFT_OUT:
        RawRecord.objects.filter(pk=one.raw_id).update(is_pending=True, problem="")
    return one
