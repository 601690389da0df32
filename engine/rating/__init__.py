"""Event + policy + log -> decision. All of it is pure: no clock, no network, no randomness."""
