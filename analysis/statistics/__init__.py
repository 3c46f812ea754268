"""Effects, intervals, tests: arrays in, verdicts out; knows neither ledger nor files.

Modules::

    components    the parts of a variance: seeds, item groups, both together
    paired        an arm against its reference: difference, two intervals, two p-values
    intervals     accuracy of a model or an arm
    corrections   Holm's correction within a family of tests; Benjamini and Hochberg's q-values
    equivalence   the difference that two one-sided tests rule out
    calibration   reliability, ECE, NLL, one temperature
    resampling    permutation tests and bootstrap over groups and seeds, where they are valid
    verdicts      better, worse, not distinguishable - and to what it applies
    planning      smallest detectable effect; how many more seeds or items would settle it
"""
