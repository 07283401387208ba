"""The tier thresholds that Mainstay starts with."""

from django.db import migrations


def add(apps, schema_editor):
    apps.get_model("retention", "TierPolicy").objects.create()


class Migration(migrations.Migration):
    dependencies = [("retention", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
