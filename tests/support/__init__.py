"""What the tests share: events as EventBridge sends them, policies, and a ledger in memory for the pure core."""
