from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    """What a retention meeting talks about first, without sorting all of it; the indexes are built while people go on writing."""

    atomic = False
    dependencies = [("pulsecheck", "0018_rows_by_change")]

    operations = [
        AddIndexConcurrently(
            "pulsecheck", models.Index(fields=["score", "-taken_at", "-id"], name="pulse_poorest")
        ),
        AddIndexConcurrently(
            "handback",
            models.Index(
                F("closed_at").desc(nulls_last=True),
                F("revenue_at_risk").desc(),
                "id",
                condition=~Q(outcome="false_alarm"),
                name="handback_lately_closed",
            ),
        ),
    ]
