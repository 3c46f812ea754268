"""What a sweep may vary: one module per axis, and the sweep files that ship.

- `paradigm`, `head`, `strategy`, `data_mix`, `backbone`, `scale`: the axes that ship, each with its
  levels, when it matters, and a guess of its cost; `catalog` finds them by name.
- `recipes/`: sweep files and trainer configs by name; every table of the paper is one.
- `patches`: change a trainer config by dotted path.
- `conditions`, `condition_parser`: `head.layers >= 2`, as a value and from text.
- `axes`, `axis_levels`: what a sweep file asks for, as levels with patches.
- `ranges`, `mixtures`, `members`: levels that are drawn, shares of a whole, subsets of a set.
- `rules`: what every arm must meet (constraints, excluded combinations).
- `points`: how axes depend on one another through their conditions.
- `settling`: a chosen level per axis, settled into one trainer config.
"""
