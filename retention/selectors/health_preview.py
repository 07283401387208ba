"""What other weights of the health scorecard would change in one's own book, and which ones outcomes suggest."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from accounts.models import Account
from retention.datasets import date_of, day_number, load_history, load_signals
from retention.datasets.said import load_said
from retention.models import HealthWeights, Score, ScoreRun
from retention.models.scores import RunState
from retention.scoring.features import rhythm_state, usual_gap
from retention.scoring.health import GAPS_TO_NOTHING, SHIPPED, scorecard, weight_array
from retention.scoring.health_weights import PastDay, ranking, suggest_weights
from retention.scoring.history import Floats, Ints, Purchases, purchases_of
from retention.scoring.labels import churned, training_cutoffs
from retention.scoring.metrics import auc
from retention.scoring.signals import Signals, signal_facts
from retention.selectors.frame import latest_run
from retention.selectors.health import InForce, cards_of, weights_for, weights_in_force, weights_of

SAMPLE = 10_000  # accounts looked at; more change no share by more than a point
MOVED = 10  # points from which a change is told
EXAMPLES = 8
CLEARLY = 0.5  # points of a ranking that are worth a change
# From best to worst; the last band is everybody of whom nothing is known.
BANDS = ((80, "80 to 100"), (60, "60 to 79"), (40, "40 to 59"), (20, "20 to 39"), (0, "0 to 19"))
UNKNOWN = "Nothing known"


@dataclass(frozen=True)
class Band:
    """Accounts whose health is within a range, before and after."""

    label: str
    before: int
    after: int


@dataclass(frozen=True)
class Example:
    """An account that would move far."""

    account: Account
    before: int
    after: int

    @property
    def change(self) -> int:
        return self.after - self.before


@dataclass(frozen=True)
class Preview:
    """The book as it stands and with other weights. `accounts` were looked at, of `of` that are scored."""

    accounts: int
    of: int
    moved: int
    bands: list[Band]
    examples: list[Example]

    @property
    def is_sample(self) -> bool:
        return self.accounts < self.of


def preview_weights(segment: str, draft: HealthWeights | None = None) -> Preview | None:
    """The newest scores of a segment (empty = all) as they stand and, with `draft`, as they would; None before the
    first run."""
    run = latest_run()
    if run is None:
        return None
    run = ScoreRun.objects.select_related("model").get(pk=run.pk)
    everyone = _scored_ids(run, segment)
    ids = _drawn(everyone)
    now = weights_in_force()
    card = cards_of(run, ids)
    before = card.health(weights_of(ids, now))
    after = before if draft is None else card.health(weights_of(ids, with_draft(now, draft)))
    change = np.nan_to_num(after - before)
    bands = list(zip(_banded(before), _banded(after), strict=True))
    labels = [*(label for _, label in BANDS), UNKNOWN]
    return Preview(
        accounts=len(ids),
        of=len(everyone),
        moved=int((np.abs(change) > MOVED).sum()),
        bands=[Band(label, *counts) for label, counts in zip(labels, bands, strict=True)],
        examples=_examples(ids, before, after, change),
    )


def with_draft(in_force: InForce, draft: HealthWeights) -> dict[str, HealthWeights]:
    """What would be in force once `draft` is saved."""
    others = {segment: row for segment, row in in_force.items() if segment != draft.segment}
    return others if draft.follows_all else others | {draft.segment: draft}


def _scored_ids(run: ScoreRun, segment: str) -> Ints:
    """Accounts that the run scored, ascending; of one segment, or all."""
    scores = Score.objects.filter(as_of=run.as_of).order_by("account_id")
    if segment:
        scores = scores.filter(account__segment=segment)
    return np.fromiter(scores.values_list("account_id", flat=True), dtype=np.int64)


def _drawn(ids: Ints) -> Ints:
    """The same accounts whoever asks, ascending."""
    if len(ids) <= SAMPLE:
        return ids
    return np.sort(np.random.default_rng(0).choice(ids, SAMPLE, replace=False))


def _banded(health: Floats) -> list[int]:
    rounded = np.round(health[~np.isnan(health)])
    edges = [101, *(edge for edge, _ in BANDS)]
    counts = [int(((rounded >= low) & (rounded < high)).sum()) for high, low in pairwise(edges)]
    return [*counts, int(np.isnan(health).sum())]


def _examples(ids: Ints, before: Floats, after: Floats, change: Floats) -> list[Example]:
    """Those who move furthest, half a point at least."""
    furthest = np.argsort(-np.abs(change), kind="stable")[:EXAMPLES]
    chosen = [row for row in furthest.tolist() if abs(change[row]) >= 0.5]
    accounts = Account.objects.only("name", "segment").in_bulk([int(ids[row]) for row in chosen])
    return [
        Example(accounts[int(ids[row])], round(before[row]), round(after[row]))
        for row in chosen
        if int(ids[row]) in accounts
    ]


# ── weights that outcomes suggest ──────────────────────────────────────
@dataclass(frozen=True)
class Judged:
    """How well each ranked, at the end of a past day nobody's weights were fitted on, who had left a horizon later.

    `ranked` holds (what, chance in per cent that an account which stayed stands above one which left).
    """

    on: dt.date
    horizon_days: int
    accounts: int
    left: int
    ranked: list[tuple[str, float]]

    @property
    def is_better(self) -> bool:
        """The suggestion ranked better than the weights in force by more than chance moves it about."""
        (_, suggested), (_, now) = self.ranked[:2]
        return suggested - now > CLEARLY


@dataclass(frozen=True)
class Suggestion:
    """Weights that outcomes suggest, or why there are none; what they rest on, and how they did out of time."""

    weights: dict[str, int] | None
    because: str
    judged: Judged | None = None


def suggest(segment: str) -> Suggestion:
    """Weights for a segment (empty = all) from who stayed and who left after past days of the book."""
    run = latest_run()
    if run is None:
        return Suggestion(None, "There are no scores yet; outcomes can be looked at after the first run.")
    ids = _drawn(_scored_ids(run, segment))
    purchases = purchases_of(load_history(run.as_of, only=ids))
    signals = load_signals(run.as_of, only=ids)
    days = _past_days(purchases, signals, day_number(run.as_of), run.horizon_days)
    suggested = suggest_weights(days)
    if suggested is None:
        return Suggestion(
            None,
            f"Too few have left within {run.horizon_days} days of any past day to say what told them apart.",
        )
    share = round(suggested.believed * 100)
    because = (
        f"From {suggested.leavers:,} accounts that left: {share} % of the way from the weights as shipped to what the"
        " outcomes alone say. The more have left, the further."
    )
    return Suggestion(suggested.weights, because, _judged(run, purchases, signals, days, segment))


def _past_days(purchases: Purchases, signals: Signals, as_of: int, horizon: int) -> list[PastDay]:
    """Newest first."""
    if not len(purchases.day):
        return []
    cutoffs = training_cutoffs(as_of, horizon, int(purchases.day.min()))
    return [_past_day(purchases, signals, cutoff, horizon) for cutoff in cutoffs]


def _past_day(purchases: Purchases, signals: Signals, cutoff: int, horizon: int) -> PastDay:
    """Of the customers who were not gone already: who is long silent stays so, which tells nothing apart."""
    rows = purchases.customers(cutoff)
    gap = usual_gap(rhythm_state(purchases, cutoff, rows)) or horizon / 3
    facts = signal_facts(signals, purchases, cutoff, rows, horizon)
    card = scorecard(purchases, cutoff, rows, horizon, gap, facts)
    gone = (card.facts["quiet"] > horizon) & (card.facts["quiet"] >= GAPS_TO_NOTHING * card.facts["gap"])
    rows, card = rows[~gone], card.only(~gone)
    return PastDay(cutoff, purchases.account_ids[rows], card, churned(purchases, cutoff, horizon, rows))


def _judged(
    run: ScoreRun, purchases: Purchases, signals: Signals, days: list[PastDay], segment: str
) -> Judged | None:
    """On an earlier day, with weights suggested from days whose outcome was known by then; None without such days.

    The day is that of an earlier run where there is one, so that what the model said then stands beside them.
    """
    horizon, newest = run.horizon_days, days[0]
    earlier = _earlier_run(run)
    said: Floats | None = None
    if earlier is not None:
        newest = _past_day(purchases, signals, day_number(earlier.as_of), horizon)
        newest, said = _with_said(newest, earlier.as_of)
    suggested = suggest_weights([day for day in days if day.as_of + horizon <= newest.as_of])
    if suggested is None or not newest.left.any():
        return None
    now = weights_for(weights_in_force(), segment)
    ranked = [
        ("Suggested weights", ranking(newest, weight_array(suggested.weights))),
        ("Weights in force", ranking(newest, weight_array(now.by_factor))),
        ("Weights as shipped", ranking(newest, weight_array(SHIPPED))),
    ]
    if said is not None:
        ranked.append(("The model, as it said then", auc(newest.left.astype(np.float64), said)))
    percent = [(label, round(value * 100, 1)) for label, value in ranked]
    return Judged(date_of(newest.as_of), horizon, len(newest.left), int(newest.left.sum()), percent)


def _earlier_run(run: ScoreRun) -> ScoreRun | None:
    """The newest run whose horizon is over by `run`, unless it is longer ago than two."""
    horizon = dt.timedelta(days=run.horizon_days)
    within = (run.as_of - 2 * horizon, run.as_of - horizon)
    return ScoreRun.objects.filter(state=RunState.PUBLISHED, as_of__range=within).order_by("-as_of").first()


def _with_said(day: PastDay, as_of: dt.date) -> tuple[PastDay, Floats]:
    """The accounts of the day that were scored then, and their probabilities."""
    ids, said = load_said(as_of, day.account_ids)
    scored = np.isin(day.account_ids, ids)
    return PastDay(day.as_of, day.account_ids[scored], day.card.only(scored), day.left[scored]), said
