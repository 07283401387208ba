"""A local stand-in for Shopify, written by us after its published API (https://shopify.dev/docs/api/admin-graphql): questions
are checked and answered by graphql-core against a part of the schema, cost points and are refused when these are
used up; bulk operations write files of lines, one at a time; tokens expire; metafields are set all or none. It is not
Shopify, and proves nothing about it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync, parse
from graphql.language import ast

from tests.crm.servers.base import Answer, Request, Server, World

VERSION, TOKEN, CLIENT, SECRET = "2026-07", "shpat_own_token", "client-one", "shpss_hush_hush"
MOST_POINTS = 1_000  # of one question
SCOPES = (
    "read_customers read_companies read_orders read_all_orders read_products write_customers write_companies"
)
KINDS = {
    "customers": "Customer",
    "companies": "Company",
    "orders": "Order",
    "productVariants": "ProductVariant",
}
CONNECTION = """
    type {0}Edge {{ node: {0}! cursor: String! }}
    type {0}Connection {{ nodes: [{0}!]! edges: [{0}Edge!]! pageInfo: PageInfo! }}
    enum {0}SortKeys {{ {1} }}
"""
SCHEMA = build_schema(
    "".join(
        CONNECTION.format(kind, "ID TITLE" if kind == "ProductVariant" else "ID UPDATED_AT CREATED_AT")
        for kind in (*KINDS.values(), "LineItem")
    )
    + "type QueryRoot { "
    + "".join(
        f"{root}(first: Int, after: String, query: String, sortKey: {kind}SortKeys = ID): {kind}Connection! "
        for root, kind in KINDS.items()
    )
    + """
        node(id: ID!): Node  nodes(ids: [ID!]!): [Node]!  currentAppInstallation: AppInstallation!  shop: Shop!
    }
    schema { query: QueryRoot mutation: Mutation }
    scalar DateTime  scalar Decimal  scalar URL  scalar UnsignedInt64  scalar Money
    interface Node { id: ID! }
    type PageInfo { hasNextPage: Boolean! endCursor: String }
    type AccessScope { handle: String! }
    type AppInstallation { accessScopes: [AccessScope!]! }
    type Shop { name: String! }
    type CustomerEmailAddress { emailAddress: String! }
    type CustomerPhoneNumber { phoneNumber: String! }
    type MailingAddress { company: String countryCodeV2: String provinceCode: String }
    type Company implements Node { id: ID! updatedAt: DateTime! name: String! externalId: String note: String }
    type CompanyContact { company: Company! }
    type Customer implements Node {
        id: ID! updatedAt: DateTime! displayName: String! state: String! tags: [String!]!
        defaultEmailAddress: CustomerEmailAddress defaultPhoneNumber: CustomerPhoneNumber
        defaultAddress: MailingAddress companyContactProfiles: [CompanyContact!]!
    }
    type MoneyV2 { amount: Decimal! currencyCode: String! }
    type MoneyBag { shopMoney: MoneyV2! presentmentMoney: MoneyV2! }
    type PurchasingCompany { company: Company! }
    union PurchasingEntity = Customer | PurchasingCompany
    type Order implements Node {
        id: ID! updatedAt: DateTime! name: String! test: Boolean! processedAt: DateTime! cancelledAt: DateTime
        displayFinancialStatus: String displayFulfillmentStatus: String! totalPriceSet: MoneyBag!
        totalDiscountsSet: MoneyBag customer: Customer purchasingEntity: PurchasingEntity
        refunds(first: Int): [Refund!]! lineItems(first: Int, after: String): LineItemConnection!
    }
    type Refund implements Node {
        id: ID! createdAt: DateTime note: String totalRefundedSet: MoneyBag! order: Order!
    }
    type LineItem implements Node {
        id: ID! quantity: Int! originalUnitPriceSet: MoneyBag! variant: ProductVariant
    }
    type Product { productType: String! }
    type ProductVariant implements Node {
        id: ID! updatedAt: DateTime! displayName: String! sku: String price: Money! product: Product!
    }
    type BulkOperation implements Node {
        id: ID! status: String! errorCode: String url: URL fileSize: UnsignedInt64
    }
    type BulkOperationUserError { code: String field: [String!] message: String! }
    type BulkOperationRunQueryPayload { bulkOperation: BulkOperation userErrors: [BulkOperationUserError!]! }
    type UserError { field: [String!] message: String! }
    type MetafieldsPayload { userErrors: [UserError!]! }
    input MetafieldsSetInput { ownerId: ID! namespace: String key: String! type: String value: String! }
    input MetafieldIdentifierInput { ownerId: ID! namespace: String! key: String! }
    type Mutation {
        bulkOperationRunQuery(query: String!, groupObjects: Boolean! = true): BulkOperationRunQueryPayload
        metafieldsSet(metafields: [MetafieldsSetInput!]!): MetafieldsPayload
        metafieldsDelete(metafields: [MetafieldIdentifierInput!]!): MetafieldsPayload
    }
    """
)


def gid(kind: str, number: int | str) -> str:
    return f"gid://shopify/{kind}/{number}"


@dataclass
class Shopify(World):
    """The data, and how the server behaves."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)  # by gid
    metafields: dict[str, dict[str, str]] = field(default_factory=dict)  # by owner
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    scopes: set[str] = field(default_factory=lambda: set(SCOPES.split()))
    files: dict[str, bytes] = field(default_factory=dict)
    looks: int = 1  # how often one has to look until a bulk operation is over
    fails: bool = False  # whether bulk operations do
    most: float = 1e9  # points that there are at most, and come back each second
    restored: float = 1e9
    points: float = 1e9
    filled: float = 0.0
    refused: int = 0
    renewed: int = 0
    address: str = ""
    is_bulk: bool = False
    # Its clock: a shop that was filled yesterday, and is read from today.
    now: float = field(default_factory=lambda: time.time() - 86_400)

    def tick(self) -> str:
        self.now += 11
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now))

    def put(self, kind: str, number: int, /, **told: Any) -> dict[str, Any]:
        """Create or change an object."""
        one = gid(kind, number)
        known = self.objects.get(one, {"__typename": kind, "id": one})
        self.objects[one] = {**known, "updatedAt": self.tick(), **told}
        return self.objects[one]

    # Answers ----------------------------------------------------------------------------------------------------

    def judge(self, request: Request) -> Answer:
        if request.path == "/admin/oauth/access_token":
            return self._token(request.body)
        if request.path.startswith("/bulk/"):
            return self._file(request)
        if request.headers.get("x-shopify-access-token") not in self.tokens:
            return Answer(
                401,
                {"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"},
            )
        if request.path != f"/admin/api/{VERSION}/graphql.json":
            return Answer(404, {"errors": "Not Found"})
        return self._question(request.body["query"], request.body.get("variables") or {})

    def _token(self, form: Mapping[str, str]) -> Answer:
        if (form["client_id"], form["client_secret"], form["grant_type"]) != (
            CLIENT,
            SECRET,
            "client_credentials",
        ):
            return Answer(400, {"error": "invalid_request", "error_description": "The client is not known."})
        self.renewed += 1
        self.tokens = {f"shpat_fresh_{self.renewed}"}
        return Answer(
            200, {"access_token": f"shpat_fresh_{self.renewed}", "scope": SCOPES, "expires_in": 86_399}
        )

    def _file(self, request: Request) -> Answer:
        content = self.files[request.path]
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if not found:
            return Answer(200, content, content_type="application/jsonl")
        return Answer(206, content[int(found[1]) : int(found[2]) + 1], content_type="application/jsonl")

    def _question(self, question: str, variables: dict[str, Any]) -> Answer:
        cost = _cost(parse(question).definitions[0].selection_set, variables)  # type: ignore[attr-defined]
        if cost > MOST_POINTS:
            return self._answered({"errors": [_error(f"Query cost is {cost}", "MAX_COST_EXCEEDED")]}, cost)
        now = time.monotonic()
        self.points = min(self.most, self.points + (now - self.filled) * self.restored)
        self.filled = now
        if self.points < cost:
            self.refused += 1
            return self._answered({"errors": [_error("Throttled", "THROTTLED")]}, cost)
        self.points -= cost
        return self._answered(self._run(question, variables), cost)

    def _answered(self, data: dict[str, Any], cost: float) -> Answer:
        left = {
            "maximumAvailable": self.most,
            "currentlyAvailable": self.points,
            "restoreRate": self.restored,
        }
        return Answer(
            200, {**data, "extensions": {"cost": {"requestedQueryCost": cost, "throttleStatus": left}}}
        )

    def _run(self, question: str, variables: dict[str, Any]) -> dict[str, Any]:
        ran = graphql_sync(SCHEMA, question, Root(self), variable_values=variables)
        if ran.errors:
            return {
                "errors": [_error(one.message, (one.extensions or {}).get("code", "")) for one in ran.errors]
            }
        return {"data": ran.data}

    # Bulk operations --------------------------------------------------------------------------------------------

    def begin(self, question: str) -> dict[str, Any]:
        running = [one for one in self.objects.values() if one.get("status") == "RUNNING"]
        if running:
            self.look(running[0])  # it gets on, whoever looks
            said = "A bulk query operation for this app and shop is already in progress."
            return {"userErrors": [{"code": "OPERATION_IN_PROGRESS", "message": said}]}
        self.is_bulk = True
        found = self._run(question, {})
        self.is_bulk = False
        if "errors" in found:
            return {"userErrors": [{"code": "INVALID", "message": found["errors"][0]["message"]}]}
        number = len(self.files) + 1
        content = "".join(
            json.dumps(line, ensure_ascii=False) + "\n" for line in _lines(found["data"])
        ).encode()
        self.files[f"/bulk/{number}.jsonl"] = content
        operation = self.put("BulkOperation", number, status="RUNNING", left=self.looks)
        return {"bulkOperation": operation, "userErrors": []}

    def look(self, operation: dict[str, Any]) -> dict[str, Any]:
        operation["left"] -= 1
        if operation["left"] < 0 and operation["status"] == "RUNNING":
            path = f"/bulk/{operation['id'].rsplit('/', 1)[1]}.jsonl"
            size = len(self.files[path])
            operation["status"] = "FAILED" if self.fails else "COMPLETED"
            operation |= {"fileSize": str(size), "url": f"{self.address}{path}" if size else None}
        return operation


