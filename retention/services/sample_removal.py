"""Takes the sample company out again, and whatever was worked out from it."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.cache import cache
from django.db import models, transaction

from accounts.models import (
    Absence,
    Account,
    AccountMember,
    Company,
    Contact,
    Contract,
    CustomerEvent,
    Disclosure,
    Enquiry,
    ExchangeRate,
    Handoff,
    Interaction,
    Issue,
    IssueReopening,
    OnboardingStep,
    Order,
    OrderLine,
    OwnerChange,
    Product,
    Promise,
    Role,
    RoleSwap,
    Team,
    User,
)
from accounts.selectors import COMPANY_KEY, get_company
from notifications.models import Notification
from pulsecheck.models import (
    Action,
    AuditPick,
    AuditWeek,
    Handback,
    HandbackAttempt,
    HandbackCredit,
    HandbackReason,
    Holding,
    Insight,
    ProductStudy,
    ProofPage,
    PulseCheck,
    Reference,
    RetentionMeeting,
    Survey,
    SurveyAnswer,
    Touchpoint,
)
from retention.models import FittedModel, JobRun, KpiEvidence, KpiValue, ModelFlag, Score, ScoreRun
from retention.sample.company import RATES
from retention.sample.staff import COMPANY

# Leaves first, so that each is one statement.
OF_ACCOUNTS: tuple[tuple[type[models.Model], str], ...] = (
    (Action, "is_sample"),
    (Reference, "account__is_sample"),
    (ProofPage, "is_sample"),
    (RetentionMeeting, "is_sample"),
    (HandbackAttempt, "handback__account__is_sample"),
    (HandbackReason, "handback__account__is_sample"),
    (HandbackCredit, "handback__account__is_sample"),
    (Handback, "account__is_sample"),
    (SurveyAnswer, "account__is_sample"),
    (Survey, "account__is_sample"),
    (AuditPick, "account__is_sample"),
    (PulseCheck, "account__is_sample"),
    (Touchpoint, "account__is_sample"),
    (Absence, "is_sample"),
    (OnboardingStep, "handoff__account__is_sample"),
    (Handoff, "account__is_sample"),
    (RoleSwap, "account__is_sample"),
    (CustomerEvent, "account__is_sample"),
    (Disclosure, "contract__account__is_sample"),
    (IssueReopening, "issue__account__is_sample"),
    (Enquiry, "account__is_sample"),
    (Promise, "account__is_sample"),
    (Issue, "account__is_sample"),
    (Interaction, "account__is_sample"),
    (Contract, "account__is_sample"),
    (Holding, "account__is_sample"),
    (OrderLine, "order__account__is_sample"),
    (Order, "account__is_sample"),
    (Score, "account__is_sample"),
    (Notification, "account__is_sample"),
    (AccountMember, "account__is_sample"),
    (OwnerChange, "account__is_sample"),
    (Contact, "account__is_sample"),
    (Account, "is_sample"),
)


@dataclass(frozen=True)
class Removal:
    """What was removed, and who of the made-up staff stays because somebody needs them."""

    accounts: int
    kept: tuple[User, ...]

    def __str__(self) -> str:
        if not self.accounts and not self.kept:
            return "There is no sample company here."
        text = f"The sample company is removed: {self.accounts} accounts and everything about them."
        if self.kept:
            names = ", ".join(user.email for user in self.kept)
            text += f" Kept, because records or sign-ins of yours depend on them: {names}."
        return text


@transaction.atomic
def remove_sample(asked_by: User | None = None) -> Removal:
    """Remove every sample record with everything that was recorded about it since.

    Nobody is locked out: the administrator who asks stays, and when no other administrator could sign in, the
    sample's one stays. Sample staff on whom records of real customers depend stay too, without a sign-in.
    """
    removed = Account.objects.filter(is_sample=True).count()
    for model, mark in OF_ACCOUNTS:
        model._default_manager.filter(**{mark: True}).delete()
    # A week in which only made-up customers were drawn was one of theirs.
    AuditWeek.objects.filter(picks=None).delete()
    Insight.objects.filter(is_sample=True, pulse_checks=None).delete()
    Insight.objects.filter(is_sample=True).update(is_sample=False)
    _remove_products()
    kept = _remove_staff(asked_by)
    _forget_results()
    _unname_company()
    return Removal(removed, kept)


def _remove_products() -> None:
    """A product that a real order names stays and becomes real."""
    sample = Product.objects.filter(is_sample=True)
    sample.filter(lines__isnull=True).delete()
    sample.update(is_sample=False)
    if not OrderLine.objects.exists():
        ProductStudy.objects.all().delete()


def _remove_staff(asked_by: User | None) -> tuple[User, ...]:
    if (keeper := _keeper(asked_by)) is not None:
        keeper.is_sample, keeper.team = False, None
        keeper.save(update_fields=["is_sample", "team"])
    kept = [keeper] if keeper else []
    for user in User.objects.filter(is_sample=True):
        try:
            with transaction.atomic():
                user.delete()
        except models.ProtectedError:
            user.is_sample, user.is_active = False, False
            user.save(update_fields=["is_sample", "is_active"])
            kept.append(user)
    Team.objects.filter(is_sample=True, members__isnull=True).delete()
    Team.objects.filter(is_sample=True).update(is_sample=False)
    return tuple(kept)


def _keeper(asked_by: User | None) -> User | None:
    """The sample person who must stay so that somebody can administer."""
    if asked_by is not None and asked_by.is_sample:
        return asked_by
    administrators = User.objects.filter(
        models.Q(is_superuser=True) | models.Q(role=Role.ADMINISTRATOR), is_active=True
    )
    if administrators.filter(is_sample=False).exists():
        return None
    return administrators.filter(is_sample=True).first()


def _forget_results() -> None:
    """Runs, models and figures were worked out from the sample; where real customers were in them, the next
    night works them out afresh."""
    KpiValue.objects.all().delete()
    KpiEvidence.objects.all().delete()
    if Account.objects.exists():
        return
    ScoreRun.objects.all().delete()
    FittedModel.objects.all().delete()
    ModelFlag.objects.all().delete()
    JobRun.objects.all().delete()


def _unname_company() -> None:
    Company.objects.filter(name=COMPANY).update(name=Company._meta.get_field("name").default)
    for currency in RATES:
        is_used = any(
            model._default_manager.filter(currency=currency).exists() for model in (Account, Order, Contract)
        )
        if not is_used and currency != get_company().currency:
            ExchangeRate.objects.filter(currency=currency).delete()
    cache.delete(COMPANY_KEY)
