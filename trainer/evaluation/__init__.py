"""From a benchmark to its score table, and from score tables to every published metric."""
