"""Retention figures, worked out after each run and kept, so that pages and trends read instead of computing."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from accounts.models.fields import Stamped


class KpiValue(Stamped):
    """One figure for one period and one slice of the book. `value` is a share (0..1), an amount in the company's
    currency, or days, as the KPI's definition says; None = nothing to measure (denominator 0)."""

    name = models.CharField(max_length=40)
    period_start = models.DateField()
    period_end = models.DateField()
    slice_kind = models.CharField(
        max_length=20, default="company", help_text="company, team, segment or region"
    )
    slice_key = models.CharField(max_length=120, blank=True, default="")
    value = models.FloatField(null=True)
    numerator = models.FloatField(null=True)
    denominator = models.FloatField(null=True)
    accounts = models.PositiveBigIntegerField(default=0)
    is_provisional = models.BooleanField(default=False, help_text="A window of it has not yet elapsed.")
    definition_version = models.CharField(max_length=40, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["name", "-period_end"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "period_start", "period_end", "slice_kind", "slice_key"],
                name="kpi_once_per_slice",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.period_start} to {self.period_end}"


class KpiEvidence(models.Model):
    """What every account added to a KPI when it was last recorded, as packed arrays (numpy .npz, no pickle), so that
    the list behind a number adds up to it whatever has been imported since. The row named "book" holds the accounts
    and their slices; the others say which of its rows count and with how much. See retention/kpis/evidence.py."""

    name = models.CharField(max_length=40)
    as_of = models.DateField()
    recorded_at = models.DateTimeField(db_default=Now())
    payload = models.BinaryField()
    labels = models.JSONField(default=dict, help_text="Names of the slices or parts that the arrays number.")

    class Meta:
        verbose_name_plural = "KPI evidence"
        constraints = [models.UniqueConstraint(fields=["name"], name="kpi_evidence_once")]

    def __str__(self) -> str:
        return f"{self.name} as of {self.as_of}"
