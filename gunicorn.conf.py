"""The web server's own settings; address and number of workers come from who starts it."""

import gc
import os
from typing import Any

worker_class = "gthread"
workers = int(os.environ.get("MAINSTAY_WEB_WORKERS", "2"))
threads = int(os.environ.get("MAINSTAY_WEB_THREADS", "4"))
timeout = 60
graceful_timeout = 10
keepalive = 30
# A worker is replaced now and then, not all at once, so that memory cannot creep.
max_requests = 5000
max_requests_jitter = 500
# The heartbeat file must not live on a disk that may stall.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108
control_socket_disable = True
errorlog = "-"
accesslog = os.environ.get("MAINSTAY_ACCESS_LOG") or None


def post_worker_init(worker: Any) -> None:
    """What the program itself consists of is never garbage: it is not looked through at each collection, and a page, which
    makes some ten thousand short-lived objects, is worth one look and not fifteen."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
