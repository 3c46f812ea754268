"""Files that set up a cluster, all rendered from one settings file; no secret is in any of them.

`deployment` is the settings file, `reading` names what is wrong in one, `rendering` makes every
file. `variables` says which settings and secrets reach which process; `images`, `compose`,
`kueue`, `ray_cluster`, `services`, `slurm`, `policies` and `team_space` make one kind of file each.
"""