class Root:
    """The fields of the schema's roots."""

    def __init__(self, world: Shopify) -> None:
        self.world = world

    def __getattr__(self, name: str) -> Any:
        if name not in KINDS:
            raise AttributeError(name)

        def connection(_: Any, **asked: Any) -> dict[str, Any]:
            if name == "companies" and "read_companies" not in self.world.scopes:
                raise GraphQLError("Access denied for companies field.", extensions={"code": "ACCESS_DENIED"})
            rows = [
                self._whole(one) for one in self.world.objects.values() if one["__typename"] == KINDS[name]
            ]
            found = re.fullmatch(r"updated_at:>='(.+)'", asked.get("query") or "updated_at:>='0'")
            assert found is not None
            rows = [row for row in rows if row["updatedAt"] >= found[1]]
            order = "id" if asked["sortKey"] == "ID" else "updatedAt"
            rows.sort(key=lambda row: (row[order], row["id"]))
            return self._page(rows, [f"{row[order]} {row['id']}" for row in rows], asked)

        return connection

    def _page(self, rows: list[Any], keys: list[str], asked: Mapping[str, Any]) -> dict[str, Any]:
        """A page behind a cursor; cursors hold what the list is sorted by."""
        after, first = asked.get("after") or "", 10**9 if self.world.is_bulk else asked["first"]
        rest = [(key, row) for key, row in zip(keys, rows, strict=True) if key > after]
        page = rest[:first]
        info = {"hasNextPage": len(rest) > first, "endCursor": page[-1][0] if page else None}
        return {
            "nodes": [row for _, row in page],
            "edges": [{"node": row, "cursor": key} for key, row in page],
            "pageInfo": info,
        }

    def _whole(self, one: dict[str, Any]) -> dict[str, Any]:
        """An object with what it refers to."""
        told = dict(one)
        if one["__typename"] == "Customer":
            told["companyContactProfiles"] = [{"company": self.world.objects[c]} for c in one["companies"]]
        if one["__typename"] == "Order":
            customer, company = one.get("buyer"), one.get("company")
            told["customer"] = (
                self._whole(self.world.objects[customer]) if customer in self.world.objects else None
            )
            bought_for = {"__typename": "PurchasingCompany", "company": self.world.objects.get(company or "")}
            told["purchasingEntity"] = bought_for if company else told["customer"]
            told["refunds"] = lambda _, first=None: list(one["refunds"])
            told["lineItems"] = lambda _, **asked: self._page(
                one["lines"], [f"{number:05}" for number in range(len(one["lines"]))], asked
            )
        return told

    def node(self, _: Any, id: str) -> Any:
        return self.nodes(_, [id])[0]

    def nodes(self, _: Any, ids: list[str]) -> list[Any]:
        found = [self.world.objects.get(one) or self._refund(one) for one in ids]
        return [self._shown(one) if one else None for one in found]

    def _shown(self, one: dict[str, Any]) -> dict[str, Any]:
        return self.world.look(one) if one["__typename"] == "BulkOperation" else self._whole(one)

    def _refund(self, refund: str) -> dict[str, Any] | None:
        for order in list(self.world.objects.values()):
            for one in order.get("refunds") or ():
                if one["id"] == refund:
                    return {**one, "__typename": "Refund", "order": self._whole(order)}
        return None

    def currentAppInstallation(self, _: Any) -> dict[str, Any]:  # noqa: N802
        return {"accessScopes": [{"handle": scope} for scope in sorted(self.world.scopes)]}

    def shop(self, _: Any) -> dict[str, str]:
        return {"name": "Tea and cups"}

    def bulkOperationRunQuery(self, _: Any, query: str, groupObjects: bool) -> dict[str, Any]:  # noqa: N802
        return self.world.begin(query)

    def metafieldsSet(self, _: Any, metafields: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N802
        return self._write(metafields)

    def metafieldsDelete(self, _: Any, metafields: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N802
        return self._write(metafields)

    def _write(self, metafields: list[dict[str, Any]]) -> dict[str, Any]:
        said = "Exceeded the maximum metafields input limit of 25." if len(metafields) > 25 else ""
        if any(one["ownerId"] not in self.world.objects for one in metafields):
            said = "Owner does not exist."
        if any(one.get("value") == "" for one in metafields):
            said = "Value can't be blank."
        if said:
            return {"userErrors": [{"field": ["metafields", "0"], "message": said}]}
        for one in metafields:
            kept = self.world.metafields.setdefault(one["ownerId"], {})
            kept.pop(one["key"], None)
            if "value" in one:
                kept[one["key"]] = one["value"]
            self.world.objects[one["ownerId"]]["updatedAt"] = self.world.tick()
        return {"userErrors": []}


def _cost(selection: ast.SelectionSetNode | None, variables: Mapping[str, Any]) -> float:
    """A point for each object, and for each of a list what `first` asks for; mutations cost ten."""
    total = 0.0
    for one in selection.selections if selection else ():
        inner = getattr(one, "selection_set", None)
        if inner is None:
            continue
        name = getattr(getattr(one, "name", None), "value", "")
        cost = _cost(inner, variables)
        first = [
            _number(given.value, variables)
            for given in (getattr(one, "arguments", None) or ())
            if given.name.value == "first"
        ]
        wraps = name in ("nodes", "edges", "node", "pageInfo") or isinstance(one, ast.InlineFragmentNode)
        total += (
            10
            if name.startswith(("bulk", "metafields"))
            else first[0] * (1 + cost)
            if first
            else cost + (not wraps)
        )
    return total


def _number(value: Any, variables: Mapping[str, Any]) -> int:
    return int(variables[value.name.value] if isinstance(value, ast.VariableNode) else value.value)


def _lines(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of a file: each object without its lists, its children below it."""
    (root,) = data.values()
    for edge in root["edges"]:
        node = edge["node"]
        yield {
            name: value for name, value in node.items() if not (isinstance(value, dict) and "edges" in value)
        }
        for value in node.values():
            if isinstance(value, dict) and "edges" in value:
                yield from ({**child["node"], "__parentId": node["id"]} for child in value["edges"])


def _error(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code} if code else {}}


class ShopifyServer(Server):
    world: Shopify

    def __init__(self) -> None:
        super().__init__(Shopify())
        self.world.address = self.address


def money(amount: str, currency: str = "EUR", shown: str = "", shown_currency: str = "") -> dict[str, Any]:
    shop = {"amount": amount, "currencyCode": currency}
    return {
        "shopMoney": shop,
        "presentmentMoney": {"amount": shown or amount, "currencyCode": shown_currency or currency},
    }


def fill(world: Shopify, customers: int = 4) -> None:
    """A company with two of its people, customers of their own with an order of two lines each, two variants."""
    variant(world, 900, "TEA")
    variant(world, 901, "")
    world.put("Company", 1, name="Grand Hotel", externalId="K-7", note=None)
    for number in (81, 82):
        customer(world, number, companies=[gid("Company", 1)])
    order(world, 500, 81, "99.00", company=gid("Company", 1))
    for number in range(1, customers + 1):
        customer(world, number)
        order(world, 100 + number, number, f"{number}0.50")
    world.now = time.time() - 120


def variant(world: Shopify, number: int, sku: str) -> None:
    name = f"Thé {number}"
    world.put(
        "ProductVariant", number, displayName=name, sku=sku, price="4.50", product={"productType": "Drinks"}
    )


def customer(world: Shopify, number: int, companies: list[str] | None = None) -> None:
    world.put(
        "Customer", number, displayName=f"Zoë {number}", state="ENABLED", tags=["b", "a"], companies=companies or [],
        defaultEmailAddress={"emailAddress": f"buyer{number}@customer.example"}, defaultPhoneNumber=None,
        defaultAddress={"company": None, "countryCodeV2": "DE", "provinceCode": "BE"},
    )  # fmt: skip


def order(world: Shopify, number: int, buyer: int | None, amount: str, **told: Any) -> None:
    usual = {
        "name": f"#{number}", "test": False, "processedAt": "2026-05-01T10:00:00Z", "cancelledAt": None,
        "displayFinancialStatus": "PAID", "displayFulfillmentStatus": "UNFULFILLED", "totalPriceSet": money(amount),
        "totalDiscountsSet": money("0.00"), "refunds": [], "buyer": gid("Customer", buyer) if buyer else None,
        "lines": [line(world, number * 100 + n, 900 + n % 2, 2) for n in range(2)],
    }  # fmt: skip
    world.put("Order", number, **{**usual, **told})


def line(world: Shopify, number: int, of: int | None, quantity: int) -> dict[str, Any]:
    bought = world.objects[gid("ProductVariant", of)] if of else None
    return {
        "id": gid("LineItem", number),
        "quantity": quantity,
        "originalUnitPriceSet": money("4.50"),
        "variant": bought,
    }


def refund(number: int, amount: str, at: str = "2026-05-09T08:00:00Z") -> dict[str, Any]:
    return {"id": gid("Refund", number), "createdAt": at, "note": "broken", "totalRefundedSet": money(amount)}
