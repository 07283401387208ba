"""From a record as another system gives it to a row for the import door.

A map says for each of our columns where its value comes from:

- `"properties.name"`: that field; dots lead into objects
- `{"field": ..., "values": {"theirs": "ours"}}`: translated; values that are not named stay empty
- `{"join": ["properties.firstname", "properties.lastname"]}`: put together with a blank
- `{"field": ..., "lookup": "owners", "take": "email"}`: the field of the record of another stream that has this id

`salesperson` may be mapped for orders, and `customer_number` (our id of the account, kept over there) for accounts;
they are for accounts.crm.intake and .linking and never reach the door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class Mapped:
    """A row for the door, and what is kept aside."""

    row: dict[str, Any]
    aside: dict[str, str] = field(default_factory=dict)


class Mapper:
    """The map of one stream, ready to be used."""

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
        self.only_if = {name: frozenset(map(str, values)) for name, values in only_if.items()}
        self.lookup = lookup
        self.known_people = known_people
        # Worked out once and not for each of a million records.
        self.of_people = {"salesperson", *(one.name for one in self.kind.columns if one.refers_to == "users")}
        self.lookups = [
            (spec["lookup"], spec["field"])
            for spec in self.columns.values()
            if isinstance(spec, Mapping) and "lookup" in spec
        ]

    def only(self, *names: str) -> Mapper:
        """The same map with these columns alone, for who needs no more of each record."""
        columns = {name: spec for name, spec in self.columns.items() if name in names}
        return Mapper(self.kind.name, columns, self.only_if, self.lookup, self.known_people)

    def takes(self, payload: Mapping[str, Any]) -> bool:
        """Whether records like this one are wanted."""
        return all(as_text(value_at(payload, name)) in values for name, values in self.only_if.items())

    def row(
        self, source_id: str, payload: Mapping[str, Any], *, is_gone: bool = False, is_back: bool = False
    ) -> Mapped:
        """The row of a record. Users whom nobody here knows are left empty: the record matters more."""
        values = {name: self._value(name, spec, payload) for name, spec in self.columns.items()}
        aside = {name: as_text(values.pop(name, "")) for name in self.aside}
        if self.kind.key == "external_id" or (self.kind.key and self.kind.key not in self.columns):
            values[self.kind.key] = source_id
        if is_gone:
            values |= GONE.get(self.kind.name, {})
        elif is_back:
            values |= {
                name: value
                for name, value in BACK.get(self.kind.name, {}).items()
                if name not in self.columns
            }
        return Mapped(values, aside)

    def refers(self, payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """(stream, id) of the records of other streams that this one's row will look up."""
        for stream, name in self.lookups:
            if found := value_at(payload, name):
                yield stream, as_text(found)

    def _value(self, name: str, spec: Any, payload: Mapping[str, Any]) -> Any:
        value = as_cell(self._raw(spec, payload))
        if name in self.of_people:
            return value if as_text(value).lower() in self.known_people else None
        return value

    def _raw(self, spec: Any, payload: Mapping[str, Any]) -> Any:
        if isinstance(spec, str):
            return value_at(payload, spec)
        if "join" in spec:
            parts = (as_text(value_at(payload, part)) for part in spec["join"])
            return " ".join(part for part in parts if part)
        value = value_at(payload, spec["field"])
        if "values" in spec:
            return spec["values"].get(as_text(value))
        if "lookup" in spec:
            found = self.lookup(spec["lookup"], as_text(value)) if value not in (None, "") else None
            return value_at(found, spec["take"]) if found else None
        return value


def value_at(payload: Any, path: str) -> Any:
    """The value at a dotted path; a list is entered by position; None where there is nothing."""
    for part in path.split("."):
        if isinstance(payload, dict):
            payload = payload.get(part)
        elif isinstance(payload, list) and part.isdigit() and int(part) < len(payload):
            payload = payload[int(part)]
        else:
            return None
    return payload


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
