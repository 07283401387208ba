"""The health scorecard: new weights, and the newest scores worked out anew with them."""

from __future__ import annotations

import numpy as np
from django.db import connection, transaction

from accounts.models import User
from accounts.services.audit import write_audit
from retention.models import HealthWeights, Score, ScoreRun
from retention.models.scores import RunState
from retention.scoring.health import Scorecard
from retention.scoring.history import Floats, Ints
from retention.selectors.health import InForce, cards_of, weights_in_force, weights_of
from retention.services.versions import add_version

AT_ONCE = 25_000  # accounts


def save_health_weights(by: User, weights: HealthWeights) -> HealthWeights:
    """A new version of the weights of its segment. The newest scores follow by `rescore_health`."""
    with transaction.atomic():
        add_version(weights, by, segment=weights.segment)
        write_audit(
            by,
            "save_health_weights",
            weights,
            segment=weights.segment,
            version=weights.version,
            follows_all=weights.follows_all,
            **weights.by_factor,
        )
    return weights


def health_of(card: Scorecard, account_ids: Ints, in_force: InForce) -> Floats:
    """(n,) health of these accounts as it is stored: whole points 0 to 100, NaN where nothing is known."""
    return np.round(card.health(weights_of(account_ids, in_force)))


def rescore_health() -> int:
    """Work out the health of the newest published scores with the weights in force; returns how many changed."""
    run = ScoreRun.objects.filter(state=RunState.PUBLISHED).select_related("model").order_by("-as_of").first()
    if run is None:
        return 0
    in_force, changed = weights_in_force(), 0
    found = Score.objects.filter(as_of=run.as_of).order_by("account_id")
    ids = np.fromiter(found.values_list("account_id", flat=True), dtype=np.int64)
    for begin in range(0, len(ids), AT_ONCE):
        part = ids[begin : begin + AT_ONCE]
        changed += _write(run, part, health_of(cards_of(run, part), part, in_force))
    return changed


def _write(run: ScoreRun, account_ids: Ints, health: Floats) -> int:
    points = [None if np.isnan(value) else int(value) for value in health.tolist()]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE retention_score s SET health_score = n.health"
            " FROM unnest(%s::bigint[], %s::smallint[]) AS n (account_id, health)"
            " WHERE s.as_of = %s AND s.account_id = n.account_id AND s.health_score IS DISTINCT FROM n.health",
            [account_ids.tolist(), points, run.as_of],
        )
        return int(cursor.rowcount)
