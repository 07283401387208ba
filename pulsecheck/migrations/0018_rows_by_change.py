from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

ORDERS = [
    ("handback", "updated_at", "handback_by_change"),
    ("pulsecheck", "updated_at", "pulse_by_change"),
    ("survey", "updated_at", "survey_by_change"),
    ("touchpoint", "updated_at", "touchpoint_by_change"),
]


class Migration(migrations.Migration):
    """Rows in the orders that the API offers, without reading the whole table; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("pulsecheck", "0017_steps_to_do")]

    operations = [
        AddIndexConcurrently(model, models.Index(fields=[column, "id"], name=name))
        for model, column, name in ORDERS
    ]
