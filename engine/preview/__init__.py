"""What a policy does or would do, before anything moves: plan, policy tests, reasons."""
