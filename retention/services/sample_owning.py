"""The sample company keeps its word, closes its loops and hands its deals over: written before it is scored."""

from __future__ import annotations

import datetime as dt
from random import Random

from django.db.models import F, Q
from django.utils import timezone

from accounts.models import (
    Account,
    AccountMember,
    Contact,
    Contract,
    CustomerEvent,
    Disclosure,
    Enquiry,
    Handoff,
    Issue,
    IssueReopening,
    OnboardingItem,
    OnboardingStep,
    Promise,
    RoleSwap,
    Term,
    User,
)
from accounts.models.account import LifecycleStage
from pulsecheck.selectors.handoffs import NEW_DAYS
from retention.sample import owning as words

DAY = dt.timedelta(days=1)
DEALS, SWAPS, WAITING = 14, 3, 6


def own_together(today: dt.date, seed: int) -> None:
    """Promises, issues, questions, fine print, handoffs, swapped roles and news, as months of work leave them."""
    rng = Random(f"{seed} owning")
    _settle_promises(rng)
    _close_loops(rng)
    _answer(rng, today)
    _explain(rng, today)
    _hand_over(rng, today)
    _change(rng, today)


def _settle_promises(rng: Random) -> None:
    """To whom they were made, which ones the customer sees, and why some were broken."""
    contacts = dict(
        Contact.objects.filter(account__is_sample=True, is_active=True)
        .order_by("-external_id")
        .values_list("account", "pk")
    )
    rows = list(Promise.objects.filter(is_sample=True).order_by("external_id"))
    for row in rows:
        row.made_to_id = contacts.get(row.account_id)
        row.is_shared = rng.random() < 0.25
        if row.status == "broken":
            row.broken_because = rng.choice(words.BROKEN)
    Promise.objects.bulk_update(rows, ["made_to", "is_shared", "broken_because"], batch_size=1000)


def _close_loops(rng: Random) -> None:
    """What was done about solved issues; most customers were told, and some issues came back."""
    now = timezone.now()
    rows = list(Issue.objects.filter(is_sample=True, resolved_at__isnull=False).order_by("external_id"))
    again = []
    for row in rows:
        solved = row.resolved_at
        assert solved is not None
        row.resolution = words.RESOLUTIONS.get(row.theme, words.OTHER_RESOLUTION)
        if solved + 2 * DAY < now and rng.random() < 0.93:
            row.told_at, row.told_by_id = solved + DAY, row.owner_id
            row.reaction = rng.choice(words.REACTIONS)
        if solved - row.opened_at > 6 * DAY and rng.random() < 0.05:
            row.times_reopened = 1
            again.append(
                IssueReopening(
                    issue=row,
                    resolved_at=row.opened_at + 2 * DAY,
                    reopened_at=row.opened_at + 5 * DAY,
                    reopened_by_id=row.owner_id,
                    reason=words.CAME_BACK,
                )
            )
    changed = ["resolution", "told_at", "told_by", "reaction", "times_reopened"]
    Issue.objects.bulk_update(rows, changed, batch_size=1000)
    IssueReopening.objects.bulk_create(again)


def _answer(rng: Random, today: dt.date) -> None:
    """Who answered what, and the steps that followed; a few are still to do, and the newest questions wait."""
    newest = Enquiry.objects.filter(is_sample=True).order_by("-received_at", "-pk")[:WAITING]
    Enquiry.objects.filter(pk__in=[row.pk for row in newest]).update(responded_at=None)
    answered = Enquiry.objects.filter(is_sample=True, responded_at__isnull=False).order_by("external_id")
    answered.update(responded_by=F("owner"))
    rows = list(answered)
    for row in rows:
        row.response = rng.choice(words.ANSWERS)
        if row.responded_at and rng.random() < 0.4:
            row.next_step, row.next_step_owner_id = rng.choice(words.NEXT_STEPS), row.owner_id
            row.next_step_due_on = row.responded_at.date() + 5 * DAY
            if row.next_step_due_on < today - 3 * DAY:
                row.next_step_done_at = row.responded_at + 4 * DAY
    changed = ["response", "next_step", "next_step_owner", "next_step_due_on", "next_step_done_at"]
    Enquiry.objects.bulk_update(rows, changed, batch_size=1000)


