"""What the pages of connected systems show: how each fares, what came in, what waits for a person, what went back."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, F, Max, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from accounts.crm.errors import CrmError
from accounts.crm.mapping import Mapper, as_text
from accounts.crm.outbox import FIELDS
from accounts.crm.systems import connector_class, known_systems
from accounts.models import (
    Account,
    Connection,
    Contact,
    FieldMap,
    Interaction,
    Order,
    Quarantine,
    RawRecord,
    SyncRun,
    SyncStep,
    User,
    WriteBack,
)
from accounts.models.crm import Decision, Linkable, StepState, SyncState, WriteBackState

UNDER_WAY = {SyncState.WAITING, SyncState.RUNNING}
OPEN = {*UNDER_WAY, SyncState.PAUSED}
SHOWN_REASONS = 12
MOST_PROBLEMS = 500  # different texts that are looked at to be grouped


@dataclass(frozen=True, slots=True)
class SystemCard:
    """A system that can be connected, as the choice of systems shows it."""

    name: str
    label: str
    about: str
    can_push: bool
    has_webhooks: bool
    has_tables: bool
    webhook_how_to: Sequence[str]


def system_card(name: str) -> SystemCard | None:
    """What a connector says of its system; None when its folder is not there any more."""
    try:
        found = connector_class(name)
    except CrmError:
        return None
    return SystemCard(
        name,
        found.label,
        found.about,
        found.can_push,
        found.has_webhooks,
        found.has_tables,
        found.webhook_how_to,
    )


def system_cards() -> list[SystemCard]:
    """All of them, by label."""
    cards = [card for name in known_systems() if (card := system_card(name)) is not None]
    return sorted(cards, key=lambda card: card.label.lower())


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection fares: a word with its tone, and when it is read next."""

    connection: Connection
    label: str
    run: SyncRun | None
    last_done_at: dt.datetime | None
    waiting: int

    @property
    def is_set_up(self) -> bool:
        return self.run is not None

    @property
    def is_under_way(self) -> bool:
        return self.run is not None and self.run.state in UNDER_WAY

    @property
    def word(self) -> tuple[str, str]:
        """What it is called, and its tone (templatetag state)."""
        state = self.run.state if self.run else ""
        cases = (
            (self.run is None, "Not finished setting up", "wait"),
            (bool(self.connection.message), "Needs you", "bad"),
            (self.connection.is_paused, "Paused", "wait"),
            (state == SyncState.WAITING, "About to sync", "busy"),
            (state == SyncState.RUNNING, "Syncing", "busy"),
            (state == SyncState.FAILED, "Last sync failed", "bad"),
            (state == SyncState.CANCELLED, "Last sync was stopped", "wait"),
        )
        return next(((word, tone) for is_so, word, tone in cases if is_so), ("Up to date", "good"))

    @property
    def trouble(self) -> str:
        """What a person has to do something about, in one sentence; nothing while all is well."""
        if self.connection.message:
            return self.connection.message
        is_failed = self.run is not None and self.run.state == SyncState.FAILED
        return self.run.message if is_failed and self.run else ""

    @property
    def next_due_at(self) -> dt.datetime | None:
        """When it is read by itself; None while it is paused, under way, or read only by hand."""
        every = self.connection.pull_minutes
        if self.run is None or self.connection.is_paused or not every or self.run.state in OPEN:
            return None
        return max(self.run.created_at + dt.timedelta(minutes=every), timezone.now())

    @property
    def next_in(self) -> str:
        """When that is, in words: a few minutes matter here."""
        if self.next_due_at is None:
            return ""
        minutes = round((self.next_due_at - timezone.now()).total_seconds() / 60)
        if minutes < 1:
            return "within a minute"
        if minutes < 120:
            return f"in {minutes} {'minute' if minutes == 1 else 'minutes'}"
        return f"in {round(minutes / 60)} hours"


def standings(user: User) -> list[Standing]:
    """The connections that `user` may see; the same number of queries however many there are."""
    connections = list(Connection.objects.visible_to(user).order_by("name"))
    return _standings(connections)


