"""Writes the sample company into the database, as months of work would have left it, and takes it out again."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.db import connection, models, transaction

from accounts.models import (
    Account,
    AccountMember,
    ChurnReason,
    Company,
    Contact,
    Contract,
    Enquiry,
    ExchangeRate,
    Interaction,
    Issue,
    Order,
    OrderLine,
    OwnerChange,
    Product,
    Promise,
    Team,
    User,
)
from accounts.selectors import COMPANY_KEY, get_company
from pulsecheck.models import Handback, HandbackAttempt, HandbackReason, PulseCheck, PulseTheme, Touchpoint
from pulsecheck.models.handbacks import HandbackState
from pulsecheck.models.touchpoints import TouchpointState
from pulsecheck.selectors.triggers import get_handback_policy, office_hours
from pulsecheck.services.messages import recount_messages
from pulsecheck.services.products import study_products
from retention.models import ScoreRun
from retention.sample.book import CUSTOMERS
from retention.sample.company import generate
from retention.sample.records import HandbackRecord, Person, PulseRecord, SampleCompany
from retention.sample.world import working_day
from retention.services.actions import act_on_run
from retention.services.disagreements import note_disagreements
from retention.services.sample_cadence import keep_in_touch
from retention.services.sample_handbacks import credit_and_sign
from retention.services.sample_listening import listen
from retention.services.sample_owning import own_together
from retention.services.sample_together import act_together
from retention.services.scoring import score_book
from retention.services.sign_in import trial_password

SOURCE = "sample"
PAST_NIGHTS = (61, 31)
WRITTEN: tuple[type[models.Model], ...] = (
    Account, AccountMember, OwnerChange, Contact, Product, Order, OrderLine, Contract, Interaction, Issue, Promise, Enquiry,
    Touchpoint, PulseCheck, Handback, HandbackReason, HandbackAttempt,
)  # fmt: skip
MARKS = {"record_source": SOURCE, "is_sample": True}
Row = Mapping[str, Any]
Ids = dict[str, int]


class SampleError(Exception):
    """The sample company cannot be loaded; the message says why and what to do."""


def has_real_accounts() -> bool:
    """Whether anybody's own customers are in the database."""
    return Account.objects.filter(is_sample=False).exists()


def is_sample_loaded() -> bool:
    return Account.objects.filter(is_sample=True).exists()


@dataclass(frozen=True)
class LoadedSample:
    """What was loaded."""

    name: str
    accounts: int
    orders: int
    staff: int
    runs: int

    def __str__(self) -> str:
        return (
            f"Loaded the sample company {self.name}: {self.accounts} accounts, {self.orders} orders, "
            f"{self.staff} people, scored {self.runs} times."
        )


def load_sample(today: dt.date, seed: int, *, beside_real: bool = False) -> LoadedSample:
    """The sample company as it stands on the morning of `today`, scored as it would have been in the nights before.

    Raises SampleError as `write_sample` does.
    """
    company = write_sample(today - dt.timedelta(days=1), seed, beside_real=beside_real)
    own_together(today, seed)
    runs = score_past_nights(today)
    answer_some_handbacks()
    credit_and_sign()
    miss_some_touchpoints(today)
    keep_in_touch(today)
    study_products(today)
    recount_messages()
    act_together(today)
    return LoadedSample(
        company.name, len(company.accounts), len(company.orders), len(company.people), runs=len(runs)
    )


def score_past_nights(today: dt.date) -> list[ScoreRun]:
    """Runs a month apart, so that there are trends, and last night's, which does what every night does."""
    runs = [score_book(today - dt.timedelta(days=days), takes_action=False) for days in PAST_NIGHTS]
    for run in runs:
        note_disagreements(run)
    last_night = score_book(today - dt.timedelta(days=1))
    act_on_run(last_night)
    return [*runs, last_night]


