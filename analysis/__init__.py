"""From a sweep's records to a decision: tables, effects, ensembles, the report.

In a notebook::

    from analysis.notebook_api import open_page, show

    page = open_page("reward-head")  # a sweep by name, from this machine's ledger
    show.effects(page)  # a section of the report
    page.tables.arms  # pandas: one row per arm
    page.tables.items("test", purpose="reporting")  # one row per trial and pair
    for axis in page.ablation.axes:
        for effect in axis.levels:
            print(effect.sentence)

`analysis/notebooks/` holds whole ones: `ablation`, `compare_sweeps`, `ensemble`, `paper_tables`.

Modules::

    tables                a sweep's tables: trials, arms, curves, outcomes; `open_sweep`
    frames                ledger rows as pandas frames
    outcomes              who was right on which pair, aligned over trials; selection or reporting
    foreign               score tables of models trained elsewhere, from a folder; `foreign_*`
    scored_models         outcomes and margins of a sweep's trials or a folder's models alike
    score_tables          a sweep's score tables, one by one or compacted
    compaction            scores of a whole sweep in few objects of the store, kept up to date
    alignment             scores of many trials side by side, as outcomes or margins
    layouts               what models share on a benchmark, held once, and each model's own scores
    ablation              every arm against the baseline, the best arm, noise between seeds
    effects               levels of an axis against the baseline's, as one family of tests
    factorial             main effects and interactions of a factorial or fractional design
    importance            which axes decide whether an arm is among the best
    pareto                accuracy against cost
    sanity                confidence, length and position bias, leaks, trials that are twins
    slices                accuracy by category and source; with and without the right images
    ensembles             members and a rule chosen on validation, judged on test (a folder)
    sweep_comparison      arms of several sweeps on the items they share
    paper_rows            printed tables of a paper as reference data; `paper_checks` doubts them
    notebook_api          what notebooks use; `show` has the sections
    notebook              executes a notebook in this process
    report                a notebook's sections as HTML, Markdown and LaTeX; parts in `report_*`
    text_tables           a table as Markdown and LaTeX, everything in it escaped
    short_names           arms, axes and levels short enough to be shown
    statistics            arrays in, verdicts out
"""
