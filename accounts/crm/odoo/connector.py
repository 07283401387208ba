"""Odoo: customers with their contacts, sale orders with their lines (or invoices), leads, tickets, meetings, with users;
scores written back to fields of customers that begin with x_mainstay_.

Two ways in, the same calls: JSON-2 (Odoo 19 and newer) and JSON-RPC (older ones; it leaves in Odoo 22).
https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
https://www.odoo.com/documentation/18.0/developer/reference/external_api.html

What changed is asked for by write_date and walked through by id: Odoo keeps write_date to the microsecond and shows it
to the second, so that it cannot be gone on from. What changes behind a pass is met by the next one.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.crm.errors import CrmError, SignInRefused, TryLater
from accounts.crm.outbox import FIELDS
from accounts.crm.protocol import Ask, Change, Field, IdPage, Page, Position, Pushed, Record, Stream, Way
from accounts.crm.protocol import Connector as Base

PAGE = 500
ORDERS_AT_ONCE = 200  # whose lines are read together
JSON2, JSON_RPC = "json2", "jsonrpc"
CONTEXT = {"active_test": False, "lang": "en_US"}
USERS, LINES, MEETINGS = "users", "order_lines", "meetings"
Domain = list[Any]


@dataclass(frozen=True, slots=True)
class Model:
    """Where a stream comes from: the model, which of its records, and fields that other columns are made of. With
    `ends`, the field that tells when a record is over, it is read from then on."""

    name: str
    domain: Domain
    made_of: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    ends: str = ""


# Neither our own people nor our own companies.
OUTSIDE: Domain = [("partner_share", "=", True), ("ref_company_ids", "=", False)]
MODELS = {
    USERS: Model("res.users", [], ("login", "email"), ("email",)),
    "customers": Model("res.partner", ["|", ("is_company", "=", True), ("parent_id", "=", False), *OUTSIDE]),
    "contacts": Model(
        "res.partner",
        [("is_company", "=", False), ("parent_id", "!=", False), ("type", "=", "contact"), *OUTSIDE],
    ),
    "products": Model("product.product", []),
    "orders": Model("sale.order", [], ("partner_id",), ("customer",)),
    "invoices": Model(
        "account.move",
        [("move_type", "in", ["out_invoice", "out_refund"])],
        ("move_type", "amount_untaxed"),
        ("net",),
    ),
    LINES: Model("sale.order", [("state", "in", ["sale", "done"])]),
    "leads": Model("crm.lead", [("partner_id", "!=", False)], ("partner_id",), ("customer",)),
    "tickets": Model("helpdesk.ticket", [("partner_id", "!=", False)], ("partner_id",), ("customer",)),
    MEETINGS: Model(
        "calendar.event", [("active", "=", True)], ("partner_ids",), ("customer", "kind"), "stop"
    ),
}
OWNER = {"field": "user_id.0", "lookup": USERS, "take": "email"}
STREAMS = (
    Stream(USERS),
    Stream(
        "customers",
        "accounts",
        {
            "name": "name",
            "industry": "industry_id.1",
            "country": "country_id.1",
            "region": "state_id.1",
            "account_manager": OWNER,
        },
    ),
    Stream(
        "contacts",
        "contacts",
        {
            "account": "commercial_partner_id.0",
            "name": "name",
            "email": "email",
            "phone": "phone",
            "job_title": "function",
            "is_active": "active",
        },
    ),
    Stream(
        "products",
        "products",
        {
            "name": "display_name",
            "series": "categ_id.1",
            "unit_price": "lst_price",
            "unit_cost": "standard_price",
        },
    ),
    Stream(
        "orders",
        "orders",
        {
            "account": "customer",
            "ordered_at": "date_order",
            "amount": "amount_untaxed",
            "currency": "currency_id.1",
            "promised_on": "commitment_date",
            "salesperson": OWNER,
        },
        {"state": ["sale", "done"]},
    ),
    Stream(
        "invoices",
        "orders",
        {
            "account": "commercial_partner_id.0",
            "ordered_at": "invoice_date",
            "amount": "net",
            "currency": "currency_id.1",
            "salesperson": OWNER | {"field": "invoice_user_id.0"},
        },
        {"state": ["posted"]},
    ),
    Stream(
        LINES,
        "order_lines",
        {"order": "order", "sku": "product", "quantity": "quantity", "unit_price": "unit_price"},
    ),
    Stream(
        "leads",
        "enquiries",
        {
            "account": "customer",
            "received_at": "create_date",
            "source": "source_id.1",
            "subject": "name",
            "owner": OWNER,
        },
    ),
    Stream(
        "tickets",
        "issues",
        {
            "account": "customer",
            "opened_at": "create_date",
            "resolved_at": "close_date",
            "description": "name",
            "theme": "ticket_type_id.1",
            "severity": {
                "field": "priority",
                "values": {"0": "low", "1": "medium", "2": "high", "3": "high"},
            },
            "owner": OWNER,
        },
    ),
    Stream(
        MEETINGS,
        "interactions",
        {"account": "customer", "happened_at": "start", "kind": "kind", "subject": "name", "user": OWNER},
    ),
)
BY_ORDERS = {"orders", "products", LINES}  # what is left out where invoices are the sales
NUMBERS = {"monetary", "float", "integer"}
MODEL_MISSING = re.compile(r"do(?:es not|esn't) exist")
ASK_ADDRESS = Ask("address", "Address of your Odoo", is_credential=False, is_hidden=False)
ASK_DATABASE = Ask(
    "database",
    "Database",
    "For Odoo Online the first part of the address; needed where a server has several.",
    is_credential=False,
    is_hidden=False,
    is_needed=False,
)
ASK_SALES = Ask(
    "sales",
    "A sale is",
    is_credential=False,
    is_hidden=False,
    default="orders",
    choices=(("orders", "a confirmed sale order"), ("invoices", "a posted invoice")),
)
ASK_KEY = Ask("key", "API key", "Shown once, when it is made.")
KEY_HOW_TO = (
    "Sign in at Odoo as a user of its own for Mainstay that may read contacts, sales, invoicing, CRM, Helpdesk and the"
    " calendar.",
    "Open the user's Preferences, then Account Security, then New API Key, and copy the key into the field here.",
    "To have scores written back, let the user edit contacts and make the fields that the documentation names.",
)
WAYS = (
    Way(
        JSON2,
        "Odoo 19 or newer",
        (ASK_ADDRESS, ASK_DATABASE, ASK_KEY, ASK_SALES),
        (*KEY_HOW_TO, "A key lasts three months at most; put a new one here before."),
        "https://www.odoo.com/documentation/19.0/developer/reference/external_api.html",
    ),
    Way(
        JSON_RPC,
        "Odoo 14 to 18",
        (
            ASK_ADDRESS,
            ASK_DATABASE,
            Ask("login", "Login", "Of the user whose key it is.", is_credential=False, is_hidden=False),
            ASK_KEY,
            ASK_SALES,
        ),
        KEY_HOW_TO,
        "https://www.odoo.com/documentation/18.0/developer/reference/external_api.html",
    ),
)


class Quiet(list[Any]):
    """Arguments with a key among them: an error page shows what local variables hold."""

    def __repr__(self) -> str:
        return "<arguments>"


class NoSuchModel(CrmError):
    """The app that has this model is not installed over there."""


class Connector(Base):
    """Credentials: key. Options: address, database, login (then JSON-RPC is spoken), sales ("orders" or "invoices")."""

    label = "Odoo"
    credential_names = ("key",)
    calls_per_second = 5.0
    burst = 5
    # write_date is when a transaction began over there, and long ones end late.
    overlap = dt.timedelta(minutes=15)
    push_size = 50
    can_push = True
    about = "Customers and contacts, sale orders with their lines (or invoices), leads, tickets, meetings."
    ways = WAYS

    _types: dict[str, dict[str, dict[str, Any]]] | None = None
    _uid: int | None = None
    _clock: dt.datetime | None = None

    # The two ways in --------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return str(self.link.options.get("address", "")).rstrip("/")

    @property
    def _database(self) -> str:
        return str(self.link.options.get("database") or "")

    def auth_headers(self) -> Mapping[str, str]:
        """JSON-RPC has the key in the body of its calls."""
        if self.link.options.get("login"):
            return {}
        database = {"X-Odoo-Database": self._database} if self._database else {}
        return {"Authorization": f"Bearer {self.link.secrets['key']}", **database}

    def _execute(self, model: str, method: str, ids: Sequence[int] | None = None, **given: Any) -> Any:
        """What a method of a model answers, on `ids` where it works on records."""
        given["context"] = CONTEXT
        if self.link.options.get("login"):
            positional = [list(ids)] if ids is not None else []
            return self._rpc("object", "execute_kw", self._signed_in(), model, method, positional, given)
        body = {**given, **({"ids": list(ids)} if ids is not None else {})}
        url = f"{self.address}/json/2/{model}/{method}"
        reply = self.link.call("POST", url, body=body, accept=(403, 404, 422))
        self._clock = reply.date
        if reply.status >= 400:
            raise _refusal(model, reply.data)
        return reply.data

    def _rpc(self, service: str, method: str, user: int | str, *given: Any) -> Any:
        """Database, user and key lead the arguments of every call. Errors come with status 200 here."""
        args = Quiet([self._database, user, self.link.secrets["key"], *given])
        params = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}
        reply = self.link.call("POST", f"{self.address}/jsonrpc", body=body)
        self._clock = reply.date
        data = reply.data if isinstance(reply.data, dict) else {}
        if data.get("error"):
            model = str(given[0]) if service == "object" else ""
            raise _refusal(model, data["error"].get("data") or data["error"])
        return data.get("result")

    def _signed_in(self) -> int:
        if self._uid is None:
            uid = self._rpc("common", "authenticate", str(self.link.options["login"]), {})
            if not uid:
                raise SignInRefused("Odoo does not know this database, login and key.")
            self._uid = int(uid)
        return self._uid

    # What there is ----------------------------------------------------------------------------------------------

    def check(self) -> str:
        absent = [one.name for one in self.streams() if self._fields_of(one.name) is None]
        found = f"{self._execute('res.partner', 'search_count', domain=self._domain('customers')):,} customers can be read."
        return found + (f" Not installed in Odoo: {', '.join(absent)}." if absent else "")

    def streams(self) -> Sequence[Stream]:
        without = BY_ORDERS if self.link.options.get("sales") == "invoices" else {"invoices"}
        return [one for one in STREAMS if one.name not in without]

    def fields(self, stream: str) -> Sequence[Field]:
        if stream == LINES:
            return [Field(name, name) for name in ("order", "product", "quantity", "unit_price")]
        made = [Field(name, name.capitalize()) for name in MODELS[stream].makes]
        found = []
        for name, one in (self._fields_of(stream) or {}).items():
            if one["type"] == "many2one":
                found.append(Field(f"{name}.1", str(one["string"])))
            elif not one["type"].endswith("2many") and not name.startswith("x_mainstay_"):
                found.append(Field(name, str(one["string"])))
        return [*made, *found]

    def _fields_of(self, stream: str) -> dict[str, dict[str, Any]] | None:
        """The fields of a stream's model that the user may see; None where there is no such model."""
        model = MODELS[stream].name
        if self._types is None:
            self._types = {}
        if model not in self._types:
            try:
                self._types[model] = self._execute(model, "fields_get", attributes=["type", "string"])
            except NoSuchModel:
                self._types[model] = {}
        return self._types[model] or None

    def _asked(self, stream: str) -> list[str]:
        """The fields to ask for: those the map reads, and what others are made of."""
        shipped = next(one for one in STREAMS if one.name == stream)
        model = MODELS[stream]
        mapped = {path.split(".")[0] for path in self.link.mapped_fields(shipped)} - set(model.makes)
        wanted = mapped | set(model.made_of) | {"name", "active", "write_date"}
        return sorted(wanted & set(self._fields_of(stream) or {}))

    def _domain(self, stream: str) -> Domain:
        """Which records are read. Suppliers who buy nothing are none; ranks come with the app for invoices."""
        domain = list(MODELS[stream].domain)
        if MODELS[stream].name == "res.partner" and "customer_rank" in (self._fields_of(stream) or {}):
            of = "" if stream == "customers" else "commercial_partner_id."
            domain += ["|", (f"{of}customer_rank", ">", 0), (f"{of}supplier_rank", "=", 0)]
        if ends := MODELS[stream].ends:
            domain.append((ends, "<=", f"{timezone.now().astimezone(dt.UTC):%Y-%m-%d %H:%M}:00"))
        return domain

    def _changed(self, stream: str, since: dt.datetime | None) -> Domain:
        """Which records may be new. That one is over does not touch its write_date."""
        if since is None:
            return []
        moment, ends = f"{since.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}", MODELS[stream].ends
        changed = ("write_date", ">=", moment)
        return ["|", changed, (ends, ">=", moment)] if ends else [changed]

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        if self._fields_of(stream) is None:
            return Page([], None, self._clock)
        most = ORDERS_AT_ONCE if stream == LINES else PAGE
        fields = ["write_date"] if stream == LINES else self._asked(stream)
        rows = self._after(stream, self._changed(stream, since), position, fields, most)
        clock = self._clock
        on = {"id": rows[-1]["id"]} if len(rows) == most else None
        return Page(self._lines(rows) if stream == LINES else self._records(stream, rows), on, clock)

    def _after(
        self, stream: str, more: Domain, position: Position | None, fields: Sequence[str], most: int
    ) -> list[dict[str, Any]]:
        behind = [("id", ">", int(position["id"]))] if position else []
        domain = [*self._domain(stream), *more, *behind]
        return self._search(MODELS[stream].name, domain, fields, most)

    def _search(self, model: str, domain: Domain, fields: Sequence[str], most: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._execute(
            model, "search_read", domain=domain, fields=list(fields), limit=most, order="id"
        )
        return found

    def _records(self, stream: str, rows: Sequence[dict[str, Any]]) -> list[Record]:
        """Meetings with nobody who is an account are nothing to us."""
        customers = self._customers(stream, rows) if "customer" in MODELS[stream].makes else {}
        records = [self._record(stream, row, customers) for row in rows]
        return [one for one in records if stream != MEETINGS or one.payload["customer"]]

    def _record(self, stream: str, row: Mapping[str, Any], customers: Mapping[int, int]) -> Record:
        """A record without its time of change. One that is archived is over, as one that is deleted."""
        types = self._fields_of(stream) or {}
        payload = {name: _plain(row.get(name), types[name]["type"]) for name in self._asked(stream)}
        changed = payload.pop("write_date", None)
        payload["id"] = row["id"]
        if stream == USERS:
            payload["email"] = payload.get("email") or payload.get("login")
        if "customer" in MODELS[stream].makes:
            payload["customer"] = next((customers[one] for one in _partners(row) if one in customers), None)
        if stream == MEETINGS:
            payload["kind"] = "meeting"
        if stream == "invoices":
            payload["net"] = _net(payload)
        is_over = stream == "customers" and payload.get("active") is False
        moment = dt.datetime.fromisoformat(changed) if changed else None
        return Record(str(row["id"]), payload, moment, is_over)

    def _customers(self, stream: str, rows: Sequence[Mapping[str, Any]]) -> dict[int, int]:
        """Partner -> the customer it belongs to: orders and tickets also name contacts and delivery addresses, and to
        meetings go our own people too."""
        ids = sorted({one for row in rows for one in _partners(row)})
        if not ids:
            return {}
        found = self._search("res.partner", [("id", "in", ids)], ["commercial_partner_id"], len(ids))
        customers = {one["id"]: int(one["commercial_partner_id"][0]) for one in found}
        if stream != MEETINGS:
            return customers
        asked = sorted(set(customers.values()))
        domain = [*self._domain("customers"), ("id", "in", asked)]
        accounts = {one["id"] for one in self._search("res.partner", domain, ["id"], len(asked))}
        return {partner: customer for partner, customer in customers.items() if customer in accounts}

    def _lines(self, orders: Sequence[Mapping[str, Any]]) -> list[Record]:
        """What was sold with these orders: one record per order and product, as our lines are told apart. An order whose
        lines change changes itself, because its total does."""
        if not orders:
            return []
        changed = {one["id"]: _plain(one["write_date"], "datetime") for one in orders}
        fields = ["order_id", "product_id", "product_uom_qty", "price_subtotal"]
        sums: dict[tuple[int, int], list[Decimal]] = {}
        after = 0
        while rows := self._search(
            "sale.order.line",
            [("order_id", "in", list(changed)), ("product_id", "!=", False), ("id", ">", after)],
            fields,
            PAGE,
        ):
            after = rows[-1]["id"]
            for row in rows:
                key = (row["order_id"][0], row["product_id"][0])
                total = sums.setdefault(key, [Decimal(0), Decimal(0)])
                total[0] += Decimal(str(row["product_uom_qty"]))
                total[1] += Decimal(str(row["price_subtotal"]))
            if len(rows) < PAGE:
                break
        return [
            _line(order, product, quantity, money, changed[order])
            for (order, product), (quantity, money) in sums.items()
            if quantity
        ]

    def ids(self, stream: str, position: Position | None) -> IdPage:
        if self._fields_of(stream) is None:
            return IdPage([], None)
        if stream == LINES:
            return self._line_ids(position)
        rows = self._after(stream, [], position, ["id"], PAGE)
        ids = [str(row["id"]) for row in rows]
        return IdPage(ids, {"id": rows[-1]["id"]} if len(rows) == PAGE else None)

    def _line_ids(self, position: Position | None) -> IdPage:
        domain: Domain = [("state", "in", ["sale", "done"]), ("product_id", "!=", False)]
        behind = [("id", ">", int(position["id"]))] if position else []
        rows = self._search("sale.order.line", [*domain, *behind], ["order_id", "product_id"], PAGE)
        ids = [f"{row['order_id'][0]}:{row['product_id'][0]}" for row in rows]
        return IdPage(ids, {"id": rows[-1]["id"]} if len(rows) == PAGE else None)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        wanted = sorted({int(one.split(":")[0]) for one in ids})
        domain = [*self._domain(stream), ("id", "in", wanted)]
        fields = ["write_date"] if stream == LINES else self._asked(stream)
        rows = self._search(MODELS[stream].name, domain, fields, len(wanted))
        if stream == LINES:
            return [one for one in self._lines(rows) if one.source_id in ids]
        return self._records(stream, rows)

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """One call for each customer: Odoo gives all records of a call the same values."""
        self._check_fields()
        return [self._write(one) for one in changes]

    def _write(self, change: Change) -> Pushed:
        try:
            self._execute("res.partner", "write", [int(change.source_id)], vals=_values(change))
        except (TryLater, SignInRefused):
            raise
        except CrmError as problem:
            return Pushed(change.source_id, str(problem))
        return Pushed(change.source_id)

    def _check_fields(self) -> None:
        known = self._fields_of("customers") or {}
        missing = [f"x_mainstay_{name}" for name in FIELDS if f"x_mainstay_{name}" not in known]
        if missing:
            raise CrmError(
                f"Contacts in Odoo have no field {', '.join(missing)}. Make them in developer mode: Settings, Technical,"
                " Fields, model Contact (the documentation says how)."
            )


def _refusal(model: str, data: Any) -> CrmError:
    """What an error object means: `name` is the Python exception, `message` its text."""
    data = data if isinstance(data, Mapping) else {}
    name, said = (
        str(data.get("name", "")),
        " ".join(str(data.get("message") or "no reason given").split())[:200],
    )
    if name.endswith("AccessDenied"):
        return SignInRefused(f"Odoo does not accept the credentials ({said}).")
    if model and model in said and (name == "builtins.KeyError" or MODEL_MISSING.search(said)):
        return NoSuchModel(f"Odoo has no {model}: {said}")
    if name.startswith("psycopg2."):
        return TryLater("Odoo is busy with the same records.", 10)
    return CrmError(f"Odoo refuses {model}: {said}")


def _plain(value: Any, kind: str) -> Any:
    """A value as the landing keeps it. Odoo says false where it has nothing; its times are UTC and do not say so."""
    if kind == "boolean":
        return bool(value)
    if value is False or value is None or value == "":
        return None
    if kind == "datetime":
        return dt.datetime.fromisoformat(str(value)).replace(tzinfo=dt.UTC).isoformat()
    return f"{Decimal(str(value)).normalize():f}" if kind in NUMBERS else value


def _partners(row: Mapping[str, Any]) -> list[int]:
    """Whom a record names: one partner, or those who attend."""
    return [int(row["partner_id"][0])] if row.get("partner_id") else list(row.get("partner_ids") or ())


def _net(invoice: Mapping[str, Any]) -> str | None:
    """The amount without tax; what a credit note gives back counts against."""
    amount = invoice.get("amount_untaxed")
    if amount is None:
        return "0"
    return f"-{amount}" if invoice.get("move_type") == "out_refund" else str(amount)


def _line(order: int, product: int, quantity: Decimal, money: Decimal, changed: Any) -> Record:
    price = (money / quantity).quantize(Decimal("0.0001"))
    payload = {
        "order": str(order),
        "product": str(product),
        "quantity": f"{quantity.normalize():f}",
        "unit_price": f"{price.normalize():f}",
    }
    return Record(f"{order}:{product}", payload, dt.datetime.fromisoformat(changed) if changed else None)


def _values(change: Change) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in change.fields.items():
        is_number = FIELDS[name][1] == "number" and value is not None
        told[f"x_mainstay_{name}"] = float(value) if is_number else (False if value is None else value)
    return told
