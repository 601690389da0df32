"""The plan of an edit at any size: what given events would come to, by all cores and in bounded memory.

Nothing of pricing or deciding is done here. An event is *reduced* to the values that the two policies look at; events of one
reduction have one *effect*, which the engine itself works out once for each policy. A record of each event is *spilled* to
disk by its log (``job#j-1``); then each log is *folded* by the engine's own decisions, and logs that are alike are folded
once. What a reduction cannot carry has an effect of its own: the engine is asked for that very event.

    lines -> reading -> reduction -> effects -> spill -> fold -> look back, tally -> answer
"""
