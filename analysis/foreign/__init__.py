"""Score tables of models trained elsewhere: read from files, checked against one another."""
