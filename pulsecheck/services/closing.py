"""How a handback ends: outcome and churn reason, the signature of the other owner, credit and thanks for a save."""

from __future__ import annotations

from collections import defaultdict

from django.db import transaction
from django.utils import timezone

from accounts.models import ChurnReason, User
from accounts.models.care import Side
from accounts.permissions import LEADERS, has_role
from accounts.selectors import get_company
from accounts.services.audit import write_audit
from notifications.models import Topic
from notifications.services import Message, notify, notify_all
from pulsecheck.errors import CareError, HandbackConflict
from pulsecheck.handback import choose_counter_signer
from pulsecheck.models import Handback, HandbackCredit, HandbackThanks, ReasonSettlement
from pulsecheck.models.handbacks import TALKS, HandbackOutcome, HandbackState
from pulsecheck.selectors.staff import get_staff
from pulsecheck.services.announcing import announce_closed
from pulsecheck.services.opening import let_see
from pulsecheck.services.passing import locked
from pulsecheck.services.triggers import judge_triggers_of


@transaction.atomic
def close_handback(
    handback: Handback, user: User, outcome: str, *, churn_reason: ChurnReason | None = None, note: str = ""
) -> Handback:
    """How it ended; a lost account needs a churn reason, and where that lies on both sides the other owner is asked to
    sign it. A second time with the same outcome changes nothing."""
    if outcome == HandbackOutcome.LOST and churn_reason is None:
        raise CareError("Say why the customer left: choose a churn reason.")
    try:
        handback = locked(handback)
    except HandbackConflict:
        known = Handback.objects.get(pk=handback.pk)
        if known.outcome == outcome and known.closed_by_id == user.pk:
            return known
        raise
    _refuse_onlookers(handback, user)
    handback.state, handback.outcome = HandbackState.CLOSED, outcome
    handback.closed_at, handback.closed_by = max(timezone.now(), handback.opened_at), user
    handback.churn_reason = churn_reason if outcome == HandbackOutcome.LOST else None
    handback.closing_note = note
    handback.counter_signer = _who_signs_too(handback, user)
    handback.save()
    write_audit(
        user, "close_handback", handback, outcome=outcome, churn_reason=churn_reason and churn_reason.code
    )
    _after_closing(handback, user)
    announce_closed(handback)
    return handback


def _after_closing(handback: Handback, user: User) -> None:
    if handback.outcome == HandbackOutcome.SAVED:
        give_credit(handback)
        _thank(handback, user)
    if handback.outcome == HandbackOutcome.FALSE_ALARM:
        judge_triggers_of(handback.pk)
    if handback.counter_signer is not None:
        _ask_to_sign(handback, handback.counter_signer)


def may_close(handback: Handback, user: User) -> bool:
    """Whoever has it, looks after the account or leads; anybody who sees it where nobody has it."""
    account = handback.account
    owners = {handback.salesperson_id, account.original_salesperson_id, account.account_manager_id}
    return handback.salesperson_id is None or user.pk in owners or has_role(user, *LEADERS)


def _refuse_onlookers(handback: Handback, user: User) -> None:
    if not may_close(handback, user):
        raise CareError(f"{handback.salesperson} has this handback: ask them, or a manager, to close it.")


def dismiss_risk(handback: Handback, user: User, reason: str) -> Handback:
    """ "Not a risk": a false alarm, with the reason."""
    return close_handback(handback, user, HandbackOutcome.FALSE_ALARM, note=reason)


# ── the signature of the other owner ───────────────────────────────────
def _who_signs_too(handback: Handback, closer: User) -> User | None:
    """Where a loss lay with sales and operations alike, one of them cannot say so alone."""
    reason, account = handback.churn_reason, handback.account
    if reason is None or reason.side != Side.BOTH:
        return None
    found = choose_counter_signer(
        get_staff(), closer.pk, account.original_salesperson_id, account.account_manager_id
    )
    return User.objects.get(pk=found) if found else None


def _ask_to_sign(handback: Handback, signer: User) -> None:
    let_see(handback.account, signer)
    body = (
        f"{handback.closed_by} closed it: {handback.churn_reason}, on both sides. "
        "Say whether you see it the same way."
    )
    title, path = f"{handback.account.name}: please sign why they left", f"/handbacks/{handback.pk}/#sign"
    notify(
        signer,
        Topic.HANDBACK,
        title,
        account=handback.account,
        body=body,
        path=path,
        dedupe_key=f"sign:{handback.pk}",
    )


@transaction.atomic
def counter_sign(handback: Handback, user: User, *, agrees: bool, note: str = "") -> Handback:
    """The other owner agrees with why the customer left, or says what they see differently. It is said once; the same answer
    again changes nothing."""
    found = Handback.objects.select_for_update(of=("self",)).select_related("account", "closed_by")
    handback = found.get(pk=handback.pk)
    if handback.counter_signer_id != user.pk:
        raise CareError("Only the other owner of the account can sign this.")
    if handback.counter_signed_at is not None:
        if handback.counter_agrees == agrees:
            return handback
        raise HandbackConflict("You have signed this already.")
    if not agrees and not note:
        raise CareError("Say what you see differently, in one sentence.")
    handback.counter_signed_at, handback.counter_agrees = timezone.now(), agrees
    handback.counter_note = note[:500]
    handback.save()
    write_audit(user, "counter_sign_handback", handback, agrees=agrees, note=note)
    if handback.closed_by is not None and not agrees:
        title = f"{handback.account.name}: {user} sees it differently"
        path = f"/handbacks/{handback.pk}/#sign"
        notify(handback.closed_by, Topic.HANDBACK, title, account=handback.account, body=note, path=path)
    return handback


