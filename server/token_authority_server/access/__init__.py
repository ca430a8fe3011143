"""Access: what a caller may have. Callers, grants, and when a retired key can be removed."""
