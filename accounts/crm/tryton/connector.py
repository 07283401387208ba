"""Tryton: employees, parties with their people, products and sales; scores written back onto the party.

Read over the REST interface (https://code.tryton.org/tryton/commit/44edc21632c6) by id, with the records that
changed since picked by their own time of change or that of what they hold: a new address does not touch its party.
"""

from __future__ import annotations

import datetime as dt
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from accounts.crm.errors import CrmError, SignInRefused
from accounts.crm.link import Reply
from accounts.crm.mapping import fields_of
from accounts.crm.protocol import Ask, Change, Field, IdPage, Page, Position, Pushed, Record, Stream, Way
from accounts.crm.protocol import Connector as Base
from accounts.crm.tryton.values import (
    as_comment,
    as_moment,
    as_parameter,
    as_summary,
    mechanism,
    merged,
    plain,
    stamps_of,
)
from accounts.models import FieldMap

PAGE = 100
IDS_AT_ONCE = 1_000
ROOT = "Mainstay"  # the party category under which tiers are kept, and the name of our way of contact
PARTY, CATEGORY, MECHANISM = "party.party", "party.category", "party.contact_mechanism"
SOLD = ("confirmed", "processing", "done")
SIMPLE = (
    "char",
    "text",
    "integer",
    "float",
    "numeric",
    "date",
    "datetime",
    "timestamp",
    "boolean",
    "selection",
)
COMPUTED = frozenset({"sku"})  # fields of our payload that Tryton does not have

Payloads = Sequence[tuple[str, dict[str, Any]]]  # (id, payload) of each record that is made of one of theirs


@dataclass(frozen=True, slots=True)
class Source:
    """The model behind a stream: what is asked for, and which of the things it holds count as a change of it. `split`
    makes several records of one (ids "PARENT:PART")."""

    model: str
    fields: tuple[str, ...]
    holds: tuple[str, ...] = ()
    has_active: bool = True
    split: Callable[[dict[str, Any]], Payloads] | None = None


def _people(party: dict[str, Any]) -> Payloads:
    """The people of a party: its ways of contact, gathered by the name that stands with them."""
    people: dict[str, list[dict[str, Any]]] = {}
    for one in party.get("contact_mechanisms") or []:
        if one.get("active", True):
            people.setdefault(" ".join(str(one.get("name") or "").split()), []).append(one)
    return [
        (
            f"{party['id']}:{name}"[:200],
            {
                "party": party["id"],
                "name": name or party["name"],
                "email": mechanism(found, "email"),
                "phone": mechanism(found, "phone", "mobile"),
            },
        )
        for name, found in people.items()
        if mechanism(found, "email", "phone", "mobile")
    ]


def _lines(sale: dict[str, Any]) -> Payloads:
    """What a sale is of: one line for each product, as Mainstay knows an order to have; its price is the average."""
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for line in sale.get("lines") or []:
        if line.get("type") != "line" or not line.get("product") or not line.get("quantity"):
            continue
        quantity, price = Decimal(str(line["quantity"])), Decimal(line.get("unit_price") or 0)
        known, worth = found.get(_sku(line["product"]), (Decimal(0), Decimal(0)))
        found[_sku(line["product"])] = (known + quantity, worth + quantity * price)
    return [
        (
            f"{sale['id']}:{sku}"[:200],
            {
                "sale": sale["id"],
                "state": sale["state"],
                "sku": sku,
                "quantity": f"{quantity:f}",
                "unit_price": str((worth / quantity).quantize(Decimal("0.0001"))),
            },
        )
        for sku, (quantity, worth) in found.items()
        if quantity
    ]


def _sku(product: Mapping[str, Any]) -> str:
    """A product's code; its number in Tryton where it has none."""
    return str(product.get("code") or product["id"])


