"""Scores into the database: COPY into a staging table, then an insert or an update of what changed."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Container

import numpy as np
from django.db import connection
from django.db.backends.utils import CursorWrapper

from retention.datasets import Records
from retention.models import ScoreChunk, ScoreRun
from retention.models.scores import RunState
from retention.scoring.health import Scorecard
from retention.scoring.history import Ints
from retention.scoring.scores import Scores
from retention.selectors.health import cards_of, weights_in_force
from retention.services.contracts import ContractRows, staging_text
from retention.services.health import health_of

MONTH_BEFORE = dt.timedelta(days=28)

_STAGING = """
CREATE TEMP TABLE score_staging (account_id bigint, probability float8, tier text, at_risk numeric,
    expected numeric, low numeric, high numeric, lifetime numeric, silence int, gap float8, reasons jsonb,
    health smallint, known smallint, base float8, stage text, version text) ON COMMIT DROP
"""
_STAGED = (
    "account_id", "probability", "tier", "at_risk", "expected", "low", "high", "lifetime", "silence", "gap", "reasons",
    "health", "known",
)  # fmt: skip
_STAGED_BY_ACCOUNT = (*_STAGED, "base", "stage", "version")
_FORGET = """
DELETE FROM retention_score s WHERE s.as_of = %(as_of)s AND s.account_id BETWEEN %(first)s AND %(last)s
    AND NOT EXISTS (SELECT 1 FROM score_staging n WHERE n.account_id = s.account_id)
"""
_COLUMNS = (
    "run_id", "horizon_days", "churn_probability", "base_probability", "tier", "stage", "model_version",
    "revenue_at_risk", "currency", "revenue_at_risk_company", "expected_value_12m",
    "expected_value_low", "expected_value_high", "lifetime_value", "days_since_last_order",
    "usual_gap_days", "main_factor", "reasons", "health_score", "known_share", "previous_probability",
)  # fmt: skip
_UPSERT = f"""
INSERT INTO retention_score AS old (account_id, as_of, {", ".join(_COLUMNS)})
SELECT n.account_id, %(as_of)s, %(run)s, %(horizon)s, n.probability,
    COALESCE(n.base, %(base)s), n.tier, COALESCE(n.stage, %(stage)s), COALESCE(n.version, %(version)s),
    round(n.at_risk / COALESCE(rate.rate, 1), 2), a.currency, n.at_risk,
    round(n.expected / COALESCE(rate.rate, 1), 2), round(n.low / COALESCE(rate.rate, 1), 2),
    round(n.high / COALESCE(rate.rate, 1), 2), round(n.lifetime / COALESCE(rate.rate, 1), 2), n.silence, n.gap, n.reasons -> 0 ->> 'factor', n.reasons, n.health,
    n.known,
    before.churn_probability
FROM score_staging n
JOIN accounts_account a ON a.id = n.account_id
LEFT JOIN accounts_exchangerate rate ON rate.currency = a.currency
LEFT JOIN retention_score before ON before.account_id = n.account_id AND before.as_of = %(before)s
ON CONFLICT (account_id, as_of) DO UPDATE SET
    {", ".join(f"{name} = EXCLUDED.{name}" for name in _COLUMNS)}
WHERE ({", ".join(f"old.{name}" for name in _COLUMNS)})
    IS DISTINCT FROM ({", ".join(f"EXCLUDED.{name}" for name in _COLUMNS)})
"""  # noqa: S608 - names of our own columns


def write_scores(
    run: ScoreRun, chunk: ScoreChunk, known: Records, scores: Scores | None, contracts: ContractRows | None
) -> int:
    """COPY into a staging table, forget scores that no longer hold, insert new ones, update changed ones; returns how
    many accounts have one. Accounts told by their contract are left out of those told by orders."""
    before = (
        ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__lte=run.as_of - MONTH_BEFORE)
        .order_by("-as_of")
        .values_list("as_of", flat=True)
        .first()
    )
    values: dict[str, dt.date | int | float | str | None] = {
        "as_of": run.as_of, "first": chunk.first_id, "last": chunk.last_id, "run": run.pk,
        "horizon": run.horizon_days, "base": scores.base_probability if scores else None,
        "stage": run.model.stage if run.model else None, "version": run.model.version if run.model else None,
        "before": before,
    }  # fmt: skip
    told = set() if contracts is None else set(contracts.account_ids.tolist())
    with connection.cursor() as cursor:
        cursor.execute(_STAGING)
        if scores is not None:
            healths = _healths(scores.card, scores.account_ids)
            _stage(cursor, _STAGED, _staging_text(scores, healths, told))
        if contracts is not None:
            healths = _healths(cards_of(run, contracts.account_ids, known), contracts.account_ids)
            _stage(cursor, _STAGED_BY_ACCOUNT, staging_text(contracts, scores, healths))
        cursor.execute("ANALYZE score_staging (account_id)")
        cursor.execute(_FORGET, values)
        cursor.execute(_UPSERT, values)
        cursor.execute("SELECT count(*) FROM score_staging")
        count: int = cursor.fetchone()[0]
        cursor.execute("DROP TABLE score_staging")
    return count


def _stage(cursor: CursorWrapper, columns: tuple[str, ...], text: str) -> None:
    cursor.copy_expert(f"COPY score_staging ({', '.join(columns)}) FROM STDIN", io.StringIO(text))


def _healths(card: Scorecard, account_ids: Ints) -> list[str]:
    """The health of each account as PostgreSQL reads it, by the weights in force."""
    health = health_of(card, account_ids, weights_in_force())
    return ["\\N" if np.isnan(points) else f"{points:.0f}" for points in health.tolist()]


def _staging_text(scores: Scores, healths: list[str], without: Container[int]) -> str:
    """Rows in PostgreSQL's text format, those of some accounts left out. The sentences are our own: they hold no tab, line end or backslash."""
    known_gap = ~np.isnan(scores.gap)
    gaps = np.where(known_gap, scores.gap, 0.0).tolist()
    rows = zip(
        scores.account_ids.tolist(), scores.probability.tolist(), scores.tier.tolist(),
        scores.revenue_at_risk.tolist(), scores.worth.expected.tolist(),
        scores.worth.low.tolist(), scores.worth.high.tolist(), scores.lifetime_value.tolist(),
        scores.silence.astype(int).tolist(), known_gap.tolist(), gaps, scores.reasons, healths,
        scores.known_share.tolist(), strict=True,
    )  # fmt: skip
    nothing = "\\N"
    return "".join(
        f"{account}\t{p!r}\t{tier}\t{at_risk:.2f}\t{value:.2f}\t{low:.2f}\t{high:.2f}\t{lifetime:.2f}\t{silence}\t{repr(gap) if known else nothing}"
        f"\t{reasons}\t{health}\t{share}\n"
        for account, p, tier, at_risk, value, low, high, lifetime, silence, known, gap, reasons, health, share in rows
        if account not in without
    )
