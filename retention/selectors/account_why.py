"""Why an account's score is what it is: what changed since a day, and what would change it, by scoring it again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from retention.datasets import Records, day_number
from retention.models import Score
from retention.models.scores import Stage
from retention.scoring import models as engine
from retention.scoring.whatif import Changes, Fitted, Futures, changes, futures
from retention.selectors.fitted import fitted_model

WEEK, MONTH = 7, 28


@dataclass(frozen=True)
class Since:
    """An earlier score to compare with. `code` stands in the address: run, week, month, visit or the day itself."""

    code: str
    label: str
    score: Score


@dataclass(frozen=True)
class Why:
    """What scoring an account again has found; None where the models of those days cannot be applied any more."""

    since: Since | None
    choices: list[Since]
    others: list[Since]
    changes: Changes | None
    futures: Futures | None


def why(records: Records, history: Sequence[Score], wanted: str, visit: dt.date | None) -> Why:
    """Compare the newest score in `history` (newest first) with the one `wanted` asks for, and look ahead.

    `records` are the account's own up to the day of the newest score."""
    now = history[0]
    choices = _choices(history, visit)
    others = [Since(s.as_of.isoformat(), "", s) for s in history[1:]]
    since = _chosen(choices, others, wanted)
    if now.stage == Stage.CONTRACT:
        return Why(since, choices, others, None, None)
    new = fitted_model(now.model_version)
    if new is None:
        return Why(since, choices, others, None, None)
    old = fitted_model(since.score.model_version) if since else None
    reads_signals = any(model.since is not None for model in (new, old) if model)
    orders, beyond = records.history, records.signals if reads_signals else None
    found = None
    if since is not None and old is not None:
        found = changes(_as_scored(old, since.score), _as_scored(new, now), orders, beyond)
    return Why(since, choices, others, found, futures(new, orders, day_number(now.as_of), beyond))


def _as_scored(model: engine.FittedModel, score: Score) -> Fitted:
    return Fitted(model, day_number(score.as_of), score.churn_probability)


def _choices(history: Sequence[Score], visit: dt.date | None) -> list[Since]:
    """The last run, the newest ones at least a week and four weeks older, and that of the last visit; each once."""
    now, earlier = history[0].as_of, history[1:]

    def older(days: int) -> Score | None:
        return next((score for score in earlier if (now - score.as_of).days >= days), None)

    named = [
        ("run", "The run before", earlier[0] if earlier else None),
        ("week", "A week before", older(WEEK)),
        ("month", "A month before", older(MONTH)),
        ("visit", "Your last visit", next((s for s in earlier if s.as_of == visit), None)),
    ]
    seen: set[dt.date] = set()
    choices = []
    for code, label, score in named:
        if score is not None and (code == "visit" or score.as_of not in seen):
            choices.append(Since(code, label, score))
            seen.add(score.as_of)
    return choices


def _chosen(choices: list[Since], others: list[Since], wanted: str) -> Since | None:
    """The one asked for; else a month before, the longest of the usual ones, or the run before."""
    asked = [since for since in (*choices, *others) if since.code == wanted]
    usual = [since for code in ("month", "week", "run") for since in choices if since.code == code]
    return next(iter([*asked, *usual]), None)
