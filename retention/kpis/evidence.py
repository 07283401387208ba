"""The accounts behind the KPIs as bytes: small, exact, and read back without running any code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.kpis.terms import Floats, Ints, Terms

NO_PART = -1


@dataclass(frozen=True)
class Evidence:
    """The accounts a KPI is about.

    Attributes
    ----------
    rows : (E,) positions in the book
    numerator, denominator : (E,) what each adds; the denominator is None for a plain sum
    part : (E,) which part it belongs to (number into the labels), -1 = none
    """

    rows: Ints
    numerator: Floats
    denominator: Floats | None
    part: Ints

    def select(self, wanted: NDArray[np.bool_]) -> Evidence:
        """Only the accounts that are `wanted` (E,)."""
        bottom = None if self.denominator is None else self.denominator[wanted]
        return Evidence(self.rows[wanted], self.numerator[wanted], bottom, self.part[wanted])

    def by_weight(self, lost_first: bool) -> Ints:
        """Positions by what weighs most: what is missing from the top (`lost_first`), else the top itself."""
        weight = self.numerator
        if lost_first and self.denominator is not None:
            weight = self.denominator - self.numerator
        return np.lexsort((self.rows, -weight))


def evidence_of(terms: Terms, part: Ints | None = None) -> Evidence:
    """The counted accounts of `terms`; `part` (A,) numbers what splits them."""
    rows = np.flatnonzero(terms.is_counted)
    parts = np.full(len(rows), NO_PART, dtype=np.int64) if part is None else part[rows]
    bottom = None if terms.denominator is None else terms.denominator[rows]
    return Evidence(rows.astype(np.int64), terms.numerator[rows], bottom, parts)


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as .npz; the database compresses what it stores."""
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **dict(arrays))
    return out.getvalue()


def unpack(payload: bytes) -> dict[str, NDArray[Any]]:
    """What `pack` made; refuses pickled objects."""
    with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def pack_evidence(evidence: Evidence) -> bytes:
    arrays: dict[str, NDArray[Any]] = {
        "rows": evidence.rows.astype(np.int32),
        "numerator": evidence.numerator,
        "part": evidence.part.astype(np.int16),
    }
    if evidence.denominator is not None:
        arrays["denominator"] = evidence.denominator
    return pack(arrays)


def unpack_evidence(payload: bytes) -> Evidence:
    arrays = unpack(payload)
    return Evidence(
        arrays["rows"].astype(np.int64),
        arrays["numerator"],
        arrays.get("denominator"),
        arrays["part"].astype(np.int64),
    )
