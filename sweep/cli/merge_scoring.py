"""Scoring averages of weights for the verb `ensemble`, on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from infra.errors import InputError
from sweep.cli.benchmark_texts import config_of
from sweep.cli.console import err

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.ensembles.merging import Models, ScoreMerge
    from sweep.records.ledger import Ledger
    from sweep.records.rows import SweepRow


def merge_scorer(ledger: Ledger, sweeps: Sequence[SweepRow]) -> ScoreMerge:
    """Scores averages of the models of some sweeps on benchmarks their sweep files define."""
    from trainer.merge_scoring import score_merge
    from trainer.scoring import every_core

    trials = {trial.identity: trial for sweep in sweeps for trial in ledger.trials(sweep.sweep_id)}

    def score(models: Models, benchmarks: Sequence[str]) -> Mapping[str, pa.Table]:
        config = config_of(trials[models[0].identity])
        known = config.evaluation.benchmarks
        lacking = [name for name in benchmarks if name not in known]
        if lacking:
            raise InputError(
                f"benchmark {', '.join(lacking)} is not defined in the sweep file, which knows "
                f"{', '.join(known)}, so no new model can be scored on it"
            )
        err.print(f"scoring the average of {len(models)} models on {' and '.join(benchmarks)}")
        with every_core():
            return score_merge(models, config, {name: known[name] for name in benchmarks})

    return score
