"""The audit against the archive: what was posted against what stands there now, from one head of the chain to another."""
