"""Addresses about staff and records."""

from django.urls import path

from accounts.views import company, imports, people, sign_in, tokens, webhooks

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
    path("hooks/<str:key>/", webhooks.webhook, name="webhook"),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign_out"),
    path("set-password/<uidb64>/<token>/", people.SetPassword.as_view(), name="set_password"),
    path("settings/people/", people.people, name="people"),
    path("settings/people/new/", people.new_person, name="new_person"),
    path("settings/people/<int:pk>/", people.person, name="person"),
    path("settings/people/<int:pk>/link/", people.person_link, name="person_link"),
    path("settings/people/<int:pk>/disable/", people.disable_person, name="disable_person"),
    path("settings/people/<int:pk>/enable/", people.enable_person, name="enable_person"),
    path("settings/people/<int:pk>/left/", people.person_left, name="person_left"),
    path("settings/teams/", people.teams, name="teams"),
    path("settings/teams/new/", people.team, name="new_team"),
    path("settings/teams/<int:pk>/", people.team, name="team"),
    path("settings/teams/<int:pk>/delete/", people.delete_team, name="delete_team"),
    path("settings/company/", company.company, name="company"),
    path("settings/rates/", company.rates, name="rates"),
    path("settings/rates/<int:pk>/", company.rate, name="rate"),
    path("settings/rates/<int:pk>/delete/", company.delete_rate, name="delete_rate"),
    path("settings/churn-reasons/", company.churn_reasons, name="churn_reasons"),
    path("settings/churn-reasons/new/", company.churn_reason, name="new_churn_reason"),
    path("settings/churn-reasons/<int:pk>/", company.churn_reason, name="churn_reason"),
    path("settings/terms/", company.terms, name="terms"),
    path("settings/terms/new/", company.term, name="new_term"),
    path("settings/terms/<int:pk>/", company.term, name="term"),
    path("settings/tokens/", tokens.tokens, name="tokens"),
    path("settings/tokens/<int:pk>/revoke/", tokens.revoke_token, name="revoke_token"),
]
