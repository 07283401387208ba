"""Every connection gets an address for webhooks that nobody guesses."""

from django.db import migrations, models

import accounts.models.crm


def give_keys(apps, schema_editor):
    """One each: a default of the column would be the same for all."""
    for connection in apps.get_model("accounts", "Connection").objects.filter(hook_key=None):
        connection.hook_key = accounts.models.crm.new_hook_key()
        connection.save(update_fields=["hook_key"])


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0021_crm"),
    ]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="hook_at",
            field=models.DateTimeField(
                blank=True, help_text="When the last genuine webhook came in.", null=True
            ),
        ),
        migrations.AddField(
            model_name="connection",
            name="hook_key",
            field=models.CharField(editable=False, max_length=43, null=True),
        ),
        migrations.RunPython(give_keys, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="connection",
            name="hook_key",
            field=models.CharField(
                default=accounts.models.crm.new_hook_key,
                editable=False,
                max_length=43,
                null=True,
                unique=True,
            ),
        ),
    ]
