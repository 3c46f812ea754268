"""Ensembles: members and a rule chosen on validation, judged once on test, plain about their worth.

- `panel`: what several models gave to the same responses; folds of whole groups
- `averages`, `greedy`, `stacking`, `routing`: one method each, a pure function
- `methods`: all of them by name, with the settings each chooses from
- `nested`: a method's settings by inner cross-validation, methods compared by outer
- `diversity`: how alike the members' errors are
- `candidates`: trials of sweeps and foreign score tables that may join
- `joining`: candidates side by side, on the items all of them were scored on
- `merging`: averages of the weights of models alike, as further candidates
- `asking`: what a user asks for, and the benchmarks that follow from it
- `choosing`: from sweeps or score tables to a written ensemble
- `result`: what an ensemble is worth; `ensemble.json`
"""
