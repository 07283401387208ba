from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """The accounts most likely to leave, without reading all scores of the day; the index is built while people go on writing."""

    atomic = False
    dependencies = [("retention", "0006_reasons_as_numbers")]

    operations = [
        AddIndexConcurrently(
            "score",
            models.Index(fields=["as_of", "churn_probability", "account"], name="score_by_probability"),
        )
    ]
