"""Which points a sweep asks for: factorial designs, fractions of them, and random points."""
