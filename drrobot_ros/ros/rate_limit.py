"""How often something may happen."""

import time


class RateLimit:
    """Says when something is due that is to happen at most so often."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def due(self, rate_hz: float) -> bool:
        """Return whether it is due now, and then count it as done."""
        now = time.monotonic()
        if rate_hz <= 0 or now < self._next_s:
            return False
        # Keeping to the grid keeps the rate where calls come at odd times.
        self._next_s = max(self._next_s + 1.0 / rate_hz, now)
        return True
