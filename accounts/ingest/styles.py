"""How a file writes its dates and numbers, decided from whole columns.

03/04/2024 alone says nothing; 25/12/2024 further down says the day comes first. 1.234 alone says nothing;
1.234,50 does. A column in which nothing decides is refused with the question to answer: no guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from accounts.ingest.errors import AmbiguousColumn
from accounts.ingest.schema import Column, Type
from accounts.ingest.values import (
    ISO_DATE,
    NUMERIC_DATE,
    DateOrder,
    NumberStyle,
    Style,
    bare_number,
    split_time,
)

# A stray contradiction (a typing error) is that row's fault, not a reason to doubt the column.
MAJORITY = 0.95


class Evidence:
    """Counts, over distinct cells, what speaks for each way of reading a column."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.is_dates = column.type in {Type.DATE, Type.TIME}
        self.votes: dict[Style, int] = {}
        self.undecided = 0
        self.example = ""
        self.plain = 0

    def observe(self, cells: Iterable[str]) -> None:
        judge = judge_date if self.is_dates else judge_number
        for cell in set(cells):
            vote = judge(cell.strip())
            if vote == "plain":
                self.plain += 1
            elif vote == "open":
                self.undecided += 1
                self.example = self.example or cell.strip()
            elif not isinstance(vote, str):
                self.votes[vote] = self.votes.get(vote, 0) + 1

    @property
    def is_settled(self) -> bool:
        """No further row can change the answer in practice: many cells, none of them open to another reading."""
        if self.is_dates:
            return self.plain > 0 and not self.undecided and not self.votes
        return sum(self.votes.values()) >= 50 and len(self.votes) == 1

    def decide(self) -> Style:
        """The style of the column, None when no cell needs one; AmbiguousColumn when nothing decides."""
        total = sum(self.votes.values())
        if total:
            best = max(self.votes, key=lambda style: self.votes[style])
            if self.votes[best] < MAJORITY * total:
                raise self._question("mixes both ways of writing")
            return best
        # Among ISO dates a lone 03/04/2024 is that row's fault.
        is_stray = self.is_dates and self.plain * (1 - MAJORITY) >= self.undecided
        if self.undecided and not is_stray:
            raise self._question("can be read in two ways")
        return None

    def _question(self, what: str) -> AmbiguousColumn:
        if self.is_dates:
            say = "say which comes first, the day or the month (--dates day-first or --dates month-first)"
            option = "dates"
        else:
            say = "say which sign comes before the decimals (--numbers point or --numbers comma)"
            option = "numbers"
        example = f", for example '{self.example}'" if self.example else ""
        return AmbiguousColumn(
            f"Column '{self.column.name}' {what}{example}; {say}.", column=self.column.name, option=option
        )


def judge_date(text: str) -> Style | str:
    """What one date says about its column: a DateOrder, "open", "plain" (needs no order) or "" (no date)."""
    head = text if len(text) <= 10 else split_time(text)[0]
    if ISO_DATE.fullmatch(head):
        return "plain"
    found = NUMERIC_DATE.fullmatch(head)
    if not found:
        return ""
    first, second = int(found.group(1)), int(found.group(3))
    if first > 12 >= second:
        return DateOrder.DAY_FIRST
    if second > 12 >= first:
        return DateOrder.MONTH_FIRST
    # 03.04.2024 is day-first wherever dots are used; 04/04/2024 reads the same both ways.
    return "plain" if found.group(2) == "." or first == second else "open"


def judge_number(text: str) -> Style | str:
    """What one number says about its column: a NumberStyle, "open", "plain" (no separator) or "" (no number)."""
    rest = bare_number(text)[1]
    if rest.isdigit():
        return "plain"
    if not re.fullmatch(r"[\d.,]*\d[\d.,]*", rest):
        return ""
    point, comma = rest.rfind("."), rest.rfind(",")
    if point >= 0 and comma >= 0:
        return NumberStyle.POINT if point > comma else NumberStyle.COMMA
    mark, other = (".", NumberStyle.COMMA) if point >= 0 else (",", NumberStyle.POINT)
    own = NumberStyle.POINT if point >= 0 else NumberStyle.COMMA
    if rest.count(mark) > 1:
        return other
    whole, decimals = rest.split(mark)
    is_group = len(decimals) == 3 and 1 <= len(whole) <= 3 and whole.lstrip("0") == whole
    return "open" if is_group else own


def settle(evidence: Iterable[Evidence]) -> dict[str, Style]:
    """The style of each column. A column that says nothing itself follows the others of its file, if they agree."""
    styles: dict[str, Style] = {}
    open_ones: list[tuple[Evidence, AmbiguousColumn]] = []
    for one in evidence:
        try:
            styles[one.column.name] = one.decide()
        except AmbiguousColumn as problem:
            open_ones.append((one, problem))
    for one, question in open_ones:
        family = DateOrder if one.is_dates else NumberStyle
        known = {style for style in styles.values() if isinstance(style, family)}
        if one.votes or len(known) != 1:
            raise question
        styles[one.column.name] = known.pop()
    return styles
