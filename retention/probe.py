"""Asks the web server of this container whether it is alive; for the container's health check."""

import os
import sys
import urllib.request


def main() -> int:
    """0 when /healthz answers; a traceback and 1 when it does not."""
    host = os.environ.get("MAINSTAY_ALLOWED_HOSTS", "localhost").partition(",")[0].lstrip(".") or "localhost"
    port = os.environ.get("MAINSTAY_PORT", "8000")
    question = urllib.request.Request(f"http://127.0.0.1:{port}/healthz", headers={"Host": host})
    with urllib.request.urlopen(question, timeout=4) as answer:  # noqa: S310 - http and our own
        return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
