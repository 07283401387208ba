"""Reasons as numbers: their words are made when they are read (docs/decisions/0008). Scores of before keep theirs."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("retention", "0005_health")]

    operations = [
        migrations.RenameField("score", "reasons", "reasons_written"),
        migrations.AlterField(
            "score",
            "reasons_written",
            models.JSONField(editable=False, help_text="Reasons in words.", null=True),
        ),
        migrations.AddField(
            "score",
            "told",
            models.BinaryField(editable=False, help_text="Reasons as numbers.", null=True),
        ),
        migrations.AddField(
            "fittedmodel",
            "wording",
            models.JSONField(
                db_default={},
                default=dict,
                help_text="What turns the reasons of its scores into sentences; see scoring.told.",
            ),
        ),
        migrations.AlterField(
            "score",
            "run",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="scores",
                to="retention.scorerun",
            ),
        ),
    ]
