"""Forms of connected systems. Their fields are named by the connectors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from accounts.crm.protocol import Ask, Table, Way
from accounts.ingest.schema import KINDS, find_kind
from accounts.models import Connection, FieldMap
from accounts.services.connecting import Sample, columns_to_map

LONGEST = 4_000
KINDS_OF_TABLES = [(kind.name, kind.label) for kind in KINDS.values()]
PULLS = (
    (5, "Every 5 minutes"),
    (15, "Every 15 minutes"),
    (60, "Every hour"),
    (360, "Every 6 hours"),
    (1440, "Once a day"),
    (0, "Only when I say so"),
)
SWEEPS = ((6, "Every 6 hours"), (24, "Once a day"), (168, "Once a week"), (0, "Only with a full sync"))


class AccessForm(forms.Form):
    """What a way in asks for. Of a connection there is already, a credential left empty stays what it is."""

    def __init__(
        self,
        *args: Any,
        way: Way,
        connection: Connection | None = None,
        stored: frozenset[str] = frozenset(),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.way = way
        if connection is None:
            self.fields["name"] = forms.CharField(
                label="What do you call it?",
                max_length=40,
                help_text="A name for your people. It stays when you connect it again later.",
                error_messages={"required": "Give it a name."},
            )
        for ask in way.asks:
            known = connection.options.get(ask.name) if connection and not ask.is_credential else None
            self.fields[ask.name] = _field_of(ask, is_stored=ask.name in stored, known=known)

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if Connection.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("Another connection is called that. Choose another name.")
        return name

    def given(self, *, is_credential: bool) -> dict[str, str]:
        """What was filled in: credentials, or options."""
        asks = [ask for ask in self.way.asks if ask.is_credential == is_credential]
        values = {ask.name: str(self.cleaned_data.get(ask.name) or "").strip() for ask in asks}
        return {name: value for name, value in values.items() if value}


def _field_of(ask: Ask, *, is_stored: bool, known: Any) -> forms.Field:
    text = "Stored; it is not shown again. Leave it empty to keep it." if is_stored else ask.help
    needed = ask.is_needed and not is_stored
    initial = known if known not in (None, "") else ask.default
    missing = {"required": "This is needed."}
    label = ask.label if ask.is_needed else f"{ask.label} (optional)"
    if ask.choices:
        return forms.ChoiceField(
            label=label,
            choices=ask.choices,
            initial=initial,
            help_text=text,
            required=needed,
            error_messages=missing,
        )
    attrs = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
    widget: forms.Widget = forms.TextInput(attrs=attrs)
    if ask.is_hidden:
        # Never sent back to the browser, and no password of the person's own is offered for it.
        widget = forms.PasswordInput(render_value=False, attrs=attrs | {"autocomplete": "new-password"})
    return forms.CharField(
        label=label,
        max_length=LONGEST,
        strip=True,
        required=needed,
        initial=initial,
        help_text=text,
        widget=widget,
        error_messages=missing,
    )


class TablesForm(forms.Form):
    """Which tables are read, what they hold, and which columns tell rows and their changes apart."""

    def __init__(
        self, *args: Any, tables: Sequence[Table], chosen: Sequence[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tables = tables
        known = {one["name"]: one for one in chosen}
        for number, table in enumerate(tables):
            now = known.get(table.name, {})
            self.fields[f"kind_{number}"] = _choice(
                f"What {table.name} holds",
                [("", "Leave out"), *KINDS_OF_TABLES],
                now.get("kind", "" if chosen else _likely_kind(table)),
            )
            self.fields[f"id_{number}"] = _choice(
                f"Id of a row of {table.name}", _names(table.columns, "Choose"), now.get("id", table.key)
            )
            self.fields[f"cursor_{number}"] = _choice(
                f"Time of the last change of a row of {table.name}",
                _names(table.times, "None: read everything each time"),
                now.get("cursor", table.changed),
            )

    def clean(self) -> dict[str, Any]:
        """Every table that is read has an id, and there is one at least."""
        data = super().clean() or {}
        wanted = [number for number in range(len(self.tables)) if data.get(f"kind_{number}")]
        if not wanted:
            raise forms.ValidationError("Say of one table at least what it holds.")
        for number in wanted:
            if not data.get(f"id_{number}"):
                self.add_error(f"id_{number}", "Choose the column that tells one row from another.")
        return data

    def rows(self) -> list[dict[str, Any]]:
        """The tables with their fields, for the page."""
        return [
            {"table": table, "fields": [self[f"{name}_{number}"] for name in ("kind", "id", "cursor")]}
            for number, table in enumerate(self.tables)
        ]

    @property
    def chosen(self) -> list[dict[str, Any]]:
        """The entries of the connection's options."""
        data = self.cleaned_data
        return [
            {
                **table.option,
                "name": table.name,
                "kind": data[f"kind_{number}"],
                "id": data[f"id_{number}"],
                "cursor": data[f"cursor_{number}"],
            }
            for number, table in enumerate(self.tables)
            if data[f"kind_{number}"]
        ]