@transaction.atomic
def answer_some_handbacks() -> None:
    """Of the handbacks of last night a third is made a few days old and accepted with a call made, and a few wait
    for longer than they should, as it would be had the nights before been real."""
    opened = Handback.objects.filter(is_sample=True, state=HandbackState.OPEN, salesperson__isnull=False)
    for position, handback in enumerate(opened.order_by("account__external_id")):
        age = 3 + position % 6
        if position % 3 == 0:
            _accept_days_ago(handback, age)
        elif position % 7 == 0:
            _date_back(handback, age)
            handback.save()


@transaction.atomic
def miss_some_touchpoints(today: dt.date) -> None:
    """Of the contacts that the last weeks asked for, every other one was due on its day, and nobody called."""
    planned = Touchpoint.objects.filter(is_sample=True, state=TouchpointState.PLANNED, assignee__isnull=False)
    asked = planned.filter(wanted_on__range=(today - dt.timedelta(days=20), today - dt.timedelta(days=3)))
    for touchpoint in asked.order_by("wanted_on", "account__external_id")[::2]:
        touchpoint.due_on, touchpoint.moved_because = working_day(touchpoint.wanted_on or today), ""
        touchpoint.save(update_fields=["due_on", "moved_because", "updated_at"])


def _date_back(handback: Handback, days: int) -> None:
    handback.opened_at -= dt.timedelta(days=days)
    handback.due_at = office_hours().add(handback.opened_at, get_handback_policy().answer_hours)
    handback.due_on = get_company().local_date(handback.due_at)


def _accept_days_ago(handback: Handback, days: int) -> None:
    _date_back(handback, days)
    handback.state = HandbackState.ACCEPTED
    handback.accepted_at = handback.opened_at + dt.timedelta(hours=20)
    handback.save()
    HandbackAttempt.objects.create(
        handback=handback,
        user=handback.salesperson,
        happened_at=handback.accepted_at + dt.timedelta(hours=2),
        kind="call",
        has_reached=days % 2 == 0,
        note="Will talk to their kitchen and ring back." if days % 2 == 0 else "Left a message.",
    )


@transaction.atomic
def write_sample(
    last_day: dt.date, seed: int, *, beside_real: bool = False, customers: int = CUSTOMERS
) -> SampleCompany:
    """Write everything that had happened by the end of `last_day`; no scores yet.

    Raises SampleError when there are real accounts (unless `beside_real`) or the sample is already there.
    """
    if is_sample_loaded():
        raise SampleError("The sample company is already loaded; remove it first with remove_sample.")
    if has_real_accounts() and not beside_real:
        raise SampleError(
            "There are customers of your own here; the sample company would mix with them. "
            "Use --force to load it all the same."
        )
    company = generate(last_day, seed, customers)
    _name_company(company)
    _Writer(company).write()
    listen(last_day, seed)
    return company


def _name_company(company: SampleCompany) -> None:
    """The made-up name, unless the company has been given its own."""
    get_company()
    Company.objects.filter(name=Company._meta.get_field("name").default).update(
        name=company.name, currency=company.currency
    )
    for currency, rate in company.rates.items():
        ExchangeRate.objects.get_or_create(currency=currency, defaults={"rate": rate})
    cache.delete(COMPANY_KEY)