def standing_of(connection: Connection) -> Standing:
    return _standings([connection])[0]


def _standings(connections: Sequence[Connection]) -> list[Standing]:
    newest = SyncRun.objects.filter(connection=OuterRef("connection"), is_dry_run=False)
    newest_id = newest.order_by("-pk").values("pk")[:1]
    runs = {
        run.connection_id: run
        for run in SyncRun.objects.filter(connection__in=connections, pk=Subquery(newest_id)).select_related(
            "started_by"
        )
    }
    done = SyncRun.objects.filter(
        connection__in=connections, state=SyncState.DONE, is_dry_run=False
    ).order_by()
    last = dict(done.values("connection").annotate(at=Max("finished_at")).values_list("connection", "at"))
    waits = Quarantine.objects.filter(raw__connection__in=connections, decision=Decision.WAITING).order_by()
    waiting = dict(
        waits.values("raw__connection").annotate(n=Count("pk")).values_list("raw__connection", "n")
    )
    return [
        Standing(one, label_of(one.system), runs.get(one.pk), last.get(one.pk), waiting.get(one.pk, 0))
        for one in connections
    ]


def label_of(system: str) -> str:
    """What people call a system."""
    card = system_card(system)
    return card.label if card else system


# One connection ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """What came in of one stream."""

    stream: str
    kind: str
    is_wanted: bool
    landed: int
    refused: int
    gone: int

    @property
    def label(self) -> str:
        return stream_label(self.stream)

    @property
    def kind_label(self) -> str:
        return self.kind.replace("_", " ")


def stream_label(stream: str) -> str:
    return stream.replace("_", " ").capitalize() if stream.islower() else stream


def stream_figures(connection: Connection) -> list[StreamFigures]:
    """How many records of each stream are here, were refused, are gone over there; in the order of reading."""
    kinds = dict(FieldMap.objects.filter(connection=connection).values_list("stream", "kind"))
    rows = RawRecord.objects.filter(connection=connection).order_by().values("stream")
    counted = {
        stream: numbers
        for stream, *numbers in rows.annotate(
            landed=Count("pk"),
            refused=Count("pk", filter=~Q(problem="")),
            gone=Count("pk", filter=Q(deleted_at__isnull=False)),
        ).values_list("stream", "landed", "refused", "gone")
    }
    return [
        StreamFigures(
            one.stream, kinds.get(one.stream, ""), one.is_wanted, *counted.get(one.stream, (0, 0, 0))
        )
        for one in connection.streams.all()
    ]


REFUSED = re.compile(r"^(?P<column>\w+) '.*?' (?P<reason>.+)$", re.DOTALL)
NOT_HERE = "Belongs to an account that is not here: it waits for a decision, was refused or left out, or is not there any more"


def plain_reason(column: str, reason: str) -> str:
    """Why a record was refused, as a sentence for people who import no files."""
    if "is no known account" in reason:
        return NOT_HERE
    return f"{column.replace('_', ' ').capitalize()} {reason}" if column else reason


def refusals(connection: Connection) -> list[dict[str, Any]]:
    """Why records were refused, the most frequent first: stream, reason, how many, the id of one."""
    rows = RawRecord.objects.filter(connection=connection).exclude(problem="").order_by()
    found = rows.values_list("stream", "problem").annotate(n=Count("pk"), example=Max("source_id"))
    grouped: dict[tuple[str, str], tuple[int, str]] = {}
    for stream, problem, n, example in found.order_by("-n", "stream", "problem")[:MOST_PROBLEMS]:
        told = REFUSED.match(problem)
        column, reason = (told["column"], told["reason"]) if told else ("", problem)
        key = (stream, plain_reason(column, reason))
        grouped[key] = (grouped.get(key, (0, ""))[0] + n, example)
    ranked = sorted(grouped.items(), key=lambda item: (-item[1][0], item[0]))[:SHOWN_REASONS]
    return [
        {"stream": stream, "reason": reason, "n": n, "example": example}
        for (stream, reason), (n, example) in ranked
    ]


