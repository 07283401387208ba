"""What is asked of Shopify's GraphQL Admin API, and how its objects become records.

https://shopify.dev/docs/api/admin-graphql/2026-07
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.crm.shops import CUSTOMERS

GID = "gid://shopify/"
Made = Iterator[tuple[str, dict[str, Any]]]  # source ids and payloads

CUSTOMER = """id updatedAt displayName state tags
    defaultEmailAddress { emailAddress } defaultPhoneNumber { phoneNumber }
    defaultAddress { company countryCodeV2 provinceCode }
    companyContactProfiles { company { id } }"""
COMPANY = "id updatedAt name externalId note"
BUYER = """customer { id companyContactProfiles { company { id } } }
    purchasingEntity { ... on PurchasingCompany { company { id } } }"""
ORDER = f"""id updatedAt name test processedAt cancelledAt displayFinancialStatus displayFulfillmentStatus
    totalPriceSet {{ shopMoney {{ amount currencyCode }} presentmentMoney {{ amount currencyCode }} }}
    totalDiscountsSet {{ shopMoney {{ amount }} }} {BUYER}"""
REFUND = "id createdAt note totalRefundedSet { shopMoney { amount currencyCode } }"
REFUNDS = f"id updatedAt test {BUYER} refunds {{ {REFUND} }}"
LINE = """id quantity originalUnitPriceSet { shopMoney { amount } } variant { id sku }"""
VARIANT = "id updatedAt displayName sku price product { productType }"
LINES = f"id updatedAt test lineItems(first: 30) {{ edges {{ node {{ {LINE} }} }} pageInfo {{ hasNextPage endCursor }} }}"
MORE_LINES = f"""query More($id: ID!, $after: String) {{ node(id: $id) {{ ... on Order {{
    lineItems(first: 100, after: $after) {{ edges {{ node {{ {LINE} }} }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}"""


@dataclass(frozen=True, slots=True)
class Part:
    """One list that a stream is read from. `one` is how a record is read by its id (type and fields), `order` how the
    list is sorted, `scope` what the list is left out without. `size` keeps the cost of a page below the
    1,000 points a question may cost (https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits)."""

    root: str
    fields: str
    make: Callable[[Mapping[str, Any]], Made]
    one: tuple[str, str]
    order: str = "UPDATED_AT"
    size: int = 50
    scope: str = ""

    @property
    def bulk(self) -> str:
        """The question as a bulk operation takes it: without pages."""
        fields = self.fields.replace("(first: 30)", "").replace(" pageInfo { hasNextPage endCursor }", "")
        return f"{{ {self.root} {{ edges {{ node {{ {fields} }} }} }} }}"

    @property
    def page(self) -> str:
        """The question for a page of it."""
        return f"""query Page($first: Int!, $after: String, $query: String) {{
            {self.root}(first: $first, after: $after, query: $query, sortKey: {self.order}) {{
                nodes {{ {self.fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"""

    @property
    def by_id(self) -> str:
        kind, fields = self.one
        return f"query Some($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {fields} }} }} }}"


def plain(gid: str) -> str:
    """`gid://shopify/Customer/1` as the id of a record: `Customer/1`."""
    return gid.removeprefix(GID)


def _company_of(customer: Mapping[str, Any]) -> str:
    """The company a customer buys for; the first where there are several."""
    companies = sorted(profile["company"]["id"] for profile in customer.get("companyContactProfiles") or ())
    return plain(companies[0]) if companies else ""


def _buyer(order: Mapping[str, Any]) -> str | None:
    """The account of an order: the company it was bought for, else the customer's, or the customer."""
    company = (order.get("purchasingEntity") or {}).get("company")
    if company:
        return plain(company["id"])
    customer = order.get("customer")
    return (_company_of(customer) or plain(customer["id"])) if customer else None


def company(one: Mapping[str, Any]) -> Made:
    yield (
        plain(one["id"]),
        {"label": one["name"], "external_id": one.get("externalId"), "note": one.get("note")},
    )


def customer(one: Mapping[str, Any]) -> Made:
    """A customer who buys for nobody else is an account."""
    if _company_of(one):
        return
    address, email = (
        one.get("defaultAddress") or {},
        (one.get("defaultEmailAddress") or {}).get("emailAddress"),
    )
    yield (
        plain(one["id"]),
        {
            "label": address.get("company") or one.get("displayName") or email or plain(one["id"]),
            "email": email,
            "country": address.get("countryCodeV2"),
            "state": address.get("provinceCode"),
            "tags": ", ".join(sorted(one.get("tags") or ())),
        },
    )


def contact(one: Mapping[str, Any]) -> Made:
    email = (one.get("defaultEmailAddress") or {}).get("emailAddress")
    shown = {"name": one.get("displayName") or email, "email": email}
    phone = (one.get("defaultPhoneNumber") or {}).get("phoneNumber")
    if shown["name"]:
        yield plain(one["id"]), {**shown, "phone": phone, "account": _company_of(one) or plain(one["id"])}


def order(one: Mapping[str, Any]) -> Made:
    """Orders of tests are none."""
    if one.get("test"):
        return
    shop, shown = one["totalPriceSet"]["shopMoney"], one["totalPriceSet"]["presentmentMoney"]
    yield (
        plain(one["id"]),
        {
            "number": one["name"],
            "account": _buyer(one),
            "made_at": one["processedAt"],
            "amount": shop["amount"],
            "currency": shop["currencyCode"],
            "paid_amount": shown["amount"],
            "paid_currency": shown["currencyCode"],
            "discount": one["totalDiscountsSet"]["shopMoney"]["amount"],
            "kind": _kind(one),
            "financial_status": one.get("displayFinancialStatus"),
            "fulfillment_status": one.get("displayFulfillmentStatus"),
        },
    )


def _kind(one: Mapping[str, Any]) -> str:
    if one.get("cancelledAt") or one.get("displayFinancialStatus") in ("VOIDED", "EXPIRED"):
        return "cancelled"
    return "delivered" if one.get("displayFulfillmentStatus") == "FULFILLED" else "placed"


def refunds(one: Mapping[str, Any]) -> Made:
    for refund in one.get("refunds") or ():
        yield from _refund(refund, one)


def refund(one: Mapping[str, Any]) -> Made:
    """A refund that was read by its id."""
    yield from _refund(one, one["order"])


def _refund(one: Mapping[str, Any], of: Mapping[str, Any]) -> Made:
    money = one["totalRefundedSet"]["shopMoney"]
    if of.get("test") or not Decimal(money["amount"]):
        return  # of goods that were sent back without money, or not yet
    yield (
        plain(one["id"]),
        {
            "order": plain(of["id"]),
            "account": _buyer(of),
            "made_at": one["createdAt"],
            "amount": str(-Decimal(money["amount"])),
            "currency": money["currencyCode"],
            "kind": "returned",
            "note": one.get("note"),
        },
    )


def code_of(variant: Mapping[str, Any]) -> str:
    """The SKU of a variant; its id where it has none."""
    return str(variant.get("sku") or plain(variant["id"]))


def variant(one: Mapping[str, Any]) -> Made:
    series = (one.get("product") or {}).get("productType")
    yield (
        plain(one["id"]),
        {"sku": code_of(one), "name": one["displayName"], "series": series, "price": one.get("price")},
    )


def lines(one: Mapping[str, Any]) -> Made:
    """The lines of an order, those of one variant together; not those whose variant is gone."""
    if one.get("test"):
        return
    found: dict[str, dict[str, Any]] = {}
    for edge in one["lineItems"]["edges"]:
        line = edge["node"]
        if line.get("variant") is None:
            continue
        code = code_of(line["variant"])
        known = found.setdefault(
            code,
            {
                "order": plain(one["id"]),
                "sku": code,
                "price": line["originalUnitPriceSet"]["shopMoney"]["amount"],
            },
        )
        known["quantity"] = known.get("quantity", 0) + line["quantity"]
    for code, payload in found.items():
        yield f"{plain(one['id'])}:{code}", payload


PARTS: Mapping[str, tuple[Part, ...]] = {
    CUSTOMERS: (
        Part("companies", COMPANY, company, ("Company", COMPANY), scope="read_companies"),
        Part("customers", CUSTOMER, customer, ("Customer", CUSTOMER)),
    ),
    "contacts": (Part("customers", CUSTOMER, contact, ("Customer", CUSTOMER)),),
    "products": (Part("productVariants", VARIANT, variant, ("ProductVariant", VARIANT), order="ID"),),
    "orders": (Part("orders", ORDER, order, ("Order", ORDER)),),
    "lines": (Part("orders", LINES, lines, ("Order", LINES), size=5),),
    "refunds": (
        Part("orders", REFUNDS, refunds, ("Refund", f"{REFUND} order {{ id test {BUYER} }}"), size=25),
    ),
}  # fmt: skip
