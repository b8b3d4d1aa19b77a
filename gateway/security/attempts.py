"""How often a password may be guessed: by the name it is for, and by the address it comes from.

Counted in this process; several gateways behind one address let through as many times more.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gateway.errors import TooMany

BY_NAME = RateLimitItemPerMinute(10, 5)
BY_ADDRESS = RateLimitItemPerMinute(100, 5)
"""a shift signs in from behind one address"""


class Attempts:
    def __init__(self, by_name: RateLimitItem = BY_NAME, by_address: RateLimitItem = BY_ADDRESS) -> None:
        self.by_name, self.by_address = by_name, by_address
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, name: str, address: str) -> None:
        """An attempt, before it is known how it ends. Raises: TooMany."""
        for limit, kind, value in ((self.by_address, "address", address), (self.by_name, "name", name)):
            if not self.limiter.hit(limit, kind, value):
                reset = self.limiter.get_window_stats(limit, kind, value).reset_time
                raise TooMany("too many attempts to sign in: wait a little", max(1, math.ceil(reset - time.time())))

    def forgive(self, name: str) -> None:
        """They got it right: what came before does not count against them."""
        self.limiter.clear(self.by_name, "name", name)
