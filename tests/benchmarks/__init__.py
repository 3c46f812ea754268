"""Speed and memory, measured side by side: `python -m tests.benchmarks.NAME`.

- `plan`: settling, identifying and pricing 10,000 trials
- `false_claims`: what a report claims of equal arms and of planted effects (no speed, error rates)
- `report_scale`: compaction and report of 3,000 arms, three seeds each
"""