HOLDS = {
    "accounts": ("customer", "account", "company", "companie", "client"),
    "contacts": ("contact", "person", "people"),
    "orders": ("order", "sale", "invoice"),
    "products": ("product", "item"),
}


def _likely_kind(table: Table) -> str:
    """What a table probably holds, where its name says so."""
    name = table.name.rsplit(".", 1)[-1].lower().removesuffix("s")
    return next((kind for kind, words in HOLDS.items() if name in words), "")


def _names(names: Sequence[str], empty: str) -> list[tuple[str, str]]:
    return [("", empty), *((name, name) for name in names)]


def _choice(label: str, choices: Sequence[tuple[str, str]], initial: str) -> forms.ChoiceField:
    widget = forms.Select(attrs={"class": "form-select", "aria-label": label})
    return forms.ChoiceField(label=label, choices=choices, initial=initial, required=False, widget=widget)


class MapForm(forms.Form):
    """Where each of our columns takes its value from, for one stream; and which records are wanted."""

    is_wanted = forms.BooleanField(label="Read these records", required=False)

    def __init__(
        self,
        *args: Any,
        saved: FieldMap,
        proposed: Mapping[str, Any],
        sample: Sample,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.saved, self.sample = saved, sample
        self.kind = find_kind(saved.kind)
        self.labels = {one.path: one.label for one in sample.fields}
        self.columns = columns_to_map(saved.kind)
        plain = sorted(self.labels.items(), key=lambda pair: pair[1].lower())
        self.specs: dict[str, Any] = {}
        for name, _describes, is_needed in self.columns:
            specs = {
                _key(spec): spec for spec in (saved.columns.get(name), proposed.get(name)) if spec is not None
            }
            composed = [(key, self.words(spec)) for key, spec in specs.items()]
            rest = [(path, label) for path, label in plain if path not in specs]
            self.fields[f"column_{name}"] = forms.ChoiceField(
                label=label_of_column(name) + (" *" if is_needed else ""),
                choices=[("", "Leave empty"), *composed, *rest],
                required=False,
                initial=_key(saved.columns[name]) if name in saved.columns else "",
                widget=forms.Select(attrs={"class": "form-select"}),
            )
            self.specs |= specs
        self._add_condition()

    def _add_condition(self) -> None:
        """One condition can be changed here; further ones stay as they are."""
        first: tuple[str, Sequence[Any]] = next(iter(self.saved.only_if.items()), ("", []))
        paths = dict(self.labels) | ({first[0]: self.labels.get(first[0], first[0])} if first[0] else {})
        self.first_condition = first[0]
        self.fields["only_field"] = forms.ChoiceField(
            label="Only records in which",
            choices=[("", "All of them"), *sorted(paths.items(), key=lambda pair: pair[1].lower())],
            required=False,
            initial=first[0],
        )
        self.fields["only_values"] = forms.CharField(
            label="is one of",
            required=False,
            max_length=500,
            initial=", ".join(str(value) for value in first[1]),
            help_text="As the other system writes it; several with commas between them.",
        )

    def words(self, spec: Any) -> str:
        """A source as people read it."""
        if isinstance(spec, str):
            return self.labels.get(spec, spec.removeprefix("properties."))
        if "join" in spec:
            return " + ".join(self.words(part) for part in spec["join"])
        name = self.words(spec.get("field", ""))
        if "lookup" in spec:
            return f"{name}: {str(spec.get('take', '')).removeprefix('properties.')} from {spec['lookup']}"
        return f"{name}, translated" if "values" in spec else name

    def rows(self) -> list[dict[str, Any]]:
        """Our columns with their field and what they would say; those that are filled, or have to be, first."""
        rows = [
            {
                "name": name,
                "describes": describes,
                "field": self[f"column_{name}"],
                "values": self.sample.ours(name)[:3],
                "is_shown": is_needed or bool(self[f"column_{name}"].value()),
            }
            for name, describes, is_needed in self.columns
        ]
        return sorted(rows, key=lambda row: not row["is_shown"])

    def clean(self) -> dict[str, Any]:
        """What is needed is filled, and a condition is whole."""
        data = super().clean() or {}
        for name, _describes, is_needed in self.columns:
            if is_needed and name not in self.kind.one_of and not data.get(f"column_{name}"):
                self.add_error(f"column_{name}", "This one is needed. Choose where it comes from.")
        if data.get("only_field") and not data.get("only_values", "").strip(", "):
            self.add_error("only_values", "Say which values are wanted.")
        return data

    @property
    def chosen_columns(self) -> dict[str, Any]:
        """Our column -> where it comes from, as accounts.crm.mapping reads it."""
        chosen = {name: self.cleaned_data.get(f"column_{name}", "") for name, _, _ in self.columns}
        kept = {
            name: spec for name, spec in self.saved.columns.items() if f"column_{name}" not in self.fields
        }
        return kept | {name: self.specs.get(key, key) for name, key in chosen.items() if key}

    @property
    def chosen_only_if(self) -> dict[str, list[str]]:
        """Field -> wanted values."""
        kept = {name: values for name, values in self.saved.only_if.items() if name != self.first_condition}
        field = self.cleaned_data.get("only_field")
        values = [
            part.strip() for part in self.cleaned_data.get("only_values", "").split(",") if part.strip()
        ]
        return kept | ({field: values} if field else {})


def _key(spec: Any) -> str:
    """A source as the value of a choice: a path is itself."""
    return spec if isinstance(spec, str) else json.dumps(spec, sort_keys=True, ensure_ascii=False)


def label_of_column(name: str) -> str:
    """One of our columns as people read it."""
    return {"customer_number": "Our id of the account"}.get(name, name.replace("_", " ").capitalize())


class ScheduleForm(forms.Form):
    """How often a system is read."""

    pull_minutes = forms.TypedChoiceField(label="Read what changed", coerce=int, choices=PULLS)
    sweep_hours = forms.TypedChoiceField(
        label="Look for deleted records",
        coerce=int,
        choices=SWEEPS,
        help_text="A customer that is gone over there becomes a former customer here. Nothing is deleted.",
    )

    def __init__(self, *args: Any, connection: Connection, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, now in (("pull_minutes", connection.pull_minutes), ("sweep_hours", connection.sweep_hours)):
            found = self.fields[name]
            found.initial = now
            choices = list(found.choices)  # type: ignore[attr-defined]
            if now not in dict(choices):
                unit = "minutes" if name == "pull_minutes" else "hours"
                found.choices = [*choices, (now, f"Every {now} {unit}")]  # type: ignore[attr-defined]


class DecisionForm(forms.Form):
    """Which account or contact a record is: one of those shown, a new one, or none of ours."""

    NEW, LEAVE_OUT = "new", "leave-out"
    UNCLEAR = "Choose the one it is, or say that it is new."
    choice = forms.ChoiceField(error_messages={"required": UNCLEAR, "invalid_choice": UNCLEAR})

    def __init__(self, *args: Any, records: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = self.fields["choice"]
        found.choices = [(str(one), one) for one in (*records, self.NEW, self.LEAVE_OUT)]  # type: ignore[attr-defined]
