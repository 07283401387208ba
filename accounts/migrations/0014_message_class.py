from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_promise_page"),
    ]

    operations = [
        migrations.AddField(
            model_name="interaction",
            name="message_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("information", "Information"),
                    ("service", "Service"),
                    ("promotion", "Promotion"),
                ],
                db_default="",
                default="",
                max_length=12,
            ),
        ),
    ]