SOURCES = {
    "employees": Source(
        "company.employee", ("party.name", "party.email"), ("party", "party.contact_mechanisms")
    ),
    "parties": Source(
        PARTY,
        (
            "name",
            "code",
            "categories.rec_name",
            "addresses.country.code",
            "addresses.subdivision.name",
            "addresses.city",
        ),
        ("addresses",),
    ),
    "contacts": Source(
        PARTY,
        ("name", *(f"contact_mechanisms.{name}" for name in ("type", "name", "value", "active"))),
        ("contact_mechanisms",),
        split=_people,
    ),
    "products": Source(
        "product.product",
        ("code", "name", "list_price_used", "cost_price", "template.categories.rec_name"),
        ("template",),
    ),
    "sales": Source(
        "sale.sale",
        (
            "number",
            "state",
            "party.id",
            "sale_date",
            "untaxed_amount",
            "currency.code",
            "shipment_state",
            "shipping_date",
            "confirmed_by.id",
        ),
        ("lines",),
        has_active=False,
    ),
    "sale_lines": Source(
        "sale.sale",
        ("state", "lines.type", "lines.quantity", "lines.unit_price", "lines.product.code"),
        ("lines",),
        has_active=False,
        split=_lines,
    ),
}
STREAMS = (
    Stream("employees"),
    Stream(
        "parties",
        "accounts",
        {
            "name": "name",
            "segment": "categories.0.rec_name",
            "country": "addresses.0.country.code",
            "region": "addresses.0.subdivision.name",
        },
    ),
    Stream(
        "contacts",
        "contacts",
        {"account": "party", "name": "name", "email": "email", "phone": "phone"},
    ),
    Stream(
        "products",
        "products",
        {
            "sku": "sku",
            "name": "name",
            "series": "template.categories.0.rec_name",
            "unit_price": "list_price_used",
            "unit_cost": "cost_price",
        },
    ),
    Stream(
        "sales",
        "orders",
        {
            "account": "party.id",
            "ordered_at": "sale_date",
            "amount": "untaxed_amount",
            "currency": "currency.code",
            "status": {
                "field": "shipment_state",
                "values": {
                    "sent": "delivered",
                    "none": "placed",
                    "waiting": "placed",
                    "partially shipped": "placed",
                    "exception": "placed",
                },
            },
            "promised_on": "shipping_date",
            "salesperson": {"field": "confirmed_by.id", "lookup": "employees", "take": "party.email"},
        },
        {"state": SOLD},
    ),
    Stream(
        "sale_lines",
        "order_lines",
        {"order": "sale", "sku": "sku", "quantity": "quantity", "unit_price": "unit_price"},
        {"state": SOLD},
    ),
)
WAYS = (
    Way(
        "key",
        "With a key for the REST interface",
        (
            Ask(
                "address",
                "Address",
                "As you open Tryton in the browser: https://tryton.example.com",
                is_credential=False,
                is_hidden=False,
            ),
            Ask("database", "Database", "The name chosen at login.", is_credential=False, is_hidden=False),
            Ask("key", "Key"),
            Ask(
                "company",
                "Company",
                "Only where Tryton keeps several: whose sales are read.",
                is_credential=False,
                is_hidden=False,
                is_needed=False,
            ),
            Ask(
                "category",
                "Party category",
                "Only parties of this category (and those below it) become accounts; empty: every party.",
                is_credential=False,
                is_hidden=False,
                is_needed=False,
            ),
        ),
        (
            "In Tryton open Administration, then Users, and make a user for Mainstay with its company, in the groups"
            " Sales and Party Administration. The second is only needed to write scores back.",
            "On the user's page Applications add one: REST API. Copy its key into the field here, and save.",
            "A Tryton inside your own network has to be named in MAINSTAY_CRM_PRIVATE_HOSTS first.",
        ),
        "https://docs.tryton.org/",
    ),
)


