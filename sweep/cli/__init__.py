"""The command `rmsweep`: wires everything, decides nothing.

- `main`: the app, exit codes, how errors are printed
- `console`: where text goes: tables for people, `--json` for programs
- `workplace`: settings, ledger and stores, opened once per command
- `plan_verbs`: `check`, `spaces`
- `run_verbs`: `run`, `resume`, `stop`
- `look_verbs`: `status`, `ls`, `show`, `logs`
- `train_verbs`: `train`, `evaluate`
- `score_verb`: `score`
- `decide_verbs`: `report`
- `ensemble_verb`: `ensemble`
- `planning`: from a file, or a sweep in the ledger, to its plan
- `stages_view`: what the stages of a plan train
- `benchmark_texts`: benchmarks as they are written on the command line
- `showing`: what a command adds is shown in MLflow
- `ui_verb`: `ui`
- `progress_view`: what a running sweep looks like in a terminal
- `demo`: what `make demo` does
"""
