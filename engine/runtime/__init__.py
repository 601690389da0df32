"""What the house stands on: time and chance, the log line with its metrics, traces, a fast start."""