class _Writer:
    """Writes one record kind after the other and remembers which key became which id."""

    def __init__(self, company: SampleCompany) -> None:
        self.company = company
        self.users: Ids = {}
        self.accounts: Ids = {}
        self.contacts: Ids = {}
        self.reasons: Ids = dict(ChurnReason.objects.values_list("code", "pk"))
        self.themes: Ids = dict(PulseTheme.objects.values_list("code", "pk"))

    def write(self) -> None:
        self._write_staff()
        company, references = self.company, self._references
        self.accounts = self._write(Account, company.accounts, references())
        self.contacts = self._write(Contact, company.contacts, references())
        orders = self._write(Order, company.orders, references())
        self._write_products_and_lines(orders)
        others: tuple[tuple[type[models.Model], Sequence[Any]], ...] = (
            (Contract, company.contracts),
            (Interaction, company.interactions),
            (Issue, company.issues),
            (Promise, company.promises),
            (Enquiry, company.enquiries),
        )
        for model, records in others:
            self._write(model, records, references())
        members = [_row(record, references(), {}) for record in company.members]
        _copy(AccountMember, members)
        _copy(OwnerChange, [_row(record, references(), {}) for record in company.owner_changes])
        self._write_pulses()
        self._write_handbacks()
        # Nobody else has told the planner of these rows yet, and removing them would take minutes without.
        with connection.cursor() as cursor:
            for model in WRITTEN:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")

    def _references(self) -> dict[str, Ids]:
        """Which fields of the records are keys of which other records."""
        people = (
            "original_salesperson", "account_manager", "user", "owner", "made_by", "terms_disclosed_by",
            "from_user", "to_user",
        )  # fmt: skip
        return {
            **dict.fromkeys(people, self.users),
            "account": self.accounts,
            "contact": self.contacts,
            "churn_reason": self.reasons,
        }

    def _write(self, model: type[models.Model], records: Sequence[Any], references: dict[str, Ids]) -> Ids:
        ids = _copy(model, [_row(record, references, MARKS) for record in records])
        return dict(zip((record.key for record in records), ids, strict=True))

    def _write_staff(self) -> None:
        teams = {
            name: Team.objects.create(name=_free_team_name(name), is_sample=True)
            for name in self.company.teams
        }
        # Hashing is slow on purpose: everybody has the same password, so it is hashed once.
        password = make_password(trial_password() if settings.TRIAL else None)
        users = User.objects.bulk_create(
            _user(person, teams.get(person.team), password) for person in self.company.people
        )
        self.users = {user.email: user.pk for user in users}
        for name, email in self.company.teams.items():
            Team.objects.filter(pk=teams[name].pk).update(manager=self.users[email])

    def _write_products_and_lines(self, orders: Ids) -> None:
        rows = [_row(record, {}, MARKS) for record in self.company.products]
        for row in rows:
            row["sku"] = row.pop("external_id")
        products = dict(
            zip((record.key for record in self.company.products), _copy(Product, rows), strict=True)
        )
        references = {"order": orders, "product": products}
        _copy(OrderLine, [_row(record, references, {}) for record in self.company.lines])

    def _write_pulses(self) -> None:
        pulses = self.company.pulses
        planned = [
            {
                "account_id": self.accounts[plan.account],
                "assignee_id": self.users[plan.assignee],
                "due_on": plan.due_on,
                "state": "planned",
                "finished_on": None,
            }
            for plan in self.company.plans
        ]
        done = [
            {
                "account_id": self.accounts[pulse.account],
                "assignee_id": self.users[pulse.taken_by],
                "due_on": pulse.due_on,
                "state": "done",
                "finished_on": pulse.taken_at.date(),
            }
            for pulse in pulses
        ]
        extra = {"reason": "Planned by the cadence.", "note": "", "is_sample": True}
        touchpoints = _copy(Touchpoint, [row | extra for row in done + planned])
        rows = [
            self._pulse(pulse, touchpoint)
            for pulse, touchpoint in zip(pulses, touchpoints[: len(pulses)], strict=True)
        ]
        ids = _copy(PulseCheck, rows)
        _copy(
            PulseCheck.themes.through,
            [
                {"pulsecheck_id": pk, "pulsetheme_id": self.themes[pulse.theme]}
                for pk, pulse in zip(ids, pulses, strict=True)
                if pulse.theme
            ],
        )

    def _pulse(self, pulse: PulseRecord, touchpoint: int) -> Row:
        return {
            "account_id": self.accounts[pulse.account],
            "touchpoint_id": touchpoint,
            "taken_by_id": self.users[pulse.taken_by],
            "taken_at": pulse.taken_at,
            "contact_id": self.contacts.get(pulse.contact or ""),
            "score": pulse.score,
            "note": pulse.note,
            "insight_shared": "",
            "opportunity": "",
            "next_step": pulse.next_step,
            "next_step_owner_id": self.users[pulse.taken_by],
            "next_step_due_on": pulse.next_step_due_on,
            "next_step_done_at": pulse.next_step_done_at,
            "is_sample": True,
        }

    def _write_handbacks(self) -> None:
        handbacks = self.company.handbacks
        ids = _copy(Handback, [self._handback(record) for record in handbacks])
        attempts = [
            {
                "handback_id": pk,
                "user_id": self.users[record.salesperson],
                "happened_at": happened_at,
                "kind": kind,
                "has_reached": has_reached,
                "note": note,
            }
            for pk, record in zip(ids, handbacks, strict=True)
            for happened_at, kind, has_reached, note in record.attempts
        ]
        _copy(HandbackAttempt, attempts)
        reasons = [
            {
                "handback_id": pk,
                "trigger": record.trigger,
                "sentence": record.reason,
                "noted_at": record.opened_at,
            }
            for pk, record in zip(ids, handbacks, strict=True)
        ]
        _copy(HandbackReason, reasons)

    def _handback(self, record: HandbackRecord) -> Row:
        return {
            "account_id": self.accounts[record.account],
            "salesperson_id": self.users[record.salesperson],
            "assigned_because": "Won this account.",
            "trigger": record.trigger,
            "state": "closed",
            "risk": _risk(record),
            "revenue_at_risk": record.revenue_at_risk,
            "currency": record.currency,
            "opened_at": record.opened_at,
            "due_on": record.due_on,
            "accepted_at": record.accepted_at,
            "closed_at": record.closed_at,
            "closed_by_id": self.users[record.salesperson],
            "outcome": record.outcome,
            "churn_reason_id": self.reasons[record.churn_reason] if record.churn_reason else None,
            "closing_note": record.closing_note,
            "is_sample": True,
        }


