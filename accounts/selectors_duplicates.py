"""What the pages of duplicates show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Max, QuerySet

from accounts.models import Account, AccountMerge, Contact, DuplicatePair, Order, User
from accounts.models.merges import PairState
from accounts.services.merging import MergePlan, plan_merge

SAME = {
    "name": "Name",
    "email": "E-mail of a contact",
    "domain": "Domain of e-mails",
    "phone": "End of a telephone number",
}


def waiting_pairs() -> QuerySet[DuplicatePair]:
    """Pairs nobody has decided, the most certain first."""
    return DuplicatePair.objects.filter(state=PairState.WAITING).select_related("first", "second")


def merges_made() -> QuerySet[AccountMerge]:
    """What was merged, the newest first."""
    return AccountMerge.objects.select_related("kept", "merged_by", "undone_by")


def merged_into(user: User, gone_id: int) -> Account | None:
    """The account that took in the one with this id, where `user` sees it."""
    merges = AccountMerge.objects.filter(gone_id=gone_id, undone_at=None)
    return Account.objects.visible_to(user).filter(merges__in=merges).first()


def evidence_of(pair: DuplicatePair) -> list[tuple[str, str]]:
    """What is the same, in words, and its value."""
    return [(SAME.get(kind, kind), value) for kind, value in pair.evidence]


@dataclass(frozen=True)
class Side:
    """One account of a pair, and what keeping it would do."""

    account: Account
    orders: int
    last_order_at: object
    contacts: Sequence[Contact]
    plan: MergePlan

    @property
    def aliases(self) -> list[str]:
        """Where it is known from, and under which id."""
        own = f"{self.account.record_source}, {self.account.external_id}"
        return [own, *(f"{alias.record_source}, {alias.external_id}" for alias in self.account.aliases.all())]


def sides_of(pair: DuplicatePair) -> list[Side]:
    """Both accounts, the one with more orders first: it is usually the one to keep."""
    ids = (pair.first_id, pair.second_id)
    accounts = (
        Account.objects.filter(pk__in=ids)
        .select_related("original_salesperson", "account_manager", "parent")
        .prefetch_related("aliases")
    )
    orders = Order.objects.filter(account__in=ids, amount__gt=0).order_by().values("account")
    counted = {
        row["account"]: (row["n"], row["last"])
        for row in orders.annotate(n=Count("pk"), last=Max("ordered_at"))
    }
    people: dict[int, list[Contact]] = {pk: [] for pk in ids}
    for contact in Contact.objects.filter(account__in=ids).order_by("-is_active", "name")[:40]:
        people[contact.account_id].append(contact)
    first, second = sorted(accounts, key=lambda one: (-counted.get(one.pk, (0, None))[0], one.pk))
    return [
        Side(kept, *counted.get(kept.pk, (0, None)), people[kept.pk][:5], plan_merge(kept, gone))
        for kept, gone in ((first, second), (second, first))
    ]
