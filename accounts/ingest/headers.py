"""Which column of a file is which of ours: told by hand, by its name, or guessed from what it is often called."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.ingest.errors import IngestError
from accounts.ingest.schema import KINDS, Kind
from accounts.ingest.sniff import RawBatch

HEADER_WITHIN = 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each of our columns stands in a file. `positions` maps our name to the index of the cell."""

    header: tuple[str, ...]
    line: int
    positions: dict[str, int]

    @property
    def ignored(self) -> tuple[str, ...]:
        used = set(self.positions.values())
        return tuple(name for index, name in enumerate(self.header) if index not in used and name)

    @property
    def theirs(self) -> dict[str, str]:
        """Our column name to the header the file uses for it."""
        return {ours: self.header[index] for ours, index in self.positions.items()}


def plain_name(text: str) -> str:
    """A header reduced to what matters when names are compared: `Order_Date ` and `order date` are the same."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.strip().strip("\ufeff"))
    return " ".join(re.sub(r"[\W_]+", " ", split.lower()).split())


def parse_mapping(text: str) -> dict[str, str]:
    """`Their Column=our_column,...` as {their: ours}; a name with a comma goes into double quotes."""
    pairs: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        theirs, sign, ours = part.rpartition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise IngestError(f"'{part}' in the mapping is not of the form 'Their Column=our_column'.")
        pairs[theirs.strip()] = ours.strip()
    return pairs


def find_layout(
    batch: RawBatch, kind: Kind, mapping: Mapping[str, str], name: str, *, guess: bool = True
) -> Layout:
    """The header among the first rows and what its columns are for `kind`.

    The first row in which every required column is found is the header (titles above it are skipped). Raises
    IngestError that names the columns found and the ones wanted. Without `guess`, `mapping` is all there is:
    a column that a person left out stays out.
    """
    check_targets(mapping, kind)
    candidates = list(zip(batch.rows, batch.lines, strict=True))[:HEADER_WITHIN]
    if not candidates:
        raise IngestError(f"{name} is empty.")
    layouts: list[Layout] = []
    for row, line in candidates:
        layout = _match(row, line, kind, mapping, name, guess)
        if not missing(layout, kind) and not _unknown(layout, mapping):
            return layout
        layouts.append(layout)
    raise _no_header(max(layouts, key=lambda one: len(one.positions)), kind, mapping, name)


def check_targets(mapping: Mapping[str, str], kind: Kind) -> None:
    """Refuse a mapping onto columns that `kind` does not have, or of two columns onto one."""
    for theirs, ours in mapping.items():
        if ours not in kind.names:
            raise IngestError(
                f"'{ours}' (for '{theirs}') is no column of {kind.name}; those are {', '.join(kind.names)}."
            )
    targets = list(mapping.values())
    for ours in targets:
        if targets.count(ours) > 1:
            raise IngestError(f"Two columns are mapped to {ours}; choose one.")


def missing(layout: Layout, kind: Kind) -> list[str]:
    """The required columns that the file does not have."""
    lacking = [name for name in kind.required if name not in layout.positions]
    if kind.one_of and not any(name in layout.positions for name in kind.one_of):
        lacking.append(" or ".join(kind.one_of))
    return lacking


def _unknown(layout: Layout, mapping: Mapping[str, str]) -> list[str]:
    there = {plain_name(name) for name in layout.header}
    return [theirs for theirs in mapping if plain_name(theirs) not in there]


def _match(
    row: Sequence[str], line: int, kind: Kind, mapping: Mapping[str, str], name: str, guess: bool = True
) -> Layout:
    header = tuple(" ".join(cell.strip("\ufeff\0").split())[:200] for cell in row)
    names = [plain_name(cell) for cell in header]
    positions = {ours: _only(names, plain_name(theirs), header, name) for theirs, ours in mapping.items()}
    positions = {ours: index for ours, index in positions.items() if index >= 0}
    if guess:
        _guess_rest(positions, names, kind, header, name)
    return Layout(header, line, positions)


def _guess_rest(
    positions: dict[str, int], names: list[str], kind: Kind, header: tuple[str, ...], name: str
) -> None:
    """Fill `positions` for columns nobody mapped: first by our own names, then by synonyms, best known first."""
    called: list[tuple[str, tuple[str, ...]]] = [(column.name, (column.name,)) for column in kind.columns]
    called += [(column.name, column.synonyms) for column in kind.columns]
    for ours, words in called:
        if ours in positions:
            continue
        indices = (_only(names, plain_name(word), header, name) for word in words)
        index = next((index for index in indices if index >= 0 and index not in positions.values()), -1)
        if index >= 0:
            positions[ours] = index


def _only(names: list[str], wanted: str, header: tuple[str, ...], name: str) -> int:
    """The index of the one column called `wanted`, -1 when there is none; two of them are refused."""
    if not wanted or wanted not in names:
        return -1
    index = names.index(wanted)
    if names.count(wanted) > 1:
        where = " and ".join(str(i + 1) for i, other in enumerate(names) if other == wanted)
        raise IngestError(
            f"{name} has the column '{header[index]}' twice (columns {where}); rename or remove one."
        )
    return index


def _no_header(layout: Layout, kind: Kind, mapping: Mapping[str, str], name: str) -> IngestError:
    found = ", ".join(f"'{cell[:60]}'" for cell in layout.header[:30] if cell) or "nothing"
    if unknown := _unknown(layout, mapping):
        return IngestError(f"{name} has no column '{unknown[0]}', which the mapping names; it has {found}.")
    lacking = ", ".join(missing(layout, kind))
    return IngestError(
        f"{name} has no column for {lacking}: found {found}; {kind.name} want {kind.wants}. "
        f"Rename the columns or say which is which (their column = our column)."
    )


def guess_kind(header: Sequence[str]) -> str:
    """The record kind that a header fits best: most required columns found, then most columns used."""

    def fit(kind: Kind) -> tuple[float, int]:
        try:
            layout = _match(header, 1, kind, {}, "")
        except IngestError:
            return 0.0, 0
        wanted = len(kind.required) + bool(kind.one_of)
        own = sum(plain_name(column.name) in map(plain_name, header) for column in kind.columns)
        return 1 - len(missing(layout, kind)) / wanted, 2 * own + len(layout.positions)

    # An orders file is the usual first one; it wins where nothing else fits better.
    ranked = sorted(KINDS.values(), key=lambda kind: (fit(kind), kind.name == "orders"))
    return ranked[-1].name


def suggest(header: Sequence[str], kind: Kind) -> dict[str, str]:
    """{their column: our column} guessed for `kind`, for a person to mend."""
    try:
        layout = _match(header, 1, kind, {}, "")
    except IngestError:
        return {}
    return {theirs: ours for ours, theirs in layout.theirs.items()}
