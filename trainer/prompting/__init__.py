"""From an item to tokens: what each paradigm shows the model, within its limits of length."""
