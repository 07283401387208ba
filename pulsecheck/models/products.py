"""What each customer has bought, worked out from order lines every night, and what customers bought next."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Account, Product
from accounts.models.account import AccountRelatedQuerySet


class Holding(models.Model):
    """An account has bought a product: first, last, how often. Returned and cancelled orders do not count."""

    derived_rows = Q(pk__isnull=False)  # follows from the orders: no reason to keep an import that is undone
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="holdings", db_index=False)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="holdings")
    first_on = models.DateField()
    last_on = models.DateField()
    orders = models.PositiveIntegerField()

    objects = AccountRelatedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "product"], name="holding_once")]

    def __str__(self) -> str:
        return f"{self.account} bought {self.product}"


class ProductStep(models.Model):
    """Of `buyers` of `bought`, `followers` bought `following` next (pulsecheck/next_product.py)."""

    bought = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="steps")
    following = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="+", db_index=False)
    buyers = models.PositiveIntegerField()
    followers = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["bought", "following"], name="step_once"),
            models.CheckConstraint(condition=Q(followers__lte=models.F("buyers")), name="step_is_a_share"),
        ]

    def __str__(self) -> str:
        return f"{self.bought} → {self.following}: {self.followers} of {self.buyers}"


class ProductStudy(models.Model):
    """How far the steps go (`as_of`), and how often suggestions of half a year before came true."""

    as_of = models.DateField(unique=True)
    customers = models.PositiveIntegerField()
    suggested = models.PositiveIntegerField()
    hits = models.PositiveIntegerField()
    plain_hits = models.PositiveIntegerField()
    days = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["-as_of"]

    def __str__(self) -> str:
        return f"{self.hits} of {self.suggested} came true"
