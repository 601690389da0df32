"""Somebody does to a ledger what nothing of this system can, and it has to end as if he had not: 124 kinds, one or several.

    stage       a history that is over, lived again on the strict database, with its stream and its archive
    targets     what is there to do something to
    doing       what is done
    kinds       the table of all kinds
    keepers     those who look and put right: with the archive, and without
    state       what the tables come to
    trial       one history twice, with the damage and without: what differs in the end is not put right
    report      what became of each kind, as a table

``python -m tests.simulation.damages --count 1000`` plays a thousand of them.
"""
