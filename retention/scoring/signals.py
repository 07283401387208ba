"""What happened besides orders: grievances, promises, contacts, pulses, people who changed, accounts under treatment.

`Signals` keeps dated records of each kind grouped by account, as `History` keeps orders. `signal_facts` says what was
known of each account at the end of a day, in units people know. A record counts from its own day on: a grievance
settled later is open, a promise due later is neither kept nor broken. NaN means unknown: nobody wrote such things
down by then. That is never taken for good or bad news.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retention.scoring.errors import ScoringError
from retention.scoring.features import HALF_LIFE, delivery
from retention.scoring.history import UNKNOWN_DAY, Days, Ints, Purchases, grouping, row_of, spread

Floats = NDArray[np.float64]
Columns = dict[str, NDArray]

RECENT_DAYS = 180  # how far back grievances are counted
YEAR = 365
DELIVERY_HORIZONS = 2
ENDS = {"until", "kept"}  # columns that say when something was over
LONGEST_SILENCE = 730.0  # a last contact or pulse older than two years says no more than that

# fact -> factor it is explained under; what each fact is, for one account at the end of a day
FACTS = {
    "late_share": "delivery",  # of the deliveries due in the last two horizons
    "late_last": "delivery",  # 1 when the newest of them was late
    "late_days": "delivery",  # by which they were late, each halved every HALF_LIFE days since it was due
    "deliveries": "delivery",  # how many those were
    "issue_weight": "service",  # of the open issues: low 1, medium 2, high 3
    "open_issues": "service",
    "oldest_open": "service",  # days the oldest open one has lain; 0 when none is open
    "issue_days": "service",  # days that issues have lain, each issue's halved every HALF_LIFE days since it was settled
    "recent_issues": "service",  # opened in the last RECENT_DAYS
    "broken_fresh": "promises",  # promises not kept by their day, each halved every HALF_LIFE days since
    "broken": "promises",  # the same of the last year, counted
    "promises": "promises",  # due in the last year
    "silence": "relationship",  # days since anybody of ours and they were in contact
    "active_contacts": "relationship",  # people there we know of
    "pulse": "pulse",  # last pulse, 1 (about to leave) to 6 (delighted)
    "pulse_age": "pulse",  # days since then
    "pulse_day": "pulse",  # day number of it
    "left_fresh": "stability",  # people there who left, each halved every HALF_LIFE days
    "contacts_left": "stability",  # the same of the last year, counted
    "changes_fresh": "stability",  # another of ours took over, halved every HALF_LIFE days
    "owner_changes": "stability",  # the same of the last year, counted
    "vacant": "stability",  # days without one of its two owners; 0 when both are there
    "treated": "treatment",  # share of the last horizon under handback
    "under_handback": "treatment",  # 1 while one is open
    "lost_fresh": "treatment",  # handbacks closed as lost and no order since, halved every HALF_LIFE days
}
SIGNAL_FACTORS = tuple(dict.fromkeys(FACTS.values()))


@dataclass(frozen=True)
class Events:
    """Dated records of one kind, grouped by account and sorted by day; every column has one entry per record."""

    offsets: Ints
    columns: Columns

    @property
    def day(self) -> Days:
        """The day from which each record is known."""
        return self.columns["day"]

    def of(self, rows: Ints) -> tuple[Ints, Ints]:
        """Positions of the records of these accounts, and for each the index in `rows` it belongs to."""
        return spread(self.offsets[rows], self.offsets[rows + 1])

    def until(self, as_of: int) -> "Events | None":
        """Those known by the end of day `as_of`, without an end that came later; None where there are none."""
        known = self.day <= as_of
        if not known.any():
            return None
        running = np.concatenate(([0], np.cumsum(known, dtype=np.int64)))
        columns = {name: column[known] for name, column in self.columns.items()}
        for end in ENDS & columns.keys():
            columns[end] = np.where(columns[end] > as_of, UNKNOWN_DAY, columns[end])
        return Events(running[self.offsets], columns)

    def only(self, rows: Ints) -> "Events":
        """The records of these accounts, in their order."""
        positions, _ = self.of(rows)
        offsets = np.concatenate(([0], np.cumsum(np.diff(self.offsets)[rows])))
        return Events(offsets, {name: column[positions] for name, column in self.columns.items()})


def records_of(account_ids: Ints, account: NDArray[np.integer], **columns: NDArray) -> Events | None:
    """Group rows that come in any order; None where there are none. `day` must be among the columns.

    Raises
    ------
    ScoringError
        A record belongs to an account that is not among `account_ids`.
    """
    if not len(account):
        return None
    offsets, order = grouping(row_of(account_ids, account), len(account_ids), columns["day"])
    return Events(offsets, {name: column[order] for name, column in columns.items()})


@dataclass(frozen=True)
class Signals:
    """Records of many accounts; a kind nobody has ever written down is None.

    Attributes
    ----------
    account_ids : (A,) ascending ids of the accounts covered
    issues : day opened, `until` the day it was settled, `weight` 1 to 3
    promises : day made, `due`, `kept`
    touches : day of any contact between them and one of ours
    pulses : day, `score` 1 to 6
    people : a person there: day from which we knew of them, `until` the day they left
    departures : a person there who left: day, `weight` 2 for who decides or speaks for us there, else 1
    owners : day on which another of ours took over, `weight` 1
    vacancies : day from which an owner was missing, `until` the day somebody took over
    handbacks : day opened, `until` closed, `lost` 1 where the outcome was lost
    """

    account_ids: Ints
    issues: Events | None = None
    promises: Events | None = None
    touches: Events | None = None
    pulses: Events | None = None
    people: Events | None = None
    departures: Events | None = None
    owners: Events | None = None
    vacancies: Events | None = None
    handbacks: Events | None = None

    def until(self, as_of: int) -> "Signals":
        """The same accounts with only what had happened by the end of day `as_of`: what ended later is not over."""
        known: dict[str, Any] = {name: records.until(as_of) for name, records in self.kinds().items()}
        return replace(self, **known)

    def between(self, first_id: int, last_id: int) -> "Signals":
        """The accounts with ids from `first_id` to `last_id`, both included."""
        begin, stop = np.searchsorted(self.account_ids, [first_id, last_id + 1])
        return self._taken(np.arange(begin, stop))

    def only(self, account_ids: Ints) -> "Signals":
        """These of the covered accounts; the ids must be ascending."""
        return self._taken(np.searchsorted(self.account_ids, account_ids))

    def _taken(self, rows: Ints) -> "Signals":
        if len(rows) == len(self.account_ids):
            return self
        taken: dict[str, Any] = {name: records.only(rows) for name, records in self.kinds().items()}
        return replace(self, account_ids=self.account_ids[rows], **taken)

    def kinds(self) -> dict[str, Events]:
        """The kinds that there are records of."""
        named = ((one.name, getattr(self, one.name)) for one in fields(self) if one.name != "account_ids")
        return {name: records for name, records in named if records is not None}

    def since(self) -> dict[str, int]:
        """Day of the first record of each kind: before it, nothing of the kind is known of anybody."""
        return {name: int(r.day.min()) for name, r in self.kinds().items() if len(r.day)}

    def rows_of(self, account_ids: Ints) -> Ints:
        """Where these accounts stand.

        Raises
        ------
        ScoringError
            One of them is not covered.
        """
        if not len(account_ids):
            return np.empty(0, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self.account_ids, account_ids), len(self.account_ids) - 1)
        if not len(self.account_ids) or (self.account_ids[rows] != account_ids).any():
            raise ScoringError("An account to be scored is missing among the records beyond orders.")
        return rows


@dataclass(frozen=True)
class Facts:
    """(n, len(FACTS)) what was known of each account at the end of a day, NaN where nothing was."""

    values: Floats

    def __getitem__(self, name: str) -> Floats:
        return self.values[:, _POSITION[name]]


_POSITION = {name: position for position, name in enumerate(FACTS)}


@dataclass(frozen=True)
class _View:
    """The records at the end of one day, for some accounts."""

    signals: Signals
    rows: Ints
    as_of: int
    horizon: int
    since: dict[str, int]
    nothing: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nothing", np.full(len(self.rows), np.nan))

    def known(self, kind: str) -> bool:
        """Whether anybody had written down such a thing by then."""
        return self.since.get(kind, self.as_of + 1) <= self.as_of

    def rows_by_then(self, kind: str) -> tuple[Columns, Ints]:
        """Records of a kind known by the end of the day, and whose they are."""
        records: Events | None = getattr(self.signals, kind)
        if records is None:
            return {}, np.empty(0, dtype=np.int64)
        positions, owner = records.of(self.rows)
        known = records.day[positions] <= self.as_of
        positions, owner = positions[known], owner[known]
        return {name: column[positions] for name, column in records.columns.items()}, owner

    def total(self, owner: Ints, weight: NDArray | None = None) -> Floats:
        return np.bincount(owner, weights=weight, minlength=len(self.rows)).astype(float)

    def fresh(self, day: NDArray) -> Floats:
        """1 for what happened today, half of it for each HALF_LIFE since."""
        return np.exp2(-(self.as_of - day.astype(float)) / HALF_LIFE)

    def is_over(self, until: NDArray) -> NDArray[np.bool_]:
        """Whether an end is known by then."""
        return (until != UNKNOWN_DAY) & (until <= self.as_of)

    def newest(self, owner: Ints, values: NDArray) -> Floats:
        """The last of each account's values; records are sorted by day, so what is written last stays."""
        last = self.nothing.copy()
        last[owner] = values
        return last


