"""Addresses of the care loop."""

from django.urls import path

from pulsecheck.views import handbacks, pulses

app_name = "pulsecheck"
urlpatterns = [
    path("handbacks/", handbacks.handbacks, name="handbacks"),
    path("handbacks/new/", handbacks.new, name="new_handback"),
    path("handbacks/<int:pk>/", handbacks.handback, name="handback"),
    path("handbacks/<int:pk>/accept/", handbacks.accept, name="accept"),
    path("handbacks/<int:pk>/decline/", handbacks.decline, name="decline"),
    path("handbacks/<int:pk>/reassign/", handbacks.reassign, name="reassign"),
    path("handbacks/<int:pk>/attempts/", handbacks.log_attempt, name="log_attempt"),
    path("handbacks/<int:pk>/close/", handbacks.close, name="close"),
    path("pulse/", pulses.due, name="pulse_due"),
    path("pulse/<int:pk>/skip/", pulses.skip, name="skip"),
    path("pulse/<int:pk>/snooze/", pulses.snooze, name="snooze"),
    path("pulse/<int:pk>/unsnooze/", pulses.unsnooze, name="unsnooze"),
    path("pulse/steps/<int:pk>/done/", pulses.finish_step, name="finish_step"),
    path("accounts/<int:pk>/pulse/", pulses.log_pulse, name="log_pulse"),
]
