"""The policy file: YAML in, a checked and compiled ``Policy`` out; every mistake at once, each with its line."""

from engine.policy.loader import load_policy, parse_policy
from engine.policy.model import Policy

__all__ = ["Policy", "load_policy", "parse_policy"]
