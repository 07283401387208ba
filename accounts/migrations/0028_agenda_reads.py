from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Case, Q, When


class Migration(migrations.Migration):
    """What a retention meeting talks about first, without sorting all of it; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("accounts", "0027_contact_links")]

    operations = [
        AddIndexConcurrently(
            "issue",
            models.Index(
                Case(When(severity="high", then=0), When(severity="low", then=2), default=1),
                "opened_at",
                "id",
                condition=Q(resolved_at__isnull=True),
                name="issue_gravest_open",
            ),
        ),
        AddIndexConcurrently(
            "promise",
            models.Index(
                fields=["due_on", "id"], condition=Q(status__in=["open", "broken"]), name="promise_not_kept"
            ),
        ),
    ]
