"""Telemetry: log, metrics, health, and the admin HTTP listener."""
