"""The onboarding checklist and the guide to departments that Mainstay ships; administrators change both."""

from django.db import migrations

STEPS = [
    ("Sales introduces the account manager to the customer, in person or by telephone", "sales", 1),
    ("Send a welcome: who is who here, and whom to call", "operations", 2),
    ("Go through what was promised with the customer, line by line", "operations", 3),
    ("Check that the first delivery can be kept as promised", "delivery", 5),
    ("Set up invoicing as they want it, and test it", "finance", 7),
    ("Call after the first delivery: was all as expected?", "service", 14),
    ("Show the customer who helps when something goes wrong", "service", 21),
    ("Sales and the account manager look back with the customer together", "operations", 30),
]
DEPARTMENTS = [
    (
        "sales",
        "Wins customers and stays their second parent: it knows why they came and what they were told.",
        "A customer grows quiet, talks of leaving, or expects something nobody knows of.",
        "Prices and terms of the price list. Nothing about delivery that operations has not said yes to.",
    ),
    (
        "operations",
        "Looks after customers day by day: knows how they are, plans the pulse checks, sees that promises are kept.",
        "You hear anything about a customer, good or bad.",
        "A day by which there is an answer, and what is agreed with delivery and finance.",
    ),
    (
        "service",
        "Answers questions and settles complaints, and tells the customer what was done.",
        "A customer asks something, or is unhappy.",
        "When there is an answer. A replacement up to the usual amount.",
    ),
    (
        "delivery",
        "Brings what was ordered, whole and on the day.",
        "A day was promised, or is at risk.",
        "A day and an hour. Nobody else promises one without asking.",
    ),
    (
        "finance",
        "Writes invoices that are right, and finds a way when money is short at the customer.",
        "An invoice is doubted, or a customer pays later than usual: it is often the first sign.",
        "Payment by instalments, within the rules.",
    ),
]


def add(apps, schema_editor):
    item, department = (apps.get_model("accounts", name) for name in ("OnboardingItem", "Department"))
    item.objects.bulk_create(
        item(title=title, role=role, days_after=days, position=(number + 1) * 10)
        for number, (title, role, days) in enumerate(STEPS)
    )
    department.objects.bulk_create(
        department(role=role, does=does, call_when=call, may_promise=may, position=(number + 1) * 10)
        for number, (role, does, call, may) in enumerate(DEPARTMENTS)
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_team")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
