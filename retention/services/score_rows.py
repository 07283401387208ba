"""Scores into the database: COPY into a staging table, then an insert or an update of what changed."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from retention.datasets import Records
from retention.datasets.wire import copy_from_array
from retention.models import ScoreChunk, ScoreRun
from retention.models.scores import RunState, Tier
from retention.scoring.health import Scorecard
from retention.scoring.history import Floats, Ints
from retention.scoring.scores import Scores
from retention.scoring.told import TOLD
from retention.selectors.health import cards_from, weights_in_force
from retention.services.contracts import ContractRows
from retention.services.health import health_of

MONTH_BEFORE = dt.timedelta(days=28)

# As the wire brings them: money in cents, -1 or NaN where unknown, words as numbers.
_ROW = np.dtype(
    [
        ("account_id", "<i8"), ("probability", "<f8"), ("tier", "<i2"), ("at_risk", "<i8"), ("expected", "<i8"),
        ("low", "<i8"), ("high", "<i8"), ("lifetime", "<i8"), ("silence", "<i4"), ("gap", "<f8"), ("factor", "<i2"),
        ("told", f"V{TOLD.itemsize}"), ("health", "<i2"), ("known", "<i2"),
    ]
)  # fmt: skip
_STAGING = """
CREATE TEMP TABLE score_staging (account_id bigint, probability float8, tier smallint, at_risk bigint,
    expected bigint, low bigint, high bigint, lifetime bigint, silence integer, gap float8, factor smallint, told bytea,
    health smallint, known smallint) ON COMMIT DROP;
CREATE TEMP TABLE score_written (account_id bigint, base float8, version text, reasons jsonb) ON COMMIT DROP
"""
_TIERS = sorted(tier.value for tier in Tier)
_FORGET = """
DELETE FROM retention_score s WHERE s.as_of = %(as_of)s AND s.account_id BETWEEN %(first)s AND %(last)s
    AND NOT EXISTS (SELECT 1 FROM score_staging n WHERE n.account_id = s.account_id)
"""
_COLUMNS = (
    "run_id", "horizon_days", "churn_probability", "base_probability", "tier", "stage", "model_version",
    "revenue_at_risk", "currency", "revenue_at_risk_company", "expected_value_12m",
    "expected_value_low", "expected_value_high", "lifetime_value", "days_since_last_order",
    "usual_gap_days", "main_factor", "told", "reasons_written", "health_score", "known_share", "previous_probability",
)  # fmt: skip
_UPSERT = f"""
INSERT INTO retention_score AS old (account_id, as_of, {", ".join(_COLUMNS)})
SELECT n.account_id, %(as_of)s, %(run)s, %(horizon)s, n.probability,
    COALESCE(w.base, %(base)s), (%(tiers)s::text[])[n.tier + 1],
    CASE WHEN w.account_id IS NULL THEN %(stage)s ELSE 'contract' END, COALESCE(w.version, %(version)s),
    round(n.at_risk / 100.0 / COALESCE(rate.rate, 1), 2), a.currency, n.at_risk / 100.0,
    round(n.expected / 100.0 / COALESCE(rate.rate, 1), 2), round(n.low / 100.0 / COALESCE(rate.rate, 1), 2),
    round(n.high / 100.0 / COALESCE(rate.rate, 1), 2), round(n.lifetime / 100.0 / COALESCE(rate.rate, 1), 2),
    NULLIF(n.silence, -1), NULLIF(n.gap, 'NaN'), COALESCE(w.reasons -> 0 ->> 'factor', (%(factors)s::text[])[n.factor + 1]),
    CASE WHEN w.account_id IS NULL THEN n.told END, w.reasons, NULLIF(n.health, -1), n.known, before.churn_probability
FROM score_staging n
JOIN accounts_account a ON a.id = n.account_id
LEFT JOIN score_written w ON w.account_id = n.account_id
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
    values: dict[str, Any] = {
        "as_of": run.as_of, "first": chunk.first_id, "last": chunk.last_id, "run": run.pk,
        "horizon": run.horizon_days, "base": scores.base_probability if scores else None,
        "stage": run.model.stage if run.model else None, "version": run.model.version if run.model else None,
        "before": before, "tiers": _TIERS, "factors": scores.wording.factor_names if scores else [],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_STAGING)
        if scores is not None:
            by_orders = _rows_by_orders(scores)
            told = (
                np.zeros(len(scores), dtype=bool)
                if contracts is None
                else np.isin(scores.account_ids, contracts.account_ids)
            )
            copy_from_array("score_staging", by_orders[~told])
        if contracts is not None:
            copy_from_array(
                "score_staging",
                _rows_by_contract(contracts, cards_from(run, known.only(contracts.account_ids))),
            )
            written = io.StringIO(_written_text(contracts))
            cursor.copy_expert("COPY score_written (account_id, base, version, reasons) FROM STDIN", written)
        cursor.execute("ANALYZE score_staging (account_id)")
        cursor.execute(_FORGET, values)
        cursor.execute(_UPSERT, values)
        cursor.execute("SELECT count(*) FROM score_staging")
        count: int = cursor.fetchone()[0]
        cursor.execute("DROP TABLE score_staging, score_written")
    return count


def _rows_by_orders(scores: Scores) -> NDArray[np.void]:
    rows = np.zeros(len(scores), dtype=_ROW)
    _fill(rows, scores.account_ids, scores.probability, scores.tier, scores.card, scores.known_share)
    worth = scores.worth
    _fill_money(rows, scores.revenue_at_risk, worth.expected, worth.low, worth.high, scores.lifetime_value)
    rows["silence"], rows["gap"] = scores.silence, scores.gap
    rows["factor"] = scores.wording.main_factors(scores.told)
    rows["told"] = scores.told.view(rows.dtype["told"])
    return rows


def _rows_by_contract(contracts: ContractRows, card: Scorecard) -> NDArray[np.void]:
    rows = np.zeros(len(contracts), dtype=_ROW)
    _fill(rows, contracts.account_ids, contracts.probability, contracts.tier, card, contracts.known_share)
    _fill_money(
        rows, contracts.revenue_at_risk, contracts.expected, contracts.low, contracts.high, contracts.lifetime
    )
    rows["silence"] = np.where(np.isnan(contracts.silence), -1, contracts.silence)
    rows["gap"] = contracts.gap
    return rows


def _fill(
    rows: NDArray[np.void],
    ids: Ints,
    probability: Floats,
    tier: NDArray[np.str_],
    card: Scorecard,
    known: Ints,
) -> None:
    health = health_of(card, ids, weights_in_force())
    rows["account_id"], rows["probability"], rows["known"] = ids, probability, known
    rows["tier"] = np.searchsorted(_TIERS, tier)
    rows["health"] = np.where(np.isnan(health), -1, health)


def _fill_money(
    rows: NDArray[np.void], at_risk: Floats, expected: Floats, low: Floats, high: Floats, lifetime: Floats
) -> None:
    money = {"at_risk": at_risk, "expected": expected, "low": low, "high": high, "lifetime": lifetime}
    for name, values in money.items():
        rows[name] = np.rint(values * 100)


def _written_text(contracts: ContractRows) -> str:
    """Rows in PostgreSQL's text format. Names of segments stand in sentences: what JSON escapes is escaped once more."""
    rows = zip(
        contracts.account_ids.tolist(), contracts.base_probability.tolist(), contracts.versions, contracts.reasons,
        strict=True,
    )  # fmt: skip
    return "".join(
        f"{account}\t{base!r}\t{version}\t{json.dumps(reasons).replace(chr(92), chr(92) * 2)}\n"
        for account, base, version, reasons in rows
    )
