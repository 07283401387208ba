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
