"""What the sample company told its customers and heard from them: insights, surveys, random audits of the past months."""

from __future__ import annotations

import datetime as dt
from random import Random

from django.db import transaction

from accounts.models import Account, Contact, Issue, Order, User
from accounts.models.care import Severity
from pulsecheck.draw import draw
from pulsecheck.models import AuditPick, AuditWeek, Insight, PulseCheck, Survey, SurveyAnswer
from pulsecheck.models.insights import Reaction
from pulsecheck.models.surveys import is_bad_answer
from pulsecheck.services.audits import ASK_WITHIN, CLOSES_AFTER, monday_of
from pulsecheck.services.surveys import VALID_FOR
from retention.sample import listening as said
from retention.sample.world import add_working_days, office_hours, working_day

DAY = dt.timedelta(days=1)
AUDIT_WEEKS = 12  # before this one, which the last night draws
A_WEEK = 10
SURVEYS = 240
FRESH_COMPLAINT = 10  # sent two weeks ago: a bad answer whose giver waits to hear what came of it
REACTIONS = (Reaction.USEFUL, Reaction.USEFUL, Reaction.KNOWN, Reaction.NONE, Reaction.NOT_THEIRS)


@transaction.atomic
def listen(last_day: dt.date, seed: int) -> None:
    """Write what had been told and heard by the end of `last_day`; the same for the same arguments."""
    insights = _write_insights(last_day)
    _tell_insights(Random(f"{seed} insights"), insights, last_day)
    _ask_by_survey(Random(f"{seed} surveys"), last_day)
    _audit(Random(f"{seed} audits"), last_day, seed)


# ── insights ───────────────────────────────────────────────────────────
def _write_insights(last_day: dt.date) -> list[Insight]:
    writer = User.objects.filter(is_sample=True, role="marketing", is_active=True).order_by("pk").first()
    return Insight.objects.bulk_create(
        Insight(
            title=told.title,
            text=told.text,
            source=told.source,
            industries=list(told.industries),
            valid_from=last_day + told.begins * DAY,
            valid_until=last_day + told.ends * DAY,
            written_by=writer,
            is_sample=True,
        )
        for told in said.INSIGHTS
    )


def _tell_insights(rng: Random, insights: list[Insight], last_day: dt.date) -> None:
    """At two of five pulse checks of the last months something was told, to nobody twice."""
    since = last_day - 200 * DAY
    pulses = PulseCheck.objects.filter(is_sample=True, taken_at__date__gte=since).select_related("account")
    told: set[tuple[int, int]] = set()
    changed = []
    for pulse in pulses.order_by("taken_at", "account__external_id"):
        day = pulse.taken_at.date()
        fitting = [
            insight
            for insight in insights
            if insight.valid_from <= day <= insight.valid_until
            and (not insight.industries or pulse.account.industry in insight.industries)
            and (pulse.account_id, insight.pk) not in told
        ]
        if fitting and rng.random() < 0.4:
            insight = rng.choice(fitting)
            told.add((pulse.account_id, insight.pk))
            pulse.insight, pulse.insight_shared = insight, insight.title
            pulse.insight_reaction = rng.choice(REACTIONS)
            changed.append(pulse)
    PulseCheck.objects.bulk_update(changed, ["insight", "insight_shared", "insight_reaction"], batch_size=500)


# ── surveys ────────────────────────────────────────────────────────────
def _ask_by_survey(rng: Random, last_day: dt.date) -> None:
    """A year of surveys, of which two in five were answered; the last bad answers still wait for a word from us."""
    people = list(
        Contact.objects.filter(is_sample=True, is_active=True, account__account_manager__is_active=True)
        .exclude(email="")
        .select_related("account__account_manager")
        .order_by("external_id")
    )
    for position, contact in enumerate(rng.sample(people, min(SURVEYS, len(people)))):
        ago = 2 + round(position * 350 / SURVEYS)
        sent_at = office_hours(rng, working_day(last_day - ago * DAY))
        if sent_at.date() > last_day:
            continue
        survey = _survey(rng, contact, sent_at, position)
        if position == FRESH_COMPLAINT:
            _answer(rng, survey, last_day, mood=0)
        elif rng.random() < 0.45:
            _answer(rng, survey, last_day, rng.choices((0, 1, 2), (14, 30, 56))[0])


def _survey(rng: Random, contact: Contact, sent_at: dt.datetime, position: int) -> Survey:
    kind, manager = position % 4, contact.account.account_manager
    assert manager is not None
    return Survey.objects.create(
        account=contact.account,
        contact=contact,
        sent_by=manager,
        sent_at=sent_at,
        expires_at=sent_at + VALID_FOR,
        about="your last delivery" if kind == 1 else "",
        asks_nps=kind != 1,
        asks_csat=kind in (1, 3),
        asks_ces=kind == 3,
        key=f"sample-{rng.getrandbits(96):024x}",
        is_sample=True,
    )


