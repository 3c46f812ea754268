"""What the rest stands on; it knows nothing of rewards.

`errors` (every deliberate error), `frozen` (base of exchanged models), `field_shapes` and
`findings` (what is wrong in a file, with near names), `settings` (`RMSWEEP_*`), `provenance`,
`object_store` (protocol and local folder), `s3_store` (boto3), `tracking` (protocol) and
`mlflow_tracker` (MLflow).
"""
