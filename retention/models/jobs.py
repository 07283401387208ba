"""Work that is due once a day."""

from __future__ import annotations

from django.db import models

from accounts.models.fields import Stamped


class JobRun(Stamped):
    """A job of one local date; the unique pair makes sure that it runs once, however often the clock ticks."""

    job = models.CharField(max_length=40)
    local_date = models.DateField()
    state = models.CharField(
        max_length=10,
        choices=[("running", "Running"), ("done", "Done"), ("failed", "Failed")],
        default="running",
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ["-local_date", "job"]
        constraints = [models.UniqueConstraint(fields=["job", "local_date"], name="job_once_a_day")]

    def __str__(self) -> str:
        return f"{self.job} of {self.local_date}"
