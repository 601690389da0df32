"""Values that cross every border of the house: immutable, right by construction, one subject a file."""
