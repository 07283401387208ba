"""What customers heard from us: what counts as a message, how it splits, and the messages themselves."""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, Count, Expression, F, Q, QuerySet, Sum, TextField, Value, When
from django.db.models.functions import Coalesce, Left, NullIf

from accounts.models import Account, Enquiry, Interaction, Issue, Team, User
from accounts.models.care import Direction, InteractionKind, MessageClass
from accounts.paging import Page, make_page
from accounts.selectors import get_company, keep_if_large, menu_of, of_visible_accounts
from pulsecheck.message_mix import CARE, FEW, LEANINGS, PROMOTION, WINDOW_DAYS, Mix
from pulsecheck.models import MessageMix, PulseCheck, Survey
from pulsecheck.selectors.lists import PAGE_SIZE, ListFilters, Menus, keyset_page, named

UNSAID = "unsaid"
CLASSES = {**dict(MessageClass.choices), UNSAID: "Not said"}
STATES = {"": "All that heard from us", **LEANINGS}
TEAM = Coalesce("account__account_manager__team", "account__original_salesperson__team")
OTHER = "Neither"


def begin_of_window(today: dt.date) -> dt.datetime:
    """Messages from then on count."""
    return dt.datetime.combine(today - dt.timedelta(days=WINDOW_DAYS), dt.time(), get_company().zone)


# ── what counts as a message ───────────────────────────────────────────
@dataclass(frozen=True)
class Source:
    """Records each of which is one message of ours to a customer: when it was, what it was for (one of `classes`, empty
    where nobody said), by whom, what it was and what it was about; `words` makes both readable."""

    name: str
    rows: Callable[[], QuerySet[Any]]
    at: str
    is_for: Expression | F
    by: str
    what: Value | F
    about: Expression | F
    classes: frozenset[str] = frozenset({MessageClass.SERVICE.value})
    words: Callable[[str, str], tuple[str, str]] = lambda what, about: (what, about)


def _text(value: str) -> Value:
    return Value(value, output_field=CharField())


def _first_said(*columns: str | Expression) -> Coalesce:
    """The first of these texts that is not empty, else an empty one."""
    said = [NullIf(column, _text("")) for column in columns]
    return Coalesce(*said, _text(""), output_field=TextField())


SERVICE = _text(MessageClass.SERVICE.value)
KINDS_OF_CONTACT = dict(InteractionKind.choices)
# Retention meetings are ours alone, and what a customer sends to us is theirs: neither is a message to them.
SOURCES = (
    Source(
        "interaction",
        lambda: Interaction.objects.filter(direction=Direction.OUT),
        "happened_at",
        F("message_class"),
        "user",
        F("kind"),
        _first_said("subject", "note"),
        frozenset({"", *MessageClass.values}),
        lambda kind, about: (KINDS_OF_CONTACT.get(kind, kind), about),
    ),
    Source(
        "pulse",
        PulseCheck.objects.all,
        "taken_at",
        Case(
            When(~Q(insight_shared=""), then=_text(MessageClass.INFORMATION.value)),
            default=SERVICE,
        ),
        "taken_by",
        _text("Pulse check"),
        F("insight_shared"),
        frozenset({MessageClass.INFORMATION.value, MessageClass.SERVICE.value}),
        lambda what, told: (what, f"Told them: {told}" if told else ""),
    ),
    Source(
        "survey",
        lambda: Survey.objects.filter(cancelled_at=None),
        "sent_at",
        SERVICE,
        "sent_by",
        _text("Survey"),
        F("about"),
    ),
    Source(
        "answer",
        lambda: Enquiry.objects.filter(responded_at__isnull=False),
        "responded_at",
        SERVICE,
        "responded_by",
        _text("Answer to their question"),
        F("subject"),
    ),
    Source(
        "told",
        lambda: Issue.objects.filter(told_at__isnull=False),
        "told_at",
        SERVICE,
        "told_by",
        _text("Told them what came of an issue"),
        _first_said(Left("description", 80), "theme", "external_id"),
    ),
)
BY_NAME = {source.name: source for source in SOURCES}


