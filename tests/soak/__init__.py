"""The soak: eight processes at work on one database for as long as one likes, and every few seconds one of them is killed.

    stories   what the seed makes happen: jobs, purchases, their events and rows, what makes no sense (stories.py)
    worker    one process: the handler behind a pipe (worker.py)
    crew      the processes: begun, given work, killed, weighed (crew.py)
    post      what is under way: queue, direct events, replay, explanations; what comes back (post.py)
    runs      scheduled runs, step by step, as the state machine does them (runs.py)
    writers   the application's rows and balances (application.py)
    options   what is asked for, and what is said in the end (options.py)
    soak      all of it at once, until it is quiet (soak.py)
    books     what the tables say in the end, for the judge of ``tests/simulation`` (books.py)
    bugs      deliberate ones that only a process which dies can show (bugs.py)
    figures   what is told each minute and at the end (figures.py)

``python -m tests.soak --minutes 30`` is ``make soak MINUTES=30``.
"""