def signal_facts(
    signals: Signals,
    purchases: Purchases,
    as_of: int,
    rows: Ints,
    horizon: int,
    since: dict[str, int] | None = None,
) -> Facts:
    """What was known at the end of day `as_of` of the accounts in `rows` (of `purchases`); columns as `FACTS`.

    `since` are the days from which each kind is known of in the whole book; a part of a book must be given them, or
    it would take its own first record for the first of all.
    """
    view = _View(
        signals,
        signals.rows_of(purchases.account_ids[rows]),
        as_of,
        horizon,
        signals.since() if since is None else since,
    )
    columns = _deliveries(purchases, as_of, rows, horizon)
    for facts in (_issues, _promises, _relationship, _pulses, _changes):
        columns |= facts(view)
    columns |= _treatment(view, _last_purchase(purchases, as_of, rows))
    return Facts(np.column_stack([columns[name] for name in FACTS]))


def _deliveries(purchases: Purchases, as_of: int, rows: Ints, horizon: int) -> dict[str, Floats]:
    found = delivery(purchases, as_of, rows, DELIVERY_HORIZONS * horizon)
    return {
        name: found[name].astype(float) for name in ("late_share", "late_last", "late_days", "deliveries")
    }


def _issues(view: _View) -> dict[str, Floats]:
    names = ("open_issues", "oldest_open", "issue_days", "recent_issues", "issue_weight")
    if not view.known("issues"):
        return dict.fromkeys(names, view.nothing)
    found, owner = view.rows_by_then("issues")
    if not found:
        return {name: np.zeros(len(view.rows)) for name in names}
    is_open = ~view.is_over(found["until"])
    recent = found["day"] > view.as_of - RECENT_DAYS
    end = np.where(is_open, view.as_of, found["until"])
    oldest = np.zeros(len(view.rows))
    np.maximum.at(oldest, owner[is_open], view.as_of - found["day"][is_open])
    return {
        "open_issues": view.total(owner[is_open]),
        "oldest_open": oldest,
        "issue_days": view.total(owner, np.maximum(end - found["day"], 0) * view.fresh(end)),
        "recent_issues": view.total(owner[recent]),
        "issue_weight": view.total(owner[is_open], found["weight"][is_open]),
    }


