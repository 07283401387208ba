"""Taking one account into another that is the same customer, and taking that back as a whole.

Every row of any app that belongs to the account moves to the one that is kept. What each night works out for one
account (its score, its next contact) is set aside where the kept one has its own, and so is who owned it. Where a
person has begun the same thing on both (a handback, a meeting), they have to end one first. Somebody who is on record
with both becomes one contact, with all that was said and promised to either. Everything moved or set aside is written
down: undone, both accounts are as they were, but for what came to the kept one since.
"""

# ruff: noqa: S608 - the SQL is put together from names in the schema only; values are parameters

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.ingest.load import wait_to_save
from accounts.ingest.undo import relations_of
from accounts.likeness import DOUBTFUL, likeness, plainly
from accounts.models import (
    Account,
    AccountMember,
    AccountMerge,
    Contact,
    DuplicatePair,
    MergedRow,
    OwnerChange,
    RecordAlias,
    User,
)
from accounts.models.account import ContactRole
from accounts.models.merges import PairState
from accounts.services.audit import write_audit
from accounts.services.errors import RecordError

# What the kept account takes over where it says nothing itself.
FILLS = (
    "segment", "industry", "region", "country", "source", "campaign", "acquisition_cost",
    "original_salesperson", "account_manager", "parent",
)  # fmt: skip
CONTACT_FILLS = ("email", "phone", "job_title", "role")
# Told of one account as such: rows of another one beside them would say what never was.
OF_ONE_ACCOUNT = (OwnerChange, DuplicatePair)
# The same person on both teams is one member.
SAID_TWICE = (AccountMember,)
# Contacts of the kept account and of the other one who are one person beyond doubt.
IN_BOTH = f"""
WITH theirs AS MATERIALIZED (SELECT c.id, {plainly("c")} FROM accounts_contact c WHERE c.account_id = %s),
ours AS MATERIALIZED (SELECT c.id, {plainly("c")} FROM accounts_contact c WHERE c.account_id = %s)
SELECT sure, gone, kept FROM (
    SELECT {likeness("t", "o")} AS sure, t.id AS gone, o.id AS kept FROM theirs t, ours o
    WHERE t.email = o.email OR t.phone = o.phone
) p WHERE sure < {DOUBTFUL} ORDER BY sure
"""


class MergeError(RecordError):
    """A merge that cannot be made or taken back; the text says why, for a person."""


@dataclass
class Part:
    """The rows of one table that belong to the account that goes."""

    model: type[models.Model]
    field: models.ForeignKey
    moves: list[int]
    aside: list[int]

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def key(self) -> str:
        assert self.model._meta.pk is not None
        return str(self.model._meta.pk.column)

    @property
    def is_told(self) -> bool:
        """Whether people know these rows; what is worked out every night goes without saying."""
        return not hasattr(self.model, "derived_rows")

    @property
    def is_joined(self) -> bool:
        """Whether what is set aside lives on in a row of the kept account."""
        return self.model is Contact

    def words(self, count: int) -> str:
        names = self.model._meta
        return f"{count:,} {names.verbose_name if count == 1 else names.verbose_name_plural}"


@dataclass
class MergePlan:
    """What a merge would do. `people` are contacts of the other account who are contacts of the kept one, too; `fills`
    are fields of the kept account with the value they would get; `refusals` say what stands against it."""

    kept: Account
    gone: Account
    parts: list[Part] = field(default_factory=list)
    people: dict[int, int] = field(default_factory=dict)
    fills: dict[str, Any] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @property
    def learned(self) -> list[str]:
        """What the kept account would learn, in words."""
        return [f"{_column(name).verbose_name} {_said(value)}" for name, value in self.fills.items()]

    @property
    def moved(self) -> list[str]:
        """What would move, in words."""
        told = (part for part in self.parts if part.is_told)
        return [words for part in told if (words := self._moved(part))]

    def _moved(self, part: Part) -> str:
        if part.is_joined and part.aside:
            return f"{part.words(len(part.moves) + len(part.aside))}, {len(part.aside)} of them in both"
        return part.words(len(part.moves)) if part.moves else ""

    @property
    def set_aside(self) -> list[str]:
        """What would be set aside, in words."""
        told = (part for part in self.parts if part.is_told and not part.is_joined)
        return [part.words(len(part.aside)) for part in told if part.aside]


def _said(value: Any) -> str:
    return f"{value.day} {value:%b %Y}" if isinstance(value, dt.date) else str(value)


