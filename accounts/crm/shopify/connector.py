"""Shopify: companies, customers, products, orders with lines and refunds; scores written back as metafields.

First load, full sync and the look for deleted records are bulk operations: Shopify writes a file, which is read slice by
slice (https://shopify.dev/docs/api/usage/bulk-operations/queries). Later syncs ask for pages of what changed. Calls cost
points (https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits); what the answers say about the points
that are left is kept for all workers.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils import timezone

from accounts.crm.errors import CrmError, SignInRefused, TryLater, WebhookRefused
from accounts.crm.link import Reply
from accounts.crm.outbox import FIELDS
from accounts.crm.protocol import (
    Ask,
    Change,
    Hint,
    IdPage,
    Page,
    Position,
    Pushed,
    Record,
    Renewed,
    Stream,
    Way,
    WebhookCall,
)
from accounts.crm.protocol import Connector as Base
from accounts.crm.shopify.queries import GID, MORE_LINES, PARTS, Part, plain
from accounts.crm.shops import CUSTOMERS, check_signature
from accounts.crm.vault import Secrets

VERSION = "2026-07"  # kept up for a year: https://shopify.dev/docs/api/usage/versioning
POLL = 4.0  # seconds between two looks at a bulk operation
SLICE = 8 * 1024**2
AT_ONCE = 25  # metafields a call: https://shopify.dev/docs/api/admin-graphql/latest/mutations/metafieldsSet
IDS_AT_ONCE = 50
TRIES = 4
DAY = 86_399
TOPICS = {
    "customers": (CUSTOMERS, "contacts"),
    "companies": (CUSTOMERS,),
    "orders": ("orders",),
    "refunds": ("refunds",),
}
TYPES = {"number": "number_decimal", "text": "multi_line_text_field", "date": "date"}
SCOPES = "read_customers, read_companies, read_orders, read_all_orders and read_products"
SHOP = Ask(
    "address", "Address of the shop", "https://NAME.myshopify.com", is_credential=False, is_hidden=False
)
SALE = {
    "account": "account",
    "ordered_at": "made_at",
    "amount": "amount",
    "currency": "currency",
    "status": "kind",
}
STREAMS = (
    Stream(CUSTOMERS, "accounts", {"name": "label", "country": "country", "region": "state"}),
    Stream(
        "contacts", "contacts", {"account": "account", "name": "name", "email": "email", "phone": "phone"}
    ),
    Stream("products", "products", {"sku": "sku", "name": "name", "series": "series", "unit_price": "price"}),
    Stream("orders", "orders", {**SALE, "discount": "discount"}),
    Stream(
        "lines",
        "order_lines",
        {"order": "order", "sku": "sku", "quantity": "quantity", "unit_price": "price"},
    ),
    Stream("refunds", "orders", SALE),
)
BULK = """mutation Begin($query: String!) { bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id status } userErrors { code message } } }"""
OPERATION = """query Operation($id: ID!) { node(id: $id) { ... on BulkOperation {
    status errorCode url fileSize } } }"""
SET = "mutation Set($given: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $given) { userErrors { message } } }"
DELETE = """mutation Delete($given: [MetafieldIdentifierInput!]!) {
    metafieldsDelete(metafields: $given) { userErrors { message } } }"""
INSTALLED = "query Installed { currentAppInstallation { accessScopes { handle } } shop { name } }"


class Connector(Base):
    """Options: address, of the shop (https://NAME.myshopify.com). Credentials: client_id and client_secret of an app of
    the shop's own organisation (its access tokens are fetched, and last a day), or the access_token of an older custom
    app. Webhooks are signed with client_secret."""

    label = "Shopify"
    credential_names = ("access_token", "client_id", "client_secret")
    calls_per_second = 5.0
    burst = 5
    push_size = 20
    can_push = True
    has_webhooks = True
    about = "Companies and customers, products, orders with lines, and refunds."
    ways = (
        Way(
            "app",
            "With an app of your own",
            (
                SHOP,
                Ask("client_id", "Client ID", is_hidden=False),
                Ask("client_secret", "Client secret", "It also proves that webhooks are genuine."),
            ),
            (
                "In the Dev Dashboard of Shopify create an app for your own shop.",
                f"Give it the scopes {SCOPES}; to write scores back, write_customers and write_companies.",
                "Install it in your shop, then copy client ID and client secret from its settings.",
            ),
            "https://shopify.dev/docs/apps/build/dev-dashboard/get-api-access-tokens",
        ),
        Way(
            "token",
            "With the token of an older custom app",
            (
                SHOP,
                Ask("access_token", "Admin API access token", "Begins with \u201cshpat_\u201d."),
                Ask("client_secret", "API secret key", "Only for webhooks.", is_needed=False),
            ),
            (
                "In the Shopify admin open Settings, then Apps, Develop apps, and your app.",
                f"It needs the scopes {SCOPES}; to write scores back, write_customers and write_companies.",
                "Copy the token and the secret key from API credentials.",
            ),
            "https://help.shopify.com/en/manual/apps/app-types/custom-apps",
        ),
    )
    webhook_how_to = (
        "In the settings of your app at Shopify subscribe to webhooks with this address.",
        "Topics: customers, companies and orders (create, update, delete), and refunds/create.",
    )

    @property
    def address(self) -> str:
        return str(self.link.options.get("address", "")).rstrip("/")

    def auth_headers(self) -> Mapping[str, str]:
        return {"X-Shopify-Access-Token": self.link.secrets.get("access_token", "")}

    # Asking -----------------------------------------------------------------------------------------------------

    def _ask(self, question: str, **variables: Any) -> Reply:
        """One question; `data` of the reply is the answer's. Points that lack are waited for."""
        url = f"{self.address}/admin/api/{VERSION}/graphql.json"
        for _ in range(TRIES):
            reply = self.link.call("POST", url, body={"query": question, "variables": variables})
            errors = reply.data.get("errors") or []
            codes = {(error.get("extensions") or {}).get("code") for error in errors}
            seconds = _points_lack(reply.data, was_refused="THROTTLED" in codes)
            if seconds:
                self.link.pace.block(seconds)
            if "THROTTLED" not in codes:
                break
        else:
            raise TryLater("Shopify has no points left for our calls.", 30)
        if errors:
            said = str(errors[0].get("message", "no reason given"))[:200]
            raise (SignInRefused if "ACCESS_DENIED" in codes else CrmError)(f"Shopify answered: {said}")
        return Reply(reply.status, reply.data["data"], reply.headers)

    def check(self) -> str:
        found = self._ask(INSTALLED).data
        self._check_scopes(found)
        return f"The shop {found['shop']['name']} can be read."

    def _check_scopes(self, found: Mapping[str, Any]) -> set[str]:
        """Without read_all_orders only the last 60 days are shown, and older orders would seem to be deleted:
        https://shopify.dev/docs/api/usage/access-scopes#orders-permissions"""
        scopes = {one["handle"] for one in found["currentAppInstallation"]["accessScopes"]}
        lacking = [
            name for name in ("read_customers", "read_products", "read_all_orders") if name not in scopes
        ]
        if lacking:
            raise SignInRefused(f"The app at Shopify lacks the scopes {', '.join(lacking)}.")
        return scopes

    def streams(self) -> Sequence[Stream]:
        return STREAMS

    # Reading ----------------------------------------------------------------------------------------------------

    def pull(self, stream: str, since: dt.datetime | None, position: Position | None) -> Page:
        if position is None:
            scopes = self._check_scopes(self._ask(INSTALLED).data)
            parts = [n for n, part in enumerate(PARTS[stream]) if not part.scope or part.scope in scopes]
            position = {"parts": parts, "how": "bulk" if since is None else "pages"}
        part = PARTS[stream][position["parts"][0]]
        if position["how"] == "bulk":
            return self._bulk(part, position)
        return self._pages(part, since, position)

    def ids(self, stream: str, position: Position | None) -> IdPage:
        page = self.pull(stream, None, position)
        return IdPage([record.source_id for record in page.records], page.position)

    def _pages(self, part: Part, since: dt.datetime | None, at: Position) -> Page:
        asked = f"updated_at:>='{since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}'" if since else None
        reply = self._ask(part.page, first=part.size, after=at.get("after"), query=asked)
        found = reply.data[part.root]
        records = [record for one in found["nodes"] for record in self._records(part, self._whole(one))]
        if found["pageInfo"]["hasNextPage"]:
            return Page(records, {**at, "after": found["pageInfo"]["endCursor"]}, reply.date)
        return Page(records, _next_part(at), reply.date)

    def _whole(self, one: dict[str, Any]) -> dict[str, Any]:
        """An order with all its lines, where one page did not hold them."""
        lines = one.get("lineItems")
        while lines and (lines.get("pageInfo") or {}).get("hasNextPage"):
            more = self._ask(MORE_LINES, id=one["id"], after=lines["pageInfo"]["endCursor"]).data["node"][
                "lineItems"
            ]
            lines = {"edges": [*lines["edges"], *more["edges"]], "pageInfo": more["pageInfo"]}
            one = {**one, "lineItems": lines}
        return one

    def _records(self, part: Part, one: Mapping[str, Any]) -> Iterator[Record]:
        changed = dt.datetime.fromisoformat(one.get("updatedAt") or one["createdAt"])
        for source_id, payload in part.make(one):
            yield Record(source_id, {"id": source_id, **payload}, changed)

    def read(self, stream: str, ids: Sequence[str]) -> Sequence[Record]:
        """Records by their ids; those of another kind, and those that are gone, come as nothing."""
        found: list[Record] = []
        for part in PARTS[stream]:
            mine = [GID + one for one in ids if one.startswith(part.one[0] + "/")]
            for begin in range(0, len(mine), IDS_AT_ONCE):
                nodes = self._ask(part.by_id, ids=mine[begin : begin + IDS_AT_ONCE]).data["nodes"]
                for one in filter(None, nodes):
                    found += self._read_one(part, self._whole(one))
        return found

    def _read_one(self, part: Part, one: dict[str, Any]) -> Iterator[Record]:
        is_refund = part.one[0] == "Refund"
        yield from self._records(
            part, {**one["order"], "createdAt": one["createdAt"], "refunds": [one]} if is_refund else one
        )

    # Bulk operations --------------------------------------------------------------------------------------------

    def _bulk(self, part: Part, at: Position) -> Page:
        """The next slice of the file, or a look whether it is written already."""
        if "operation" not in at:
            return self._begin(part, at)
        found = self._ask(OPERATION, id=at["operation"])
        operation = found.data["node"] or {"status": "EXPIRED"}
        if operation["status"] in ("CREATED", "RUNNING", "CANCELING"):
            time.sleep(POLL)
            return Page([], at, found.date)
        if operation["status"] != "COMPLETED":
            # It failed over there: page by page takes longer, and gets there.
            return Page([], {"parts": at["parts"], "how": "pages"}, found.date)
        size = int(operation["fileSize"] or 0)
        if not operation["url"] or not size:
            return Page([], _next_part(at), found.date)
        lines, end = self._slice(operation["url"], at.get("offset", 0), size)
        records = [record for one in _objects(lines) for record in self._records(part, one)]
        return Page(records, {**at, "offset": end} if end < size else _next_part(at), found.date)

    def _begin(self, part: Part, at: Position) -> Page:
        reply = self._ask(BULK, query=part.bulk)
        begun = reply.data["bulkOperationRunQuery"]
        if begun["userErrors"]:
            if begun["userErrors"][0].get("code") not in ("OPERATION_IN_PROGRESS", "LIMIT_REACHED"):
                raise CrmError(f"Shopify answered: {begun['userErrors'][0]['message']}"[:300])
            time.sleep(POLL)
            return Page([], at, reply.date)
        return Page([], {**at, "operation": begun["bulkOperation"]["id"]}, reply.date)

    def _slice(self, url: str, begin: int, size: int) -> tuple[list[bytes], int]:
        """Whole lines from byte `begin` on, and where the next slice begins: at a line that is nobody's child."""
        length = SLICE
        while True:
            end = min(begin + length, size)
            headers = {"Range": f"bytes={begin}-{end - 1}"}
            reply = self.link.call("GET", url, headers=headers, signs_in=False, raw=True)
            content = reply.data if reply.status == 206 else reply.data[begin:end]
            if len(content) != end - begin:
                raise TryLater("Shopify sent the file in part.", 5)
            if end == size:
                return content.splitlines(), size
            lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
            roots = [number for number, line in enumerate(lines) if b'"__parentId"' not in line]
            # The last object may have children in the next slice.
            if len(roots) > 1:
                kept = lines[: roots[-1]]
                return kept, begin + sum(len(line) for line in kept)
            length *= 2

    # Writing back -----------------------------------------------------------------------------------------------

    def push(self, changes: Sequence[Change]) -> Sequence[Pushed]:
        """Metafields of customers and companies, 25 a call, all of them or none: where one is refused, each record by
        itself says why."""
        given = [field for change in changes for field in _metafields(change)]
        told = [field for field in given if field["value"] is not None]
        gone = [
            {name: field[name] for name in ("ownerId", "namespace", "key")}
            for field in given
            if field not in told
        ]
        said = self._tell(SET, "metafieldsSet", told) or self._tell(DELETE, "metafieldsDelete", gone)
        if said and len(changes) > 1:
            return [result for change in changes for result in self.push([change])]
        return [Pushed(change.source_id, said) for change in changes]

    def _tell(self, question: str, name: str, fields: Sequence[Mapping[str, Any]]) -> str:
        for begin in range(0, len(fields), AT_ONCE):
            errors = self._ask(question, given=fields[begin : begin + AT_ONCE]).data[name]["userErrors"]
            if errors:
                return str(errors[0]["message"])[:300]
        return ""

    # Signing ----------------------------------------------------------------------------------------------------

    def refresh(self, credentials: Mapping[str, str]) -> Renewed | None:
        """https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/client-credentials-grant"""
        if not credentials.get("client_id") or not credentials.get("client_secret"):
            return None
        # As Secrets, because an error page shows what local variables hold.
        form = Secrets(
            {
                "grant_type": "client_credentials",
                **{n: credentials[n] for n in ("client_id", "client_secret")},
            }
        )
        url = f"{self.address}/admin/oauth/access_token"
        reply = self.link.call("POST", url, form=form, signs_in=False)
        fresh = Secrets({"access_token": str(reply.data.get("access_token") or "")})
        if not fresh["access_token"]:
            raise CrmError("Shopify gave no access token.")
        began = reply.date or timezone.now()
        return Renewed(fresh, began + dt.timedelta(seconds=int(reply.data.get("expires_in", DAY))))

    def verify_webhook(self, call: WebhookCall, now: dt.datetime) -> Sequence[Hint]:
        """base64 of HMAC-SHA256 over the body with the client secret; no time is signed, so an old call is only a
        needless hint: https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook-to-ensure-its-coming-from-shopify"""
        given = call.headers.get("x-shopify-hmac-sha256", "")
        check_signature(self.link.secrets.get("client_secret", ""), call.body, given)
        return _hints(call)


def _hints(call: WebhookCall) -> list[Hint]:
    topic = call.headers.get("x-shopify-topic", "").split("/")[0]
    kind = {"customers": "Customer", "companies": "Company", "orders": "Order", "refunds": "Refund"}.get(
        topic
    )
    try:
        body = json.loads(call.body)
        gid = str(body.get("admin_graphql_api_id") or f"{GID}{kind}/{int(body['id'])}")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise WebhookRefused("The call names no record.") from None
    if kind is None or not gid.startswith(f"{GID}{kind}/"):
        return []
    return [Hint(stream, plain(gid)) for stream in TOPICS[topic]]


def _next_part(at: Position) -> Position | None:
    rest = at["parts"][1:]
    return {"parts": rest, "how": at["how"]} if rest else None


def _objects(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """The objects of a file of lines, children in their places: they follow their parent, and are lines of orders."""
    parent: dict[str, Any] | None = None
    for line in lines:
        one = json.loads(line)
        if "__parentId" in one:
            assert parent is not None
            parent["lineItems"]["edges"].append({"node": one})
            continue
        if parent is not None:
            yield parent
        parent = {**one, "lineItems": {"edges": []}}
    if parent is not None:
        yield parent


def _points_lack(data: Mapping[str, Any], was_refused: bool) -> float:
    """Seconds until there are points for one more such question: the cost stands in `extensions` of each answer."""
    cost = (data.get("extensions") or {}).get("cost") or {}
    status = cost.get("throttleStatus") or {}
    lack = float(cost.get("requestedQueryCost") or 0) - float(status.get("currentlyAvailable", 1e9))
    seconds = max(lack, 0) / float(status.get("restoreRate") or 50)
    return max(seconds, 1.0) if was_refused else seconds


def _metafields(change: Change) -> list[dict[str, Any]]:
    """What a record is told, as metafields; a value of None removes. Texts must not be empty."""
    return [
        {
            "ownerId": GID + change.source_id,
            "namespace": "mainstay",
            "key": name,
            "type": TYPES[FIELDS[name][1]],
            "value": None if value in (None, "") else str(value),
        }
        for name, value in change.fields.items()
    ]
