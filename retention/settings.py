"""Settings, all of them from the environment. A value that cannot be used stops the program with a sentence.

See .env.example for what can be set. Without DATABASE_URL and REDIS_URL the embedded servers of
retention/embedded.py are used; manage.py starts them.
"""

import os
import secrets
import zoneinfo
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from retention.embedded import addresses

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _secret_key() -> str:
    """The key from the environment, or one made once and kept in the data directory (trial only)."""
    if key := env.str("MAINSTAY_SECRET_KEY", default=""):
        if len(key) < 50:
            raise ImproperlyConfigured("MAINSTAY_SECRET_KEY needs at least 50 random characters.")
        return key
    if OWN_DATABASE and not DEBUG and not TRIAL:
        raise ImproperlyConfigured(
            "Set MAINSTAY_SECRET_KEY to at least 50 random characters: this installation uses its own "
            "database server (DATABASE_URL is set), so its key must not live beside it in a file."
        )
    path = DATA_DIR / "secret-key"
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(64))
    return path.read_text()


def _time_zone() -> str:
    name = env.str("MAINSTAY_TIME_ZONE", default="UTC")
    if name not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"MAINSTAY_TIME_ZONE is '{name}'; use a name such as Europe/Berlin.")
    return name


def _port() -> int:
    text = env.str("MAINSTAY_PORT", default="8000")
    if not (text.isdigit() and 0 < int(text) < 65536):
        raise ImproperlyConfigured(f"MAINSTAY_PORT is '{text}'; use a number from 1 to 65535.")
    return int(text)


def _database() -> dict:
    if urlsplit(DATABASE_URL).scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            "DATABASE_URL must name a PostgreSQL server: postgresql://user:password@host:5432/name"
        )
    return env.db_url_config(DATABASE_URL)


def _flag(name: str, default: bool) -> bool:
    text = env.str(name, default=str(default)).strip().lower()
    if text not in {"1", "0", "true", "false", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name} is '{text}'; use true or false.")
    return text in {"1", "true", "yes", "on"}


DATA_DIR = Path(env.str("MAINSTAY_DATA_DIR", default=str(BASE_DIR / "var"))).absolute()
OWN_DATABASE = bool(env.str("DATABASE_URL", default=""))
DATABASE_URL = env.str("DATABASE_URL", default="") or addresses(DATA_DIR).database_url
REDIS_URL = env.str("REDIS_URL", default="") or addresses(DATA_DIR).redis_url
DEBUG = _flag("MAINSTAY_DEBUG", False)
# With the embedded servers: plain http on loopback.
TRIAL = _flag("MAINSTAY_TRIAL", not OWN_DATABASE)
PORT = _port()
SECRET_KEY = _secret_key()
ALLOWED_HOSTS = env.list("MAINSTAY_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("MAINSTAY_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "retention.apps.RetentionConfig",
    "pulsecheck.apps.PulsecheckConfig",
    "notifications.apps.NotificationsConfig",
    "accounts.apps.AccountsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "template_partials",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "axes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.TimeZoneMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "retention.urls"
WSGI_APPLICATION = "retention.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "retention.context.shell",
            ],
            "builtins": ["retention.templatetags.paths"],
        },
    },
]

