"""The terms that Mainstay ships; administrators change them and add their own."""

from django.db import migrations

TERMS = [
    ("Notice period", "Until when it can be cancelled, and how."),
    ("Renewal", "Whether it renews by itself, for how long, and what happens if nobody does anything."),
    ("Price changes", "When and by how much prices may rise, and how they are told beforehand."),
    ("Minimum purchase", "What has to be taken in a year, and what it costs when it is not."),
    ("Delivery limits", "Where, when and up to what amount we deliver, and what is not included."),
    ("Returns and complaints", "What goes back, within how many days, and who pays for it."),
    ("Payment", "When invoices are due, and what happens when they are paid late."),
]


def add(apps, schema_editor):
    term = apps.get_model("accounts", "Term")
    term.objects.bulk_create(
        term(name=name, in_plain_words=words, position=(number + 1) * 10)
        for number, (name, words) in enumerate(TERMS)
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0009_care_records")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
