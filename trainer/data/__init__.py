"""Preference data in one normal form, and the sources it comes from."""
