"""What builds, runs and tries the product on a laptop. Nothing in here is part of the product itself."""
