"""Rows of one trunk and several branches: how they lie in a batch, and how they are attended to."""
