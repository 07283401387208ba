"""The reasons of episodes as rows, the moment an answer is due, and the triggers that Mainstay ships."""

from django.db import migrations

# Trigger -> what its threshold counts: days before the end or the notice day, working days late, points of six.
TRIGGERS = {"at_risk": None, "quiet": None, "renewal": 60, "pulse": 2, "promise": 3}
OPENED = """
INSERT INTO pulsecheck_handbackreason (handback_id, trigger, sentence, noted_at)
SELECT id, trigger, left(coalesce(risk #>> '{reasons,0,sentence}', ''), 300), opened_at FROM pulsecheck_handback
"""
JOINED = """
INSERT INTO pulsecheck_handbackreason (handback_id, trigger, sentence, noted_at)
SELECT h.id, f ->> 'trigger', left(coalesce(f ->> 'sentence', ''), 300), greatest((f ->> 'on')::timestamptz, h.opened_at)
FROM pulsecheck_handback h, jsonb_array_elements(h.risk -> 'further') f
WHERE jsonb_typeof(h.risk -> 'further') = 'array'
ON CONFLICT DO NOTHING
"""
FORGET = "UPDATE pulsecheck_handback SET risk = risk - 'further' WHERE risk ? 'further'"


def add(apps, schema_editor):
    rule = apps.get_model("pulsecheck", "TriggerRule")
    rule.objects.bulk_create(rule(trigger=code, threshold=value) for code, value in TRIGGERS.items())


class Migration(migrations.Migration):
    dependencies = [("pulsecheck", "0008_handback_reasons")]
    operations = [
        migrations.RunPython(add, migrations.RunPython.noop),
        migrations.RunSQL(OPENED, migrations.RunSQL.noop),
        migrations.RunSQL(JOINED, migrations.RunSQL.noop),
        migrations.RunSQL(FORGET, migrations.RunSQL.noop),
    ]
