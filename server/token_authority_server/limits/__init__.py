"""Rate limits and concurrency limits of callers.

A refused call is not charged: a rate limit is charged only if every rate of the caller has room.
"""

from token_authority_server.limits.in_flight import InFlight
from token_authority_server.limits.limiter import RateLimiter
from token_authority_server.limits.quota import Quota, Rate
from token_authority_server.limits.shared import check_redis
from token_authority_server.limits.slices import Turns, in_slices

__all__ = ["InFlight", "Quota", "Rate", "RateLimiter", "Turns", "check_redis", "in_slices"]
