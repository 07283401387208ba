"""Addresses about staff and records."""

from django.urls import path

from accounts.views import imports, sign_in, tokens

app_name = "accounts"
urlpatterns = [
    path("imports/", imports.import_list, name="imports"),
    path("imports/new/", imports.new_import, name="new_import"),
    path("imports/<int:pk>/", imports.import_detail, name="import"),
    path("imports/<int:pk>/columns/", imports.choose_columns, name="import_columns"),
    path("imports/<int:pk>/start/", imports.start_import, name="import_start"),
    path("imports/<int:pk>/cancel/", imports.cancel_import, name="import_cancel"),
    path("imports/<int:pk>/undo/", imports.undo, name="import_undo"),
    path("imports/<int:pk>/refused.csv", imports.rejected_rows, name="import_rejected"),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign_out"),
    path("settings/tokens/", tokens.tokens, name="tokens"),
    path("settings/tokens/<int:pk>/revoke/", tokens.revoke_token, name="revoke_token"),
]