def _promises(view: _View) -> dict[str, Floats]:
    names = ("promises", "broken", "broken_fresh")
    if not view.known("promises"):
        return dict.fromkeys(names, view.nothing)
    found, owner = view.rows_by_then("promises")
    if not found:
        return {name: np.zeros(len(view.rows)) for name in names}
    due = (found["due"] < view.as_of) & (found["due"] > view.as_of - YEAR)
    owner, promised, kept = owner[due], found["due"][due], found["kept"][due]
    broken = ~(view.is_over(kept) & (kept <= promised))
    return {
        "promises": view.total(owner),
        "broken": view.total(owner[broken]),
        "broken_fresh": view.total(owner[broken], view.fresh(promised[broken])),
    }


def _relationship(view: _View) -> dict[str, Floats]:
    touched, owner = view.rows_by_then("touches")
    last = view.newest(owner, touched["day"]) if touched else view.nothing
    people, whose = view.rows_by_then("people")
    active = view.nothing
    if people:
        here = ~view.is_over(people["until"])
        active = np.where(view.total(whose) > 0, view.total(whose[here]), np.nan)
    return {"silence": np.minimum(view.as_of - last, LONGEST_SILENCE), "active_contacts": active}


def _pulses(view: _View) -> dict[str, Floats]:
    taken, owner = view.rows_by_then("pulses")
    if not taken:
        return dict.fromkeys(("pulse", "pulse_age", "pulse_day"), view.nothing)
    day, score = view.newest(owner, taken["day"]), view.newest(owner, taken["score"])
    day = np.where(view.as_of - day <= LONGEST_SILENCE, day, np.nan)
    return {
        "pulse": np.where(np.isnan(day), np.nan, score),
        "pulse_age": view.as_of - day,
        "pulse_day": day,
    }


