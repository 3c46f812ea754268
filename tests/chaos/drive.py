"""A driver of real tiny trainings, to be killed: `python -m tests.chaos.drive HOME LEDGER`.

It exits 0 once the sweep has succeeded, 3 when it ended otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infra.settings import Settings, load_settings
from infra.tracking import NullTracker
from sweep.engine.planning.plan import SweepPlan
from sweep.execution.runner import Execution, run_sweep
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from tests.execution.plans import plan_of
from trainer.config import TrainerConfig

PAIRS = 2560
CHECKPOINTS = (0.2, 0.4, 0.6, 0.8)


def training(seed: int, *, workers: int = 1) -> TrainerConfig:
    """Half a minute of training that keeps a checkpoint every few seconds."""
    return TrainerConfig.model_validate(
        {
            "seed": seed,
            "data": {"pairs": PAIRS},
            "backbone": {"scale": "xs"},
            "strategy": {"batch_pairs": 8},
            "machine": {"workers": workers},
            "evaluation": {
                "benchmarks": {"validation": {"split": "validation", "parts": {"scenes": 40}}},
                "during": CHECKPOINTS,
                "monitor": "validation",
            },
        }
    )


def sweep() -> SweepPlan:
    """Four trainings on one device and two gangs of two."""
    workers = {"a": 1, "b": 1, "c": 2, "d": 1, "e": 2, "f": 1}
    return plan_of(
        {arm: training(seed, workers=count) for seed, (arm, count) in enumerate(workers.items())},
        name="chaos",
    )


def settings_of(home: Path, ledger_url: str) -> Settings:
    """A machine with two CPUs that keeps its files in one folder."""
    return load_settings(
        {"RMSWEEP_HOME": str(home), "RMSWEEP_CPUS": "2", "RMSWEEP_LEDGER_URL": ledger_url}
    )


def main() -> int:
    """Run the sweep, or go on with it."""
    settings = settings_of(Path(sys.argv[1]), sys.argv[2])
    execution = Execution(open_tracker=lambda sweep, settings: NullTracker)
    with Ledger.open(settings.ledger_url) as ledger:
        result = run_sweep(sweep(), ledger, settings, execution=execution)
    return 0 if result.state is SweepState.SUCCEEDED else 3


if __name__ == "__main__":
    sys.exit(main())
