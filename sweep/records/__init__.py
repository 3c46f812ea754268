"""The ledger: what is known of sweeps and trials, and how it is shown.

Start at `ledger` (what others call). Behind it: `lifecycle` (states and moves), `rows` (values in
and out), `schema` (tables), `database` (transactions), `log` and `journal` (what only grows),
`registering`, `holding` and `liveness` (drivers), `attempting` and `ending` (trials), `overview`
and `reading` (questions), `score_places` (which scores a sweep means). Trackers: `publisher` (the
thread), `publishing` (one pass), `projection` (what is shown).
"""
