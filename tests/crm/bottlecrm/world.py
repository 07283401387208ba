"""A small organisation in a real BottleCRM: runs in BottleCRM's own environment, with its settings.

    python world.py TOKEN_OF_MAINSTAY TOKEN_OF_A_PERSON TOKEN_WITHOUT_INVOICES TOKEN_WITHOUT_TICKETS

Seven accounts with a contact, a won deal (closed by rep@example.com), two invoices, a ticket and a completed task each;
a draft invoice, a ticket and a task of no account, an account that is not in use, and tokens with the scopes that
docs/crm/bottlecrm.md names.
"""

import datetime as dt
import sys
from decimal import Decimal

import django

django.setup()

from cases.models import Case  # noqa: E402
from common.models import Org, PersonalAccessToken, Profile, User  # noqa: E402
from contacts.models import Contact  # noqa: E402
from invoices.models import Invoice  # noqa: E402
from opportunity.models import Opportunity  # noqa: E402
from tasks.models import Task  # noqa: E402

from accounts.models import Account  # noqa: E402 - the applications have to be there

ACCOUNTS = 7
READ = ["accounts:read", "contacts:read", "opportunities:read"]
SALES = [*READ, "invoices:read", "accounts:write", "custom-fields:read", "custom-fields:write"]
SCOPES = [*SALES, "cases:read", "tasks:read"]
PRIORITIES = ("Low", "Normal", "High", "Urgent")


def main(ours, persons, narrow, sales):
    org = Org.objects.create(name="Org", default_currency="EUR")
    admin, rep, other = (
        Profile.objects.create(user=User.objects.create_user(email=email, password="x"), org=org, role=role)
        for email, role in (
            ("admin@example.com", "ADMIN"), ("rep@example.com", "USER"), ("nobody-here@example.com", "USER")
        )
    )  # fmt: skip
    for number in range(1, ACCOUNTS + 1):
        account(org, number, admin, rep, other)
    Account.objects.create(org=org, name="Not in use", is_active=False)
    first = Account.objects.get(name="Account 1")
    invoice(org, first, 3, "Draft", dt.date(2025, 10, 1), Decimal(999))
    ticket(org, None, 8, rep)
    task(org, None, 8, rep)
    for raw, scopes in ((ours, SCOPES), (persons, []), (narrow, READ), (sales, SALES)):
        PersonalAccessToken.objects.create(
            org=org, profile=admin, name=raw, scopes=scopes, token_prefix=raw[:13],
            token_hash=PersonalAccessToken.hash_token(raw),
        )  # fmt: skip


def account(org, number, admin, rep, other):
    one = Account.objects.create(
        org=org, name=f"Account {number}", industry="BANKING", country="DE", state="Bayern", currency="EUR"
    )
    one.assigned_to.add(rep)
    person = Contact.objects.create(
        org=org, first_name="Ann", last_name=f"Of {number}", email=f"ann{number}@customer.example",
        phone=f"+49899982{number:03}", title="Buyer", account=one,
    )  # fmt: skip
    one.contacts.add(person)
    for closer, year in ((other, 2025), (rep, 2024)):
        deal = Opportunity(
            org=org, name=f"Deal {year} of {number}", account=one, stage="CLOSED_WON", amount=Decimal(100),
            currency="EUR", closed_on=dt.date(year, 3, number), closed_by=closer,
        )  # fmt: skip
        deal.save()
    invoice(org, one, 1, "Paid", dt.date(2025, 3, number), Decimal(100 * number), person)
    invoice(org, one, 2, "Sent", dt.date(2025, 9, number), Decimal("50.25"), person)
    ticket(org, one, number, rep)
    task(org, one, number, rep)


def ticket(org, account, number, rep):
    one = Case.objects.create(
        org=org, account=account, name=f"Late, again {number}", status="New", case_type="Incident",
        priority=PRIORITIES[number % len(PRIORITIES)],
    )  # fmt: skip
    one.assigned_to.add(rep)
    Case.objects.filter(pk=one.pk).update(created_at=dt.datetime(2025, 5, number, 9, 30, tzinfo=dt.UTC))


def task(org, account, number, rep):
    one = Task.objects.create(
        org=org, account=account, title=f"Rang about {number}", status="Completed", priority="Medium",
        due_date=dt.date(2025, 6, number),
    )  # fmt: skip
    one.assigned_to.add(rep)


def invoice(org, account, number, status, on, total, contact=None):
    one = Invoice(
        org=org, invoice_title="Goods", invoice_number=f"{account.name[-1]}-{number}", status=status, account=account,
        contact=contact, client_name=account.name, client_email="a@customer.example", currency="EUR", issue_date=on,
    )  # fmt: skip
    one.save()
    Invoice.objects.filter(pk=one.pk).update(total_amount=total, subtotal=total)


main(*sys.argv[1:])
