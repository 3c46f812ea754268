"""What was spent, by the sweep and by its arms, and whether it may go on."""
