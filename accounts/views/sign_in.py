"""Signing in and out."""

from django.contrib.auth.views import LoginView, LogoutView

from accounts.forms import SignInForm


class SignIn(LoginView):
    template_name = "registration/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """POST only."""
