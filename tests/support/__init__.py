"""Shared by the tests: fakes for clock and random bytes, a real server, an independent decoder."""