def is_disputed(handback: Handback) -> bool:
    """The other owner saw why the customer left differently."""
    return handback.counter_agrees is False


def may_settle(handback: Handback, user: User) -> bool:
    """Leaders, and whoever closed it: they may give in, the other owner alone may not overrule."""
    return is_disputed(handback) and (handback.closed_by_id == user.pk or has_role(user, *LEADERS))


@transaction.atomic
def settle_reason(handback: Handback, user: User, *, churn_reason: ChurnReason, note: str) -> Handback:
    """Say why the customer left after the owners disagreed; what stood there before is kept. A leader may leave the
    reason as it is, whoever closed it only change it. The same again changes nothing."""
    found = Handback.objects.select_for_update(of=("self",)).select_related("account", "churn_reason")
    handback = found.get(pk=handback.pk)
    if not is_disputed(handback) or handback.churn_reason is None:
        raise CareError("Nobody sees this differently: there is nothing to settle.")
    if not may_settle(handback, user):
        raise CareError(f"{handback.closed_by or 'A manager'} or a manager settles this.")
    last = handback.settlements.last()
    if last is not None and (last.after_id, last.note) == (churn_reason.pk, note):
        return handback
    before = handback.churn_reason
    if before == churn_reason and not has_role(user, *LEADERS):
        raise CareError(
            f"{handback.counter_signer} sees it differently. Choose another reason, or ask a manager."
        )
    handback.churn_reason = churn_reason
    handback.save(update_fields=["churn_reason", "updated_at"])
    ReasonSettlement.objects.create(
        handback=handback,
        before=before,
        after=churn_reason,
        settled_by=user,
        settled_at=timezone.now(),
        note=note,
    )
    write_audit(user, "settle_reason", handback, before=before.code, after=churn_reason.code, note=note)
    _tell_of_settlement(handback, user, note)
    return handback


def _tell_of_settlement(handback: Handback, user: User, note: str) -> None:
    people = {
        person for person in (handback.closed_by, handback.counter_signer) if person and person.is_active
    }
    title, path = f"{handback.account.name}: why they left is settled", f"/handbacks/{handback.pk}/#sign"
    body = f"{handback.churn_reason}, says {user}. {note}"
    notify_all(
        Message(person, Topic.HANDBACK, title, handback.account, body, path) for person in people - {user}
    )


# ── credit and thanks ──────────────────────────────────────────────────
def give_credit(handback: Handback) -> None:
    """Everybody who had a part in it, with what it was, from what is on record since it was opened."""
    parts: dict[int, list[str]] = defaultdict(list)
    for pk, part in _parts(handback):
        if pk is not None and part not in parts[pk]:
            parts[pk].append(part)
    HandbackCredit.objects.bulk_create(
        (
            HandbackCredit(
                handback=handback, person_id=pk, part=", ".join(done)[:200], is_sample=handback.is_sample
            )
            for pk, done in parts.items()
        ),
        ignore_conflicts=True,
    )


def _parts(handback: Handback) -> list[tuple[int | None, str]]:
    """(person, what they did), the one who had it first."""
    account, span = handback.account, (handback.opened_at, handback.closed_at or timezone.now())
    days = [get_company().local_date(moment) for moment in span]
    tries = handback.attempts.filter(kind__in=TALKS).values_list("user", "has_reached")
    pulses = account.pulse_checks.filter(taken_at__range=span).values_list("taken_by", flat=True)
    kept = account.promises.filter(kept_on__range=days).values_list("made_by", flat=True)
    solved = account.issues.filter(resolved_at__range=span).values_list("owner", flat=True)
    return [
        (handback.salesperson_id, "took it on"),
        *((pk, "spoke with them" if reached else "tried to reach them") for pk, reached in tries),
        *((pk, "took their pulse") for pk in pulses.order_by("taken_at")),
        *((pk, "kept a promise") for pk in kept.order_by("kept_on")),
        *((pk, "settled an issue") for pk in solved.order_by("resolved_at")),
        (account.account_manager_id, "looks after them"),
        (handback.opened_by_id, "saw it coming"),
    ]


def _thank(handback: Handback, closer: User) -> None:
    """Everybody who had a part in it hears that the customer stays, and what their part was."""
    credits = handback.credits.exclude(person=closer).filter(person__is_active=True).select_related("person")
    notify_all(
        Message(
            credit.person,
            Topic.THANKS,
            f"{handback.account.name} stays. Thank you for your part in it.",
            handback.account,
            f"You {credit.part}." + (f"\n{handback.closing_note}" if handback.closing_note else ""),
            f"/handbacks/{handback.pk}/#thanks",
            f"thanks:{handback.pk}",
        )
        for credit in credits
    )


@transaction.atomic
def say_thanks(handback: Handback, user: User, words: str) -> HandbackThanks:
    """Words to everybody who had a part in a save. Once a person; a second time gives the first ones back."""
    handback = Handback.objects.select_for_update(of=("self",)).select_related("account").get(pk=handback.pk)
    if handback.outcome != HandbackOutcome.SAVED:
        raise CareError("Thanks are for customers that were saved.")
    said, is_new = HandbackThanks.objects.get_or_create(
        handback=handback, by=user, defaults={"words": words[:500]}
    )
    if is_new:
        write_audit(user, "say_thanks", handback)
        credits = handback.credits.exclude(person=user).filter(person__is_active=True)
        title, path = f"{user} thanks you for {handback.account.name}", f"/handbacks/{handback.pk}/#thanks"
        key = f"words:{handback.pk}:{user.pk}"
        notify_all(
            Message(credit.person, Topic.THANKS, title, handback.account, said.words, path, key)
            for credit in credits.select_related("person")
        )
    return said