# ── counting ───────────────────────────────────────────────────────────
def count_messages(today: dt.date, account_ids: Iterable[int] | None = None) -> dict[int, Mix]:
    """For each account (default: all) that heard from us in the window what it heard; one query per kind of record."""
    since, counts = begin_of_window(today), defaultdict[int, Counter[str]](Counter)
    ids = None if account_ids is None else list(account_ids)
    for source in SOURCES:
        rows = source.rows().filter(**{f"{source.at}__gte": since})
        if ids is not None:
            rows = rows.filter(account__in=ids)
        grouped = (
            rows.order_by()
            .annotate(is_for=source.is_for)
            .values_list("account_id", "is_for")
            .annotate(n=Count("pk"))
        )
        for account, is_for, n in grouped:
            counts[account][is_for or UNSAID] += n
    return {account: Mix(**{name: found[name] for name in CLASSES}) for account, found in counts.items()}


def mix_of(account: Account, today: dt.date) -> Mix:
    """What one account heard, counted now."""
    return count_messages(today, [account.pk]).get(account.pk, Mix())


def stored_mix(account: Account) -> Mix:
    """What one account heard as counted last; no query where its `message_mix` was selected with it."""
    row: MessageMix | None = getattr(account, "message_mix", None)
    return row.mix if row else Mix()


# ── by team and segment ────────────────────────────────────────────────
@dataclass(frozen=True)
class Part:
    """What the accounts of a team or segment heard together; how many of them hear mostly promotion, mostly
    information and service, and too little to tell."""

    key: str
    label: str
    mix: Mix
    accounts: int
    promotional: int
    caring: int
    unknown: int


GROUPS: dict[str, tuple[str, Any]] = {
    "team": ("Teams", TEAM),
    "segment": ("Segments", F("account__segment")),
}


def mix_by(user: User, by: str) -> list[Part]:
    """The accounts `user` sees by one of GROUPS, most promotion first, those of neither last; one query. Sums over many
    accounts are kept for a moment."""
    return keep_if_large(
        "message-mix",
        user,
        "all",
        (by,),
        lambda: _parts(user, by),
        lambda parts: sum(p.accounts for p in parts),
    )


def _parts(user: User, by: str) -> list[Part]:
    found = (
        of_visible_accounts(MessageMix.objects.all(), user)
        .order_by()
        .values(key=GROUPS[by][1])
        .annotate(
            **{f"sum_{name}": Sum(name) for name in CLASSES},
            accounts=Count("pk"),
            **{f"n_{code}": Count("pk", filter=Q(leaning=code)) for code in LEANINGS},
        )
    )
    names = dict(Team.objects.values_list("pk", "name")) if by == "team" else {}
    parts = [_part(row, names) for row in found]
    return sorted(parts, key=lambda p: (p.label == OTHER, -(p.mix.promotion_share or 0.0), p.label))


def _part(row: Mapping[str, Any], names: Mapping[int, str]) -> Part:
    key = row["key"] or ""
    label = (names.get(key) if isinstance(key, int) else key) or OTHER
    mix = Mix(**{name: row[f"sum_{name}"] or 0 for name in CLASSES})
    return Part(
        str(key), label, mix, row["accounts"], row[f"n_{PROMOTION}"], row[f"n_{CARE}"], row[f"n_{FEW}"]
    )


def whole_of(parts: Iterable[Part]) -> Part:
    """All of them together."""
    listed = list(parts)

    def total(number: Callable[[Part], int]) -> int:
        return sum(number(part) for part in listed)

    mix = Mix(**{name: total(lambda p, name=name: getattr(p.mix, name)) for name in CLASSES})  # type: ignore[misc]
    return Part(
        "",
        "All",
        mix,
        total(lambda p: p.accounts),
        total(lambda p: p.promotional),
        total(lambda p: p.caring),
        total(lambda p: p.unknown),
    )


# ── accounts by mix ────────────────────────────────────────────────────
def slice_menus() -> Menus:
    """Teams and segments to narrow a list to."""
    return {
        "team": [("", "Any"), *((str(pk), name) for pk, name in Team.objects.values_list("pk", "name"))],
        "segment": [("", "Any"), *((name, name) for name in menu_of("segment"))],
    }


def account_page(user: User, filters: ListFilters) -> Page:
    """Accounts that heard from us, most promotion first; one query."""
    rows = named(_of_slice(MessageMix.objects.all(), user, filters), filters.text)
    if filters.state:
        rows = rows.filter(leaning=filters.state)
    related = rows.select_related("account")
    return keyset_page(
        related, filters, "promotion_share", newest_first=True, parse=float, write=lambda value: repr(value)
    )


