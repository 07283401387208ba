"""Values as Tryton's REST interface writes them, and what Mainstay writes on a party.

Decimals, dates and times come as objects that name their class; times are UTC without saying so (trytond sets its
process to UTC): trytond/protocols/jsonrpc.py and rest.py of its package, 8.2
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from accounts.crm.outbox import FIELDS

STAMPS = ("write_date", "create_date")
PARTS = ("year", "month", "day", "hour", "minute", "second", "microsecond")
UNTOLD = frozenset({*STAMPS, "__name__"})  # what changes without meaning anything, and what says nothing
HEAD = "Kept by Mainstay; what is changed here is overwritten."
LABELS = {name: label.removeprefix("Mainstay ").capitalize() for name, (label, _) in FIELDS.items()}


def as_parameter(value: Any) -> str:
    """A domain or an order as it goes into an address."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def as_moment(moment: dt.datetime) -> dict[str, Any]:
    """A time for a domain, in UTC."""
    told = moment.astimezone(dt.UTC)
    return {"__class__": "datetime"} | {name: getattr(told, name) for name in PARTS}


def plain(value: Any) -> Any:
    """A value as it is landed: decimals as text, dates and times as ISO 8601, without times of change."""
    if isinstance(value, Mapping):
        kind = value.get("__class__")
        if kind is None:
            return {name: plain(inner) for name, inner in value.items() if name not in UNTOLD}
        return _scalar(str(kind), value)
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def _scalar(kind: str, value: Mapping[str, Any]) -> Any:
    if kind == "Decimal":
        return value["decimal"]
    if kind == "date":
        return dt.date(value["year"], value["month"], value["day"]).isoformat()
    if kind == "datetime":
        return _moment(value).isoformat()
    if kind == "timedelta":
        return value["seconds"]
    return None  # bytes, and times of day: nothing here has a use for them


def _moment(value: Mapping[str, Any]) -> dt.datetime:
    year, month, day, hour, minute, second, micro = (int(value[name]) for name in PARTS)
    return dt.datetime(year, month, day, hour, minute, second, micro, dt.UTC)


def stamps_of(value: Any) -> Iterator[dt.datetime]:
    """Every time of change in a record and in what it holds."""
    if isinstance(value, list):
        for inner in value:
            yield from stamps_of(inner)
    elif isinstance(value, Mapping) and "__class__" not in value:
        for name, inner in value.items():
            if name not in STAMPS:
                yield from stamps_of(inner)
            elif inner is not None:
                yield _moment(inner)


def as_comment(lines: Mapping[str, str]) -> str:
    """What is known of a party: a line for each thing, reasons below each other at the end."""
    told = [f"{LABELS[name]}: {lines[name]}" for name in LABELS if name in lines and name != "reasons"]
    reasons = [f"{LABELS['reasons']}:\n{lines['reasons']}"] if lines.get("reasons") else []
    return "\n".join([HEAD, *told, *reasons])


def as_summary(lines: Mapping[str, str]) -> str:
    """The same in one line, for lists."""
    money = " ".join(lines[name] for name in ("revenue_at_risk", "revenue_currency") if name in lines)
    parts = (
        lines.get("tier", ""),
        f"{lines['churn_probability']} risk" if "churn_probability" in lines else "",
        f"{money} a year at stake" if "revenue_at_risk" in lines else "",
        f"next touchpoint {lines['next_touchpoint_on']}" if "next_touchpoint_on" in lines else "",
    )
    return ", ".join(part for part in parts if part) or "Nothing known"


def read_comment(text: str) -> dict[str, str]:
    """What a comment of ours says, by field."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines()[1:]:
        begun = next((one for one in LABELS if line.startswith(f"{LABELS[one]}:")), None)
        if begun is not None and name != "reasons":
            name = begun
            found[name] = [line.removeprefix(f"{LABELS[begun]}:").strip()]
        elif name:
            found[name].append(line)
    return {one: "\n".join(part for part in parts if part) for one, parts in found.items()}


def merged(comment: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """What a comment says, with these fields as they are now; those that are None are left out."""
    lines = read_comment(comment) | {name: _told(name, value) for name, value in fields.items()}
    return {name: text for name, text in lines.items() if text}


def _told(name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if name == "churn_probability":
        return f"{float(value):.1%}"
    if name == "reasons":
        return "\n".join(f"- {line}" for line in str(value).splitlines())
    return str(value)


def mechanism(found: Sequence[Mapping[str, Any]], *types: str) -> str | None:
    """The first way of these types to reach somebody."""
    return next((str(one["value"]) for one in found if one.get("type") in types and one.get("value")), None)
