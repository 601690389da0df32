"""JMESPath expressions over events, exact in decimals."""

OWN_ROW = "row"
"""What expressions call the job's own row in Jobs."""
