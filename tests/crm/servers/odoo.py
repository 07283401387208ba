"""A local stand-in for Odoo, written by us after its published external API: JSON-2 (bearer key, database header, errors
with a status) and JSON-RPC (errors with status 200), domains, many2one values as [id, name], false for nothing, times in
UTC without saying so, archived records, apps that are not installed. It is not Odoo, and proves nothing about it.

https://www.odoo.com/documentation/19.0/developer/reference/external_api.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.crm.servers import base
from tests.crm.servers.base import Answer, Request

COMMON = {"id": "integer", "name": "char", "write_date": "datetime", "create_date": "datetime"}
OWNED = COMMON | {"user_id": "many2one:res.users", "partner_id": "many2one:res.partner"}
SCHEMA: dict[str, dict[str, str]] = {
    "res.users": COMMON | {"login": "char", "email": "char", "active": "boolean"},
    "res.country": COMMON,
    "res.currency": COMMON,
    "product.category": COMMON,
    "utm.source": COMMON,
    "helpdesk.ticket.type": COMMON,
    "res.partner": COMMON | {
        "is_company": "boolean", "parent_id": "many2one:res.partner", "commercial_partner_id": "many2one:res.partner",
        "type": "selection", "partner_share": "boolean", "ref_company_ids": "one2many", "email": "char",
        "phone": "char", "function": "char", "country_id": "many2one:res.country", "active": "boolean",
        "user_id": "many2one:res.users", "customer_rank": "integer", "supplier_rank": "integer",
    },
    "product.product": COMMON | {
        "display_name": "char", "categ_id": "many2one:product.category", "lst_price": "float", "standard_price": "float",
        "active": "boolean",
    },
    "sale.order": OWNED | {
        "state": "selection", "date_order": "datetime", "amount_untaxed": "monetary",
        "currency_id": "many2one:res.currency", "commitment_date": "datetime",
    },
    "sale.order.line": COMMON | {
        "order_id": "many2one:sale.order", "product_id": "many2one:product.product", "product_uom_qty": "float",
        "price_subtotal": "monetary", "state": "selection",
    },
    "account.move": COMMON | {
        "move_type": "selection", "state": "selection", "invoice_date": "date", "amount_untaxed": "monetary",
        "currency_id": "many2one:res.currency", "commercial_partner_id": "many2one:res.partner",
        "invoice_user_id": "many2one:res.users",
    },
    "crm.lead": OWNED | {"source_id": "many2one:utm.source", "active": "boolean"},
    "helpdesk.ticket": OWNED | {
        "ticket_type_id": "many2one:helpdesk.ticket.type", "priority": "selection", "close_date": "datetime",
        "active": "boolean",
    },
    "calendar.event": COMMON | {
        "start": "datetime", "stop": "datetime", "user_id": "many2one:res.users", "partner_ids": "many2many",
        "active": "boolean",
    },
}  # fmt: skip
CUSTOM = {
    "x_mainstay_churn_probability": "float", "x_mainstay_tier": "char", "x_mainstay_reasons": "text",
    "x_mainstay_revenue_at_risk": "float", "x_mainstay_revenue_currency": "char",
    "x_mainstay_next_touchpoint_on": "date",
}  # fmt: skip
TESTS: dict[str, Any] = {
    "=": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    "in": lambda have, want: have in want,
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
}
RENAMED = {"odoo.exceptions.AccessError": 403, "odoo.exceptions.MissingError": 404}


class OdooError(Exception):
    """An exception over there: its full Python name, and its text."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass
