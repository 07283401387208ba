"""A small company in the stand-in: owners, companies, contacts, deals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.factories import SalesRepFactory

if TYPE_CHECKING:
    from tests.crm.servers.hubspot import HubSpot


def fill(world: HubSpot, companies: int = 40, deals_each: int = 2) -> None:
    """`companies` companies with a contact and deals each; the first deal of each was won by rep@example.com."""
    SalesRepFactory(email="rep@example.com")
    world.owners = {
        "7": {"id": "7", "email": "rep@example.com", "updatedAt": "2025-01-01T00:00:00Z"},
        "8": {"id": "8", "email": "nobody-here@example.com", "updatedAt": "2025-01-01T00:00:00Z"},
    }
    for number in range(1, companies + 1):
        world.put("companies", number, name=f"Company {number}", industry="Food", hubspot_owner_id="8")
        world.put(
            "contacts", 1000 + number, firstname="Ann", lastname=f"Of {number}",
            email=f"ann{number}@customer.example", associatedcompanyid=str(number),
        )  # fmt: skip
        for deal in range(deals_each):
            add_deal(world, 10_000 + number * 10 + deal, number, amount=100 * number + deal)


def add_deal(world: HubSpot, deal: int, company: int, amount: int, won: str = "true") -> None:
    world.put(
        "deals", deal, amount=str(amount), closedate="2025-03-04T10:00:00Z", hs_is_closed_won=won,
        deal_currency_code="EUR", hubspot_owner_id="7",
    )  # fmt: skip
    world.companies_of[str(deal)] = str(company)


def converse(world: HubSpot, companies: int) -> None:
    """A closed ticket, a call, a meeting and an e-mail that came in for each company, and one of each for nobody's."""
    for number in range(1, companies + 1):
        _about(world, number, company=number)
    _about(world, companies + 1, company=None)


def _about(world: HubSpot, number: int, company: int | None) -> None:
    day = {"hubspot_owner_id": "7", "hs_timestamp": "2025-05-06T09:30:00Z"}
    world.put(
        "tickets", 20_000 + number, subject="It came late", hs_ticket_priority="URGENT", hs_ticket_category="PRODUCT_ISSUE",
        createdate="2025-05-01T08:00:00Z", closed_date="2025-05-02T08:00:00Z", hubspot_owner_id="7",
    )  # fmt: skip
    world.put(
        "calls", 30_000 + number, hs_call_title="How it goes", hs_call_direction="OUTBOUND", hs_call_status="COMPLETED", **day
    )  # fmt: skip
    world.put("meetings", 40_000 + number, hs_meeting_title="Tasting", hs_meeting_outcome="COMPLETED", **day)
    world.put(
        "emails", 50_000 + number, hs_email_subject="A question", hs_email_direction="INCOMING_EMAIL", hs_email_status=None, **day
    )  # fmt: skip
    if company is not None:
        for one in (20_000, 30_000, 40_000, 50_000):
            world.companies_of[str(one + number)] = str(company)
