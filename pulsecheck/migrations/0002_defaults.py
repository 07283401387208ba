"""Themes and cadence that Mainstay starts with."""

from django.db import migrations

THEMES = [
    ("delivery", "Delivery"),
    ("quality", "Quality"),
    ("price", "Price"),
    ("service", "Service"),
    ("range", "Range of products"),
    ("invoicing", "Invoicing"),
    ("people", "People and contact"),
    ("competition", "Competition"),
    ("their-business", "Their own business"),
]
CADENCE = {"at_risk": 14, "quiet": 14, "watch": 30, "new": 30, "steady": 90, "thriving": 180, "lost": 365}


def add(apps, schema_editor):
    theme = apps.get_model("pulsecheck", "PulseTheme")
    theme.objects.bulk_create(
        theme(code=code, name=name, position=(i + 1) * 10) for i, (code, name) in enumerate(THEMES)
    )
    policy = apps.get_model("pulsecheck", "CadencePolicy")
    policy.objects.bulk_create(policy(tier=tier, every_days=days) for tier, days in CADENCE.items())


class Migration(migrations.Migration):
    dependencies = [("pulsecheck", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
