"""The deterministic simulation: a world that crashes and reorders, judged by an oracle that knows nothing of the engine.

    plan    what one seed makes happen: applications, a bus, a queue, runs of the scan, deployments (world/plan.py)
    scenes  what chance alone draws too seldom (world/scenes.py, scenes_of_runs.py)
    sayings what a desk and a pricing team say in it (world/sayings.py, desk.py, plan_files.py, by_hand.py)
    world   plays a plan on the engine itself, in virtual time, several invocations at once (world/play.py)
    faults  what goes wrong at each call of the store (faults.py)
    judge   what the tables must say in the end (judge.py)
    story   a failing plan, shrunk and told (shrinking.py, story.py)

``python -m tests.simulation --seeds 0:1000`` plays a thousand histories.
"""
