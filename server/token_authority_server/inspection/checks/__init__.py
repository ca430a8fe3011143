"""The checks of an inspection, by subject. Pure; `diagnose` runs them."""
