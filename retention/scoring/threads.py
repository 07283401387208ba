"""How many threads the sums of the engine are spread over: one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads that spin beside other busy processes make our small sums many times slower, never much faster; and
    workers share a book by its accounts, each on a core of its own."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # looks at every library: only for fits

    with threadpool_limits(limits=1):
        yield