class Connector(Base):
    """Credential: key of a user application "rest". Options: address, database, company, category."""

    label = "Tryton"
    credential_names = ("key",)
    calls_per_second = 20.0
    burst = 20
    # A change carries the time at which its transaction began; long ones (imports over there) end much later.
    overlap = dt.timedelta(minutes=15)
    push_size = 50
    can_push = True
    about = "Parties with their people, products and confirmed sales, with who confirmed them."
    ways = WAYS

    _company_id: int | None = None
    _narrowed: list[Any] | None = None

    # Calls ------------------------------------------------------------------------------------------------------

    def auth_headers(self) -> Mapping[str, str]:
        """The key, and the company that figures are asked for: prices are kept per company."""
        headers = {"Authorization": f"bearer {self.link.secrets.get('key', '')}"}
        if self._company_id is not None:
            context = json.dumps({"company": self._company_id}).encode()
            headers["X-Tryton-Context"] = urlsafe_b64encode(context).decode()
        return headers

    def _call(self, method: str, path: str, **given: Any) -> Reply:
        options = self.link.options
        address = str(options.get("address", "")).rstrip("/")
        url = f"{address}/{quote(str(options.get('database', '')), safe='')}/rest/model/{path}"
        reply = self.link.call(method, url, accept=(401, 403, 404), **given)
        if reply.status == 401:
            raise SignInRefused("Tryton does not accept the key: it is wrong, or was cancelled there.")
        if reply.status == 403:
            raise SignInRefused(f"The user of this key must not read {path.split('/')[0]} in Tryton.")
        if reply.status == 404:
            raise CrmError(
                f"There is no REST interface of a database '{options.get('database', '')}' at {address}."
            )
        return reply

    def _search(self, model: str, domain: Sequence[Any], fields: Sequence[str], limit: int = 0) -> Reply:
        params: dict[str, Any] = {
            "d": as_parameter(domain),
            "f": list(fields),
            "o": as_parameter([["id", "ASC"]]),
        }
        return self._call("GET", model, params=params | ({"s": limit} if limit else {}))

    def _count(self, model: str, domain: Sequence[Any]) -> int:
        return int(self._call("POST", f"{model}/search_count", body={"domain": domain}).data)

    # What is there ----------------------------------------------------------------------------------------------

    def check(self) -> str:
        parties = self._count(PARTY, self._parties())
        sales = self._count("sale.sale", [["company", "=", self._company()], ["state", "in", SOLD]])
        return f"{parties:,} parties and {sales:,} confirmed sales can be read."

    def _company(self) -> int:
        """Whose sales are read: the one there is, or the one that was named."""
        if self._company_id is None:
            wanted = str(self.link.options.get("company") or "").strip()
            known = {
                str(one["party"]["name"]): int(one["id"])
                for one in self._search("company.company", [], ["party.name"]).data
            }
            found = [known[name] for name in known if wanted in {"", name}]
            if len(found) != 1:
                raise CrmError(
                    f"Say which company is meant: Tryton has {', '.join(sorted(known)) or 'none for this key'}."
                )
            self._company_id = found[0]
        return self._company_id

    def _parties(self) -> list[Any]:
        """Which parties are meant: not the own companies and employees; where a category is named, those in it."""
        if self._narrowed is None:
            own = self._search("company.company", [], ["party.id"]).data
            staff = self._search("company.employee", [["active", "in", [True, False]]], ["party.id"]).data
            ids = sorted({int(one["party"]["id"]) for one in [*own, *staff]})
            self._narrowed = [["id", "not in", ids], *self._in_category("categories")]
        return self._narrowed

    def _in_category(self, path: str) -> list[Any]:
        name = str(self.link.options.get("category") or "").strip()
        if not name:
            return []
        found = self._search(CATEGORY, [["name", "=", name]], ["id"]).data
        if not found:
            raise CrmError(f"Tryton has no party category '{name}'.")
        return [[path, "child_of", [one["id"] for one in found], "parent"]]

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    def fields(self, stream: str) -> Sequence[Field]:
        """The fields of the model, by the names that people see in Tryton; of what a field refers to, its name."""
        source = SOURCES[stream]
        shipped = next(one for one in STREAMS if one.name == stream)
        known = [Field(path, path) for path in fields_of(shipped.columns, shipped.only_if)]
        if source.split is not None or not shipped.kind:
            return known
        rows = self._search(
            "ir.model.field", [["model", "=", source.model]], ["name", "string", "ttype"]
        ).data
        named = {row["name"]: Field(row["name"], row["string"]) for row in rows if row["ttype"] in SIMPLE}
        told = [named.pop(one.path, one) for one in known]
        linked = [
            Field(f"{row['name']}.rec_name", row["string"]) for row in rows if row["ttype"] == "many2one"
        ]
        return [*told, *(one for name, one in named.items() if name not in {"id", "rec_name"}), *linked]

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        source = SOURCES[stream]
        domain = [*self._domain(stream), *([["id", ">", position["id"]]] if position else [])]
        if since is not None:
            moment = as_moment(since)
            paths = ("", *(f"{one}." for one in source.holds))
            changed = [
                [f"{path}{name}", ">=", moment] for path in paths for name in ("write_date", "create_date")
            ]
            domain.append(["OR", *changed])
        reply = self._search(source.model, domain, self._asked(stream), PAGE)
        records = [record for one in reply.data for record in self._records(stream, one)]
        last = {"id": reply.data[-1]["id"]} if len(reply.data) == PAGE else None
        return Page(records, last, reply.date)

    def _domain(self, stream: str, *, with_inactive: bool = True) -> list[Any]:
        """What belongs to a stream. Records that are switched off are hidden unless one asks for them."""
        source = SOURCES[stream]
        self._company()
        domain: list[Any] = [["active", "in", [True, False]]] if source.has_active and with_inactive else []
        if source.model == PARTY:
            domain += self._parties()
        elif source.model == "sale.sale":
            domain += [["company", "=", self._company()], *self._in_category("party.categories")]
        return domain

    def _asked(self, stream: str) -> list[str]:
        """The fields to ask for: what the stream needs, what its map reads, and the times of change."""
        source = SOURCES[stream]
        names = {*source.fields, *(["active"] if source.has_active else [])}
        if source.split is None:
            saved = FieldMap.objects.filter(connection_id=self.link.connection_id, stream=stream).first()
            mapped = fields_of(saved.columns, saved.only_if) if saved else ()
            names |= {".".join(part for part in path.split(".") if not part.isdigit()) for path in mapped}
        stamps = (f"{path}{name}" for path in ("", *(f"{one}." for one in source.holds))
                  for name in ("write_date", "create_date"))  # fmt: skip
        return sorted({*(names - COMPUTED), *stamps})

    def _records(self, stream: str, one: dict[str, Any]) -> list[Record]:
        """The records made of one of theirs, without times of change and without our own category."""
        source = SOURCES[stream]
        changed, payload = max(stamps_of(one), default=None), plain(one)
        is_gone = source.has_active and not payload.pop("active", True)
        if source.split is not None:
            parts = source.split(payload)
        else:
            parts = [(str(one["id"]), _own_left_out(stream, payload))]
        return [Record(source_id, part, changed, is_gone) for source_id, part in parts]

    def ids(self, stream: str, position: Position | None) -> IdPage:
        source = SOURCES[stream]
        size = PAGE if source.split else IDS_AT_ONCE
        domain = self._domain(stream, with_inactive=False)
        domain += [["id", ">", position["id"]]] if position else []
        rows = self._search(source.model, domain, self._asked(stream) if source.split else ["id"], size).data
        parts = source.split or (lambda one: [(str(one["id"]), one)])
        ids = [source_id for one in rows for source_id, _ in parts(plain(one))]
        return IdPage(ids, {"id": rows[-1]["id"]} if len(rows) == size else None)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        wanted = sorted({int(one.split(":")[0]) for one in ids})
        domain = [*self._domain(stream), ["id", "in", wanted]]
        rows = self._search(SOURCES[stream].model, domain, self._asked(stream)).data
        found = [record for one in rows for record in self._records(stream, one)]
        return [record for record in found if record.source_id in set(ids)]

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """The tier becomes a party category, everything together a way of contact of the kind "other" named Mainstay,
        with a comment. Notes would be the place, but REST lets only administrators change one. What is written is
        what should be there, so writing it twice leaves the same."""
        self._company()
        numbers = [int(one.source_id) for one in changes]
        any_of = [["active", "in", [True, False]], ["id", "in", numbers]]
        parties = {row["id"]: row for row in self._search(PARTY, any_of, ["categories.id"]).data}
        ours = [["party", "in", list(parties)], ["type", "=", "other"], ["name", "=", ROOT]]
        entries = {row["party"]: row for row in self._search(MECHANISM, ours, ["party", "comment"]).data}
        tiers = self._tiers({str(one.fields["tier"]) for one in changes if one.fields.get("tier")})
        results = []
        for one in changes:
            party = parties.get(int(one.source_id))
            if party is None:
                results.append(Pushed(one.source_id, "This party is not there any more."))
                continue
            body = _body(party, one, tiers, entries.get(party["id"]))
            try:
                self._call("PUT", f"{PARTY}/{party['id']}", body=body, params={"f": "id"})
                results.append(Pushed(one.source_id))
            except SignInRefused:
                raise
            except CrmError as problem:
                results.append(Pushed(one.source_id, str(problem)))
        return results

    def _tiers(self, needed: set[str]) -> dict[str, int]:
        """Our categories by name; those that are needed are made."""
        roots = self._search(CATEGORY, [["name", "=", ROOT], ["parent", "=", None]], ["id"]).data
        root = roots[0]["id"] if roots else self._made({"name": ROOT})
        rows = self._search(CATEGORY, [["parent", "=", root]], ["name"]).data
        found = {str(row["name"]): int(row["id"]) for row in rows}
        for name in sorted(needed - set(found)):
            found[name] = self._made({"name": name, "parent": root})
        return found

    def _made(self, category: Mapping[str, Any]) -> int:
        return int(self._call("POST", CATEGORY, body=category, params={"f": "id"}).data["id"])


def _body(
    party: Mapping[str, Any], change: Change, tiers: Mapping[str, int], entry: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The party's new category and way of contact, as actions on its lists."""
    lines = merged(str(entry["comment"] or "") if entry else "", change.fields)
    told = {"value": as_summary(lines), "comment": as_comment(lines)}
    body: dict[str, Any] = {
        "contact_mechanisms": [
            ["write", [entry["id"]], told] if entry else ["create", [{"type": "other", "name": ROOT} | told]]
        ]
    }
    if "tier" in change.fields:
        wanted = {tiers[str(change.fields["tier"])]} if change.fields["tier"] else set()
        has = {one["id"] for one in party["categories"]} & set(tiers.values())
        body["categories"] = [["remove", sorted(has - wanted)], ["add", sorted(wanted - has)]]
    return body


def _own_left_out(stream: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Our own category says nothing new about a party; products are known by code."""
    if stream == "parties":
        names = sorted(str(one["rec_name"]) for one in payload["categories"])
        kept = [name for name in names if name != ROOT and not name.startswith(f"{ROOT} / ")]
        return payload | {"categories": [{"rec_name": name} for name in kept]}
    if stream == "products":
        return payload | {"sku": _sku(payload)}
    return payload
