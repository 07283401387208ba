"""A small company in a real Tryton: runs in Tryton's own environment, on the database named on the command line.

    python world.py trytond.conf DATABASE KEY_OF_MAINSTAY KEY_OF_A_PERSON

Twelve customers with addresses and people, two products, two sales each (the first confirmed by rep@example.com), a
draft, a supplier; a user for Mainstay with the rights that docs/crm/tryton.md names, and a person's key. Through
Tryton's own models rather than proteus, which asks the server at every field and took half a minute for this.
"""

import datetime as dt
import sys
from decimal import Decimal

from trytond import config

config.update_etc(sys.argv[1])

from trytond.pool import Pool  # noqa: E402 - reads the settings
from trytond.transaction import Transaction  # noqa: E402

DATABASE, OUR_KEY, PERSONS_KEY = sys.argv[2:]
CUSTOMERS = 12
ADMIN = 1
GROUPS = ("Sales", "Party Administration")


def main():
    Pool.start()
    with Transaction().start(DATABASE, 0, readonly=True):
        Pool(DATABASE).init()
    with Transaction().start(DATABASE, ADMIN):
        company = found_company()
    with Transaction().start(DATABASE, ADMIN, context={"company": company}):
        seller, other = (
            hire(company, "Ren Rep", "rep@example.com"),
            hire(company, "Mona", "nobody-here@example.com"),
        )
        become([seller, other])
        make("party.party", [customer(number, germany()) for number in range(1, CUSTOMERS + 1)])
        make("party.party", [{"name": "Some Supplier", "code": "S001"}])
        make_products()
        keys(company)
    for employee, month, quantity in ((seller, 3, 1), (other, 9, 2)):
        with Transaction().start(DATABASE, ADMIN, context={"company": company, "employee": employee}):
            become([employee])
            confirm(
                [
                    sale(one, dt.date(2025, month, number), quantity)
                    for number, one in enumerate(customers(), 1)
                ]
            )
    with Transaction().start(DATABASE, ADMIN, context={"company": company}):
        make("sale.sale", [sale(customers()[0], dt.date(2025, 10, 1), 3)])  # stays a draft


def make(model, values):
    return Pool().get(model).create(values)


def found_company():
    (euro,) = make(
        "currency.currency", [{"name": "Euro", "code": "EUR", "symbol": "€", "rounding": Decimal("0.01")}]
    )
    (party,) = make("party.party", [{"name": "Own Company Ltd"}])
    (company,) = make("company.company", [{"party": party.id, "currency": euro.id}])
    User = Pool().get("res.user")
    User.write([User(ADMIN)], {"companies": [("add", [company.id])], "company": company.id})
    return company.id


def hire(company, name, email):
    mechanisms = [("create", [{"type": "email", "value": email}])]
    (party,) = make("party.party", [{"name": name, "contact_mechanisms": mechanisms}])
    return make("company.employee", [{"party": party.id, "company": company}])[0].id


def become(employees):
    """From now on the administrator works as the first of these."""
    User = Pool().get("res.user")
    admin = User(ADMIN)
    known = {one.id for one in admin.employees}
    missing = [one for one in employees if one not in known]
    User.write([admin], {"employees": [("add", missing)], "employee": employees[0]})


def germany():
    found = Pool().get("country.country").search([("code", "=", "DE")])
    bavaria = {"name": "Bayern", "code": "DE-BY", "type": "state"}
    return found[0] if found else make(
        "country.country", [{"name": "Germany", "code": "DE", "subdivisions": [("create", [bavaria])]}]
    )[0]  # fmt: skip


def customer(number, country):
    address = {
        "street": f"Street {number}", "city": "München", "country": country.id,
        "subdivision": country.subdivisions[0].id,
    }  # fmt: skip
    mechanisms = [
        {"type": "email", "name": f"Ann Of {number}", "value": f"ann{number}@customer.example"},
        {"type": "phone", "name": f"Ann Of {number}", "value": f"+49 89 9982 80{number:02}"},
        {"type": "email", "value": f"office{number}@customer.example"},
    ]
    return {
        "name": f"Customer {number}",
        "code": f"K{number:03}",
        "addresses": [("create", [address])],
        "contact_mechanisms": [("create", mechanisms)],
    }


def customers():
    return Pool().get("party.party").search([("name", "like", "Customer %")], order=[("id", "ASC")])


def make_products():
    (category,) = make("product.category", [{"name": "Tools"}])
    (unit,) = Pool().get("product.uom").search([("name", "=", "Unit")])
    make(
        "product.template",
        [
            {
                "name": f"Tool {number}", "type": "goods", "default_uom": unit.id, "sale_uom": unit.id, "salable": True,
                "list_price": Decimal(50 * number), "categories": [("add", [category.id])],
                "products": [("create", [{"suffix_code": f"T-{number}", "cost_price": Decimal(20 * number)}])],
            }
            for number in (1, 2)
        ],
    )  # fmt: skip


def sale(party, on, quantity):
    goods = Pool().get("product.product").search([], order=[("id", "ASC")])
    where = party.addresses[0].id
    lines = [
        {"product": one.id, "quantity": quantity, "unit": one.sale_uom.id, "unit_price": one.list_price_used}
        for one in goods
    ]
    return {
        "party": party.id, "sale_date": on, "invoice_method": "manual", "shipment_method": "manual",
        "invoice_address": where, "shipment_address": where, "lines": [("create", lines)],
    }  # fmt: skip


def confirm(sales):
    Sale = Pool().get("sale.sale")
    made = Sale.create(sales)
    Sale.quote(made)
    Sale.confirm(made)


def keys(company):
    """A user for Mainstay alone, with no more than it needs; and a key with which a person works."""
    groups = Pool().get("res.group").search([("name", "in", list(GROUPS))])
    assert len(groups) == len(GROUPS)
    (user,) = make(
        "res.user",
        [
            {
                "name": "Mainstay", "login": "mainstay", "companies": [("add", [company])], "company": company,
                "groups": [("add", [group.id for group in groups])],
            }
        ],
    )  # fmt: skip
    make(
        "res.user.application",
        [
            {"user": who, "application": "rest", "key": key}
            for who, key in ((user.id, OUR_KEY), (ADMIN, PERSONS_KEY))
        ],
    )


main()