def _risk(record: HandbackRecord) -> dict[str, Any]:
    return {
        "churn_probability": record.probability,
        "horizon_days": None,
        "tier": record.trigger,
        "reasons": [
            {"factor": "rhythm", "sentence": record.reason, "points": round(record.probability * 60, 1)}
        ],
        "as_of": record.opened_at.date().isoformat(),
        "model_version": "",
        "days_since_last_order": None,
        "usual_gap_days": None,
    }


def _free_team_name(name: str) -> str:
    return name if not Team.objects.filter(name=name).exists() else f"{name} (sample)"


def _user(person: Person, team: Team | None, password: str) -> User:
    return User(
        email=person.email,
        name=person.name,
        role=person.role,
        team=team,
        calls_per_day=person.calls_per_day,
        left_on=person.left_on,
        is_active=person.left_on is None,
        is_sample=True,
        password=password,
    )


def _row(record: Any, references: Mapping[str, Ids], extra: Row) -> dict[str, Any]:
    """A record as column values; keys of other records become their ids."""
    row: dict[str, Any] = dict(extra)
    for name, value in record._asdict().items():
        if name in references:
            row[f"{name}_id"] = None if value is None else references[name][value]
        else:
            row["external_id" if name == "key" else name] = value
    return row


def _copy(model: type[models.Model], rows: Sequence[Row]) -> list[int]:
    """Write rows of equal columns by COPY; returns their ids in the same order."""
    if not rows:
        return []
    table, columns = model._meta.db_table, ["id", *rows[0]]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [table, len(rows)]
        )
        ids = [found[0] for found in cursor.fetchall()]
        lines = StringIO("".join(_line([pk, *row.values()]) for pk, row in zip(ids, rows, strict=True)))
        names = ", ".join(connection.ops.quote_name(column) for column in columns)
        cursor.copy_expert(f"COPY {connection.ops.quote_name(table)} ({names}) FROM STDIN", lines)
    return ids


def _line(values: Iterable[Any]) -> str:
    return "\t".join(_cell(value) for value in values) + "\n"


def _cell(value: Any) -> str:
    """A value in the text format of COPY."""
    if value is None:
        return r"\N"
    if isinstance(value, dict | list):
        value = json.dumps(value)
    if isinstance(value, str):
        return value.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
    return str(value)
