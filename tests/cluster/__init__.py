"""A whole cluster on this machine, and what happens to clusters."""
