"""The checks of an inspection, by what they look at. Pure; `diagnose` runs them all."""
