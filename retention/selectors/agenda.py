"""What a retention meeting has to talk about: made from what happened since the last one, and what comes up.

An agenda is plain data, so that it can be kept as it stood when the meeting was held. Rows carry the id of their
account; whoever reads one sees the rows of the accounts they see (`for_reader`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum, Window

from accounts.models import Account, Contract, Interaction, Issue, Promise, User
from accounts.models.care import BY_SEVERITY, PromiseStatus
from accounts.selectors import attach_people, day_begins, get_company, keep_figures
from pulsecheck.models import Handback, PulseCheck, RetentionMeeting
from pulsecheck.models.handbacks import HandbackOutcome
from pulsecheck.selectors.owners import SILENT_DAYS
from pulsecheck.selectors.triggers import poor_pulse
from retention.models import Score, ScoreRun, Tier
from retention.models.scores import RISKY_TIERS, RunState
from retention.selectors.book import why
from retention.selectors.frame import run_stamp

MOST = 10
RENEWAL_DAYS = 120
PROMISE_DAYS = 31
SUMS_SECONDS = 600
# How bad a tier is; new and steady are neither.
GRAVITY = {Tier.THRIVING: -1, Tier.WATCH: 1, Tier.QUIET: 2, Tier.AT_RISK: 3, Tier.LOST: 4}
Row = dict[str, Any]
Figures = TypeVar("Figures")


@dataclass(frozen=True)
class Found:
    """What one section talks about: records, the most important first, what is said of each, and which of their fields
    names one of ours. `of_all` is how many there are, where that is known without counting them."""

    records: QuerySet[Any]
    tell: Callable[[Any], Row]
    person: str = ""
    of_all: int | None = None


@dataclass(frozen=True)
class Sums:
    """Accounts of the meeting; of those scored the ones at risk, quiet or watched, the money at risk a year in the
    company's currency, and those nobody hears from."""

    accounts: int
    risky: int | None = None
    money: Decimal | None = None
    silent: int | None = None


