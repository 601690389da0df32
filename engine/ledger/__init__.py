"""The store of the ledger: what may be read of it and posted to it, whatever keeps it."""
