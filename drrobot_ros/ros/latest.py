"""A one-slot buffer that keeps the newest item, and the one thread that works on it."""

import threading
import traceback
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestWorker(Generic[Item]):
    """Runs a function on the newest item; items that come meanwhile replace each other.

    A slow function drops items and never queues them. Jobs, unlike items, are all run, in order
    and before the next item.

    Args:
        work: called with each item, in the worker's thread.
        on_error: called with whatever ``work`` or a job raised; the worker goes on.
        name: of the thread.
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        on_error: Callable[[Exception], None],
        name: str = "worker",
    ) -> None:
        self._work, self._on_error = work, on_error
        self._wake = threading.Condition()
        self._item: Item | None = None
        self._jobs: list[Callable[[], None]] = []
        self._stopping = False
        self.received = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand over an item; one that still waited is dropped and counted."""
        with self._wake:
            self.received += 1
            self.dropped += self._item is not None
            self._item = item
            self._wake.notify()

    def run(self, job: Callable[[], None]) -> None:
        """Have a job done in the worker's thread."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def stop(self, timeout_s: float = 3.0) -> None:
        """End the thread once it has finished what it works on; wait no longer than so many s.

        Whoever starts nodes kills those that take more than 5 s to end.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._item is None and not self._jobs and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                jobs, self._jobs = self._jobs, []
                item = None
                if not jobs:
                    item, self._item = self._item, None
            for job in jobs:
                self._guard(job)
            if item is not None:
                self._guard(lambda item=item: self._work(item))

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # whatever it was, the next item deserves its chance
            try:
                self._on_error(error)
            except Exception:
                traceback.print_exc()