@dataclass(frozen=True, slots=True)
class WriteBackFigures:
    """What the other system was told: how many accounts, how many wait, and why some were refused."""

    sent: int = 0
    waiting: int = 0
    failed: int = 0
    reasons: Sequence[Any] = field(default_factory=tuple)


def write_back_figures(connection: Connection) -> WriteBackFigures:
    rows = WriteBack.objects.filter(connection=connection).order_by()
    counts = dict(rows.values("state").annotate(n=Count("pk")).values_list("state", "n"))
    reasons = rows.exclude(last_error="").values("last_error").annotate(n=Count("pk")).order_by("-n")[:5]
    return WriteBackFigures(
        counts.get(WriteBackState.SENT, 0),
        counts.get(WriteBackState.WAITING, 0),
        counts.get(WriteBackState.FAILED, 0),
        list(reasons),
    )


def write_back_fields() -> list[str]:
    """What is written, as it is called over there."""
    return [label for label, _ in FIELDS.values()]


# Runs --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run and its steps."""

    run: SyncRun
    steps: Sequence[SyncStep]

    @property
    def done(self) -> int:
        return sum(step.state == StepState.DONE for step in self.steps)

    @property
    def now(self) -> SyncStep | None:
        """The step that is being worked on, or comes next."""
        return next((step for step in self.steps if step.state != StepState.DONE), None)

    @property
    def rows_read(self) -> int:
        return sum(step.rows_read for step in self.steps if step.action in {"pull", "hints"})


def run_progress(run: SyncRun) -> RunProgress:
    return RunProgress(run, list(run.steps.select_related("last_import")))


def last_runs(connection: Connection, limit: int = 10) -> Iterable[SyncRun]:
    """The newest runs with what they took in: `n_new`, `n_changed`, `n_refused`, and what they sent: `n_sent`."""
    taken = Q(steps__action="apply")
    return (
        SyncRun.objects.filter(connection=connection, is_dry_run=False)
        .select_related("started_by")
        .annotate(
            n_new=Sum("steps__rows_created", filter=taken),
            n_changed=Sum("steps__rows_changed", filter=taken),
            n_refused=Sum("steps__rows_refused", filter=taken),
            n_sent=Sum("steps__rows_changed", filter=Q(steps__action="push")),
        )
        .order_by("-pk")[:limit]
    )