def _changes(view: _View) -> dict[str, Floats]:
    return (
        _within_a_year(view, "departures", "contacts_left", "left_fresh")
        | _within_a_year(view, "owners", "owner_changes", "changes_fresh")
        | {"vacant": _vacant(view)}
    )


def _within_a_year(view: _View, kind: str, count: str, fresh: str) -> dict[str, Floats]:
    if not view.known(kind):
        return {count: view.nothing, fresh: view.nothing}
    found, owner = view.rows_by_then(kind)
    if not found:
        return {count: np.zeros(len(view.rows)), fresh: np.zeros(len(view.rows))}
    lately = found["day"] > view.as_of - YEAR
    owner, weight = owner[lately], found["weight"][lately] * view.fresh(found["day"][lately])
    return {count: view.total(owner), fresh: view.total(owner, weight)}


def _vacant(view: _View) -> Floats:
    if not view.known("vacancies"):
        # Where changes are known and no vacancy ever was, both owners have always been there.
        return np.zeros(len(view.rows)) if view.known("owners") else view.nothing
    found, owner = view.rows_by_then("vacancies")
    days = np.zeros(len(view.rows))
    if found:
        running = ~view.is_over(found["until"])
        np.maximum.at(days, owner[running], view.as_of - found["day"][running] + 1)
    return days


def _last_purchase(purchases: Purchases, as_of: int, rows: Ints) -> Days:
    """Day of the newest purchase by then, `UNKNOWN_DAY` where there is none."""
    position = purchases.position(as_of, rows)
    bought = position > purchases.offsets[rows]
    found = np.full(len(rows), UNKNOWN_DAY)
    found[bought] = purchases.day[position[bought] - 1]
    return found


def _treatment(view: _View, last_purchase: Days) -> dict[str, Floats]:
    names = ("treated", "under_handback", "lost_fresh")
    if not view.known("handbacks"):
        return dict.fromkeys(names, view.nothing)
    found, owner = view.rows_by_then("handbacks")
    if not found:
        return {name: np.zeros(len(view.rows)) for name in names}
    over = view.is_over(found["until"])
    end = np.where(over, found["until"], view.as_of)
    begin = np.maximum(found["day"], view.as_of - view.horizon)
    # Whoever has bought since was not lost after all.
    lost = over & (found["lost"] > 0) & (found["until"] >= last_purchase[owner])
    return {
        "treated": np.minimum(view.total(owner, np.maximum(end - begin, 0)) / view.horizon, 1.0),
        "under_handback": np.minimum(view.total(owner[~over]), 1.0),
        "lost_fresh": view.total(owner[lost], view.fresh(found["until"][lost])),
    }