def _of_slice(rows: QuerySet[Any], user: User, filters: ListFilters) -> QuerySet[Any]:
    """Rows of the accounts that whose, team and segment ask for; one's own are always among those one sees."""
    if filters.whose == "mine":
        rows = rows.filter(Q(account__original_salesperson=user) | Q(account__account_manager=user))
    else:
        rows = of_visible_accounts(rows, user)
    if segment := filters.chosen.get("segment"):
        rows = rows.filter(account__segment=segment)
    if team := filters.chosen.get("team"):
        rows = rows.annotate(of_team=TEAM).filter(of_team=int(team))
    return rows


# ── the messages themselves ────────────────────────────────────────────
@dataclass(frozen=True)
class Message:
    """One message to a customer: its account and whoever said it by name."""

    at: dt.datetime
    source: str
    pk: int
    account_id: int
    account: str
    by: str | None
    is_for: str
    what: str
    about: str

    @property
    def interaction(self) -> int | None:
        """Whose class can be said: the others are what they are."""
        return self.pk if self.source == "interaction" else None

    @property
    def class_words(self) -> str:
        return CLASSES[self.is_for]

    @property
    def cursor(self) -> str:
        return f"{self.at.isoformat()}~{self.source}~{self.pk}"


def message_page(
    user: User, filters: ListFilters, today: dt.date, account: Account | None = None, size: int = PAGE_SIZE
) -> Page:
    """Messages of the window, the newest first; one query, which reads of each kind of record no more than a page."""
    since, after = begin_of_window(today), _read_cursor(filters.after)
    purpose = "" if filters.state == UNSAID else filters.state or None
    parts = [
        _behind(_of_reader(source, user, filters, account, purpose), source, after)
        .filter(**{f"{source.at}__gte": since})
        .order_by(f"-{source.at}", "-pk")[: size + 1]
        for source in SOURCES
        if purpose is None or purpose in source.classes
    ]
    found = [_message(*row) for row in _newest(parts, size + 1)]
    shown = found[:size]
    words = f"{len(shown)} shown" + (", more follow" if len(found) > size else "")
    return make_page(found, size, filters.query, shown[-1].cursor if shown else "", words)


def _newest(parts: Sequence[QuerySet[Any]], size: int) -> QuerySet[Any]:
    """The newest of all parts, each of which is in order and cut already."""
    first, *others = parts
    if not others:
        return first
    return first.union(*others, all=True).order_by("-moment", "-record", "-pk")[:size]


def _of_reader(
    source: Source, user: User, filters: ListFilters, account: Account | None, purpose: str | None
) -> QuerySet[Any]:
    """Its records of one account, or of those that the reader asked for; None stands for every purpose."""
    rows = source.rows().annotate(purpose=source.is_for)
    rows = rows.filter(account=account) if account else _of_slice(rows, user, filters)
    return _columns(rows if purpose is None else rows.filter(purpose=purpose), source)


def _columns(rows: QuerySet[Any], source: Source) -> QuerySet[Any]:
    """What `_message` takes."""
    named_columns = rows.annotate(
        moment=F(source.at),
        record=_text(source.name),
        said_by=F(f"{source.by}__name"),
        said_as=source.what,
        gist=source.about,
    )
    return named_columns.values_list(
        "moment", "record", "pk", "account_id", "account__name", "said_by", "purpose", "said_as", "gist"
    )


def _read_cursor(text: str) -> tuple[dt.datetime, str, int] | None:
    """The last message shown; None where the text names none."""
    moment, _, rest = text.partition("~")
    source, _, number = rest.partition("~")
    try:
        at, pk = dt.datetime.fromisoformat(moment), int(number)
    except ValueError:
        return None
    return (at, source, pk) if at.tzinfo and 0 < pk < 2**63 else None


def _behind(rows: QuerySet[Any], source: Source, after: tuple[dt.datetime, str, int] | None) -> QuerySet[Any]:
    """Rows that come after the cursor in the order (moment, source, number), falling."""
    if after is None:
        return rows
    at, name, pk = after
    rows = rows.filter(**{f"{source.at}__lte": at})
    if source.name > name:
        return rows.filter(**{f"{source.at}__lt": at})
    if source.name == name:
        return rows.filter(Q(**{f"{source.at}__lt": at}) | Q(**{source.at: at, "pk__lt": pk}))
    return rows


def _message(
    at: dt.datetime,
    record: str,
    pk: int,
    account_id: int,
    account: str,
    by: str | None,
    purpose: str,
    said_as: str,
    gist: str,
) -> Message:
    what, about = BY_NAME[record].words(said_as, gist)
    return Message(at, record, pk, account_id, account, by, purpose or UNSAID, what, about)
