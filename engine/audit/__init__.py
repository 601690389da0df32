"""The entries against the balances, against each other, against their seals, and counted again; repair."""
