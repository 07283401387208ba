"""What retention means in this company, and where the tiers begin. Versioned: rows are added, never edited."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.db.models import F, Q

from accounts.models import User
from accounts.models.account import BillingMode
from accounts.models.fields import MoneyField, Stamped
from retention.scoring.tiers import TierRules


class Definition(Stamped):
    """When a customer counts as having left, per segment (empty = all) and billing mode. The newest row of a
    (segment, billing_mode) is in force; every number says which version it was made with."""

    segment = models.CharField(max_length=100, blank=True, default="")
    billing_mode = models.CharField(max_length=10, choices=BillingMode.choices, default=BillingMode.REPEAT)
    version = models.PositiveIntegerField(default=1)
    horizon_days = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Days without a purchase that count as leaving; empty = from the book's own rhythm.",
    )
    inactive_floor_days = models.PositiveIntegerField(default=30)
    inactive_ceiling_days = models.PositiveIntegerField(default=365)
    grace_days = models.PositiveIntegerField(
        default=30, help_text="A contract renewed this late still counts as renewed."
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["segment", "billing_mode", "-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "billing_mode", "version"], name="definition_version_once"
            ),
            models.CheckConstraint(
                condition=Q(horizon_days__isnull=True) | Q(horizon_days__range=(7, 730)),
                name="definition_horizon_sensible",
            ),
            models.CheckConstraint(
                condition=Q(inactive_floor_days__lte=F("inactive_ceiling_days")),
                name="definition_floor_below_ceiling",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment or 'All segments'}, {self.get_billing_mode_display()}, version {self.version}"


class TierPolicy(Stamped):
    """Where the tiers begin; the newest row is in force."""

    at_risk_from = models.FloatField(
        default=0.5, help_text="Churn probability from which an account is at risk."
    )
    watch_from = models.FloatField(
        default=0.3, help_text="Churn probability from which an account is watched."
    )
    thriving_below = models.FloatField(
        default=0.1, help_text="Churn probability below which an account thrives."
    )
    lost_from = models.FloatField(
        default=0.9, help_text="With a silence far beyond its rhythm, an account counts as lost."
    )
    quiet_after_gaps = models.FloatField(
        default=2.0, help_text="Silent for this many of its own usual gaps = quiet."
    )
    minimum_value = MoneyField(
        default=Decimal(0), help_text="Accounts worth less a year are at most watched."
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        verbose_name_plural = "tier policies"
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(thriving_below__gt=0)
                & Q(thriving_below__lt=F("watch_from"))
                & Q(watch_from__lt=F("at_risk_from"))
                & Q(at_risk_from__lt=F("lost_from"))
                & Q(lost_from__lt=1),
                name="tier_thresholds_rise",
            ),
            models.CheckConstraint(condition=Q(quiet_after_gaps__gte=1), name="quiet_after_at_least_one_gap"),
        ]

    def rules(self) -> TierRules:
        """The thresholds as the scoring engine takes them."""
        return TierRules(
            at_risk_from=self.at_risk_from,
            watch_from=self.watch_from,
            thriving_below=self.thriving_below,
            lost_from=self.lost_from,
            quiet_after_gaps=self.quiet_after_gaps,
            minimum_value=float(self.minimum_value),
        )

    def __str__(self) -> str:
        return f"at risk from {self.at_risk_from:.0%}, watch from {self.watch_from:.0%}"