class Odoo(base.World):
    """The database, and how it behaves."""

    rows: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {name: {} for name in SCHEMA})
    absent: set[str] = field(default_factory=set)  # models of apps that are not installed
    hidden: set[str] = field(default_factory=set)  # "res.partner.phone"
    custom: dict[str, str] = field(default_factory=lambda: dict(CUSTOM))
    key: str = "key-one-of-odoo"
    login: str = "mainstay"
    database: str = "acme"
    busy: set[int] = field(default_factory=set)
    locked: set[int] = field(default_factory=set)
    now: datetime = datetime(2025, 10, 1, 8)

    def tick(self) -> str:
        """Kept to the microsecond."""
        self.now += timedelta(milliseconds=300)
        return self.now.isoformat(" ", "microseconds")

    def put(self, model: str, key: int, **values: Any) -> int:
        known = self.rows[model].get(key, {"id": key, "create_date": self.tick(), "active": True})
        self.rows[model][key] = known | values | {"write_date": self.tick()}
        return key

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        if request.path == "/jsonrpc":
            return self._rpc(request.body)
        parts = request.path.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["json", "2"]:
            return Answer(404, "<!doctype html><title>404 Not Found</title>", content_type="text/html")
        if request.bearer != self.key or request.headers.get("x-odoo-database") != self.database:
            return _failure(401, "werkzeug.exceptions.Unauthorized", "Invalid apikey")
        given = dict(request.body)
        try:
            return Answer(200, self._call(parts[2], parts[3], given.pop("ids", []), given))
        except OdooError as problem:
            kind = problem.name.split(".")[0]
            status = RENAMED.get(problem.name) or {"werkzeug": 404, "odoo": 422}.get(kind, 500)
            return _failure(status, problem.name, str(problem))

    def _rpc(self, body: dict[str, Any]) -> Answer:
        params = body["params"]
        database, user, key, *rest = params["args"]
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": body["id"]}
        is_known = database == self.database and key == self.key
        if params["service"] == "common":
            return Answer(200, answer | {"result": 7 if is_known and user == self.login else False})
        try:
            if not is_known or user != 7:
                raise OdooError("odoo.exceptions.AccessDenied", "Access Denied")
            model, method, positional, given = rest
            result = self._call(model, method, positional[0] if positional else [], dict(given))
            return Answer(200, answer | {"result": result})
        except OdooError as problem:
            name = "builtins.KeyError" if problem.name.startswith("werkzeug") else problem.name
            data = {"name": name, "message": str(problem), "arguments": [str(problem)], "debug": "Traceback"}
            return Answer(
                200, answer | {"error": {"code": 200, "message": "Odoo Server Error", "data": data}}
            )

    def _call(self, model: str, method: str, ids: list[int], given: dict[str, Any]) -> Any:
        if model not in SCHEMA or model in self.absent:
            raise OdooError("werkzeug.exceptions.NotFound", f"the model '{model}' does not exist")
        context = given.pop("context", {})
        if method == "fields_get":
            assert given == {"attributes": ["type", "string"]}
            types = self._types(model)
            return {
                name: {"type": kind.split(":")[0], "string": name.title()} for name, kind in types.items()
            }
        if method == "search_count":
            return len(self._found(model, given["domain"], context))
        if method == "search_read":
            rows = self._found(model, given["domain"], context)
            assert given["order"] == "id"
            return [self._shown(model, row, given["fields"]) for row in rows[: given["limit"]]]
        if method == "write":
            return self._write(model, ids, given["vals"])
        raise OdooError("werkzeug.exceptions.NotFound", f"the method '{model}.{method}' does not exist")

    def _types(self, model: str) -> dict[str, str]:
        types = SCHEMA[model] | (self.custom if model == "res.partner" else {})
        return {name: kind for name, kind in types.items() if f"{model}.{name}" not in self.hidden}

    def _found(self, model: str, domain: list[Any], context: dict[str, Any]) -> list[dict[str, Any]]:
        rows = [row for _, row in sorted(self.rows[model].items())]
        if context.get("active_test", True) and "active" in SCHEMA[model]:
            rows = [row for row in rows if row["active"]]
        return [row for row in rows if self._holds(model, row, list(domain))]

    def _holds(self, model: str, row: dict[str, Any], domain: list[Any]) -> bool:
        """Polish notation, as far as we ask: '|' before two conditions, everything else joined by and."""
        while domain:
            if domain[0] == "|":
                first, second = domain[1], domain[2]
                holds = self._one(model, row, first) or self._one(model, row, second)
                domain = domain[3:]
            else:
                holds, domain = self._one(model, row, domain[0]), domain[1:]
            if not holds:
                return False
        return True

    def _one(self, model: str, row: dict[str, Any], condition: list[Any]) -> bool:
        path, how, wanted = condition
        name, _, rest = path.partition(".")
        kind = self._types(model)[name]  # an unknown field is a mistake of ours
        value = row.get(name, False)
        if rest:
            other = kind.split(":")[1]
            return self._one(other, self.rows[other].get(value, {}), [rest, how, wanted])
        if value is False and kind == "integer":
            value = 0
        return bool(TESTS[how](value, wanted))

    def _shown(self, model: str, row: dict[str, Any], fields: list[str]) -> dict[str, Any]:
        types = self._types(model)
        return {name: self._value(row.get(name, False), types[name]) for name in {"id", *fields}}

    def _value(self, value: Any, kind: str) -> Any:
        if value is False:
            return 0 if kind in {"integer", "float", "monetary"} else False
        if kind.startswith("many2one"):
            return [value, self.rows[kind.split(":")[1]].get(value, {}).get("name", "?")]
        return value[:19] if kind == "datetime" else value

    def _write(self, model: str, ids: list[int], values: dict[str, Any]) -> bool:
        for key in ids:
            if key not in self.rows[model]:
                raise OdooError("odoo.exceptions.MissingError", "Record does not exist or has been deleted.")
            if key in self.locked:
                raise OdooError("odoo.exceptions.AccessError", "You are not allowed to modify 'Contact'")
            if key in self.busy:
                self.busy.remove(key)
                raise OdooError("psycopg2.errors.SerializationFailure", "could not serialize access")
            unknown = set(values) - set(self._types(model))
            if unknown:
                raise OdooError("builtins.ValueError", f"Invalid field {unknown.pop()!r} on model {model!r}")
            self.put(model, key, **values)
        return True


