"""Many charges at another price, in two steps: a plan in a file, for people to look at, and exactly that file, posted.

``plan`` reads the ledger and writes the file, ``apply`` posts it; neither does anything else.
"""
