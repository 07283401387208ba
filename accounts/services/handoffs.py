"""A deal is won: sales hands the customer over to service, the retention team is built, the onboarding list begins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.models import Account, AccountMember, Contact, Handoff, OnboardingItem, OnboardingStep, User
from accounts.models.account import LifecycleStage, MemberRole
from accounts.selectors import company_today
from accounts.services.audit import write_audit
from accounts.services.promises import make_promise


@dataclass(frozen=True)
class Won:
    """What sales tells service about a deal. `promised` are promises made on the way to it, each with its day."""

    won_on: dt.date
    handed_to: User
    bought: str
    why_us: str
    expects: str
    people: str = ""
    watch_out: str = ""
    contact: Contact | None = None
    team: Sequence[tuple[User, MemberRole]] = ()
    promised: Sequence[tuple[str, dt.date]] = ()


@transaction.atomic
def hand_over(account: Account, user: User, won: Won) -> Handoff:
    """The account is a customer from now on (if it was none), `won.handed_to` looks after it, and every step of the
    checklist that is in force has an owner and a day. The same deal (day, person, what they bought) counts once."""
    account = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    same = {"won_on": won.won_on, "handed_by": user, "handed_to": won.handed_to, "bought": won.bought}
    if known := Handoff.objects.filter(account=account, **same).first():
        return known
    account.lifecycle_stage = LifecycleStage.CUSTOMER
    account.became_customer_on = account.became_customer_on or won.won_on
    account.account_manager = won.handed_to
    account.original_salesperson = account.original_salesperson or user
    account.save()
    handoff = Handoff.objects.create(
        account=account,
        **same,
        why_us=won.why_us,
        expects=won.expects,
        people=won.people,
        watch_out=won.watch_out,
        contact=won.contact,
    )
    for person, role in won.team:
        AccountMember.objects.get_or_create(account=account, user=person, defaults={"role": role})
    for text, due_on in won.promised:
        make_promise(account, user, text=text, due_on=due_on, made_to=won.contact)
    _start_checklist(handoff)
    write_audit(user, "hand_over", handoff, account=account.pk, to=won.handed_to.pk)
    return handoff


def _start_checklist(handoff: Handoff) -> None:
    """Steps of sales are for whoever hands over; of another department for its first member of the team, else for
    whoever looks after the account. None is due before today."""
    members = {
        member.role: member.user for member in handoff.account.members.select_related("user").order_by("-pk")
    }
    today = company_today()
    OnboardingStep.objects.bulk_create(
        OnboardingStep(
            handoff=handoff,
            title=item.title,
            role=item.role,
            owner=handoff.handed_by
            if item.role == MemberRole.SALES
            else members.get(item.role, handoff.handed_to),
            due_on=max(today, handoff.won_on + dt.timedelta(days=item.days_after)),
        )
        for item in OnboardingItem.objects.filter(is_active=True)
    )


@transaction.atomic
def receive_handoff(handoff: Handoff, user: User, question: str = "") -> Handoff:
    """Service has read it; `question` is what it still wants to know. A second time changes nothing."""
    handoff = Handoff.objects.select_for_update().get(pk=handoff.pk)
    if handoff.received_at is None:
        handoff.received_at, handoff.question = timezone.now(), question
        handoff.save(update_fields=["received_at", "question", "updated_at"])
        write_audit(user, "receive_handoff", handoff)
    return handoff


@transaction.atomic
def finish_onboarding_step(step: OnboardingStep, user: User) -> OnboardingStep:
    """It is done. A second time changes nothing."""
    step = OnboardingStep.objects.select_for_update().get(pk=step.pk)
    if step.done_at is None:
        step.done_at, step.done_by = timezone.now(), user
        step.save(update_fields=["done_at", "done_by", "updated_at"])
        write_audit(user, "finish_onboarding_step", step)
    return step


@transaction.atomic
def save_onboarding_item(by: User, row: OnboardingItem) -> OnboardingItem:
    """A step of the checklist, new or changed. Customers under way keep the list they began with."""
    is_new = row.pk is None
    row.save()
    write_audit(by, "create_onboarding_item" if is_new else "change_onboarding_item", row, title=row.title)
    return row
