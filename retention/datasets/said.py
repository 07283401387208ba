"""Scores as they were given, to be held against what happened."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import NDArray

from retention.datasets.wire import copy_to_array
from retention.models.scores import Stage
from retention.scoring.history import Ints


def load_said(as_of: dt.date, only: Ints) -> tuple[Ints, NDArray[np.float64]]:
    """Ids (ascending) and probabilities of those of these accounts that were scored as of that day by their orders;
    renewals of contracts are another question and left out."""
    ids = ",".join(map(str, only.tolist()))
    query = f"""
        SELECT account_id, churn_probability FROM retention_score
        WHERE as_of = DATE '{as_of.isoformat()}' AND stage <> '{Stage.CONTRACT.value}'
            AND account_id = ANY('{{{ids}}}'::bigint[]) ORDER BY account_id
        """  # noqa: S608 - a date, whole numbers and a word of our own
    rows = copy_to_array(query, {"account_id": ">i8", "p": ">f8"})
    return rows["account_id"].astype(np.int64), rows["p"].astype(np.float64)
