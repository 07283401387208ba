"""Scores as rows for a file."""

from __future__ import annotations

from collections.abc import Iterator

from accounts.spreadsheets import safe_text
from retention.models import Score, ScoreRun
from retention.models.scores import Stage, reasons_of

EXPORT_COLUMNS = (
    "account", "name", "as_of", "horizon_days", "churn_probability", "tier", "revenue_at_risk", "currency",
    "expected_value_12m", "days_since_last_order", "stage", "model_version", "reason_1", "reason_2", "reason_3",
    "expected_value_low", "expected_value_high", "lifetime_value", "health_score", "known_share",
)  # fmt: skip
PROBABILITY, STAGE, VERSION = (
    EXPORT_COLUMNS.index(name) - 2 for name in ("churn_probability", "stage", "model_version")
)
MORE = 5  # columns that came after the reasons
NO_SIGNAL = "no usable signal"


def export_rows(run: ScoreRun) -> Iterator[tuple[object, ...]]:
    """One row per score of a run in the order of `EXPORT_COLUMNS`, most money at risk first.

    Text that a spreadsheet would take for a formula is made harmless.
    """
    scores = (
        Score.objects.filter(as_of=run.as_of)
        .order_by("-revenue_at_risk_company", "account_id")
        .values_list(
            "account__external_id", "account__name", "as_of", "horizon_days", "churn_probability", "tier",
            "revenue_at_risk", "currency", "expected_value_12m", "days_since_last_order", "stage",
            "model_version", "expected_value_low", "expected_value_high", "lifetime_value", "health_score",
            "known_share", "told", "reasons_written",
        )
    )  # fmt: skip
    has_signal = run.model is None or run.model.has_signal
    for account, name, *values, told, written in scores.iterator(chunk_size=5000):
        reasons = reasons_of(told, written, str(values[VERSION]))
        values[PROBABILITY] = f"{values[PROBABILITY]:.6f}"
        if not has_signal and values[STAGE] != Stage.CONTRACT:
            values[STAGE] = NO_SIGNAL
        sentences = [reason["sentence"] for reason in reasons[:3]]
        three = [*sentences, *[""] * (3 - len(sentences))]
        yield safe_text(account), safe_text(name), *values[:-MORE], *three, *values[-MORE:]
