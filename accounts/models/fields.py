"""Column types and conditions that every app shares."""

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.db.models.sql.compiler import SQLCompiler


class MoneyField(models.DecimalField):
    """An amount in the currency that stands beside it: up to 16 digits before the point, 2 after."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {"max_digits": 18, "decimal_places": 2}
        super().__init__(*args, **defaults | kwargs)


class CurrencyField(models.CharField):
    """An ISO 4217 code such as EUR."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        checks = [RegexValidator(r"^[A-Z]{3}$", "Use the three-letter code of the currency, such as EUR.")]
        defaults: dict[str, Any] = {"max_length": 3, "validators": checks}
        super().__init__(*args, **defaults | kwargs)


class Stamped(models.Model):
    """Rows that know when they were written; the database fills both, so bulk loads need not."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), auto_now=True)

    class Meta:
        abstract = True


class Sourced(Stamped):
    """Rows that came from a file, the API or a CRM: where from, under which id, and by which import."""

    record_source = models.CharField(
        max_length=60,
        db_default="file",
        default="file",
        help_text="The file or system the record comes from.",
    )
    external_id = models.CharField(max_length=200, help_text="Its id there.")
    is_sample = models.BooleanField(db_default=False, default=False, help_text="Part of the sample company.")
    import_run = models.ForeignKey(
        "accounts.ImportRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )

    class Meta:
        abstract = True


@models.BigAutoField.register_lookup
class AnyOf(models.Lookup):
    """`pk__any_of=[..]` finds what `pk__in` finds, but all numbers go as one value, so that hundreds are written, sent
    and read as quickly as one."""

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s::bigint[])", (*params, f"{{{','.join(map(str, self.rhs))}}}")
