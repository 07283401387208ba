from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """What customers heard from us, the newest first; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0016_newest_accounts")]

    operations = [
        AddIndexConcurrently(
            model_name="interaction",
            index=models.Index(
                condition=Q(direction="out"),
                fields=["-happened_at", "-id"],
                name="interaction_newest_out",
            ),
        ),
        AddIndexConcurrently(
            model_name="issue",
            index=models.Index(
                condition=Q(told_at__isnull=False),
                fields=["-told_at", "-id"],
                name="issue_newest_told",
            ),
        ),
        AddIndexConcurrently(
            model_name="enquiry",
            index=models.Index(
                condition=Q(responded_at__isnull=False),
                fields=["-responded_at", "-id"],
                name="enquiry_newest_answered",
            ),
        ),
    ]