@dataclass(frozen=True)
class Scope:
    """Whose accounts (one, or all that the people of a team won or look after), from which day on, at the end of which
    day, and the newest published run."""

    account: int | None
    staff: tuple[int, ...]
    since: dt.date
    today: dt.date
    run: ScoreRun | None

    def of(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those of `rows` that belong to an account of the meeting."""
        return rows.filter(self._accounts("account__"))

    @property
    def begin(self) -> dt.datetime:
        """What happened from here on is looked at: the day after the last meeting, in the company's time zone."""
        return day_begins(self.since + dt.timedelta(days=1))

    @property
    def end(self) -> dt.datetime:
        """Where `today` ends, which itself does not count any more."""
        return day_begins(self.today + dt.timedelta(days=1))

    @property
    def silent_since(self) -> dt.datetime:
        """Nobody has spoken with a customer for long whose last conversation was before."""
        return day_begins(self.today - dt.timedelta(days=SILENT_DAYS["operations"]))

    def days_since(self, moment: dt.datetime) -> int:
        """Days between the company's day of `moment` and today."""
        return (self.today - get_company().local_date(moment)).days

    def _accounts(self, prefix: str = "") -> Q:
        if self.account is not None:
            return Q(**{f"{prefix}pk": self.account})
        won, care = f"{prefix}original_salesperson__in", f"{prefix}account_manager__in"
        return Q(**{won: self.staff}) | Q(**{care: self.staff})

    @cached_property
    def sums(self) -> Sums:
        """Two queries; of a large team they are kept, as scores change only with a run."""
        return self._keep("sums", self._add_up, lambda sums: sums.accounts)

    def _add_up(self) -> Sums:
        accounts = Account.objects.filter(self._accounts()).order_by().count()
        if self.run is None:
            return Sums(accounts)
        lately = Interaction.objects.filter(account=OuterRef("account"), happened_at__gte=self.silent_since)
        found = self.of(Score.objects.filter(as_of=self.run.as_of)).aggregate(
            risky=Count("pk", filter=Q(tier__in=RISKY_TIERS)),
            money=Sum("revenue_at_risk_company"),
            silent=Count("pk", filter=_is_silent(Exists(lately))),
        )
        return Sums(accounts, found["risky"], found["money"] or Decimal(0), found["silent"])

    def first(self, code: str, found: Found) -> tuple[list[Any], int]:
        """The first records of a section, one more than are shown, and how many there are; one query. Of a large team how
        many is kept: the first alone come off an index in their order, to count them PostgreSQL reads them all."""
        records = found.records.annotate(account_name=F("account__name"))
        counted: list[Any] | None = None

        def count() -> int:
            nonlocal counted
            counted = list(records.annotate(of_all=Window(Count("pk")))[: MOST + 1])
            return counted[0].of_all if counted else 0

        if found.of_all is not None:
            return list(records[: MOST + 1]), found.of_all
        of_all = self._keep(code, count, lambda _count: self.sums.accounts)
        return list(records[: MOST + 1]) if counted is None else counted, of_all

    def _keep(self, name: str, make: Callable[[], Figures], accounts: Callable[[Figures], int]) -> Figures:
        stamp = run_stamp(self.run) if self.run else ""
        asked = ("agenda", name, self.account, self.staff, self.since, self.today, stamp)
        return keep_figures(asked, make, accounts, seconds=SUMS_SECONDS)


def scope_of(meeting: RetentionMeeting, today: dt.date, run: ScoreRun | None) -> Scope:
    """What the meeting is about; those who left the team's company included."""
    of_team = (
        User.objects.filter(team=meeting.team_id).order_by("pk") if meeting.team_id else User.objects.none()
    )
    staff = tuple(of_team.values_list("pk", flat=True))
    return Scope(meeting.account_id, staff, meeting.covers_from, today, run)


def contracts_that_end(today: dt.date) -> QuerySet[Contract]:
    """Those that end within RENEWAL_DAYS and that nobody has cancelled."""
    until = today + dt.timedelta(days=RENEWAL_DAYS)
    return Contract.objects.filter(ends_on__range=(today, until), cancelled_on=None)


def make_agenda(meeting: RetentionMeeting, today: dt.date, run: ScoreRun | None) -> dict[str, Any]:
    """The agenda at the end of `today`: a fixed number of queries, the first rows of each section and how many more."""
    scope = scope_of(meeting, today, run)
    sections = _sections(scope)
    return {
        "as_of": today.isoformat(),
        "since": scope.since.isoformat(),
        "scored": run.as_of.isoformat() if run else None,
        "figures": _figures(scope),
        "sections": [section for section in sections if section["rows"]],
        "empty": [section["title"].lower() for section in sections if not section["rows"]],
    }


def _sections(scope: Scope) -> list[dict[str, Any]]:
    """The first rows of each section and how many more there are."""
    found = {code: find(scope) for code, _title, find in SECTIONS}
    first = {code: scope.first(code, section) if section else ([], 0) for code, section in found.items()}
    attach_people(
        *(
            (first[code][0], (section.person,))
            for code, section in found.items()
            if section and section.person
        )
    )
    return [
        {"code": code, "title": title, **_section(found[code], *first[code])}
        for code, title, _find in SECTIONS
    ]


def _section(found: Found | None, first: list[Any], of_all: int) -> dict[str, Any]:
    rows = [found.tell(record) for record in first[:MOST]] if found else []
    # One that came since they were counted is there, whatever the count says.
    return {"rows": rows, "more": max(of_all, len(first)) - MOST if len(first) > MOST else 0}


def _figures(scope: Scope) -> dict[str, Any]:
    """Accounts, those at risk, quiet or watched, and the money at risk a year in the company's currency."""
    sums = scope.sums
    money = None if sums.money is None else str(sums.money)
    return {
        "accounts": sums.accounts,
        "risky": sums.risky,
        "money": money,
        "currency": get_company().currency,
    }


def _row(record: Any, text: str, **more: Any) -> Row:
    """`tone` bad, good or nothing; `on` a day; `anchor` the place on the account's page."""
    return {"account": record.account_id, "name": record.account_name, "text": text} | {
        key: value.isoformat() if isinstance(value, dt.date) else value
        for key, value in more.items()
        if value not in (None, "")
    }


def _movements(scope: Scope) -> Found | None:
    """Accounts whose tier is another one than at the last run before the days looked at, most money at risk first."""
    run = scope.run
    if run is None:
        return None
    earlier = ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lt=run.as_of).order_by()
    days = earlier.aggregate(before=Max("as_of", filter=Q(as_of__lte=scope.since)), first=Min("as_of"))
    day = days["before"] or days["first"]
    if day is None:
        return None
    then = Score.objects.filter(account=OuterRef("account"), as_of=day).order_by()
    moved = (
        scope.of(Score.objects.filter(as_of=run.as_of))
        .annotate(
            before=Subquery(then.values("tier")[:1]), was=Subquery(then.values("churn_probability")[:1])
        )
        .filter(before__isnull=False)
        .exclude(tier=F("before"))
        .order_by("-revenue_at_risk_company", "account_id")
    )

    def tell(score: Any) -> Row:
        worse = GRAVITY.get(score.tier, 0) - GRAVITY.get(score.before, 0)
        return _row(
            score,
            f"{Tier(score.before).label} → {score.get_tier_display()}: {score.was * 100:.0f}\N{NO-BREAK SPACE}% → "
            f"{score.churn_probability * 100:.0f}\N{NO-BREAK SPACE}% may leave.",
            detail=why(score, 1),
            tone="bad" if worse > 0 else "good" if worse < 0 else None,
            money=str(score.revenue_at_risk),
            currency=score.currency,
        )

    return Found(moved, tell)


