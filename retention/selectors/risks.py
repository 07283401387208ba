"""Scores in the words of the care loop."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.selectors import get_exchange_rates
from pulsecheck.risk import RiskSnapshot
from retention.models import Score, ScoreRun
from retention.selectors.frame import latest_run


def snapshot_of(score: Score) -> RiskSnapshot:
    """What was known about an account at the end of that day."""
    return RiskSnapshot(
        probability=score.churn_probability,
        horizon_days=score.horizon_days,
        tier=score.tier,
        reasons=score.reasons,
        revenue_at_risk=score.revenue_at_risk,
        currency=score.currency,
        as_of=score.as_of,
        model_version=score.model_version,
        days_since_last_order=score.days_since_last_order,
        usual_gap_days=score.usual_gap_days,
    )


def latest_snapshots(account_ids: Iterable[int]) -> dict[int, RiskSnapshot]:
    """The score of each of these accounts in the newest published run, where it has one."""
    run = latest_run()
    return {} if run is None else _snapshots(run, account_ids)


def _snapshots(run: ScoreRun, account_ids: Iterable[int]) -> dict[int, RiskSnapshot]:
    scores = Score.objects.filter(as_of=run.as_of, account__in=list(account_ids))
    return {score.account_id: snapshot_of(score) for score in scores}


def latest_tiers() -> dict[int, str]:
    """The tier of every account in the newest published run."""
    run = latest_run()
    if run is None:
        return {}
    return dict(Score.objects.filter(as_of=run.as_of).order_by().values_list("account_id", "tier"))


def latest_values(account_ids: Iterable[int] | None = None) -> dict[int, float]:
    """What each account is expected to bring in twelve months by the newest published run, in the company's currency;
    without an exchange rate it is left out."""
    run = latest_run()
    if run is None:
        return {}
    scores = Score.objects.filter(as_of=run.as_of)
    if account_ids is not None:
        scores = scores.filter(account__in=list(account_ids))
    rates = {code: float(rate) for code, rate in get_exchange_rates().items()}
    rows = scores.order_by().values_list("account_id", "expected_value_12m", "currency")
    return {pk: float(value) * rates[currency] for pk, value, currency in rows if currency in rates}
