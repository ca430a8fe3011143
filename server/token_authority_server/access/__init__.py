"""Authorization: callers, their grants, and when a retired key can be removed."""
