"""Scoring the average of several models' weights, before anything is known of its worth.

It is scored through the very classes `rmsweep score` uses, from files whose checksums are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_items
from trainer.evaluation_config import BenchmarkConfig
from trainer.members.combining import WeightedSum
from trainer.members.ensemble_file import EnsembleFile, EnsembleMember, ModelReference
from trainer.members.merges import merge_identity
from trainer.members.normalizing import Unchanged
from trainer.scoring import EnsembleScorer


def score_merge(
    models: Sequence[ModelReference],
    config: TrainerConfig,
    benchmarks: Mapping[str, BenchmarkConfig],
) -> dict[str, pa.Table]:
    """Score tables of the average of some models' weights, by benchmark.

    Args:
        models: What to average; their files are checked against their digests.
        config: Its `data` says what the benchmarks' source names mean.
        benchmarks: What to score, by name.

    Raises:
        InputError: If the models differ in more than weights, or the average does not fit.
        MissingError: If a model is gone.
        CorruptObjectError: If a model is not the one that was named.
    """
    label = f"the average of {len(models)} models"
    voice = EnsembleMember(label=label, models=tuple(models), weight=1, normalization=Unchanged())
    ensemble = EnsembleFile(
        version=2,
        name=merge_identity(models),
        method="merged",
        members=(voice,),
        rule=WeightedSum(weights=(1.0,)),
        temperature=1,
    )
    scorer = next(EnsembleScorer(ensemble).rounds())[0]
    return {
        name: scorer.score(
            benchmark_items(config.data, benchmark), benchmark=name, split=benchmark.split
        )
        for name, benchmark in benchmarks.items()
    }