def _explain(rng: Random, today: dt.date) -> None:
    """The fine print of running contracts, term by term; of some only a part."""
    terms = list(Term.objects.filter(is_active=True))
    made = []
    for contract in (
        Contract.objects.filter(is_sample=True, ends_on__gte=today, cancelled_on=None)
        .select_related("account")
        .order_by("external_id")
    ):
        person = contract.terms_disclosed_by_id or contract.account.original_salesperson_id
        told = terms if contract.terms_disclosed_on else terms[:2] if rng.random() < 0.3 else []
        on = contract.terms_disclosed_on or contract.starts_on
        if person is None or on > today:
            continue
        for term in told:
            known = contract.terms_acknowledged_on
            made.append(
                Disclosure(
                    contract=contract,
                    term=term,
                    explained_on=on,
                    explained_by_id=person,
                    acknowledged_on=known,
                    acknowledged_how=rng.choice(words.ACKNOWLEDGED) if known else "",
                )
            )
    Disclosure.objects.bulk_create(made)


def _hand_over(rng: Random, today: dt.date) -> None:
    """The deals of the last months: most were handed over with a list, a few by nobody."""
    items = list(OnboardingItem.objects.filter(is_active=True))
    won = Account.objects.filter(
        is_sample=True,
        lifecycle_stage=LifecycleStage.CUSTOMER,
        became_customer_on__range=(today - NEW_DAYS * DAY, today),
        account_manager__is_active=True,
        original_salesperson__is_active=True,
    )
    for number, account in enumerate(won.order_by("-became_customer_on", "external_id")[:DEALS]):
        if number % 5 == 4:
            continue
        _hand_over_one(rng, account, items, today, is_unread=number == 0)


def _hand_over_one(
    rng: Random, account: Account, items: list[OnboardingItem], today: dt.date, *, is_unread: bool
) -> None:
    won_on, seller, manager = (
        account.became_customer_on,
        account.original_salesperson,
        account.account_manager,
    )
    if won_on is None or seller is None or manager is None:
        return
    received = None if is_unread else timezone.now() - (today - won_on - DAY)
    handoff = Handoff.objects.create(
        account=account,
        won_on=won_on,
        handed_by=seller,
        handed_to=manager,
        bought=rng.choice(words.BOUGHT),
        why_us=rng.choice(words.WHY_US),
        expects=rng.choice(words.EXPECTS),
        people=words.PEOPLE,
        watch_out=words.WATCH_OUT if rng.random() < 0.5 else "",
        contact=account.contacts.filter(is_active=True).order_by("external_id").first(),
        received_at=received,
        question=words.QUESTION if received and rng.random() < 0.3 else "",
    )
    helper = User.objects.filter(is_sample=True, is_active=True, team=manager.team).exclude(
        pk__in=[seller.pk, manager.pk]
    )
    for person in helper.order_by("email")[:1]:
        AccountMember.objects.get_or_create(account=account, user=person, defaults={"role": "service"})
    OnboardingStep.objects.bulk_create(
        _step(rng, handoff, item, won_on + item.days_after * DAY, today) for item in items
    )


def _step(
    rng: Random, handoff: Handoff, item: OnboardingItem, due_on: dt.date, today: dt.date
) -> OnboardingStep:
    """Done in its time unless its day is still to come; now and then one lies."""
    owner = handoff.handed_by if item.role == "sales" else handoff.handed_to
    is_done = handoff.received_at is not None and due_on < today and rng.random() < 0.88
    done_at = timezone.now() - (today - due_on) if is_done else None
    return OnboardingStep(
        handoff=handoff,
        title=item.title,
        role=item.role,
        owner=owner,
        due_on=due_on,
        done_at=done_at,
        done_by=owner if is_done else None,
    )


def _change(rng: Random, today: dt.date) -> None:
    """Two owners who have swapped roles for the season, and what changed at customers."""
    both = Account.objects.filter(
        Q(account_manager__is_active=True, original_salesperson__is_active=True), is_sample=True
    ).order_by("external_id")
    for account in both[20 : 20 + SWAPS]:
        RoleSwap.objects.create(
            account=account,
            begins_on=today - 10 * DAY,
            ends_on=today + 25 * DAY,
            reason=words.SWAP_REASON,
            started_by_id=account.account_manager_id or 0,
        )
    for number, account in enumerate(both[40:52]):
        kind, note = words.NEWS[number % len(words.NEWS)]
        CustomerEvent.objects.create(
            account=account,
            kind=kind,
            happened_on=today - rng.randrange(5, 200) * DAY,
            note=note,
            noted_by_id=account.account_manager_id,
        )
