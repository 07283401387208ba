"""Room in full diaries: who has time moves, so that everybody gets a day before their year is over.

Contacts and days are the two sides of a matching in which a day takes as many contacts as its person can make. A
contact without a day is given one along an augmenting path: it takes a day from another that takes a day from a third,
and so on to a day with room (Kuhn, "The Hungarian method for the assignment problem", 1955). When there is no such path,
no arrangement of all contacts would do (Berge, "Two theorems in graph theory", 1957).
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pulsecheck.cadence.diary import Diary, IsClosed
from pulsecheck.cadence.occasions import Customer, Want

Slot = tuple[int | None, dt.date]


@dataclass(slots=True, eq=False)
class Item:
    """A contact while days are given out: `floor` is the day by which there has to be one, `day` and `person_id` what it
    has so far; `stands`: what was planned holds."""

    customer: Customer
    want: Want
    floor: dt.date
    urgency: int
    stands: bool
    day: dt.date | None = None
    person_id: int | None = None
    is_beyond: bool = False

    @property
    def is_fixed(self) -> bool:
        """Put on its day by a person; one planned anew, for another reason, is nobody's choice any more."""
        return self.stands and self.customer.planned is not None and self.customer.planned.is_fixed

    @property
    def has_moved(self) -> bool:
        """Whether it is no longer where it was planned."""
        planned = self.customer.planned
        return (
            planned is not None
            and self.day is not None
            and (planned.due_on, planned.assignee_id) != (self.day, self.person_id)
        )


@dataclass(frozen=True, slots=True)
class Span:
    """The days of one person from `first` to `last` on which a contact may be, but for those that are closed."""

    person_id: int | None
    first: dt.date
    last: dt.date
    is_closed: IsClosed | None


class Room:
    """Diaries with what is on their days. `spans_of` says where a contact may be."""

    def __init__(
        self,
        diary_of: Callable[[int | None], Diary],
        spans_of: Callable[[Item], list[Span]],
        items: Sequence[Item],
    ) -> None:
        self._diary_of = diary_of
        self._spans_of = spans_of
        self._on: dict[Slot, list[Item]] = defaultdict(list)
        # From these days no path leads to one with room, now or later.
        self._dead: set[Slot] = set()
        for item in items:
            if item.day is not None:
                self._on[item.person_id, item.day].append(item)

    def admit(self, item: Item) -> bool:
        """Give a contact without a day one, others moving where they must. False when no arrangement would do."""
        path = self._path(item)
        if path is None:
            return False
        self._shift(path)
        return True

    def relieve(self, person_id: int | None, day: dt.date) -> None:
        """Move what is too much on a day elsewhere, the least urgent first, as far as anything else has room."""
        diary, slot = self._diary_of(person_id), (person_id, day)
        for item in _by_patience(self._on[slot]):
            if diary.excess(day) <= 0:
                return
            path = self._path(item)
            if path is not None:
                diary.leave(day)
                self._shift(path)

    def _path(self, item: Item) -> list[tuple[Item, Slot]] | None:
        """Who goes where: the last one to a day with room, everybody before to the day the next one had."""
        came: dict[Slot, Item] = {}
        queue = deque([item])
        while queue:
            mover = queue.popleft()
            free = self._free(mover)
            if free is not None:
                return self._back(item, mover, free, came)
            reached = []
            for slot in self._slots(mover):
                if slot not in came and slot not in self._dead:
                    came[slot] = mover
                    reached += [one for one in self._on.get(slot, ()) if one is not item]
            queue.extend(_by_patience(reached))
        self._dead |= came.keys()
        return None

    def _back(
        self, item: Item, mover: Item, free: Slot, came: Mapping[Slot, Item]
    ) -> list[tuple[Item, Slot]]:
        path = [(mover, free)]
        while mover is not item:
            if mover.day is None:  # only who starts a path has no day
                raise ValueError(f"Account {mover.customer.id} has no day to give up.")
            slot = (mover.person_id, mover.day)
            mover = came[slot]
            path.append((mover, slot))
        return path

    def _free(self, item: Item) -> Slot | None:
        """A day with room for it, nearest to the one it has or should have."""
        near = item.day or item.want.on
        for span in self._spans_of(item):
            target = min(max(near, span.first), span.last)
            day = self._diary_of(span.person_id).find(target, span.first, span.last, span.is_closed)
            if day is not None:
                return span.person_id, day
        return None

    def _slots(self, item: Item) -> Iterator[Slot]:
        for span in self._spans_of(item):
            for day in reversed(self._diary_of(span.person_id).between(span.first, span.last)):
                if span.is_closed is None or not span.is_closed(day):
                    yield span.person_id, day

    def _shift(self, path: Sequence[tuple[Item, Slot]]) -> None:
        """Everybody one on; only the day at the end of the path gets one more than it had."""
        (_, last) = path[0]
        for item, slot in path:
            if item.day is not None:
                self._on[item.person_id, item.day].remove(item)
            item.person_id, item.day = slot
            self._on[slot].append(item)
        self._diary_of(last[0]).take(last[1])


def _by_patience(items: Iterable[Item]) -> list[Item]:
    """Those that may be moved, the least urgent first; occasions, which belong to their day, last."""
    return sorted(
        (item for item in items if not item.is_fixed),
        key=lambda one: (one.want.is_occasion, -one.urgency, -one.floor.toordinal(), one.customer.id),
    )