def _handbacks(scope: Scope) -> Found:
    """Handbacks closed since, and those under way."""
    rows = scope.of(
        Handback.objects.filter(Q(closed_at=None) | Q(closed_at__gte=scope.begin), opened_at__lt=scope.end)
    )
    rows = rows.exclude(outcome=HandbackOutcome.FALSE_ALARM)

    def tell(handback: Handback) -> Row:
        who = handback.salesperson or "nobody"
        says = handback.get_outcome_display() or handback.get_state_display()
        return _row(
            handback,
            f"{says}: handed back to {who}.",
            detail=handback.closing_note,
            tone={"saved": "good", "lost": "bad"}.get(handback.outcome),
            money=str(handback.revenue_at_risk),
            currency=handback.currency,
            path=f"/handbacks/{handback.pk}/",
        )

    ordered = rows.order_by(F("closed_at").desc(nulls_last=True), "-revenue_at_risk", "pk")
    return Found(ordered, tell, "salesperson")


def _renewals(scope: Scope) -> Found:
    """Contracts that end, or have to be given notice of, soon."""
    rows = scope.of(contracts_that_end(scope.today))

    def tell(contract: Contract) -> Row:
        notice = contract.ends_on - dt.timedelta(days=contract.notice_days)
        text = f"The contract ends in {(contract.ends_on - scope.today).days} days"
        if contract.notice_days:
            left = (notice - scope.today).days
            text += (
                f", notice is possible for {left} more days"
                if left > 0
                else ", the time to give notice is over"
            )
        return _row(
            contract,
            f"{text}. {'It renews by itself.' if contract.auto_renews else 'It has to be renewed.'}",
            on=contract.ends_on,
            money=str(contract.annual_value),
            currency=contract.currency,
            anchor="contracts",
        )

    return Found(rows.order_by("ends_on", "pk"), tell)


def _promises(scope: Scope) -> Found:
    """Promises overdue and due within a month, and those broken since."""
    due = Q(status=PromiseStatus.OPEN, due_on__lte=scope.today + dt.timedelta(days=PROMISE_DAYS))
    broken = Q(status=PromiseStatus.BROKEN, due_on__gt=scope.since)
    rows = scope.of(Promise.objects.filter(due | broken, made_on__lte=scope.today))

    def tell(promise: Promise) -> Row:
        is_late = promise.status == PromiseStatus.BROKEN or promise.due_on < scope.today
        state = "Broken" if promise.status == PromiseStatus.BROKEN else "Overdue" if is_late else "Due"
        return _row(
            promise,
            f"{state}: {promise.text}",
            detail=f"Promised by {promise.made_by}.",
            on=promise.due_on,
            tone="bad" if is_late else None,
            anchor="promises",
        )

    return Found(rows.order_by("due_on", "pk"), tell, "made_by")


def _issues(scope: Scope) -> Found:
    """Issues that are open, the gravest and oldest first."""
    rows = scope.of(Issue.objects.filter(resolved_at=None, opened_at__lt=scope.end))

    def tell(issue: Issue) -> Row:
        is_late = issue.due_on is not None and issue.due_on < scope.today
        return _row(
            issue,
            str(issue),
            detail=f"{issue.get_severity_display()}, open for {scope.days_since(issue.opened_at)} days,"
            f" {issue.owner or 'nobody'} has it.",
            on=issue.due_on,
            tone="bad" if is_late or issue.severity == "high" else None,
            anchor="issues",
        )

    return Found(rows.order_by(BY_SEVERITY, "opened_at", "pk"), tell, "owner")


