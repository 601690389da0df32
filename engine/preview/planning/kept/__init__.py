"""A plan out of a ledger: what its entries keep of charges, failures and purchases is told once more, under both policies.

No event is needed. Each fact that an entry keeps becomes a line of a file, and such lines go the way that events go: they
have effects, are folded by their logs and counted. What balances the ledger knows then says who would fall below zero.

    entries -> logs -> told facts (lines) -> effects -> fold -> moves -> overdrafts
"""
