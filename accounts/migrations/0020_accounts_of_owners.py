from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Whose an account is, told without reading its row; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0019_unexplained_contracts")]

    operations = [
        AddIndexConcurrently(
            model_name="account",
            index=models.Index(fields=["original_salesperson", "id"], name="account_by_salesperson"),
        ),
        AddIndexConcurrently(
            model_name="account",
            index=models.Index(fields=["account_manager", "id"], name="account_by_manager"),
        ),
    ]
