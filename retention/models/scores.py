"""A nightly run, the chunks that workers claim from it, the model it used, and a score per account and date."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Self

import numpy as np
from django.db import models
from django.db.models import Q

from accounts.models import Account, User
from accounts.models.account import AccountRelatedQuerySet
from accounts.models.fields import CurrencyField, MoneyField, Stamped
from retention.scoring.sentences import TELLINGS
from retention.scoring.told import TOLD, Reason, Wording


class Tier(models.TextChoices):
    AT_RISK = "at_risk", "At risk"
    QUIET = "quiet", "Quiet"
    WATCH = "watch", "Watch"
    STEADY = "steady", "Steady"
    THRIVING = "thriving", "Thriving"
    NEW = "new", "New"
    LOST = "lost", "Lost"


RISKY_TIERS = (Tier.AT_RISK, Tier.QUIET, Tier.WATCH)


class Stage(models.TextChoices):
    RULES = "rules", "Rules"
    RHYTHM = "rhythm", "Buying rhythm"
    LEARNED = "learned", "Learned"
    CONTRACT = "contract", "Contract"


class Clock(models.TextChoices):
    """What a model predicts: no purchase within the horizon, or a contract that is not renewed."""

    REPEAT = "repeat", "Repeat purchase"
    CONTRACT = "contract", "Contract"


class FittedModel(Stamped):
    """A fitted model as arrays (no code, no pickle), so that any worker applies the same one and it can be compared
    or brought back. `version` is a hash of what it was fitted on and found."""

    version = models.CharField(max_length=40, unique=True)
    clock = models.CharField(max_length=10, choices=Clock.choices, default=Clock.REPEAT)
    as_of = models.DateField()
    horizon_days = models.PositiveIntegerField()
    stage = models.CharField(max_length=10, choices=Stage.choices)
    has_signal = models.BooleanField(
        default=True, help_text="False: nothing beat the base rate; everyone gets it."
    )
    summary = models.JSONField(
        default=dict, help_text="What was tried, what won, by how much; for the Model page."
    )
    payload = models.BinaryField()
    wording = models.JSONField(
        default=dict,
        db_default={},
        help_text="What turns the reasons of its scores into sentences; see scoring.told.",
    )

    class Meta:
        ordering = ["-as_of", "-pk"]

    def __str__(self) -> str:
        return self.version


class RunState(models.TextChoices):
    PREPARING = "preparing", "Preparing"
    SCORING = "scoring", "Scoring"
    PUBLISHED = "published", "Published"
    FAILED = "failed", "Failed"


class ScoreRun(Stamped):
    """Scores of all customers as of the end of a day. Pages read the newest published run."""

    as_of = models.DateField(unique=True)
    horizon_days = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.PREPARING)
    model = models.ForeignKey(
        FittedModel, null=True, blank=True, on_delete=models.PROTECT, related_name="runs"
    )
    contract_model = models.ForeignKey(
        FittedModel, null=True, blank=True, on_delete=models.PROTECT, related_name="contract_runs"
    )
    takes_action = models.BooleanField(
        default=True, help_text="Opens handbacks and plans touchpoints when published."
    )
    accounts = models.PositiveBigIntegerField(default=0)
    summary = models.JSONField(default=dict, help_text="Counts by tier, money at risk, backtest of this run.")
    started_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    started_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    acted_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["-as_of"]
        indexes = [models.Index(fields=["-as_of"], condition=Q(state="published"), name="run_published")]

    def __str__(self) -> str:
        return f"scores as of {self.as_of}"


class ChunkState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    CLAIMED = "claimed", "Claimed"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class ScoreChunk(models.Model):
    """A range of account ids [first_id, last_id] that one worker scores in one transaction. The worker holds it by a
    lease; when it dies the lease runs out and another takes it."""

    run = models.ForeignKey(ScoreRun, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    first_id = models.PositiveBigIntegerField()
    last_id = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=ChunkState.choices, default=ChunkState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_by = models.CharField(max_length=120, blank=True)
    accounts = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="chunk_once_per_run")]
        indexes = [models.Index(fields=["run", "number"], condition=~Q(state="done"), name="chunk_to_do")]

    def __str__(self) -> str:
        return f"chunk {self.number} of {self.run}"


class ScoreQuerySet(AccountRelatedQuerySet):
    def published(self) -> Self:
        """Scores of the newest published run."""
        latest = ScoreRun.objects.filter(state=RunState.PUBLISHED).order_by("-as_of").values("as_of")[:1]
        return self.filter(as_of=latest)

    def risky(self) -> Self:
        """At risk, quiet or watched."""
        return self.filter(tier__in=RISKY_TIERS)


class Score(models.Model):
    """What was known about one account at the end of one day. Probability 0..1 within `horizon_days`; money per year.

    `reasons` is a list, most telling first, of {"factor", "sentence", "points"}: points are percentage points of
    probability and, with `base_probability`, add up to `churn_probability`. They are kept as numbers (`told`, see
    scoring.told), or in words where several models speak (contracts) and of scores older than those numbers.
    """

    derived_rows = models.Q(pk__isnull=False)  # worked out again every night: no reason to keep an import
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="scores", db_index=False)
    # Scores are written while the row of their chunk is locked, which its run cannot be deleted without: checking the
    # key of every single score once more would say nothing new.
    run = models.ForeignKey(
        ScoreRun, on_delete=models.CASCADE, related_name="scores", db_index=False, db_constraint=False
    )
    as_of = models.DateField()
    horizon_days = models.PositiveIntegerField()
    churn_probability = models.FloatField()
    base_probability = models.FloatField()
    tier = models.CharField(max_length=10, choices=Tier.choices)
    stage = models.CharField(max_length=10, choices=Stage.choices)
    model_version = models.CharField(max_length=40)
    revenue_at_risk = MoneyField()
    currency = CurrencyField()
    revenue_at_risk_company = MoneyField(help_text="In the company's currency, for sorting and totals.")
    expected_value_12m = MoneyField()
    expected_value_low = MoneyField(null=True, help_text="Nine of ten such accounts bring more than this.")
    expected_value_high = MoneyField(null=True, help_text="Nine of ten such accounts bring less than this.")
    lifetime_value = MoneyField(
        null=True, help_text="What it will still bring, leaving and interest allowed for."
    )
    health_score = models.SmallIntegerField(null=True, help_text="0 to 100, high is good; see the scorecard.")
    known_share = models.SmallIntegerField(
        null=True, help_text="Per cent of what the score could use that is known of this account."
    )
    days_since_last_order = models.IntegerField(null=True)
    usual_gap_days = models.FloatField(null=True)
    main_factor = models.CharField(max_length=30, db_default="")
    told = models.BinaryField(null=True, editable=False, help_text="Reasons as numbers.")
    reasons_written = models.JSONField(null=True, editable=False, help_text="Reasons in words.")
    previous_probability = models.FloatField(
        null=True, help_text="Of the run a month before, where there is one."
    )

    objects = ScoreQuerySet.as_manager()

    class Meta:
        ordering = ["-revenue_at_risk_company", "account_id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "as_of"], name="score_once_per_account_and_date"),
            models.CheckConstraint(
                condition=Q(churn_probability__range=(0, 1)), name="probability_between_0_and_1"
            ),
        ]
        indexes = [
            models.Index(fields=["as_of", "-revenue_at_risk_company", "account"], name="score_by_money"),
            models.Index(fields=["as_of", "churn_probability", "account"], name="score_by_probability"),
            models.Index(
                fields=["as_of", "-revenue_at_risk_company", "account"],
                condition=Q(tier__in=["at_risk", "quiet", "watch"]),
                name="score_risky_by_money",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.churn_probability:.0%} on {self.as_of}"

    @property
    def reasons(self) -> list[Reason]:
        return reasons_of(self.told, self.reasons_written, self.model_version)

    @reasons.setter
    def reasons(self, reasons: Iterable[Reason]) -> None:
        self.told, self.reasons_written = None, list(reasons)

    @property
    def is_renewal(self) -> bool:
        """Whether what may happen is that a contract is not renewed, rather than that orders stop."""
        is_contract = self.stage == Stage.CONTRACT
        return is_contract and (self.days_since_last_order is None or self.main_factor == "renewal")


def reasons_of(told: bytes | memoryview | None, written: list[Reason] | None, version: str) -> list[Reason]:
    """The reasons of a score in words, from its columns."""
    if told is None:
        return written or []
    return _wording_of(version).reasons(np.frombuffer(told, dtype=TOLD)[0])


@lru_cache(maxsize=64)
def _wording_of(version: str) -> Wording:
    """Kept by the process: a version is a hash of what its model found, so its words never change."""
    return Wording.from_json(
        FittedModel.objects.values_list("wording", flat=True).get(version=version), TELLINGS
    )
