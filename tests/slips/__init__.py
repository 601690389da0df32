"""What people slip over when they change prices: five edits that everybody makes, and forty slips planted in them.

``edits`` are the five, ``table`` has the slips; ``python -m pytest tests/slips -s`` prints what becomes of each.
"""