def _pulses(scope: Scope) -> Found:
    """Poor pulses since."""
    poor = PulseCheck.objects.filter(
        score__lte=poor_pulse(), taken_at__gte=scope.begin, taken_at__lt=scope.end
    )
    rows = scope.of(poor)

    def tell(pulse: PulseCheck) -> Row:
        done = "done" if pulse.next_step_done_at else f"{pulse.next_step_owner} does it"
        return _row(
            pulse,
            f"Pulse check {pulse.score} of 6: {pulse.note or pulse.get_score_display().lower()}",
            detail=f"Next step: {pulse.next_step} ({done}).",
            tone="bad",
            anchor="pulses",
        )

    return Found(rows.order_by("score", "-taken_at", "-pk"), tell, "next_step_owner")


def _is_silent(spoken_lately: Q | Exists) -> Q:
    """Of scores: accounts silent beyond their own rhythm, and customers nobody has spoken with for three months."""
    return ~Q(tier=Tier.LOST) & (Q(tier=Tier.QUIET) | ~Q(spoken_lately))


def _quiet(scope: Scope) -> Found | None:
    """Accounts silent beyond their own rhythm, and customers nobody has spoken with for three months; most money first."""
    if scope.run is None:
        return None
    talks = Interaction.objects.filter(account=OuterRef("account")).order_by()
    spoken = Subquery(talks.values("account").annotate(at=Max("happened_at")).values("at"))
    scores = scope.of(Score.objects.filter(as_of=scope.run.as_of))
    # For the few that are shown PostgreSQL looks up each; told as in the sums, it would first read all conversations.
    lately = Q(spoken__isnull=False, spoken__gte=scope.silent_since)
    silent = scores.annotate(spoken=spoken).filter(_is_silent(lately))

    def tell(score: Any) -> Row:
        if score.tier == Tier.QUIET:
            text = f"Quiet: last order {score.days_since_last_order} days ago"
            gap = score.usual_gap_days
            text += f", usually every {gap:.0f}." if gap else "."
        else:
            ago = scope.days_since(score.spoken) if score.spoken else None
            text = f"Nobody has spoken with them for {ago} days." if ago else "No conversation is on record."
        return _row(score, text, money=str(score.expected_value_12m), currency=score.currency)

    return Found(silent.order_by("-revenue_at_risk_company", "account_id"), tell, of_all=scope.sums.silent)


SECTIONS: tuple[tuple[str, str, Callable[[Scope], Found | None]], ...] = (
    ("movements", "Movements", _movements),
    ("handbacks", "Handbacks", _handbacks),
    ("renewals", "Renewals", _renewals),
    ("promises", "Promises due", _promises),
    ("issues", "Open issues", _issues),
    ("pulses", "Poor pulse checks", _pulses),
    ("quiet", "Quiet accounts", _quiet),
)


def for_reader(agenda: Mapping[str, Any], user: User) -> dict[str, Any]:
    """The agenda as `user` may read it: rows of accounts they do not see are left out and counted in `hidden`."""
    named = {row["account"] for section in agenda.get("sections", []) for row in section["rows"]}
    seen = set(Account.objects.visible_to(user).filter(pk__in=named).values_list("pk", flat=True))
    sections, hidden = [], 0
    for section in agenda.get("sections", []):
        rows = [row for row in section["rows"] if row["account"] in seen]
        hidden += len(section["rows"]) - len(rows)
        sections.append({**section, "rows": [_dated(row) for row in rows]})
    return {**agenda, **_dated(agenda), "sections": [s for s in sections if s["rows"]], "hidden": hidden}


def accounts_of(agenda: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The accounts that rows of the agenda are about, each once, by name."""
    named = {row["account"]: row["name"] for section in agenda["sections"] for row in section["rows"]}
    return sorted(named.items(), key=lambda account: account[1].casefold())


def _dated(row: Mapping[str, Any]) -> Row:
    """Days as days again, after they were kept as text."""
    days = {
        key: dt.date.fromisoformat(row[key]) for key in ("on", "as_of", "since", "scored") if row.get(key)
    }
    return {**row, **days}
