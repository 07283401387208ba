from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

ORDERS = [
    ("account", "updated_at", "account_by_change"),
    ("contact", "name", "contact_by_name"),
    ("contact", "updated_at", "contact_by_change"),
    ("contract", "starts_on", "contract_by_start"),
    ("contract", "annual_value", "contract_by_value"),
    ("contract", "updated_at", "contract_by_change"),
    ("enquiry", "updated_at", "enquiry_by_change"),
    ("interaction", "happened_at", "interaction_by_moment"),
    ("interaction", "updated_at", "interaction_by_change"),
    ("issue", "updated_at", "issue_by_change"),
    ("order", "ordered_at", "order_by_moment"),
    ("order", "amount", "order_by_amount"),
    ("order", "updated_at", "order_by_change"),
    ("promise", "made_on", "promise_by_beginning"),
    ("promise", "updated_at", "promise_by_change"),
]


class Migration(migrations.Migration):
    """Rows in the orders that the API offers, without reading the whole table; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0025_duplicates")]

    operations = [
        AddIndexConcurrently(model, models.Index(fields=[column, "id"], name=name))
        for model, column, name in ORDERS
    ]