DATABASES = {
    "default": {
        **_database(),
        "CONN_MAX_AGE": env.int("MAINSTAY_CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "retention:today"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
AXES_FAILURE_LIMIT = 9
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_USERNAME_FORM_FIELD = "username"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = _time_zone()

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("MAINSTAY_STATIC_ROOT", default=str(DATA_DIR / "static")))
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "retention.vendor.VendorFinder",
]
# What the pages use of the npm packages, served below static/vendor/.
VENDOR_FILES = {
    "tabler": ("@tabler/core/dist/css", ("tabler.min.css", "tabler.min.css.map")),
    "tabler-js": ("@tabler/core/dist/js", ("tabler.min.js", "tabler.min.js.map")),
    "inter": ("@fontsource-variable/inter", ("wght.css", "files/*-wght-normal.woff2")),
    "chart": ("chart.js/dist", ("chart.umd.min.js", "chart.umd.min.js.map")),
}
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files")},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_PERMISSIONS = 0o600
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
MAX_IMPORT_BYTES = env.int("MAINSTAY_MAX_IMPORT_BYTES", default=2 * 1024**3)

# Keys under which passwords and tokens of connected systems are encrypted, the newest first; older ones only read.
CREDENTIAL_KEYS = env.list("MAINSTAY_CREDENTIAL_KEYS", default=[])
# Hosts and networks of one's own that connections may reach although they are not on the public internet.
CRM_PRIVATE_HOSTS = env.list("MAINSTAY_CRM_PRIVATE_HOSTS", default=[])

# Widgets are drawn by templates of ours where there is one (templates/django/forms/), else by Django's.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
CRISPY_ALLOWED_TEMPLATE_PACKS = CRISPY_TEMPLATE_PACK = "bootstrap5"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "accounts.api.paging.Pages",
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.Schema",
    "DEFAULT_FILTER_BACKENDS": ["accounts.api.filters.AskedFilters"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.throttling.CallsPerMinute"],
    "EXCEPTION_HANDLER": "accounts.api.problems.handle_problem",
    "COERCE_DECIMAL_TO_STRING": True,
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# Of one person with all their tokens, counted over all web processes.
API_CALLS_PER_MINUTE = env.int("MAINSTAY_API_CALLS_PER_MINUTE", default=6000)
API_ANONYMOUS_CALLS_PER_MINUTE = 60
# Of all pages that need no sign-in but a link, from one address.
PUBLIC_CALLS_PER_MINUTE = 60
# Webhooks of one connected system; what is refused here is read with the next pull.
CRM_WEBHOOKS_PER_MINUTE = 600
SPECTACULAR_SETTINGS = {
    "TITLE": "Mainstay API",
    "DESCRIPTION": "Accounts, their orders, how likely each is to leave, and what is done about it.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "Tier": "retention.models.Tier",
        "Stage": "retention.models.scores.Stage",
        "OrderStatus": "accounts.models.commerce.OrderStatus",
        "ContactRole": "accounts.models.account.ContactRole",
        "HandbackState": "pulsecheck.models.handbacks.HandbackState",
        "HandbackOutcome": "pulsecheck.models.handbacks.HandbackOutcome",
        "FollowUp": "pulsecheck.models.actions.FollowUp",
        "MeetingState": "pulsecheck.models.meetings.MeetingState",
        "TouchpointState": "pulsecheck.models.touchpoints.TouchpointState",
        "ImportState": "accounts.models.imports.ImportState",
        "UserRole": "accounts.models.staff.Role",
        "EventKind": "notifications.models.EventKind",
        "CallState": "notifications.models.OutboxState",
    },
}

EMAIL_BACKEND = env.str("MAINSTAY_EMAIL_BACKEND", default="django.core.mail.backends.filebased.EmailBackend")
EMAIL_FILE_PATH = DATA_DIR / "mail"
if email_url := env.str("MAINSTAY_EMAIL_URL", default=""):
    vars().update(env.email_url_config(email_url))
# Shorter than the lease of a mail, so that a server that hangs never makes a second sender send it too.
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = env.str("MAINSTAY_FROM_EMAIL", default="Mainstay <mainstay@localhost>")
# Where links in e-mails point to.
BASE_URL = env.str("MAINSTAY_BASE_URL", default=f"http://127.0.0.1:{PORT}")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_SAMESITE = "Lax"
# A trial runs on http://127.0.0.1; an installation of one's own is served through TLS.
HTTPS = _flag("MAINSTAY_HTTPS", not (TRIAL or DEBUG))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if _flag("MAINSTAY_BEHIND_PROXY", HTTPS) else None
)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("MAINSTAY_LOG_LEVEL", default="WARNING")},
    # They write down whole addresses and headers of calls to connected systems, which may hold keys.
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}

# Celery's settings are in retention/celery.py, with the reasons for each.
