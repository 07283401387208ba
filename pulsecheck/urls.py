"""Addresses of the care loop."""

from django.urls import path

from pulsecheck.views import handbacks, insights, pulses, records, surveys

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
    path("accounts/<int:pk>/pulses/", pulses.history, name="pulses"),
    path("accounts/<int:pk>/survey/", surveys.send_survey, name="send_survey"),
    path("surveys/", surveys.surveys, name="surveys"),
    path("surveys/<int:pk>/", surveys.survey, name="survey"),
    path("surveys/<int:pk>/take-back/", surveys.cancel_survey, name="cancel_survey"),
    path("surveys/<int:pk>/loop/", surveys.close_loop, name="close_loop"),
    path("s/thanks/", surveys.survey_thanks, name="survey_thanks"),
    path("s/<str:token>/", surveys.answer_survey, name="answer_survey"),
    path("insights/", insights.insights, name="insights"),
    path("insights/new/", insights.new_insight, name="new_insight"),
    path("insights/<int:pk>/", insights.insight, name="insight"),
    path("insights/<int:pk>/change/", insights.edit_insight, name="edit_insight"),
    path("insights/<int:pk>/withdraw/", insights.withdraw, name="withdraw_insight"),
    path("insights/<int:pk>/restore/", insights.restore, name="restore_insight"),
    path("promises/", records.promise_list, name="promises"),
    path("promises/people/", records.promise_records, name="promise_records"),
    path("promises/<int:pk>/keep/", records.act, {"deed": "keep_promise"}, name="keep_promise"),
    path("promises/<int:pk>/break/", records.act, {"deed": "break_promise"}, name="break_promise"),
    path("promises/<int:pk>/share/", records.act, {"deed": "share_promise"}, name="share_promise"),
    path("issues/", records.issue_list, name="issues"),
    path("issues/<int:pk>/", records.issue, name="issue"),
    path("issues/<int:pk>/change/", records.act, {"deed": "change_issue"}, name="change_issue"),
    path("issues/<int:pk>/resolve/", records.act, {"deed": "resolve_issue"}, name="resolve_issue"),
    path("issues/<int:pk>/told/", records.act, {"deed": "tell_customer"}, name="tell_customer"),
    path("issues/<int:pk>/reopen/", records.act, {"deed": "reopen_issue"}, name="reopen_issue"),
    path("enquiries/", records.enquiry_list, name="enquiries"),
    path("enquiries/<int:pk>/", records.enquiry, name="enquiry"),
    path("enquiries/<int:pk>/answer/", records.act, {"deed": "answer_enquiry"}, name="answer_enquiry"),
    path(
        "enquiries/<int:pk>/step/", records.act, {"deed": "finish_enquiry_step"}, name="finish_enquiry_step"
    ),
    path("fine-print/", records.fine_print, name="fine_print"),
    path("fine-print/<int:pk>/", records.contract_terms, name="contract_terms"),
    path("fine-print/<int:pk>/explained/", records.act, {"deed": "explain_terms"}, name="explain_terms"),
    path(
        "fine-print/<int:pk>/acknowledged/",
        records.act,
        {"deed": "acknowledge_terms"},
        name="acknowledge_terms",
    ),
]
