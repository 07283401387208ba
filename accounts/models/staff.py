"""The company and the people who work in it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.models.fields import CurrencyField, Stamped


class Role(models.TextChoices):
    SALES_REP = "sales_rep", "Sales rep"
    ACCOUNT_MANAGER = "account_manager", "Account manager"
    MANAGER = "manager", "Manager"
    MARKETING = "marketing", "Marketing"
    ADMINISTRATOR = "administrator", "Administrator"


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"'{name}' is no time zone; use a name such as Europe/Berlin.")


class Company(models.Model):
    """The company that uses Mainstay; one row."""

    name = models.CharField(max_length=200, default="Your company")
    currency = CurrencyField(default="EUR")
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    country = models.CharField(max_length=2, blank=True, help_text="For public holidays, such as DE or GB.")
    answer_hours = models.PositiveSmallIntegerField(
        default=8, db_default=8, help_text="Business hours within which an enquiry is to be answered."
    )

    class Meta:
        verbose_name_plural = "company"
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="company_is_one_row"),
            models.CheckConstraint(condition=Q(answer_hours__gte=1), name="company_answers_in_time"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def local_date(self, moment: dt.datetime) -> dt.date:
        """The calendar day on which `moment` falls for this company."""
        return moment.astimezone(self.zone).date()


class ExchangeRate(models.Model):
    """One unit of `currency` in the company's currency, fixed until changed (so KPIs do not move with markets)."""

    currency = CurrencyField(unique=True)
    rate = models.DecimalField(max_digits=18, decimal_places=8)

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.CheckConstraint(condition=Q(rate__gt=Decimal(0)), name="exchange_rate_positive")
        ]

    def __str__(self) -> str:
        return f"1 {self.currency} = {self.rate.normalize():f}"


class Team(Stamped):
    """People who share a manager, usually a region or a product."""

    name = models.CharField(max_length=120, unique=True)
    manager = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="managed_teams"
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, role=Role.ADMINISTRATOR, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """One who signs in. `left_on` keeps those who left the company in the records they belong to."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150)
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.SALES_REP)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="members")
    calls_per_day = models.PositiveSmallIntegerField(
        default=8, help_text="Calls this person can make in a day."
    )
    time_zone = models.CharField(max_length=64, blank=True, validators=[validate_time_zone])
    country = models.CharField(
        max_length=2,
        blank=True,
        db_default="",
        default="",
        help_text="Whose public holidays this person has, such as DE; empty = the company's.",
    )
    left_on = models.DateField(null=True, blank=True)
    is_active = models.BooleanField(default=True, help_text="May sign in.")
    is_sample = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_staff(self) -> bool:
        """The emergency admin site is for administrators."""
        return self.role == Role.ADMINISTRATOR

    @property
    def initials(self) -> str:
        parts = self.name.split()
        return (parts[0][:1] + parts[-1][:1]).upper() if len(parts) > 1 else self.name[:2].upper()

    # Short lists, read once per request: with them PostgreSQL can join its indexes, with subqueries it reads the table.
    @cached_property
    def reach(self) -> tuple[list[int], list[int]]:
        """Accounts whose retention team this person is on, and people whose accounts they see because they stand in
        for them (from the day that is known until those are back); one query."""
        since = timezone.now().date() - dt.timedelta(days=1)
        team = self.memberships.order_by().values_list(Value(0), "account_id")
        absent = self.substitutions.filter(ends_on__gte=since).order_by().values_list(Value(1), "person_id")
        found: tuple[list[int], list[int]] = ([], [])
        for kind, pk in team.union(absent):
            found[kind].append(pk)
        return found

    @property
    def member_account_ids(self) -> list[int]:
        """Accounts whose retention team this person is on."""
        return self.reach[0]

    @property
    def stood_in_for_ids(self) -> list[int]:
        """Whom this person stands in for."""
        return self.reach[1]

    @cached_property
    def managed_team_ids(self) -> list[int]:
        return list(self.managed_teams.values_list("pk", flat=True))

    @cached_property
    def managed_staff_ids(self) -> list[int]:
        """Everybody in the teams this person manages, those who left the company included."""
        return list(User.objects.filter(team__in=self.managed_team_ids).values_list("pk", flat=True))

    def get_full_name(self) -> str:
        return self.name
