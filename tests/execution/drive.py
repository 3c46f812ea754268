"""A driver in a process of its own: `python -m tests.execution.drive HOME SWEEP`, to be killed.

SWEEP is the JSON of `{"name", "configs": [...]}`, with `"budget"`, the `"address"` of a cluster
where it is to join one, and a `"ledger"` that is not HOME's; the last line printed is the result.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra.errors import RmsweepError
from sweep.execution.runner import run_sweep
from sweep.records.ledger import Ledger
from sweep.spec.sweep_spec import BudgetSpec
from tests.execution.plans import plan_of, settings_in
from tests.execution.scripted import SCRIPTED
from trainer.config import TrainerConfig


def main() -> int:
    """Run the sweep; leaves as the command does: 130 when interrupted, 1 when Ray failed."""
    home, sweep = Path(sys.argv[1]), json.loads(sys.argv[2])
    configs = [TrainerConfig.model_validate(config) for config in sweep["configs"]]
    own = settings_in(home)
    places = {
        "ray_address": sweep.get("address"),
        "ledger_url": sweep.get("ledger", own.ledger_url),
    }
    settings = own.model_copy(update=places)
    budget = BudgetSpec.model_validate(sweep.get("budget", {}))
    with Ledger.open(settings.ledger_url) as ledger:
        plan = plan_of(configs, name=sweep["name"], budget=budget)
        try:
            result = run_sweep(plan, ledger, settings, execution=SCRIPTED)
        except RmsweepError as error:
            sys.stderr.write(f"error: {error}\n")
            return error.exit_code
    sys.stdout.write(json.dumps({"state": result.state, "interrupted": result.interrupted}) + "\n")
    return 130 if result.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
