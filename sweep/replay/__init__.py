"""The simulated-clock shell: the engine's decisions carried out on recorded learning curves.

- `curves_file`: which columns of which files hold the curves
- `curves`: recorded curves by configuration and seed
- `space`: a table's configurations as points of axes
- `planning`: from a sweep file and a table to trials; axes are the table's own columns
- `journal`: a ledger's events without its database, for thousands of sweeps in a row
- `working`: the clock, and one attempt on a curve
- `driving`: one driver's life under a clock that jumps from event to event
- `outcome`: regret, spend, and what stopping early cost
- `replaying`: a whole sweep in one call
"""
