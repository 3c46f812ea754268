"""The ranks of one trial: killable processes, and what they say to one another."""