def _failure(status: int, name: str, message: str) -> Answer:
    said = {"name": name, "message": message, "arguments": [message], "context": {}, "debug": "Traceback"}
    return Answer(status, said)


class Server(base.Server):
    """The stand-in on a port of its own."""

    world: Odoo

    def __init__(self) -> None:
        super().__init__(Odoo())


def fill(world: Odoo, customers: int = 12) -> None:
    """`customers` companies with a contact, a delivery address, a confirmed order of two products (ordered by the
    contact), a quotation, an invoice with a credit note, a lead, a ticket and a meeting of that contact each; a ticket of nobody, and a meeting among ourselves and with a
    supplier."""
    world.put("res.users", 7, login="rep@example.com", name="Rep")
    world.put("res.users", 8, login="admin", email="nobody-here@example.com", name="Elsewhere", active=False)
    for model, key, name in (
        ("res.country", 1, "Austria"), ("res.currency", 1, "EUR"), ("product.category", 1, "Tools"),
        ("utm.source", 1, "Fair"), ("helpdesk.ticket.type", 1, "Question"),
    ):  # fmt: skip
        world.put(model, key, name=name)
    for key in (1, 2):
        world.put(
            "product.product", key, name=f"Product {key}", display_name=f"[P{key}] Product {key}", categ_id=1,
            lst_price=25.0 * key, standard_price=10.0,
        )  # fmt: skip
    world.put(
        "res.partner", 1, name="Our own company", is_company=True, partner_share=True, commercial_partner_id=1,
        ref_company_ids=[1],
    )  # fmt: skip
    world.put("res.partner", 2, name="An employee", partner_share=False, commercial_partner_id=2)
    world.put(
        "res.partner", 3, name="A supplier", is_company=True, partner_share=True, supplier_rank=2,
        commercial_partner_id=3,
    )  # fmt: skip
    world.put("helpdesk.ticket", 999, name="From an unknown address", priority="0")
    add_meeting(world, 999, "2025-06-01", [2, 3])
    for number in range(1, customers + 1):
        add_customer(world, number)


def add_customer(world: Odoo, number: int) -> None:
    customer, person, address = 100 + number, 1_000 + number, 2_000 + number
    world.put(
        "res.partner", customer, name=f"Company {number}", is_company=True, partner_share=True, country_id=1,
        user_id=8, commercial_partner_id=customer, type="contact", customer_rank=1,
    )  # fmt: skip
    below = {"parent_id": customer, "commercial_partner_id": customer, "partner_share": True}
    world.put(
        "res.partner",
        person,
        name=f"Ann Of {number}",
        email=f"ann{number}@customer.example",
        type="contact",
        **below,
    )
    world.put("res.partner", address, type="delivery", **below)
    order = {"partner_id": person, "user_id": 7, "currency_id": 1, "date_order": "2025-03-04 23:30:00.000000"}
    world.put("sale.order", number, name=f"S{number}", state="sale", amount_untaxed=100.5 * number, **order)
    world.put("sale.order", 500 + number, name=f"Q{number}", state="draft", amount_untaxed=9.0, **order)
    for line, (product, quantity, money) in enumerate(((1, 2.0, 50.0), (1, 1.0, 25.0), (2, 4.0, 180.0))):
        world.put(
            "sale.order.line", number * 10 + line, order_id=number, product_id=product, product_uom_qty=quantity,
            price_subtotal=money, state="sale",
        )  # fmt: skip
    world.put("sale.order.line", number * 10 + 9, order_id=number, name="A note", state="sale")
    invoice = {"state": "posted", "currency_id": 1, "commercial_partner_id": customer, "invoice_user_id": 7}
    world.put(
        "account.move",
        number,
        move_type="out_invoice",
        invoice_date="2025-03-06",
        amount_untaxed=80.0,
        **invoice,
    )
    world.put(
        "account.move",
        500 + number,
        move_type="out_refund",
        invoice_date="2025-04-06",
        amount_untaxed=12.5,
        **invoice,
    )
    world.put("account.move", 900 + number, move_type="in_invoice", invoice_date="2025-04-06", **invoice)
    world.put("crm.lead", number, name=f"Wants more {number}", partner_id=person, user_id=7, source_id=1)
    world.put(
        "helpdesk.ticket", number, name=f"How do I clean it? {number}", partner_id=person, user_id=7, ticket_type_id=1,
        priority=str(number % 4), create_date="2025-05-02 09:30:00.000000",
    )  # fmt: skip
    add_meeting(world, number, "2025-06-01", [2, 3, person])


def add_meeting(world: Odoo, key: int, day: str, partners: list[int]) -> None:
    world.put(
        "calendar.event", key, name=f"Year in review {key}", start=f"{day} 12:00:00.000000",
        stop=f"{day} 13:00:00.000000", user_id=7, partner_ids=partners,
    )  # fmt: skip
