"""The record kinds and their columns: the one place that import, API and documentation read them from.

Pure data. Names are the contract with the outside; synonyms only serve to guess a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from accounts.ingest.errors import IngestError


class Type(Enum):
    """How the cells of a column are read."""

    TEXT = "text"
    LONG_TEXT = "long text"
    EMAIL = "e-mail"
    DATE = "date"
    TIME = "date and time"
    MONEY = "amount"
    NUMBER = "number"
    INTEGER = "whole number"
    BOOLEAN = "yes or no"
    CURRENCY = "currency"
    CHOICE = "one of"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a record kind.

    `refers_to` names what an id in this column points at: accounts, contacts, products, orders, users (by
    e-mail) or churn_reasons (by code). `keeps` columns are left alone on known rows when the cell is empty.
    """

    name: str
    type: Type = Type.TEXT
    required: bool = False
    max_length: int = 200
    choices: tuple[str, ...] = ()
    refers_to: str = ""
    keeps: bool = False
    not_future: bool = False
    earliest_year: int = 1950
    not_negative: bool = False
    synonyms: tuple[str, ...] = ()

    @property
    def describes(self) -> str:
        """What the cells hold, in words for a mapping page or an error."""
        if self.refers_to == "users":
            return "e-mail of one of your people"
        if self.type is Type.CHOICE:
            return "one of " + ", ".join(self.choices)
        return str(self.type.value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A record kind. `identity` are the columns that tell records apart in a file that has no ids of its own;
    with `one_of`, each row needs at least one of these columns."""

    name: str
    singular: str
    columns: tuple[Column, ...]
    key: str = "external_id"
    identity: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.required)

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").capitalize()

    @property
    def needs(self) -> str:
        """The columns a file must have, as people read them."""
        return self.wants.replace("_", " ")

    @property
    def wants(self) -> str:
        """The columns a file must have, in words."""
        either = " or ".join(self.one_of)
        return ", ".join((*self.required, *([either] if either else [])))


def _id(required: bool = True, *synonyms: str) -> Column:
    return Column("external_id", required=required, synonyms=("id", "external id", *synonyms))


def _account(required: bool = True) -> Column:
    return Column("account", required=required, refers_to="accounts", synonyms=CUSTOMER)


def _user(name: str, *synonyms: str, required: bool = False) -> Column:
    return Column(name, Type.EMAIL, required, 254, refers_to="users", keeps=True, synonyms=synonyms)


def _choice(name: str, choices: str, *synonyms: str, required: bool = False) -> Column:
    return Column(name, Type.CHOICE, required, choices=tuple(choices.split()), keeps=True, synonyms=synonyms)


def _time(name: str, *synonyms: str, required: bool = False) -> Column:
    return Column(name, Type.TIME, required, not_future=True, synonyms=synonyms)


def _flag(name: str, *synonyms: str) -> Column:
    return Column(name, Type.BOOLEAN, keeps=True, synonyms=synonyms)


CUSTOMER = (
    "customer", "customer id", "customer no", "customer number", "customer code", "customer name", "account id",
    "account no", "account number", "account code", "account name", "account external id", "client", "client id",
    "client no", "client name", "company", "company id", "company name", "buyer", "buyer id", "debtor", "user id",
    "debitor", "kunde", "kunden nr", "kundennr", "kundennummer", "kunden id", "kunden_id", "client code", "cust id",
    "code client", "numero client", "cliente", "id cliente", "klant", "klantnummer", "sold to",
)  # fmt: skip
CURRENCY = Column(
    "currency", Type.CURRENCY, keeps=True, max_length=3,
    synonyms=("currency code", "waehrung", "währung", "devise", "moneda", "valuta", "ccy"),
)  # fmt: skip

ACCOUNTS = Kind(
    "accounts",
    "account",
    (
        _id(True, "account", *CUSTOMER),
        Column(
            "name", required=True,
            synonyms=("account name", "customer name", "company name", "company", "firma", "kundenname", "client name", "nom"),
        ),
        Column("segment", max_length=100, synonyms=("customer segment", "customer group", "kundengruppe")),
        Column("industry", max_length=100, synonyms=("sector", "branche", "vertical")),
        Column("region", max_length=100, synonyms=("territory", "area", "state", "gebiet")),
        Column("country", max_length=100, synonyms=("country code", "land", "pays")),
        CURRENCY,
        _choice("billing_mode", "repeat contract both", "billing", "billing type"),
        _choice("lifecycle_stage", "prospect customer former", "stage", "lifecycle", "lifecycle stage"),
        Column(
            "became_customer_on", Type.DATE, not_future=True, earliest_year=1800,
            synonyms=("customer since", "since", "kunde seit", "first purchase", "start date", "signup date"),
        ),
        Column("source", max_length=100, synonyms=("lead source", "channel", "acquisition channel")),
        Column("campaign", max_length=100, synonyms=("lead campaign", "utm campaign")),
        Column("acquisition_cost", Type.MONEY, not_negative=True, synonyms=("cac", "cost of acquisition", "cost per lead")),
        _user("original_salesperson", "salesperson", "sales rep", "won by", "original owner", "seller"),
        _user("account_manager", "owner", "account owner", "manager", "csm", "customer success manager"),
        Column("parent", refers_to="accounts", synonyms=("parent account", "parent id", "parent company")),
    ),
)  # fmt: skip

CONTACTS = Kind(
    "contacts",
    "contact",
    (
        _id(True, "contact id", "contact", "person id"),
        _account(),
        Column("name", required=True, synonyms=("contact name", "full name", "person", "ansprechpartner")),
        Column(
            "email", Type.EMAIL, max_length=254, synonyms=("e-mail", "mail", "email address", "contact email")
        ),
        Column("phone", max_length=60, synonyms=("telephone", "tel", "mobile", "phone number", "telefon")),
        Column("job_title", max_length=120, synonyms=("title", "position", "job")),
        _choice("role", "decision_maker champion user billing blocker other", "contact role"),
        _flag("is_active", "active"),
        Column("left_on", Type.DATE, not_future=True, synonyms=("left", "left date")),
        _flag("marketing_consent", "consent", "opt in", "newsletter"),
    ),
)

PRODUCTS = Kind(
    "products",
    "product",
    (
        Column(
            "sku", required=True, max_length=100,
            synonyms=("product id", "product code", "article", "article number", "artikelnummer", "item", "item code", "stock code"),
        ),
        Column("name", required=True, synonyms=("product", "product name", "description", "bezeichnung")),
        Column("series", max_length=100, synonyms=("category", "product group", "family", "line")),
        Column("unit_price", Type.MONEY, synonyms=("price", "list price", "preis")),
        Column("unit_cost", Type.MONEY, synonyms=("cost", "purchase price")),
    ),
    key="sku",
)  # fmt: skip

ORDERS = Kind(
    "orders",
    "order",
    (
        _account(),
        Column(
            "ordered_at", Type.TIME, required=True, not_future=True,
            synonyms=(
                "date", "order date", "ordered", "ordered on", "order time", "order datetime", "invoice date", "purchase date",
                "transaction date", "created at", "created", "booking date", "datum", "bestelldatum", "auftragsdatum",
                "rechnungsdatum", "date commande", "fecha", "timestamp",
            ),
        ),
        Column(
            "amount", Type.MONEY, required=True,
            synonyms=(
                "total", "total amount", "order total", "order value", "value", "revenue", "sales", "net amount", "net total",
                "grand total", "invoice amount", "invoice total", "sum", "betrag", "umsatz", "summe", "gesamtbetrag", "montant",
                "importe", "total price", "spend", "turnover", "price",
            ),
        ),
        _id(
            False, "order id", "order", "order no", "order number", "invoice", "invoice no", "invoice number", "invoice id",
            "transaction id", "receipt", "document no", "auftragsnummer", "bestellnummer", "rechnungsnummer", "belegnummer",
        ),
        CURRENCY,
        _choice("status", "placed delivered cancelled returned", "order status", "state"),
        Column("promised_on", Type.DATE, synonyms=("promised", "promised date", "due date", "delivery due", "liefertermin")),
        Column("delivered_on", Type.DATE, not_future=True, synonyms=("delivered", "delivery date", "delivered date", "lieferdatum")),
        Column("cost", Type.MONEY, synonyms=("cost of goods", "cogs", "total cost", "kosten")),
        Column("discount", Type.MONEY, synonyms=("discount amount", "rabatt", "rebate")),
    ),
    identity=("account", "ordered_at", "amount"),
)  # fmt: skip

ORDER_LINES = Kind(
    "order_lines",
    "order line",
    (
        Column(
            "order", required=True, refers_to="orders",
            synonyms=("order id", "order no", "order number", "invoice", "invoice no", "invoice number", "auftragsnummer"),
        ),
        Column(
            "sku", required=True, refers_to="products", max_length=100,
            synonyms=("product", "product id", "product code", "article", "item", "item code", "stock code", "artikelnummer"),
        ),
        Column("quantity", Type.NUMBER, required=True, synonyms=("qty", "menge", "units", "count")),
        Column("unit_price", Type.MONEY, required=True, synonyms=("price", "preis", "einzelpreis")),
    ),
    key="",
    identity=("order", "sku"),
)  # fmt: skip

CONTRACTS = Kind(
    "contracts",
    "contract",
    (
        _id(True, "contract id", "contract", "contract no", "contract number", "subscription id", "agreement"),
        _account(),
        Column("starts_on", Type.DATE, required=True, synonyms=("start", "start date", "from", "begin")),
        Column("ends_on", Type.DATE, required=True, synonyms=("end", "end date", "until", "to", "renewal date", "expiry")),
        Column(
            "annual_value", Type.MONEY, required=True, not_negative=True,
            synonyms=("acv", "arr", "value", "annual contract value", "yearly value"),
        ),
        CURRENCY,
        Column("notice_days", Type.INTEGER, keeps=True, not_negative=True, synonyms=("notice", "notice period")),
        _flag("auto_renews", "auto renew", "auto renewal", "auto-renewal"),
        Column("terms_disclosed_on", Type.DATE, not_future=True, synonyms=("terms disclosed",)),
        _user("terms_disclosed_by"),
        Column("terms_acknowledged_on", Type.DATE, not_future=True, synonyms=("terms acknowledged",)),
        Column("cancelled_on", Type.DATE, synonyms=("cancelled", "cancel date", "cancellation date")),
        Column("churn_reason", max_length=60, refers_to="churn_reasons", synonyms=("reason", "cancel reason")),
    ),
)  # fmt: skip

INTERACTIONS = Kind(
    "interactions",
    "interaction",
    (
        _account(),
        _time("happened_at", "date", "when", "activity date", "created at", required=True),
        _choice("kind", "call email meeting ticket other", "type", "activity type", "channel", required=True),
        _id(False, "activity id", "interaction id"),
        _choice("direction", "out in"),
        Column("contact", refers_to="contacts", synonyms=("contact id", "person")),
        _user("user", "owner", "by", "logged by", "user email"),
        Column("subject", max_length=500, synonyms=("title", "topic", "betreff")),
        Column(
            "note", Type.LONG_TEXT, max_length=20_000, synonyms=("notes", "body", "description", "comment")
        ),
        _choice("message_class", "information service promotion", "class", "message type", "purpose"),
    ),
    identity=("account", "happened_at", "kind"),
)

ISSUES = Kind(
    "issues",
    "issue",
    (
        _id(True, "issue id", "issue", "ticket", "ticket id", "case", "case id", "complaint id"),
        _account(),
        _time("opened_at", "opened", "opened on", "created", "created at", "date", required=True),
        _choice("severity", "low medium high", "priority"),
        Column("theme", max_length=100, synonyms=("category", "topic")),
        Column(
            "description", Type.LONG_TEXT, max_length=20_000, synonyms=("subject", "text", "details", "title")
        ),
        _user("owner", "assigned to", "assignee"),
        Column("due_on", Type.DATE, synonyms=("due", "due date")),
        _time("resolved_at", "resolved", "closed", "closed at", "resolved on"),
        _choice("validity", "unknown valid partly invalid"),
    ),
)

PROMISES = Kind(
    "promises",
    "promise",
    (
        _account(),
        Column("text", required=True, max_length=500, synonyms=("promise", "what", "description")),
        _user("made_by", "by", "promised by", "user", required=True),
        Column(
            "made_on", Type.DATE, required=True, not_future=True, synonyms=("made", "date", "promised on")
        ),
        Column("due_on", Type.DATE, required=True, synonyms=("due", "due date")),
        _id(False, "promise id"),
        Column("kept_on", Type.DATE, not_future=True, synonyms=("kept", "kept date", "done on")),
        _choice("status", "open kept late broken", "state"),
    ),
    identity=("account", "text", "made_on"),
)

ENQUIRIES = Kind(
    "enquiries",
    "enquiry",
    (
        _id(True, "enquiry id", "enquiry", "inquiry", "inquiry id", "lead id"),
        _account(required=False),
        Column("contact", refers_to="contacts", synonyms=("contact id", "person")),
        _time("received_at", "received", "received on", "date", "created at", required=True),
        Column("source", max_length=100, synonyms=("channel",)),
        Column("subject", max_length=500, synonyms=("title", "topic", "question")),
        _user("owner", "assigned to"),
        Column("next_step", max_length=300, synonyms=("next", "next action")),
        _time("responded_at", "responded", "answered", "answered at", "responded on"),
    ),
    one_of=("account", "contact"),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ACCOUNTS, CONTACTS, PRODUCTS, ORDERS, ORDER_LINES, CONTRACTS, INTERACTIONS, ISSUES, PROMISES, ENQUIRIES,
    )
}  # fmt: skip


def find_kind(name: str) -> Kind:
    """The kind called `name`; an unknown name is answered with the ones there are."""
    try:
        return KINDS[name]
    except KeyError:
        raise IngestError(f"There is no record kind '{name}'; use one of {', '.join(KINDS)}.") from None


def columns_of(kind: Kind, names: Iterator[str] | tuple[str, ...] | list[str]) -> tuple[Column, ...]:
    """The columns called `names`, in the order of the kind."""
    wanted = set(names)
    return tuple(column for column in kind.columns if column.name in wanted)
