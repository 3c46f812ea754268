"""From a sweep's records to a decision: tables, effects, ensembles, the report.

In a notebook::

    from analysis.tables import open_sweep
    from analysis.ablation import ablate

    sweep = open_sweep("reward-head")  # from this machine's ledger
    sweep.arms  # pandas: one row per arm
    sweep.items("test", purpose="reporting")  # one row per trial and pair
    for axis in ablate(sweep, "test").axes:
        for effect in axis.levels:
            print(effect.sentence)

Modules::

    tables                a sweep's tables: trials, arms, curves, outcomes; `open_sweep`
    frames                ledger rows as pandas frames
    outcomes              who was right on which pair, aligned over trials; selection or reporting
    foreign               score tables of models trained elsewhere, from a folder; `foreign_*`
    compaction            scores of a whole sweep in few objects of the store, kept up to date
    alignment             scores of many trials side by side, as outcomes or margins
    layouts               what models share on a benchmark, held once, and each model's own scores
    ablation              every arm against the baseline, the best arm, noise between seeds
    effects               levels of an axis against the baseline's, as one family of tests
    slices                accuracy by category and source; with and without the right images
    ensembles             choose an ensemble on validation, judge it on test, write it down
    ensemble_candidates   trials that may join, with normalised margins
    ensemble_weights      plain average, greedy selection, cross-validation
    ensemble_result       what an ensemble is worth; `ensemble.json`
    markdown              effects and arms as Markdown tables
    report                one self-contained HTML page; words and plots in `report_*`
    statistics            arrays in, verdicts out
"""
