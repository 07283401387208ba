from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Next steps of pulse checks that somebody still has to do, by person and day. It is built while people go on
    writing."""

    atomic = False
    dependencies = [("pulsecheck", "0016_newest_pulses")]

    operations = [
        AddIndexConcurrently(
            model_name="pulsecheck",
            index=models.Index(
                condition=models.Q(("next_step_done_at", None)),
                fields=["next_step_owner", "next_step_due_on", "id"],
                name="pulse_step_to_do",
            ),
        ),
    ]