def _column(name: str) -> models.Field[Any, Any]:
    found = Account._meta.get_field(name)
    assert isinstance(found, models.Field)
    return found


def plan_merge(kept: Account, gone: Account) -> MergePlan:
    """What taking `gone` into `kept` would do; nothing is changed."""
    found = MergePlan(kept, gone)
    if kept.pk == gone.pk:
        found.refusals.append("An account cannot be taken into itself.")
        return found
    if kept.is_sample != gone.is_sample:
        found.refusals.append("One of them belongs to the sample company, which is removed as a whole.")
    found.people = _in_both(kept, gone)
    for relation in relations_of(Account):
        _look_at(relation.related_model, relation.field, found)
    for name in FILLS:
        value = getattr(gone, name)
        if value and not getattr(kept, name) and value != kept:
            found.fills[name] = value
    earliest = min(filter(None, (kept.became_customer_on, gone.became_customer_on)), default=None)
    if earliest and earliest != kept.became_customer_on:
        found.fills["became_customer_on"] = earliest
    return found


def _in_both(kept: Account, gone: Account) -> dict[int, int]:
    """Contact of `gone` -> the contact of `kept` who is the same person. Where several are as likely, on either side,
    nobody can tell, and all stay."""
    with connection.cursor() as cursor:
        cursor.execute(IN_BOTH, [gone.pk, kept.pk])
        pairs = cursor.fetchall()
    surest: dict[int, int] = {}  # of each contact: how sure the surest of its pairs is
    for sure, *both in pairs:
        for one in both:
            surest.setdefault(one, sure)
    likely = [(one, other) for sure, one, other in pairs if sure == surest[one] == surest[other]]
    seen = Counter(contact for pair in likely for contact in pair)
    return {one: other for one, other in likely if seen[one] == seen[other] == 1}


def _look_at(model: type[models.Model], link: models.ForeignKey, plan: MergePlan) -> None:
    """Which rows of a table move and which are set aside; two open things of one kind stand against the merge."""
    rows = model._base_manager.filter(**{link.name: plan.gone})
    aside: set[int] = set()
    if model is Contact:
        aside = set(plan.people)
    elif model in OF_ONE_ACCOUNT or link.primary_key:
        aside = set(rows.values_list("pk", flat=True))
    else:
        collide = set(_colliding(model, link, rows, plan.kept).values_list("pk", flat=True))
        derived = getattr(model, "derived_rows", Q(pk__isnull=False) if model in SAID_TWICE else None)
        aside = (
            set()
            if derived is None
            else set(rows.filter(derived, pk__in=collide).values_list("pk", flat=True))
        )
        if open_twice := collide - aside:
            names = model._meta
            thing = names.verbose_name if len(open_twice) == 1 else names.verbose_name_plural
            plan.refusals.append(f"Both have an open {thing}: end one of them first.")
    moves = sorted(set(rows.values_list("pk", flat=True)) - aside)
    if moves or aside:
        plan.parts.append(Part(model, link, moves, sorted(aside)))


def _colliding(
    model: type[models.Model], link: models.ForeignKey, rows: models.QuerySet[Any], kept: Account
) -> models.QuerySet[Any]:
    """Rows that the database would not take beside one of the kept account."""
    collides = Q(pk__in=[])
    theirs = model._base_manager.filter(**{link.name: kept})
    if link.unique:
        collides |= Q(Exists(theirs))
    for rule in model._meta.constraints:
        if not isinstance(rule, models.UniqueConstraint) or link.name not in rule.fields:
            continue
        same = theirs.filter(**{name: OuterRef(name) for name in rule.fields if name != link.name})
        if rule.condition is not None:
            collides |= Q(rule.condition, Exists(same.filter(rule.condition)))
        else:
            collides |= Q(Exists(same))
    return rows.filter(collides)


@transaction.atomic
def merge_accounts(kept_id: int, gone_id: int, user: User) -> AccountMerge:
    """Take one account into the other. MergeError says what stands against it; then nothing is changed."""
    kept, gone = _hold(kept_id, gone_id)
    plan = plan_merge(kept, gone)
    if plan.refusals:
        raise MergeError(" ".join(plan.refusals))
    merge = AccountMerge.objects.create(kept=kept, gone_id=gone.pk, gone_name=gone.name, merged_by=user)
    with connection.cursor() as cursor:
        _join_people(merge, plan.people)
        for part in plan.parts:
            _set_aside(cursor, merge, part.table, part.key, part.aside)
            _move(cursor, merge, part, kept)
        # The other account's own row goes last: its id is an alias of the kept one from now on.
        _set_aside(cursor, merge, Account._meta.db_table, "id", [gone.pk])
        _check_references(cursor)
    _fill(merge, kept, plan.fills)
    RecordAlias.objects.get_or_create(
        record_source=gone.record_source,
        external_id=gone.external_id,
        account__isnull=False,
        defaults={"account": kept},
    )
    write_audit(user, "merge_accounts", kept, gone_id=gone.pk, gone_name=gone.name, merge=merge.pk)
    return merge


