"""Sweeps that grow while they run: further points, seeds and stages, each a logged decision."""