# Records that wait for a decision ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account or a contact that a record could be, with what tells such apart: facts in words, and how many orders
    (or conversations) there were and when the last."""

    record: Account | Contact
    facts: Sequence[tuple[str, str]]
    counts: str
    n: int = 0
    last_at: dt.datetime | None = None

    @property
    def account(self) -> Account:
        return self.record.account if isinstance(self.record, Contact) else self.record


def quarantined(connection: Connection | None, *, decided: bool = False) -> Any:
    """Records that wait for a person (or, `decided`, those that were decided), oldest first."""
    rows = Quarantine.objects.select_related("raw__connection", "account", "contact", "decided_by")
    if connection is not None:
        rows = rows.filter(raw__connection=connection)
    if decided:
        return rows.exclude(decision=Decision.WAITING).order_by("-decided_at", "-pk")
    return rows.filter(decision=Decision.WAITING).order_by("pk")


def mapped_rows(raws: Sequence[RawRecord]) -> dict[int, dict[str, str]]:
    """What our columns would say of landed records: raw id -> column -> text; with one query per connection and stream."""
    found: dict[int, dict[str, str]] = {}
    mappers: dict[tuple[int, str], Mapper | None] = {}
    for raw in raws:
        key = (raw.connection_id, raw.stream)
        if key not in mappers:
            saved = FieldMap.objects.filter(connection=raw.connection_id, stream=raw.stream).first()
            mappers[key] = None if saved is None else _plain_mapper(saved)
        mapper = mappers[key]
        row = mapper.row(raw.source_id, raw.payload).row if mapper else {}
        found[raw.pk] = {name: text for name, value in row.items() if (text := as_text(value))}
    return found


def _plain_mapper(saved: FieldMap) -> Mapper:
    """Without the records of other streams and the people of ours, which tell nothing apart."""
    return Mapper(saved.kind, saved.columns, saved.only_if, lambda _stream, _id: None, frozenset())


def candidates_of(one: Quarantine, search: str = "") -> list[Candidate]:
    """The accounts or contacts a record could be; with `search`, those whose name contains it instead: any account, or
    other contacts of the same one."""
    return CANDIDATES[Linkable(one.kind)](one, search[:100])


def _chosen(one: Quarantine, search: str, among: Any) -> Any:
    """Those of `among` to look at, by name."""
    if search:
        return among.filter(name__icontains=search).order_by("name", "pk")[:10]
    return among.filter(pk__in=one.candidates[:20]).order_by("name", "pk")


def _accounts_like(one: Quarantine, search: str) -> list[Candidate]:
    accounts = Account.objects.select_related("account_manager").filter(is_sample=False)
    found = list(_chosen(one, search, accounts))
    counted = _counted(Order.objects.filter(account__in=found), "account", "ordered_at")
    emails: dict[int, list[str]] = {}
    for account_id, email in (
        Contact.objects.filter(account__in=found).exclude(email="").values_list("account", "email")[:200]
    ):
        emails.setdefault(account_id, []).append(email)
    return [
        Candidate(
            account,
            [
                ("Country", account.country),
                ("Industry", account.industry),
                ("Contacts", ", ".join(emails.get(account.pk, [])[:3])),
                ("Account manager", account.account_manager.name if account.account_manager else ""),
            ],
            "Orders",
            *counted.get(account.pk, ()),
        )
        for account in found
    ]


def _contacts_like(one: Quarantine, search: str) -> list[Candidate]:
    contacts = Contact.objects.select_related("account")
    theirs = Contact.objects.filter(pk__in=one.candidates[:20]).values("account")
    found = list(_chosen(one, search, contacts.filter(account__in=theirs)))
    counted = _counted(Interaction.objects.filter(contact__in=found), "contact", "happened_at")
    return [
        Candidate(
            contact,
            [
                ("Account", contact.account.name),
                ("E-mail", contact.email),
                ("Telephone", contact.phone),
                ("Job title", contact.job_title),
                ("Still there", "" if contact.is_active else "no"),
            ],
            "Conversations",
            *counted.get(contact.pk, ()),
        )
        for contact in found
    ]


CANDIDATES = {Linkable.ACCOUNTS: _accounts_like, Linkable.CONTACTS: _contacts_like}


def _counted(rows: Any, of: str, when: str) -> dict[int, tuple[int, dt.datetime]]:
    told = rows.order_by().values(of).annotate(n=Count("pk"), last=Max(when))
    return {pk: (n, last) for pk, n, last in told.values_list(of, "n", "last")}


def last_syncs() -> list[Standing]:
    """Every connection for the status page."""
    return _standings(list(Connection.objects.order_by(F("name").asc())))


def latest_preview(connection: Connection) -> SyncRun | None:
    """The newest dry run of a connection."""
    return SyncRun.objects.filter(connection=connection, is_dry_run=True).order_by("-pk").first()


def preview_told(run: SyncRun | None) -> dict[str, Any] | None:
    """What a finished dry run found, with its totals and the words of the page; None while there is nothing."""
    if run is None or run.state != SyncState.DONE or not run.found:
        return None
    found: dict[str, Any] = run.found
    names = ("read", "created", "changed", "same", "refused", "quarantined", "left_out")
    rows = [
        {**row, "label": stream_label(row["stream"]), "kind_label": row["kind"].replace("_", " ")}
        for row in found["streams"]
    ]
    totals = {name: sum(row[name] for row in rows) for name in names}
    refused = [{**row, "reason": plain_reason(row["column"], row["reason"])} for row in found["refused"]]
    return {
        **found,
        "streams": rows,
        "refused": refused,
        "totals": totals,
        "can_start": totals["created"] + totals["changed"] > 0,
    }


def labelled(row: dict[str, str]) -> list[tuple[str, str]]:
    """A row of the import door with its columns as people read them."""
    return [
        (name.replace("_", " ").capitalize(), value) for name, value in row.items() if name != "external_id"
    ]
