"""JMESPath expressions over events, exact in decimals."""
