"""The members of an ensemble: their models, their scores on one scale, and one score of all."""
