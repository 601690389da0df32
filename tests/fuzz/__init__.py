"""Whatever comes in by a door of the product: it is taken, or refused with a reason, in bounded time and memory.

    door         what a door is: its inputs, what must hold of each, the modules behind it
    odd          strategies: values as JSON holds them, most of them right and some odd
    sense        whether an event makes sense and what it costs, written from the rules alone
    matcher      event patterns, matched by trying everything
    desk         a function at its tables, and what stands in them
    doors/       the doors, one a file
    guided       one door under atheris: new inputs grow from those that reached new code
    reached      which branches the kept inputs reach
    plants       deliberate bugs that the doors must find
    __main__     all doors, and a table: ``make fuzz SECONDS=60``

Every door is a test of hypothesis as well: ``make test`` asks each for some hundred inputs by chance.
"""