def _hold(kept_id: int, gone_id: int) -> tuple[Account, Account]:
    """Both accounts, held; while imports and syncs save nothing."""
    with connection.cursor() as cursor:
        wait_to_save(cursor)
    found = Account.objects.select_for_update(of=["self"]).order_by("pk").in_bulk([kept_id, gone_id])
    try:
        return found[kept_id], found[gone_id]
    except KeyError:
        raise MergeError("One of the two accounts is not there any more.") from None


def _check_references(cursor: Any) -> None:
    """Have the database say now, not at the end of the transaction, whether every reference leads to something."""
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _set_aside(cursor: Any, merge: AccountMerge, table: str, key: str, ids: list[int]) -> None:
    """Keep the rows in full, and delete them."""
    if ids:
        cursor.execute(
            f'WITH gone AS (DELETE FROM {table} t WHERE "{key}" = ANY(%s) RETURNING "{key}" AS id, to_jsonb(t) AS row) '
            'INSERT INTO accounts_mergedrow (merge_id, "table", "column", row_id, before) '
            "SELECT %s, %s, '', id, row FROM gone",
            [ids, merge.pk, table],
        )


def _move(cursor: Any, merge: AccountMerge, part: Part, kept: Account) -> None:
    if part.moves:
        column, key = part.field.column, part.key
        # The kept account may have been below the other one; nobody is below itself.
        to = f"nullif(%s, {key})" if part.model is Account else "%s"
        cursor.execute(
            f'WITH moved AS (UPDATE {part.table} SET "{column}" = {to} WHERE "{key}" = ANY(%s) RETURNING "{key}" AS id) '
            'INSERT INTO accounts_mergedrow (merge_id, "table", "column", row_id) SELECT %s, %s, %s, id FROM moved',
            [kept.pk, part.moves, merge.pk, part.table, column],
        )


def _join_people(merge: AccountMerge, people: dict[int, int]) -> None:
    """Make those who are on record with both accounts one: whatever was said or promised to the one that goes was to the
    one that stays, who learns what was not known and is known under both ids."""
    contacts = Contact.objects.in_bulk([*people, *people.values()])
    for relation in relations_of(Contact):
        _move_to_kept(merge, relation.related_model, relation.field, people)
    for gone, kept in ((contacts[one], contacts[other]) for one, other in people.items()):
        fills = {name: getattr(gone, name) for name in CONTACT_FILLS if _is_news(kept, gone, name)}
        for name, value in fills.items():
            _note(merge, Contact, name, {kept.pk: [getattr(kept, name), value]})
            setattr(kept, name, value)
        if fills:
            kept.save(update_fields=[*fills, "updated_at"])
        RecordAlias.objects.get_or_create(
            record_source=gone.record_source,
            external_id=gone.external_id,
            contact__isnull=False,
            defaults={"contact": kept},
        )


def _is_news(kept: Contact, gone: Contact, name: str) -> bool:
    nothing = {"", ContactRole.OTHER}
    return getattr(kept, name) in nothing and getattr(gone, name) not in nothing


def _move_to_kept(
    merge: AccountMerge, model: type[models.Model], link: models.ForeignKey, people: dict[int, int]
) -> None:
    rows = model._base_manager.filter(**{f"{link.name}__in": people})
    told = rows.values_list("pk", link.attname)
    _note(merge, model, link.column, {pk: [gone, people[gone]] for pk, gone in told})
    for gone, kept in people.items():
        rows.filter(**{link.name: gone}).update(**{link.name: kept})


def _note(merge: AccountMerge, model: type[models.Model], column: str, changes: dict[int, list[Any]]) -> None:
    """Write down what rows said in a column and say from now on."""
    table = model._meta.db_table
    MergedRow.objects.bulk_create(
        MergedRow(merge=merge, table=table, column=column, row_id=pk, before=values)
        for pk, values in changes.items()
    )


