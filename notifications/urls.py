"""Addresses about messages."""

from django.urls import path

from notifications import views
from notifications.views import webhooks

app_name = "notifications"
urlpatterns = [
    path("inbox/", views.inbox, name="inbox"),
    path("inbox/read/", views.read_all, name="read_all"),
    path("inbox/<int:pk>/read/", views.read, name="read"),
    path("settings/notifications/", views.preferences, name="preferences"),
    path("settings/webhooks/", webhooks.webhooks, name="webhooks"),
    path("settings/webhooks/<int:pk>/", webhooks.webhook, name="webhook"),
    path("settings/webhooks/<int:pk>/change/", webhooks.change_webhook, name="change_webhook"),
    path("settings/webhooks/<int:pk>/rotate/", webhooks.rotate_webhook, name="rotate_webhook"),
    path("settings/webhooks/<int:pk>/turn/", webhooks.turn_webhook, name="turn_webhook"),
    path("settings/webhooks/<int:pk>/test/", webhooks.test_webhook, name="test_webhook"),
    path("settings/webhooks/<int:pk>/delete/", webhooks.delete_webhook, name="delete_webhook"),
    path("settings/webhooks/calls/<int:pk>/replay/", webhooks.replay_delivery, name="replay_delivery"),
]
