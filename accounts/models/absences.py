"""When our people are not there, and who stands in for them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from accounts.models.fields import Stamped
from accounts.models.staff import Role, User


class AbsenceQuerySet(models.QuerySet["Absence"]):
    def visible_to(self, user: User) -> AbsenceQuerySet:
        """One's own, those one stands in for, and for leaders those of the people they manage."""
        if not user.is_active:
            return self.none()
        if user.is_superuser or user.role == Role.ADMINISTRATOR:
            return self
        if user.role == Role.MANAGER and not user.managed_team_ids:
            return self
        mine = Q(person=user) | Q(substitute=user)
        return self.filter(mine | Q(person__in=user.managed_staff_ids))


class Absence(Stamped):
    """Somebody of ours is away from the first to the last day, both included; `substitute` makes their contacts and
    sees their accounts meanwhile."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="absences")
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="The last day away.")
    substitute = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="substitutions"
    )
    is_sample = models.BooleanField(default=False, db_default=False)

    objects = AbsenceQuerySet.as_manager()

    class Meta:
        ordering = ["starts_on", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_on__gte=F("starts_on")), name="absence_ends_after_start"),
            models.CheckConstraint(
                condition=Q(substitute__isnull=True) | ~Q(substitute=F("person")),
                name="absence_needs_somebody_else",
            ),
        ]
        indexes = [models.Index(fields=["ends_on"], name="absence_by_end")]

    def __str__(self) -> str:
        return f"{self.person} from {self.starts_on} to {self.ends_on}"
