from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Pulse checks in the order of their days and, within one, as they were written: one index instead of one that knew
    the days alone. It is built while people go on writing."""

    atomic = False
    dependencies = [("pulsecheck", "0015_reason_settlement")]

    operations = [
        AddIndexConcurrently(
            model_name="pulsecheck",
            index=models.Index(fields=["-taken_at", "-id"], name="pulse_newest"),
        ),
        RemoveIndexConcurrently(model_name="pulsecheck", name="pulse_by_day"),
    ]
