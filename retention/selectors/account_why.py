"""Why an account's score is what it is: what changed since a day, and what would change it, by scoring it again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from accounts.models import Account
from retention.datasets import day_number, load_history, load_signals
from retention.models import FittedModel, Score
from retention.models.scores import Stage
from retention.scoring import models as engine
from retention.scoring.errors import ScoringError
from retention.scoring.whatif import Changes, Fitted, Futures, changes, futures

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


def why(account: Account, history: Sequence[Score], wanted: str, visit: dt.date | None) -> Why:
    """Compare the newest score in `history` (newest first) with the one `wanted` asks for, and look ahead."""
    now = history[0]
    choices = _choices(history, visit)
    others = [Since(s.as_of.isoformat(), "", s) for s in history[1:]]
    since = _chosen(choices, others, wanted)
    if now.stage == Stage.CONTRACT:
        return Why(since, choices, others, None, None)
    fitted = _models(score.model_version for score in (now, since.score if since else now))
    new = fitted.get(now.model_version)
    if new is None:
        return Why(since, choices, others, None, None)
    moment, ids = now.as_of, np.array([account.pk])
    orders = load_history(moment, only=ids)
    beyond = load_signals(moment, only=ids) if any(m.since is not None for m in fitted.values()) else None
    found = None
    if since is not None and (old := fitted.get(since.score.model_version)) is not None:
        found = changes(_as_scored(old, since.score), _as_scored(new, now), orders, beyond)
    return Why(since, choices, others, found, futures(new, orders, day_number(moment), beyond))


def _as_scored(model: engine.FittedModel, score: Score) -> Fitted:
    return Fitted(model, day_number(score.as_of), score.churn_probability)


def _models(versions: Iterable[str]) -> dict[str, engine.FittedModel]:
    """The stored models that this version of the engine can still apply."""
    found = {}
    for stored in FittedModel.objects.filter(version__in=set(versions)).only("version", "payload"):
        try:
            found[stored.version] = engine.model_from_bytes(bytes(stored.payload))
        except ScoringError:
            continue  # made by an older engine: its scores stay, but nothing can be scored with it again
    return found


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
