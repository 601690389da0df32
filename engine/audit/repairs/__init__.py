"""Repair by plan: what was posted is put back where it was changed or is gone, and the rest follows from the one idea.

The way through it::

    gather       what a repair of one user rests on: the archive is read once, what is about the user once more
    history      all that the archive saw come into a log, and what stands there now
    truth        what the log would be if nobody had touched it: what each honest entry has added, joined with what was posted
    draft        what brings the ledger there: entries to be put back, and corrections of desired - posted
    planning     the drafts of a user, with evidence, in a file that a person looks at
    applying     that file, exactly as it is: one transaction a log, once
    applied      which corrections of a ledger stand in a plan that the archive keeps
"""
