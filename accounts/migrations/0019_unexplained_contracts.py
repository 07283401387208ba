from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """New contracts whose fine print nobody explained; the index is built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0018_former_owners")]

    operations = [
        AddIndexConcurrently(
            model_name="contract",
            index=models.Index(
                condition=Q(cancelled_on=None, terms_disclosed_on=None),
                fields=["-starts_on"],
                name="contract_unexplained",
            ),
        ),
    ]
