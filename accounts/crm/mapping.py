"""From a record as another system gives it to a row for the import door.

A map says for each of our columns where its value comes from:

- `"properties.name"`: that field; dots lead into objects
- `{"field": ..., "values": {"theirs": "ours"}}`: translated; values that are not named stay empty
- `{"join": ["properties.firstname", "properties.lastname"]}`: put together with a blank
- `{"field": ..., "lookup": "owners", "take": "email"}`: the field of the record of another stream that has this id

`salesperson` may be mapped for orders, and `customer_number` (our id of the account, kept over there) for accounts;
they are for accounts.crm.winners and .linking and never reach the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.ingest.schema import Kind, find_kind

ASIDE = {"orders": ("salesperson",), "accounts": ("customer_number",)}
# What a record that is gone over there becomes here; nothing that people recorded on it is lost.
GONE: dict[str, dict[str, Any]] = {
    "accounts": {"lifecycle_stage": "former"},
    "contacts": {"is_active": False},
    "orders": {"status": "cancelled"},
}
BACK: dict[str, dict[str, Any]] = {
    "accounts": {"lifecycle_stage": "customer"},
    "contacts": {"is_active": True},
    "orders": {"status": "placed"},
}
COMPOSED = (dict, list)  # what JSON has besides single values
Lookup = Callable[[str, str], Mapping[str, Any] | None]  # stream, id -> payload
Reader = Callable[[Any], Any]  # payload -> value


@dataclass(frozen=True, slots=True)
class Mapped:
    """A row for the door, and what is kept aside."""

    row: dict[str, Any]
    aside: dict[str, str] = field(default_factory=dict)


class Mapper:
    """The map of one stream, ready to be used: how each column is read is worked out once and not for each of a million
    records."""

    def __init__(
        self,
        kind: str,
        columns: Mapping[str, Any],
        only_if: Mapping[str, Any],
        lookup: Lookup,
        known_people: frozenset[str],
    ) -> None:
        self.kind: Kind = find_kind(kind)
        self.aside = ASIDE.get(kind, ())
        self.columns = {
            name: spec for name, spec in columns.items() if name in self.kind.names or name in self.aside
        }
        self.lookup = lookup
        self.known_people = known_people
        self._only_if = [(reader_at(name), frozenset(map(str, values))) for name, values in only_if.items()]
        of_people = {"salesperson", *(one.name for one in self.kind.columns if one.refers_to == "users")}
        self._readers = {
            name: self._known_person(self._reader(spec)) if name in of_people else self._reader(spec)
            for name, spec in self.columns.items()
        }
        self._lookups = [
            (spec["lookup"], reader_at(spec["field"]))
            for spec in self.columns.values()
            if isinstance(spec, Mapping) and "lookup" in spec
        ]
        # The key of the record here is its id over there, unless the map says otherwise.
        is_own_key = self.kind.key and (self.kind.key == "external_id" or self.kind.key not in self.columns)
        self._key = self.kind.key if is_own_key else ""
        self._back = {name: value for name, value in BACK.get(kind, {}).items() if name not in self.columns}

    def takes(self, payload: Mapping[str, Any]) -> bool:
        """Whether records like this one are wanted."""
        return all(as_text(read(payload)) in values for read, values in self._only_if)

    def row(
        self, source_id: str, payload: Mapping[str, Any], *, is_gone: bool = False, is_back: bool = False
    ) -> Mapped:
        """The row of a record. Users whom nobody here knows are left empty: the record matters more."""
        values = {name: as_cell(read(payload)) for name, read in self._readers.items()}
        aside = {name: as_text(values.pop(name, "")) for name in self.aside}
        if self._key:
            values[self._key] = source_id
        if is_gone:
            values |= GONE.get(self.kind.name, {})
        elif is_back:
            values |= self._back
        return Mapped(values, aside)

    def text(self, column: str, payload: Mapping[str, Any]) -> str:
        """What a record says for one column, for who needs no more of it."""
        return as_text(as_cell(self._readers[column](payload)))

    def refers(self, payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(stream, id) of the records of other streams that this one's row will look up."""
        for stream, read in self._lookups:
            if found := read(payload):
                yield stream, as_text(found)

    def _reader(self, spec: Any) -> Reader:
        """How the value of a column is read."""
        if isinstance(spec, str):
            return reader_at(spec)
        if "join" in spec:
            return _joined([reader_at(part) for part in spec["join"]])
        read = reader_at(spec["field"])
        if "values" in spec:
            return _translated(read, spec["values"])
        if "lookup" in spec:
            return self._looked_up(read, spec["lookup"], reader_at(spec["take"]))
        return read

    def _looked_up(self, read: Reader, stream: str, take: Reader) -> Reader:
        def look_up(payload: Any) -> Any:
            value = read(payload)
            found = self.lookup(stream, as_text(value)) if value not in (None, "") else None
            return take(found) if found else None

        return look_up

    def _known_person(self, read: Reader) -> Reader:
        def known_person(payload: Any) -> Any:
            value = read(payload)
            return value if as_text(value).lower() in self.known_people else None

        return known_person


def _joined(parts: Sequence[Reader]) -> Reader:
    return lambda payload: " ".join(filter(None, (as_text(read(payload)) for read in parts)))


def _translated(read: Reader, ours: Mapping[str, Any]) -> Reader:
    return lambda payload: ours.get(as_text(read(payload)))


def reader_at(path: str) -> Reader:
    """What reads the value at a dotted path; a list is entered by position; None where there is nothing."""
    parts = [(part, int(part) if part.isdecimal() else None) for part in path.split(".")]

    def read(payload: Any) -> Any:
        for name, position in parts:
            if isinstance(payload, dict):
                payload = payload.get(name)
            elif position is not None and isinstance(payload, list) and position < len(payload):
                payload = payload[position]
            else:
                return None
        return payload

    return read


def as_text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def as_cell(value: Any) -> Any:
    """What the door takes: objects and lists are no cells."""
    return None if isinstance(value, COMPOSED) else value


def fields_of(columns: Mapping[str, Any], only_if: Mapping[str, Any] | None = None) -> Iterator[str]:
    """Every field of the other system that a map reads."""
    for spec in columns.values():
        if isinstance(spec, str):
            yield spec
        else:
            yield from spec.get("join", ())
            if "field" in spec:
                yield spec["field"]
    yield from only_if or ()
