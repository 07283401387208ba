from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


def say_what_tickets_were(apps, schema_editor):
    """A ticket of ours is service (accounts.models.care.usual_class); nothing else is guessed."""
    tickets = apps.get_model("accounts", "Interaction").objects.filter(kind="ticket", message_class="")
    while ids := list(tickets.values_list("pk", flat=True)[:10_000]):
        tickets.filter(pk__in=ids).update(message_class="service")


class Migration(migrations.Migration):
    """The index is built while people go on writing."""

    atomic = False
    dependencies = [
        ("accounts", "0014_message_class"),
    ]

    operations = [
        migrations.RunPython(say_what_tickets_were, migrations.RunPython.noop),
        AddIndexConcurrently(
            model_name="interaction",
            index=models.Index(
                condition=Q(direction="out"),
                fields=["message_class", "-happened_at", "-id"],
                name="interaction_by_class",
            ),
        ),
    ]
