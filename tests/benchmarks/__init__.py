"""Speed and memory, measured side by side: `python -m tests.benchmarks.NAME`.

- `plan`: settling, identifying and pricing 10,000 trials
- `false_claims`: what a report claims of equal arms and of planted effects (no speed, error rates)
- `report_scale`: compaction and report of 3,000 arms, three seeds each
- `pair_throughput`: training steps against the graphs public trainers build, and against TRL
- `head_trials`: trials that only train a head, with pooled states shared and not
- `memory`: peaks in processes of their own, and the estimate
- `measuring`: interleaved process time, tables, JSON
- `shapes`: the tiny Qwen2.5-VL and the made pairs all contestants train on
- `arithmetic`: operations a step cannot do without
- `ours`, `peer_graphs`, `trl_trainer`: the contestants
"""
