"""Surveys: sending the link, taking an answer, closing the loop back to the customer."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.links import read_key, sign_key
from accounts.models import Account, Contact, Issue, User
from accounts.models.care import Direction, Severity
from accounts.selectors import company_today, get_company
from accounts.services.audit import write_audit
from accounts.services.care import log_interaction
from accounts.services.issues import open_issue, tell_customer
from notifications.models import Topic
from notifications.services import notify, write_to_customer
from pulsecheck.business_days import business_calendar
from pulsecheck.cadence import day_words
from pulsecheck.errors import CareError
from pulsecheck.models import PulseCheck, Survey, SurveyAnswer
from pulsecheck.models.surveys import is_bad_answer
from pulsecheck.selectors.plan import choose_assignee
from pulsecheck.selectors.staff import get_staff
from pulsecheck.services.opening import let_see

LINK = "pulsecheck.survey"
VALID_FOR = dt.timedelta(days=30)
# Nobody is asked more often than this, however many of ours would like to.
REST = dt.timedelta(days=30)
# A bad answer is dealt with in this many working days.
SETTLE_IN_DAYS = 2
# From here down an answer is as bad as it gets.
WORST_NPS, WORST_CSAT, WORST_CES = 3, 1, 1


class SurveyGone(CareError):
    """The link is no link of ours, or can no longer be answered."""


@dataclass(frozen=True)
class Questions:
    """What is asked, and of what; a free text always goes with it."""

    nps: bool = True
    csat: bool = False
    ces: bool = False
    about: str = ""


@dataclass(frozen=True)
class Said:
    """What a customer filled in; None = left out or not asked."""

    nps: int | None = None
    csat: int | None = None
    ces: int | None = None
    comment: str = ""


# ── the link ───────────────────────────────────────────────────────────
def survey_token(survey: Survey) -> str:
    """What the link of a survey ends with: its key, signed, so that none can be made up."""
    return sign_key(LINK, survey.key)


def survey_url(survey: Survey) -> str:
    """The whole link."""
    return settings.BASE_URL + reverse("pulsecheck:answer_survey", args=[survey_token(survey)])


def find_survey(token: str) -> Survey:
    """The survey that a link belongs to and that waits for its answer. Raises SurveyGone with what to tell the customer."""
    key = read_key(LINK, token)
    if key is None:
        raise SurveyGone("This link is not complete. Please open it from the e-mail again.")
    survey = Survey.objects.select_related("account", "answer").filter(key=key).first()
    if survey is None or survey.cancelled_at is not None:
        raise SurveyGone("These questions were taken back. There is nothing more to do.")
    if hasattr(survey, "answer"):
        raise SurveyGone("You have answered already. Thank you, we have read it.")
    if timezone.now() >= survey.expires_at:
        raise SurveyGone(
            f"This link was valid until {day_words(get_company().local_date(survey.expires_at))}. "
            "You are welcome to tell us in any other way."
        )
    return survey


@transaction.atomic
def note_opened(survey: Survey) -> None:
    """The link was followed, first at this moment; says nothing about an answer."""
    Survey.objects.filter(pk=survey.pk, opened_at=None).update(opened_at=timezone.now())


# ── sending ────────────────────────────────────────────────────────────
@transaction.atomic
def send_survey(
    account: Account,
    contact: Contact,
    user: User,
    questions: Questions,
    pulse_check: PulseCheck | None = None,
) -> Survey:
    """Ask one person at a customer by e-mail. Raises CareError without an address, and while they rest from the last
    survey (30 days): two of ours who ask at the same time ask once."""
    contact = Contact.objects.select_for_update(of=("self",)).get(pk=contact.pk)
    _check_contact(account, contact)
    now = timezone.now()
    survey = Survey.objects.create(
        account=account,
        contact=contact,
        pulse_check=pulse_check,
        sent_by=user,
        sent_at=now,
        expires_at=now + VALID_FOR,
        about=" ".join(questions.about.split()),
        asks_nps=questions.nps,
        asks_csat=questions.csat,
        asks_ces=questions.ces,
        key=secrets.token_urlsafe(16),
        is_sample=account.is_sample,
    )
    _write_mail(survey, contact, user)
    write_audit(user, "send_survey", survey, account=account.pk, contact=contact.pk)
    return survey


def _check_contact(account: Account, contact: Contact) -> None:
    if contact.account_id != account.pk or not contact.is_active:
        raise CareError("Choose somebody who works there.")
    if not contact.email:
        raise CareError(f"{contact.name} has no e-mail address on record. Add one first.")
    last = Survey.objects.filter(contact=contact, cancelled_at=None).first()
    if last is not None and timezone.now() < last.sent_at + REST:
        company = get_company()
        raise CareError(
            f"{contact.name} was asked on {day_words(company.local_date(last.sent_at))}. "
            f"Ask again from {day_words(company.local_date(last.sent_at + REST))} on, so that nobody is pestered."
        )


def _write_mail(survey: Survey, contact: Contact, user: User) -> None:
    company = get_company().name
    until = day_words(get_company().local_date(survey.expires_at))
    about = f" about {survey.about}" if survey.about else ""
    body = (
        f"Hello {contact.name},\n\n"
        f"how are we doing? Tell us{about}: it takes less than a minute, and {user.name} reads every answer.\n\n"
        f"{survey_url(survey)}\n\n"
        f"The link is for you alone, works once, and until {until}.\n\n"
        f"Thank you\n{user.name}\n{company}"
    )
    write_to_customer(
        to_address=contact.email,
        subject=f"{company}: how are we doing?",
        body=body,
        topic=Topic.SURVEY,
        reply_to=user.email,
        dedupe_key=f"survey:{survey.key}",
    )


@transaction.atomic
def cancel_survey(survey: Survey, user: User) -> Survey:
    """Take the questions back: the link stops working. A second time changes nothing; an answer stays."""
    survey = Survey.objects.select_for_update(of=("self",)).get(pk=survey.pk)
    if survey.cancelled_at is None and not SurveyAnswer.objects.filter(survey=survey).exists():
        survey.cancelled_at = timezone.now()
        survey.save(update_fields=["cancelled_at", "updated_at"])
        write_audit(user, "cancel_survey", survey)
    return survey


# ── answering ──────────────────────────────────────────────────────────
@transaction.atomic
def answer_survey(survey: Survey, said: Said) -> SurveyAnswer:
    """Take the one answer of a survey; a bad one opens an issue. Of several at once the first counts, the others raise
    SurveyGone. What was not asked is left out."""
    Survey.objects.select_for_update(of=("self",)).get(pk=survey.pk)
    survey = find_survey(survey_token(survey))
    nps = said.nps if survey.asks_nps else None
    csat = said.csat if survey.asks_csat else None
    ces = said.ces if survey.asks_ces else None
    if nps is None and csat is None and ces is None and not said.comment:
        raise CareError("Answer at least one question.")
    answer = SurveyAnswer(
        survey=survey,
        account=survey.account,
        answered_at=timezone.now(),
        nps=nps,
        csat=csat,
        ces=ces,
        comment=said.comment,
        is_bad=is_bad_answer(nps, csat, ces),
        is_sample=survey.is_sample,
    )
    if answer.is_bad:
        answer.issue = _open_issue(answer)
    answer.save()
    _tell(answer)
    return answer


def said_words(answer: SurveyAnswer) -> str:
    """What was ticked, in a few words: "recommends us 2 of 10, satisfied 1 of 5"."""
    parts = []
    if answer.nps is not None:
        parts.append(f"recommends us {answer.nps} of 10")
    if answer.csat is not None:
        parts.append(f"satisfied {answer.csat} of 5")
    if answer.ces is not None:
        parts.append(f"easy {answer.ces} of 7")
    return ", ".join(parts) or "a comment"


def _owner_of(account: Account) -> User | None:
    """Who deals with a bad answer: whoever looks after the account, else who won it, else the manager of their team."""
    pk = choose_assignee(get_staff(), account.account_manager_id, account.original_salesperson_id)
    return User.objects.filter(pk=pk).first() if pk else None


def _open_issue(answer: SurveyAnswer) -> Issue:
    survey = answer.survey
    owner = _owner_of(answer.account) or survey.sent_by
    worst = (
        (answer.nps is not None and answer.nps <= WORST_NPS)
        or (answer.csat is not None and answer.csat <= WORST_CSAT)
        or (answer.ces is not None and answer.ces <= WORST_CES)
    )
    who = survey.contact.name if survey.contact else "Somebody there"
    words = f"Survey, {who}: {said_words(answer)}. {answer.comment}".strip()
    let_see(answer.account, owner)
    return open_issue(
        answer.account,
        survey.sent_by,
        description=words,
        severity=Severity.HIGH if worst else Severity.MEDIUM,
        owner=owner,
        due_on=business_calendar(get_company().country).after(company_today(), SETTLE_IN_DAYS),
    )


def _tell(answer: SurveyAnswer) -> None:
    """Whoever asked hears what was said; whoever has to deal with it, that it is theirs."""
    account, issue, sender = answer.account, answer.issue, answer.survey.sent_by
    path = f"/surveys/{answer.survey_id}/"
    if issue is not None and issue.owner is not None:
        title = f"{account.name} is not happy with us"
        notify(issue.owner, Topic.ISSUE, title, account=account, body=issue.description, path=path)
    if sender.is_active and (issue is None or issue.owner != sender):
        title = f"{account.name} answered: {said_words(answer)}"
        notify(sender, Topic.SURVEY, title, account=account, body=answer.comment, path=path)


# ── the loop ───────────────────────────────────────────────────────────
@transaction.atomic
def close_loop(answer: SurveyAnswer, user: User, *, note: str, kind: str) -> SurveyAnswer:
    """The customer was told what came of their answer: `note` says what, `kind` how (call, email, meeting). It counts as a
    contact. A second time changes nothing."""
    answer = SurveyAnswer.objects.select_for_update(of=("self",)).get(pk=answer.pk)
    if not note.strip():
        raise CareError("Say what you told them.")
    if answer.loop_closed_at is None:
        answer.loop_closed_at, answer.loop_closed_by, answer.loop_note = timezone.now(), user, note[:500]
        answer.save(update_fields=["loop_closed_at", "loop_closed_by", "loop_note", "updated_at"])
        if answer.issue is not None and answer.issue.resolved_at is not None:
            tell_customer(answer.issue, user)
        contact = answer.survey.contact
        log_interaction(
            answer.account,
            user,
            kind=kind,
            subject="Told them what came of their answer",
            note=note,
            contact=contact,
            direction=Direction.OUT,
        )
        write_audit(user, "close_survey_loop", answer, account=answer.account_id)
    return answer
