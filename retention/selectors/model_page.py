"""What the Model page shows: what is predicted, how good that was, what it rests on, and which model is used."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db.models import F, Prefetch, QuerySet

from accounts.models import Account, User
from retention.models import (
    BacktestCutoff,
    FittedModel,
    MaturedRun,
    ModelFlag,
    ModelPin,
    RunEvidence,
    ScoreRun,
)
from retention.models.evidence import FlagKind
from retention.models.scores import Clock, RunState
from retention.scoring.ladder import RULES_CUSTOMERS, RULES_REPEAT_BUYERS, SEASON_CUSTOMERS, YEAR
from retention.selectors.book import factor_words
from retention.selectors.model_words import CONTENDERS, INPUTS, flag_sentence, words_for

MATURED_SHOWN = 12
INPUTS_SHOWN = 8
MISSED_SHOWN = 10
VERSIONS_SHOWN = 15
ABOUT = 0.3  # "when it said 30 %": the group nearest to this is the one put in words
MOVED, DRIFTED = 0.1, 0.25
Row = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """A fitted model, the runs that used it, and how it did one horizon earlier."""

    model: FittedModel
    runs: list[ScoreRun]
    figures: dict[str, float | None]
    late_records: int | None
    is_current: bool
    pin: ModelPin | None

    @property
    def newest_run(self) -> ScoreRun | None:
        return self.runs[0] if self.runs else None


@dataclass(frozen=True)
class MissedLine:
    """One who left unnoticed, and why nothing showed it."""

    account: Account
    probability: float
    spent: float
    why: str


@dataclass(frozen=True)
class ModelPage:
    """Everything about the newest published run; `shown` is the run the look back is of, which may be the one before
    while the newest is being looked at."""

    run: ScoreRun
    shown: ScoreRun
    evidence: RunEvidence | None
    pin: ModelPin | None
    cutoffs: list[BacktestCutoff] = field(default_factory=list)

    @property
    def model(self) -> FittedModel:
        """The model of orders; where only contracts are scored, theirs."""
        model = self.run.model or self.run.contract_model
        assert model is not None, "a published run has a model"
        return model

    @property
    def contracts(self) -> Row | None:
        """What the model of contracts says of itself: how often each kind of term was not renewed, and what it gained."""
        model = self.run.contract_model
        if model is None:
            return None
        told = model.summary
        losses = told.get("log_loss", {})
        return {
            "rates": sorted(told.get("rates", {}).items(), key=lambda rate: -rate[1]),
            "base": losses.get("base"),
            "own": losses.get(told.get("rung", ""), losses.get("base")),
            "outcomes": told.get("outcomes"),
        }

    @property
    def is_being_looked_at(self) -> bool:
        """The look back on the newest run is still to come."""
        return self.evidence is None or self.shown != self.run

    @property
    def facts(self) -> Row:
        return self.evidence.facts if self.evidence else {}

    @property
    def newest(self) -> BacktestCutoff | None:
        return self.cutoffs[0] if self.cutoffs else None

    @property
    def about(self) -> Row | None:
        """The group of the calibration table that is put in words."""
        groups = self.newest.calibration if self.newest else []
        return min(groups, key=lambda group: abs(group["said"] - ABOUT), default=None)

    @property
    def ends_on(self) -> dt.date | None:
        newest = self.newest
        return None if newest is None else newest.cutoff_on + dt.timedelta(days=newest.horizon_days)

    @property
    def lead(self) -> BacktestCutoff | None:
        """The newest look back that can say how early leavers were seen."""
        return next((cutoff for cutoff in self.cutoffs if cutoff.lead_time), None)

    @cached_property
    def contenders(self) -> list[tuple[BacktestCutoff, list[Row]]]:
        """For each look back, the figures of every method, the best of each column marked."""
        return [(cutoff, contender_rows(cutoff)) for cutoff in self.cutoffs]

    @property
    def found(self) -> list[Row]:
        """What the calls would have reached, by method, best first; lots at the end."""
        if self.newest is None or not self.newest.at_capacity["leavers"]:
            return []
        told = self.newest.at_capacity
        rows = [
            {"name": name, "label": CONTENDERS[name], "found": found, "lift": told["lift"][name], "recall": told["recall"][name]}
            for name, found in sorted(told["found"].items(), key=lambda item: -item[1])
        ]  # fmt: skip
        lots = {"name": "", "label": "Drawn by lot", "found": told["at_random"], "lift": 1.0}
        return [*rows, lots | {"recall": told["at_random"] / told["leavers"]}]

    @property
    def factors(self) -> list[tuple[str, float]]:
        told = self.evidence.factors if self.evidence else {}
        return [(factor_words(name), share) for name, share in sorted(told.items(), key=lambda f: -f[1])]

    @property
    def inputs(self) -> list[Row]:
        """The inputs that moved most, of those that matter to the score."""
        told = self.evidence.inputs if self.evidence else []
        used = [row for row in told if row["weight"] > 0][:INPUTS_SHOWN]
        return [
            row
            | {"label": words_for(INPUTS, row["name"]), "state": _moved(row)}
            | {f"{when}_text": _input_text(row["name"], row[when]) for when in ("was", "now")}
            for row in used
        ]

    @property
    def signals(self) -> Row | None:
        """What records beyond orders added, where the model says so."""
        told = self.model.summary.get("signals")
        if not told or not told.get("factors"):
            return None
        rows = [{"label": factor_words(name), **factor} for name, factor in sorted(told["factors"].items())]
        return {**told, "rows": sorted(rows, key=lambda row: (not row["kept"], -row["gain"], row["label"]))}

    @property
    def next_steps(self) -> list[str]:
        return next_steps(self.model, self.facts)


def contender_rows(cutoff: BacktestCutoff) -> list[Row]:
    """Figures by method; `best` are the names of the columns in which it is ahead."""
    rows = [
        {"name": name, "label": CONTENDERS[name], **cutoff.figures[name]}
        for name in CONTENDERS
        if name in cutoff.figures
    ]
    for column, better in (("auc", max), ("ap", max), ("log_loss", min), ("brier", min), ("ece", min)):
        best = better(row[column] for row in rows)
        for row in rows:
            row.setdefault("best", []).extend([column] if row[column] == best else [])
    return rows


def _input_text(name: str, value: float | None) -> str:
    """A middle value as a person reads it; the chance of silence is kept as log odds."""
    if value is None:
        return "–"
    if name == "p_silent":
        return f"{100 / (1 + math.exp(-value)):.0f}\N{NO-BREAK SPACE}%"
    return f"{value:,.1f}".removesuffix(".0").replace("-", "\N{MINUS SIGN}")


def _moved(row: Row) -> str:
    if row["index"] <= row["by_chance"] or row["index"] < MOVED:
        return "steady"
    return "drifted" if row["index"] > DRIFTED else "moved"


def next_steps(model: FittedModel, facts: Row) -> list[str]:
    """What would lift the score to the next stage; empty where nothing is known yet or it stands on the highest."""
    if not facts:
        return []
    customers, days, horizon = facts["customers"], facts["days"], model.horizon_days
    if model.stage == "rules":
        return [
            *_missing(RULES_CUSTOMERS - customers, "more customer", "more customers"),
            *_missing(
                RULES_REPEAT_BUYERS - facts["repeat_buyers"], "more who buys again", "more who buy again"
            ),
        ]
    if days < 3 * horizon:
        return _missing(3 * horizon - days, "more day of orders", "more days of orders")
    if not model.has_signal or model.stage == "rhythm":
        return []
    season = round(YEAR + 2.5 * horizon)
    return [
        *_missing(SEASON_CUSTOMERS - customers, "more customer", "more customers"),
        *_missing(season - days, "more day of orders", "more days of orders"),
    ]


def _missing(count: int, one: str, many: str) -> list[str]:
    return [f"{count:,} {one if count == 1 else many}"] if count > 0 else []


# -- reading -------------------------------------------------------------------
def model_page() -> ModelPage | None:
    """None before the first run is published."""
    run = _published().first()
    if run is None or (run.model is None and run.contract_model is None):
        return None
    pin = pin_in_force()
    looked = RunEvidence.objects.exclude(finished_at=None).filter(publication=F("run__published_at"))
    evidence = looked.select_related("run").order_by("-run__as_of").first()
    if evidence is None:
        return ModelPage(run, run, None, pin)
    return ModelPage(run, evidence.run, evidence, pin, list(evidence.run.cutoffs.order_by("-cutoff_on")))


def _published() -> QuerySet[ScoreRun]:
    """The payloads of models are large, and no page needs them."""
    runs = ScoreRun.objects.filter(state=RunState.PUBLISHED).select_related("model", "contract_model")
    return runs.defer("model__payload", "contract_model__payload").order_by("-as_of")


def pin_in_force() -> ModelPin | None:
    """The model that is used until somebody says otherwise."""
    pins = ModelPin.objects.in_force().filter(clock=Clock.REPEAT).select_related("model", "pinned_by")
    return pins.defer("model__payload").first()


def matured_runs() -> list[MaturedRun]:
    """Earlier scores whose horizon has passed, newest first."""
    return list(MaturedRun.objects.select_related("run").order_by("-run__as_of")[:MATURED_SHOWN])


def raised_flags() -> list[ModelFlag]:
    return list(ModelFlag.objects.raised())


def flag_sentences() -> list[str]:
    """What is off now, one sentence each, for the status page: calibration alone and all inputs as one."""
    flags = [flag for flag in raised_flags() if not flag.may_be_chance]
    said = [flag_sentence(flag) for flag in flags if flag.kind == FlagKind.CALIBRATION]
    moved = [flag for flag in flags if flag.kind == FlagKind.INPUT]
    if moved:
        names = ", ".join(words_for(INPUTS, flag.subject).lower() for flag in moved[:3])
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        said.append(f"What the score looks at has moved: {names}{more}. See the Model page.")
    return said


def missed_lines(cutoff: BacktestCutoff | None, user: User) -> tuple[list[MissedLine], int]:
    """The largest that left unnoticed of those `user` may see, and how many of the largest are not theirs to see."""
    told: list[Row] = cutoff.missed.get("accounts", []) if cutoff else []
    ids = [row["account_id"] for row in told]
    accounts = Account.objects.visible_to(user).select_related("original_salesperson", "account_manager")
    seen = {account.pk: account for account in accounts.filter(pk__in=ids)}
    mine = [row for row in told if row["account_id"] in seen]
    lines = [
        MissedLine(seen[row["account_id"]], row["probability"], row["spent"], _why_missed(row))
        for row in mine[:MISSED_SHOWN]
    ]
    return lines, len(told) - len(mine)


def _why_missed(row: Row) -> str:
    """What was known at the time."""
    silence, gap = row["silence"], row["gap"]
    ordered = f"Had ordered {silence} days before" if silence != 1 else "Had ordered the day before"
    if silence == 0:
        ordered = "Had ordered that very day"
    if gap is None:
        return f"{ordered}, for the first time."
    usual = f"usually every {max(round(gap), 1)}"
    if silence <= gap:
        return f"{ordered}, {usual}: nothing showed it."
    return f"{ordered}, {usual}."


# -- versions ------------------------------------------------------------------
def versions(current: FittedModel | None, pin: ModelPin | None) -> list[Version]:
    """The newest models with the runs that used them; the one in use and the pinned one are always among them."""
    newest = list(_models().order_by("-as_of", "-pk")[:VERSIONS_SHOWN])
    always = {model.pk for model in (current, pin.model if pin else None) if model is not None}
    missing = always - {model.pk for model in newest}
    newest += list(_models().filter(pk__in=missing))
    return [_version(model, current, pin) for model in newest]


def find_version(pk: int, current: FittedModel | None, pin: ModelPin | None) -> Version | None:
    model = _models().filter(pk=pk).first()
    return _version(model, current, pin) if model is not None else None


def _models() -> QuerySet[FittedModel]:
    runs = ScoreRun.objects.filter(state=RunState.PUBLISHED).select_related("evidence").order_by("-as_of")
    models = FittedModel.objects.filter(clock=Clock.REPEAT).defer("payload")
    return models.prefetch_related(Prefetch("runs", queryset=runs.prefetch_related("cutoffs")))


def _version(model: FittedModel, current: FittedModel | None, pin: ModelPin | None) -> Version:
    runs = list(model.runs.all())
    looked = next((run for run in runs if run.cutoffs.all()), None)
    figures = (
        looked.cutoffs.all()[0].figures["model"] if looked else dict.fromkeys(("auc", "log_loss", "ece"))
    )
    late = [run.evidence.late_records for run in runs if hasattr(run, "evidence")]
    return Version(
        model,
        runs,
        figures,
        sum(late) if late else None,
        current is not None and model.pk == current.pk,
        pin if pin is not None and pin.model_id == model.pk else None,
    )


@dataclass(frozen=True)
class Difference:
    """One line of a comparison of two versions."""

    label: str
    before: str
    after: str
    word: str = ""


def evidence_of_version(version: Version) -> RunEvidence | None:
    return next((run.evidence for run in version.runs if hasattr(run, "evidence")), None)


def factor_changes(before: Version, after: Version) -> list[tuple[str, float | None, float | None]]:
    """Weight of each factor in both, most changed first; None where it was not looked at."""
    told = [evidence_of_version(version) for version in (before, after)]
    shares = [one.factors if one else {} for one in told]
    names: Sequence[str] = list(dict.fromkeys([*shares[1], *shares[0]]))
    rows = [(factor_words(name), shares[0].get(name), shares[1].get(name)) for name in names]
    return sorted(rows, key=lambda row: -abs((row[2] or 0.0) - (row[1] or 0.0)))
