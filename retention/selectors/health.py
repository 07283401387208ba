"""The health scorecard: which weights are in force, and the scorecards of accounts as of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from accounts.models import Account
from retention.datasets import Records, day_number, load_records
from retention.models import Disagreement, HealthWeights, ScoreRun
from retention.scoring.contracts import contract_model_from_bytes
from retention.scoring.health import FACTORS, Scorecard, scorecard, weight_array
from retention.scoring.health_words import FactorLine, lines_of
from retention.scoring.history import Floats, Ints, purchases_of
from retention.scoring.scores import facts_for
from retention.scoring.signals import signal_facts
from retention.scoring.stances import HEALTHY_FROM, LEAST_KNOWN, UNHEALTHY_BELOW
from retention.selectors.book import factor_words
from retention.selectors.fitted import model_of

InForce = Mapping[str, HealthWeights]

# What holds until an administrator saves weights.
SHIPPED_WEIGHTS = HealthWeights(segment="", version=0)


def weights_in_force() -> dict[str, HealthWeights]:
    """The newest version per segment; "" (all segments) always exists. A segment that follows all has none."""
    rows = HealthWeights.objects.order_by("segment", "-version").distinct("segment")
    own = {row.segment: row for row in rows if not row.follows_all}
    return {"": SHIPPED_WEIGHTS} | own


def weights_for(in_force: InForce, segment: str) -> HealthWeights:
    """Those of the segment, else of all segments."""
    return in_force.get(segment) or in_force[""]


def weights_of(account_ids: Ints, in_force: InForce) -> Floats:
    """(n, F) weights of each account; one short query where a segment has its own."""
    weights = np.tile(weight_array(in_force[""].by_factor), (len(account_ids), 1))
    own = [segment for segment in in_force if segment]
    if not own or not len(account_ids):
        return weights
    within = (int(account_ids.min()), int(account_ids.max()))
    rows = Account.objects.filter(segment__in=own, pk__range=within).order_by("pk")
    for segment, ids in _by_segment(rows.values_list("segment", "pk")).items():
        weights[np.isin(account_ids, ids)] = weight_array(in_force[segment].by_factor)
    return weights


def _by_segment(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for segment, pk in pairs:
        found.setdefault(segment, []).append(pk)
    return found


# ── scorecards as of a run ─────────────────────────────────────────────
def cards_of(run: ScoreRun, account_ids: Ints) -> Scorecard:
    """Scorecards of these accounts (ascending ids) as of the run, as `scores.score_accounts` makes them; accounts
    without orders have them too."""
    return cards_from(run, load_records(run.as_of, only=account_ids))


def cards_from(run: ScoreRun, records: Records) -> Scorecard:
    """Scorecards as of the run of the accounts whose records up to that day are at hand."""
    as_of, horizon, rows = (
        day_number(run.as_of),
        run.horizon_days,
        np.arange(len(records.history.account_ids)),
    )
    purchases, model = purchases_of(records.history), model_of(run)
    if model is None:
        since = _since_by_contract(run)
        facts = signal_facts(records.signals, purchases, as_of, rows, horizon, since)
        return scorecard(purchases, as_of, rows, horizon, horizon / 3, facts)
    known = facts_for(model, records.signals, purchases, as_of, rows)
    return scorecard(purchases, as_of, rows, horizon, model.basis.usual_gap, known)


def _since_by_contract(run: ScoreRun) -> dict[str, int] | None:
    """In a book of contracts alone their model knows from when on each kind of record was kept."""
    if run.contract_model is None:
        return None
    return contract_model_from_bytes(bytes(run.contract_model.payload)).since or {}


@dataclass(frozen=True)
class Line:
    """One factor on a page: its words, share of the weight in per cent, value (None: unknown) and sentence."""

    label: str
    weight: int
    value: int | None
    sentence: str

    @property
    def tone(self) -> str:
        """The colour of its bar."""
        if self.value is None or self.value < UNHEALTHY_BELOW:
            return "low"
        return "good" if self.value >= HEALTHY_FROM else "mid"


@dataclass(frozen=True)
class AccountHealth:
    """The scorecard of one account; `score` is None when nothing is known. `is_disputed`: model, scorecard and pulse
    disagree, and nobody has settled it."""

    score: int | None
    known_percent: int
    version: int
    segment: str
    known: list[Line]
    unknown: list[Line]
    is_disputed: bool

    @property
    def is_thin(self) -> bool:
        """Less than half of the weight rests on something known."""
        return self.known_percent < LEAST_KNOWN * 100


def health_of_account(account: Account, run: ScoreRun, records: Records) -> AccountHealth:
    """The breakdown behind the account's health as of `run`, worked out with the weights in force; `records` are the
    account's own up to that day."""
    in_force = weights_for(weights_in_force(), account.segment)
    card = cards_from(run, records)
    weights = weight_array(in_force.by_factor)
    health = card.health(weights)[0]
    lines = [_line(line, in_force.by_factor) for line in lines_of(card, 0)]
    return AccountHealth(
        score=None if np.isnan(health) else round(health),
        known_percent=round(card.known_share(weights)[0] * 100),
        version=in_force.version,
        segment=in_force.segment,
        known=[line for line in lines if line.value is not None and line.weight],
        unknown=[line for line in lines if line.value is None and line.weight],
        is_disputed=Disagreement.objects.to_settle().filter(account=account).exists(),
    )


def _line(line: FactorLine, weights: Mapping[str, int]) -> Line:
    share = round(weights[line.name] * 100 / sum(weights[name] for name in FACTORS))
    value = None if line.value is None else round(line.value)
    return Line(factor_words(line.name), share, value, line.sentence)
