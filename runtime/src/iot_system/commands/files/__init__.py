"""Files of telemetry: CSV, NDJSON and Parquet, chosen by name."""
