"""Ray Tune alone, as sparing as it can be set: what our bookkeeping is measured beside."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any


def run_plainly(trainable: type, folder: Path, *, space: dict[str, Any], trials: int) -> Any:  # noqa: ANN401 -- Ray is untyped here
    """Tune's results of so many trials on reused actors of one CPU each, without checkpoints."""
    from ray import tune

    return tune.Tuner(
        tune.with_resources(trainable, {"CPU": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True),
        run_config=tune.RunConfig(
            name=uuid.uuid4().hex,
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
