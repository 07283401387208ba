"""The churn reasons that Mainstay ships; administrators add their own."""

from django.db import migrations

REASONS = [
    ("post-purchase-regret", "Regretted the purchase", "sales", True),
    ("no-authority", "Had no authority for the deal", "sales", True),
    ("other-priorities", "Displaced by other priorities", "neither", False),
    ("no-belief", "Did not believe we can deliver", "both", True),
    ("fine-print", "Read the terms and conditions", "sales", True),
    ("budget-cut", "Budget suddenly cut", "neither", False),
    ("broken-promise", "We did not do what we said", "both", True),
    ("undercut", "Undercut on price", "sales", True),
    ("new-management", "New management there", "neither", False),
    ("poor-service", "Poor after-sales service", "operations", True),
    ("weak-relationships", "Weak relationship with other stakeholders", "both", True),
    ("out-of-touch", "We did not keep in touch", "both", True),
    ("below-expectation", "Product or service below expectation", "operations", True),
    ("supply-or-market", "Supply or market, outside our control", "neither", False),
    ("out-of-business", "Went out of business", "neither", False),
    ("unknown", "Unknown", "neither", True),
]


def add(apps, schema_editor):
    apps.get_model("accounts", "ChurnReason").objects.bulk_create(
        apps.get_model("accounts", "ChurnReason")(
            code=code, name=name, side=side, is_controllable=controllable, position=(i + 1) * 10
        )
        for i, (code, name, side, controllable) in enumerate(REASONS)
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
