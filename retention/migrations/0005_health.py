import accounts.models.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_owner_changes"),
        ("retention", "0004_evidence"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Disagreement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
                ),
                ("as_of", models.DateField()),
                ("horizon_days", models.PositiveIntegerField()),
                ("churn_probability", models.FloatField()),
                ("health_score", models.SmallIntegerField(null=True)),
                ("pulse_score", models.PositiveSmallIntegerField(null=True)),
                (
                    "model_stance",
                    models.CharField(
                        blank=True,
                        choices=[("leaving", "Leaving"), ("staying", "Staying"), ("", "Does not say")],
                        max_length=8,
                    ),
                ),
                (
                    "scorecard_stance",
                    models.CharField(
                        blank=True,
                        choices=[("leaving", "Leaving"), ("staying", "Staying"), ("", "Does not say")],
                        max_length=8,
                    ),
                ),
                (
                    "pulse_stance",
                    models.CharField(
                        blank=True,
                        choices=[("leaving", "Leaving"), ("staying", "Staying"), ("", "Does not say")],
                        max_length=8,
                    ),
                ),
                (
                    "value",
                    accounts.models.fields.MoneyField(
                        decimal_places=2,
                        default=0,
                        help_text="What the account buys in a year, in the company's currency.",
                        max_digits=18,
                    ),
                ),
                ("model_says", models.CharField(blank=True, max_length=500)),
                ("scorecard_says", models.CharField(blank=True, max_length=500)),
                ("pulse_says", models.CharField(blank=True, max_length=500)),
                (
                    "ended_on",
                    models.DateField(help_text="As of this day they no longer disagreed.", null=True),
                ),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("model", "The model"),
                            ("scorecard", "The scorecard"),
                            ("pulse", "The pulse"),
                            ("cannot_tell", "Cannot tell"),
                        ],
                        max_length=12,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("has_left", models.BooleanField(help_text="Known once the horizon is over.", null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="disagreements",
                        to="accounts.account",
                    ),
                ),
                (
                    "settled_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-value", "pk"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("has_left__isnull", True)),
                        fields=("account",),
                        name="one_disagreement_until_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("settled_at__isnull", True), ("verdict", "")),
                            models.Q(models.Q(("verdict", ""), _negated=True), ("settled_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="disagreement_settled_with_date",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HealthWeights",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
                ),
                ("segment", models.CharField(blank=True, default="", max_length=100)),
                ("version", models.PositiveIntegerField(default=1)),
                ("rhythm", models.PositiveSmallIntegerField(default=20)),
                ("frequency", models.PositiveSmallIntegerField(default=10)),
                ("spend", models.PositiveSmallIntegerField(default=15)),
                ("delivery", models.PositiveSmallIntegerField(default=10)),
                ("service", models.PositiveSmallIntegerField(default=10)),
                ("relationship", models.PositiveSmallIntegerField(default=10)),
                ("pulse", models.PositiveSmallIntegerField(default=15)),
                ("promises", models.PositiveSmallIntegerField(default=5)),
                ("stability", models.PositiveSmallIntegerField(default=5)),
                (
                    "follows_all",
                    models.BooleanField(
                        default=False,
                        help_text="From this version on the segment has the weights of all segments.",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "health weights",
                "ordering": ["segment", "-version"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("segment", "version"), name="health_weights_version_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("rhythm__gt", 0),
                            ("frequency__gt", 0),
                            ("spend__gt", 0),
                            ("delivery__gt", 0),
                            ("service__gt", 0),
                            ("relationship__gt", 0),
                            ("pulse__gt", 0),
                            ("promises__gt", 0),
                            ("stability__gt", 0),
                            _connector="OR",
                        ),
                        name="health_weights_not_all_0",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("rhythm__lte", 100),
                            ("frequency__lte", 100),
                            ("spend__lte", 100),
                            ("delivery__lte", 100),
                            ("service__lte", 100),
                            ("relationship__lte", 100),
                            ("pulse__lte", 100),
                            ("promises__lte", 100),
                            ("stability__lte", 100),
                        ),
                        name="health_weights_at_most_100",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("follows_all", True), ("segment", ""), _negated=True),
                        name="health_weights_of_all_stand",
                    ),
                ],
            },
        ),
    ]
