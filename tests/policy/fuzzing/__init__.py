"""Thousands of odd policies, each read within bounds of time and memory: ``python -m tests.policy.fuzzing --count 10000``.

``trees`` takes right policies apart, ``files`` makes a policy of a seed, ``huge`` the largest that fit into a file, ``limits``
reads them. A policy is known by its seed alone: ``--first 1234 --count 1 --show`` prints it.
"""