def _answer(rng: Random, survey: Survey, last_day: dt.date, mood: int) -> None:
    """`mood` 0 is bad, 1 middling, 2 good."""
    answered_at = office_hours(rng, survey.sent_at.date() + rng.randrange(1, 9) * DAY)
    if answered_at.date() > last_day:
        return
    nps = rng.randrange(*((0, 7), (7, 9), (9, 11))[mood]) if survey.asks_nps else None
    csat = rng.randrange(*((1, 3), (3, 5), (4, 6))[mood]) if survey.asks_csat else None
    ces = rng.randrange(*((2, 4), (4, 6), (6, 8))[mood]) if survey.asks_ces else None
    number = rng.randrange(len(said.BAD_WORDS))
    words = (
        said.BAD_WORDS[number] if mood == 0 else rng.choice((said.MIDDLE_WORDS, said.GOOD_WORDS)[mood - 1])
    )
    is_bad = is_bad_answer(nps, csat, ces)
    answer = SurveyAnswer(
        survey=survey,
        account=survey.account,
        answered_at=answered_at,
        nps=nps,
        csat=csat,
        ces=ces,
        comment=words,
        is_bad=is_bad,
        is_sample=True,
    )
    survey.opened_at = answered_at - dt.timedelta(minutes=2)
    survey.save(update_fields=["opened_at", "updated_at"])
    if is_bad:
        _settle(rng, answer, number, last_day)
    answer.save()


def _settle(rng: Random, answer: SurveyAnswer, number: int, last_day: dt.date) -> None:
    """The issue of a bad answer, solved within days and told about, unless it is of this month."""
    owner = answer.survey.sent_by
    resolved_at = office_hours(rng, add_working_days(answer.answered_at.date(), rng.randrange(2, 6)))
    is_settled = resolved_at.date() < last_day - 30 * DAY
    answer.issue = Issue.objects.create(
        record_source="sample",
        external_id=f"TW-S{answer.survey_id}",
        account=answer.account,
        opened_at=answer.answered_at,
        description=f"Survey: {said.BAD_WORDS[number]}",
        severity=Severity.MEDIUM,
        owner=owner,
        due_on=add_working_days(answer.answered_at.date(), 2),
        resolved_at=resolved_at if is_settled else None,
        is_sample=True,
    )
    if is_settled:
        answer.loop_closed_at, answer.loop_closed_by = resolved_at + dt.timedelta(hours=2), owner
        answer.loop_note = said.CLOSING_WORDS[number]


# ── random audits ──────────────────────────────────────────────────────
def _audit(rng: Random, last_day: dt.date, seed: int) -> None:
    """The draws of the last months: mostly asked in time, one in eight of them not as happy as was thought."""
    for back in range(AUDIT_WEEKS, 0, -1):
        monday = monday_of(last_day) - 7 * back * DAY
        healthy = _buying_in(monday)
        if not healthy:
            continue
        drawn = draw(healthy, A_WEEK, f"{seed} {monday}")
        week = AuditWeek.objects.create(
            week_of=monday,
            as_of=monday - DAY,
            healthy=len(healthy),
            drawn=len(drawn),
            seed=f"{seed} {monday}",
            is_sample=True,
        )
        for pk in drawn:
            _pick(rng, week, healthy[pk], last_day)


def _buying_in(monday: dt.date) -> dict[int, Account]:
    """Customers who had ordered in the month before: healthy as far as anybody could see."""
    lately = Order.objects.filter(
        is_sample=True, amount__gt=0, ordered_at__date__range=(monday - 30 * DAY, monday - DAY)
    )
    found = Account.objects.filter(
        is_sample=True, account_manager__is_active=True, pk__in=lately.order_by().values("account")
    )
    # By their place in the book, not by their number in this database: the same draw everywhere.
    return {int(a.external_id.removeprefix("TW-C")): a for a in found.select_related("account_manager")}


def _pick(rng: Random, week: AuditWeek, account: Account, last_day: dt.date) -> None:
    taken_at = office_hours(rng, working_day(week.week_of + rng.randrange(1, 16) * DAY))
    pick = AuditPick(
        week=week,
        account=account,
        assignee=account.account_manager,
        due_on=week.week_of + ASK_WITHIN,
        closes_on=week.week_of + CLOSES_AFTER,
        tier="steady",
        is_sample=True,
    )
    if rng.random() < 0.88 and taken_at.date() <= last_day:
        pick.pulse = _pulse(rng, account, taken_at)
    pick.save()


def _pulse(rng: Random, account: Account, taken_at: dt.datetime) -> PulseCheck:
    is_well, manager = rng.random() < 0.88, account.account_manager
    assert manager is not None
    due_on = add_working_days(taken_at.date(), 5)
    return PulseCheck.objects.create(
        account=account,
        taken_by=manager,
        taken_at=taken_at,
        score=rng.choice((4, 5, 5, 6)) if is_well else rng.choice((2, 3, 3)),
        note=rng.choice(said.AUDIT_NOTES[is_well]),
        next_step="Write down what they said and thank them" if is_well else "Visit them this week",
        next_step_owner=manager,
        next_step_due_on=due_on,
        next_step_done_at=taken_at + dt.timedelta(days=1),
        is_sample=True,
    )
