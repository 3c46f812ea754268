"""Speed and memory, measured side by side: `python -m tests.benchmarks.NAME`.

- `plan`: settling, identifying and pricing 10,000 trials
"""