def _fill(merge: AccountMerge, kept: Account, fills: dict[str, Any]) -> None:
    """Give the kept account what it did not know, and remember what it said before."""
    kept.refresh_from_db()
    for name, value in fills.items():
        before = kept.serializable_value(name)
        setattr(kept, name, value)
        merge.filled[name] = [before, kept.serializable_value(name)]
    if fills:
        kept.save(update_fields=[*fills, "updated_at"])
        merge.save(update_fields=["filled", "updated_at"])


@transaction.atomic
def undo_merge(merge_id: int, user: User) -> AccountMerge:
    """Make them two accounts again, each with what it had; what came since stays with the one that was kept.
    MergeError says why that is no longer possible; then nothing is changed."""
    with connection.cursor() as cursor:
        wait_to_save(cursor)
    merge = AccountMerge.objects.select_for_update(of=["self"]).select_related("kept").get(pk=merge_id)
    if merge.undone_at:
        raise MergeError("This merge was taken back already.")
    later = AccountMerge.objects.filter(kept=merge.kept, undone_at=None, pk__gt=merge.pk).first()
    if later:
        raise MergeError(f"{later.gone_name} was merged into it later; take that back first.")
    _forget_aliases(merge)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _put_back(cursor, merge)
            _check_references(cursor)
    except IntegrityError as problem:
        raise MergeError(
            f"Something that {merge.gone_name} needs is not there any more, so it cannot be made again as it was."
        ) from problem
    _unfill(merge)
    merge.undone_by, merge.undone_at = user, timezone.now()
    merge.save(update_fields=["undone_by", "undone_at", "updated_at"])
    merge.rows.all().delete()
    write_audit(user, "undo_merge", merge.kept, gone_id=merge.gone_id, merge=merge.pk)
    return merge


def _forget_aliases(merge: AccountMerge) -> None:
    """The ids of what was taken in stand for that again."""
    for model, link in ((Account, "account"), (Contact, "contact")):
        for row in merge.rows.filter(table=model._meta.db_table, column=""):
            gone: Any = row.before
            RecordAlias.objects.filter(
                record_source=gone["record_source"],
                external_id=gone["external_id"],
                **{f"{link}__isnull": False},
            ).delete()


def _put_back(cursor: Any, merge: AccountMerge) -> None:
    """The account first, then what was set aside, then what was moved and is still there."""
    tables = list(merge.rows.filter(column="").order_by().values_list("table", flat=True).distinct())
    account = Account._meta.db_table
    for table in sorted(tables, key=lambda name: name != account):
        cursor.execute(
            f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(NULL::{table}, before)).* "
            'FROM accounts_mergedrow WHERE merge_id = %s AND "table" = %s AND "column" = \'\'',
            [merge.pk, table],
        )
    for table, column in _columns_moved(merge):
        value = f"(jsonb_populate_record(NULL::{table}, jsonb_build_object('{column}', {{}}))).\"{column}\""
        before, after = (value.format(f"COALESCE(m.before->{n}, to_jsonb(%s::bigint))") for n in (0, 1))
        cursor.execute(
            f'UPDATE {table} t SET "{column}" = {before} FROM accounts_mergedrow m WHERE m.merge_id = %s '
            'AND m."table" = %s AND m."column" = %s AND t.id = m.row_id '
            f'AND (t."{column}" = {after} OR t."{column}" IS NULL)',
            [merge.gone_id, merge.pk, table, column, merge.kept_id],
        )


def _columns_moved(merge: AccountMerge) -> Iterator[tuple[str, str]]:
    rows = merge.rows.exclude(column="").order_by("table", "column")
    yield from rows.values_list("table", "column").distinct()


def _unfill(merge: AccountMerge) -> None:
    """Take back what the kept account took over, where it still says that."""
    kept = Account.objects.select_for_update(of=["self"]).get(pk=merge.kept_id)
    changed = []
    for name, (before, after) in merge.filled.items():
        column = _column(name)
        if kept.serializable_value(name) == column.to_python(after):
            setattr(kept, column.attname, column.to_python(before))
            changed.append(name)
    if changed:
        kept.save(update_fields=[*changed, "updated_at"])


@transaction.atomic
def keep_apart(pair: DuplicatePair, user: User) -> None:
    """A person says that these are two customers; they are not proposed again."""
    pair.state, pair.decided_by, pair.decided_at = PairState.APART, user, timezone.now()
    pair.save(update_fields=["state", "decided_by", "decided_at", "updated_at"])
    write_audit(user, "keep_apart", pair, first=pair.first_id, second=pair.second_id)
