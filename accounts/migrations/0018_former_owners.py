from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Which accounts somebody had before; the index is built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0017_newest_messages")]

    operations = [
        AddIndexConcurrently(
            model_name="ownerchange",
            index=models.Index(fields=["from_user", "changed_at"], name="owner_change_by_former"),
        ),
    ]
