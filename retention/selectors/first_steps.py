"""How far an installation has come: the checklist of the first minutes."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from accounts.models import Account, Order, User
from notifications.models import Preference
from pulsecheck.models import CadencePolicy
from retention.models import Definition, ScoreRun
from retention.models.scores import RunState


@dataclass(frozen=True)
class Step:
    """One thing to set up, and where; what is not needed has a sensible beginning without it."""

    title: str
    text: str
    path: str
    is_done: bool
    is_needed: bool = True


def has_accounts() -> bool:
    return Account.objects.exists()


def first_steps() -> list[Step]:
    """Orders, people, owners, definition, cadence, notifications, first scores; by what is in the database."""
    return [
        Step(
            "Bring your orders",
            "One file with customer, date and amount is enough.",
            reverse("accounts:imports"),
            Order.objects.exists(),
        ),
        Step(
            "Invite your people",
            "Sales reps, account managers, their managers.",
            reverse("accounts:people"),
            _has_people(),
        ),
        Step(
            "Give every account its owners",
            "Who won it, who looks after it. They come with an accounts file.",
            reverse("retention:accounts") + "?owner=missing",
            _has_owners(),
        ),
        Step(
            "Say what leaving means",
            "Without your word it follows from how often your customers buy.",
            reverse("retention:definitions"),
            Definition.objects.filter(created_by__isnull=False).exists(),
            is_needed=False,
        ),
        Step(
            "Say how often to look in",
            "A cadence for every tier; there is one to start with.",
            reverse("retention:cadence"),
            CadencePolicy.objects.filter(is_active=True).exists(),
        ),
        Step(
            "Choose what reaches you",
            "What comes by e-mail and what waits in the inbox.",
            reverse("notifications:preferences"),
            Preference.objects.exists(),
            is_needed=False,
        ),
        Step(
            "First scores",
            "They are worked out every night; an administrator can start them from the status page.",
            reverse("retention:status"),
            ScoreRun.objects.filter(state=RunState.PUBLISHED).exists(),
        ),
    ]


def _has_people() -> bool:
    return User.objects.filter(is_active=True).count() > 1


def _has_owners() -> bool:
    owned = Q(original_salesperson__isnull=False) | Q(account_manager__isnull=False)
    return Account.objects.filter(owned).exists()
