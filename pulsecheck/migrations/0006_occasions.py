"""The contacts of onboarding and renewal that Mainstay starts with."""

from django.db import migrations

OCCASIONS = {"onboarding": (7, 30, 60, 90), "renewal": (180, 90, 60, 30)}


def add(apps, schema_editor):
    occasion = apps.get_model("pulsecheck", "ContactOccasion")
    occasion.objects.bulk_create(
        occasion(kind=kind, days=days) for kind, numbers in OCCASIONS.items() for days in numbers
    )


class Migration(migrations.Migration):
    dependencies = [("pulsecheck", "0005_cadence")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
