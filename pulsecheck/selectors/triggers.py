"""What may open a handback: the rules in force, how right each trigger was, and what calls for one besides the score."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from django.db.models import Count, DateField, ExpressionWrapper, F, Q
from django.utils import timezone

from accounts.models import Contract, Promise, User
from accounts.models.care import PromiseStatus
from accounts.selectors import company_today, day_begins, get_company
from pulsecheck.business_days import business_calendar
from pulsecheck.business_hours import OfficeHours
from pulsecheck.handback import Precision, Staff, chance_to_save
from pulsecheck.models import Handback, HandbackPolicy, HandbackReason, TriggerRule
from pulsecheck.models.handbacks import HandbackOutcome, HandbackState, HandbackTrigger
from pulsecheck.models.pulses import PulseScore
from pulsecheck.risk import RiskSnapshot, latest_risks

MEASURED_DAYS = 180
# Once a promise is broken for longer than this, a call about it is no news to anybody.
STALE_PROMISE_DAYS = 45
# Of renewals, those that look safe need no handback.
SHAKY = frozenset({"watch", "at_risk", "quiet"})


def get_handback_policy() -> HandbackPolicy:
    """The one row; the shipped values until somebody saves others."""
    return HandbackPolicy.objects.filter(pk=1).first() or HandbackPolicy(pk=1)


def get_rules() -> dict[str, TriggerRule]:
    """The rule of every trigger that works by itself."""
    return {rule.trigger: rule for rule in TriggerRule.objects.all()}


def office_hours(person: User | None = None, policy: HandbackPolicy | None = None) -> OfficeHours:
    """When `person` (nobody: the company) is at work: the holidays of their country (else the company's), on their own clock."""
    policy = policy or get_handback_policy()
    country = (person.country if person else "") or get_company().country
    return OfficeHours(business_calendar(country), zone_of(person), policy.opens_at, policy.closes_at)


def zone_of(person: User | None) -> ZoneInfo:
    """The clock `person` lives by; nobody's is the company's."""
    return ZoneInfo(person.time_zone) if person and person.time_zone else get_company().zone


def precision_of(rule: TriggerRule) -> Precision:
    """How right the trigger was of late."""
    return precisions([rule])[rule.trigger]


def precisions(rules: Iterable[TriggerRule]) -> dict[str, Precision]:
    """How right each trigger was in half a year, or since it was let speak again; one query. An episode counts for every
    trigger that spoke for it."""
    since = timezone.now() - dt.timedelta(days=MEASURED_DAYS)
    begins = {rule.trigger: max(since, rule.measured_from or since) for rule in rules}
    counted = Q(pk__in=[])
    for trigger, begin in begins.items():
        counted |= Q(trigger=trigger, handback__closed_at__gte=begin)
    rows = (
        HandbackReason.objects.filter(counted, handback__state=HandbackState.CLOSED)
        .order_by()
        .values_list("trigger")
        .annotate(
            judged=Count("pk"), right=Count("pk", filter=~Q(handback__outcome=HandbackOutcome.FALSE_ALARM))
        )
    )
    found = {trigger: Precision(right, judged) for trigger, judged, right in rows}
    return {trigger: found.get(trigger, Precision(0, 0)) for trigger in begins}


def chances_to_save() -> dict[str, float]:
    """Trigger -> the share of its handbacks of a year that ended saved, drawn towards that of all; one query."""
    closed = Handback.objects.filter(closed_at__gte=timezone.now() - dt.timedelta(days=365)).order_by()
    saved = Count("pk", filter=Q(outcome=HandbackOutcome.SAVED))
    counts = {t: (s, n) for t, s, n in closed.values_list("trigger").annotate(saved=saved, n=Count("pk"))}
    all_saved, all_closed = sum(s for s, _ in counts.values()), sum(n for _, n in counts.values())
    return {
        trigger: chance_to_save(*counts.get(trigger, (0, 0)), all_saved, all_closed)
        for trigger in HandbackTrigger.values
    }


def poor_pulse() -> int:
    """A pulse check of so many points or fewer is poor, whether or not it may open handbacks at the moment."""
    rule = get_rules().get(HandbackTrigger.PULSE)
    return PulseScore.UNHAPPY if rule is None or rule.threshold is None else rule.threshold


def poorest_pulse() -> int:
    """A pulse check of so many points or fewer opens a handback; 0 = none does."""
    rule = get_rules().get(HandbackTrigger.PULSE)
    return (rule.threshold or 0) if rule is not None and rule.may_speak else 0


# ── what calls for a handback besides the score ────────────────────────
def find_triggers(today: dt.date) -> list[tuple[int, RiskSnapshot, str]]:
    """Broken promises and renewals near, as (account, what is known, trigger) each."""
    rules = get_rules()
    found = [*_broken_promises(rules, today), *_renewals(rules, today)]
    known = latest_risks({account_id for account_id, _, _, _ in found})
    wanted = []
    for account_id, trigger, sentence, currency in found:
        risk = known.get(account_id) or RiskSnapshot(currency=currency)
        if trigger != HandbackTrigger.RENEWAL or risk.tier in SHAKY:
            said = {"factor": trigger, "sentence": sentence, "points": 0}
            wanted.append((account_id, replace(risk, reasons=[said, *risk.reasons]), str(trigger)))
    return wanted


Found = tuple[int, str, str, str]


def _broken_promises(rules: dict[str, TriggerRule], today: dt.date) -> Iterable[Found]:
    """Promises that are late by the threshold's working days, or were broken, of the last weeks; of each account the one
    that was due first."""
    rule = rules.get(HandbackTrigger.PROMISE)
    if rule is None or not rule.may_speak:
        return
    late_since = _working_days_before(today, rule.threshold or 0)
    oldest = today - dt.timedelta(days=STALE_PROMISE_DAYS)
    broken = Q(status=PromiseStatus.BROKEN, due_on__lte=today)
    late = Q(status=PromiseStatus.OPEN, due_on__lt=late_since)
    rows = (
        Promise.objects.filter(broken | late, due_on__gte=oldest, account__lifecycle_stage="customer")
        .order_by("account", "due_on", "pk")
        .distinct("account")
        .values_list("account", "text", "made_by__name", "due_on", "account__currency")
    )
    for account_id, text, name, due_on, currency in rows:
        sentence = f"{name} promised “{text}” by {due_on.day} {due_on:%B}; it is not kept."
        if len(sentence) > 300:
            sentence = f"{name} made a promise due on {due_on.day} {due_on:%B}; it is not kept."
        yield account_id, HandbackTrigger.PROMISE, sentence, currency


def _working_days_before(today: dt.date, count: int) -> dt.date:
    calendar, day = business_calendar(get_company().country), today
    for _ in range(count):
        day = calendar.on_or_before(day - dt.timedelta(days=1))
    return day


def _renewals(rules: dict[str, TriggerRule], today: dt.date) -> Iterable[Found]:
    """Contracts whose end, or the last day to give notice, lies within the threshold; of each account the one that has to
    be decided first."""
    rule = rules.get(HandbackTrigger.RENEWAL)
    if rule is None or not rule.may_speak:
        return
    until = today + dt.timedelta(days=rule.threshold or 0)
    notice_on = ExpressionWrapper(F("ends_on") - F("notice_days"), output_field=DateField())
    span = (today, until)
    rows = (
        Contract.objects.filter(ends_on__gte=today, cancelled_on=None, account__lifecycle_stage="customer")
        .annotate(notice_on=notice_on)
        .filter(Q(ends_on__range=span) | Q(notice_days__gt=0, notice_on__range=span))
        .order_by("account", "notice_on", "pk")
        .distinct("account")
        .values_list("account", "ends_on", "notice_days", "notice_on", "account__currency")
    )
    for account_id, ends_on, notice_days, last_day, currency in rows:
        words = f"Their contract ends on {ends_on.day} {ends_on:%B}."
        if notice_days and last_day >= today:
            words = f"Notice on their contract can be given until {last_day.day} {last_day:%B}."
        yield account_id, HandbackTrigger.RENEWAL, words, currency


# ── budgets ────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Load:
    """How many handbacks one person may get from runs in a day, has got today, and has waiting for an answer."""

    person: User
    budget: int
    is_own: bool
    opened_today: int
    waiting: int
    most_waiting: int

    @property
    def is_full(self) -> bool:
        """Nothing new comes from tonight's run."""
        return self.opened_today >= self.budget or self.waiting >= self.most_waiting


def load_of_people(staff: Staff, people: Collection[User]) -> list[Load]:
    """The budget of everybody in `people`, fullest first; two queries."""
    opened, waiting = load_by_person()
    days = get_handback_policy().days_waiting
    loads = [
        Load(
            person,
            staff.people[person.pk].budget,
            staff.people[person.pk].alerts_per_day is not None,
            opened.get(person.pk, 0),
            waiting.get(person.pk, 0),
            staff.people[person.pk].budget * days,
        )
        for person in people
        if person.pk in staff.people
    ]
    return sorted(loads, key=lambda load: (not load.is_full, -load.waiting, load.person.name))


def load_by_person() -> tuple[dict[int | None, int], dict[int | None, int]]:
    """Handbacks opened today by runs, and handbacks that wait for an answer, by person."""
    opened = Handback.objects.filter(opened_at__gte=day_begins(company_today()), opened_by=None).order_by()
    waiting = Handback.objects.filter(state=HandbackState.OPEN).order_by()
    by_person = [dict(rows.values_list("salesperson").annotate(n=Count("pk"))) for rows in (opened, waiting)]
    return by_person[0], by_person[1]


# ── the page of the triggers ───────────────────────────────────────────
@dataclass(frozen=True)
class TriggerRecord:
    """One trigger as the page shows it: its rule, how right it was, and what it is doing now."""

    rule: TriggerRule
    precision: Precision
    opened: int
    unfinished: int

    @property
    def is_wanting(self) -> bool:
        """Judged often enough to say that it is below what is asked for."""
        return self.precision.is_below(float(self.rule.least_precision), self.rule.least_judged)

    @property
    def missing(self) -> int:
        """Closed handbacks still needed before it is judged."""
        return max(0, self.rule.least_judged - self.precision.judged)


def trigger_records() -> list[TriggerRecord]:
    """Every trigger; three queries."""
    rules = list(TriggerRule.objects.all())
    found = precisions(rules)
    since = timezone.now() - dt.timedelta(days=MEASURED_DAYS)
    spoke = HandbackReason.objects.filter(noted_at__gte=since).order_by().values_list("trigger")
    unfinished = Count("pk", filter=~Q(handback__state=HandbackState.CLOSED))
    counts = {trigger: (n, open_) for trigger, n, open_ in spoke.annotate(n=Count("pk"), open=unfinished)}
    return [TriggerRecord(rule, found[rule.trigger], *counts.get(rule.trigger, (0, 0))) for rule in rules]


def recent_false_alarms(user: User, most: int = 12) -> list[Handback]:
    """What people said was no risk, newest first, of accounts that `user` sees; two queries."""
    rows = Handback.objects.visible_to(user).filter(
        state=HandbackState.CLOSED, outcome=HandbackOutcome.FALSE_ALARM
    )
    related = rows.select_related("account", "closed_by").prefetch_related("reasons")
    return list(related.order_by("-closed_at", "-pk")[:most])  # the order of the index of what is closed
