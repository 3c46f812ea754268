"""Steps of training: batches in a fixed order, losses, optimizers, and checkpoints that resume."""
