"""A segment of the scheduled run that was given up, on the deployed stack."""

from __future__ import annotations

from tests.support.failing_runs import last_states, new, refused_scans
from tests.support.stack import entries, put_job
from tools.deployment import Deployment


def test_a_segment_that_was_given_up_is_done_in_the_same_run(deployed: Deployment) -> None:
    """The real state machine takes it up once more, and its answer counts the whole run."""
    user, job = new(deployed)
    deployed.catch_up()
    put_job(deployed, user, job)
    with refused_scans(deployed) as database:
        database.refusals = 1
        done = deployed.catch_up()

    assert ("Again", "FinishAgain", "IsFinishedAgain", "Finished") == tuple(last_states(deployed)[-4:])
    assert (1, 1, 0, False) == (done["rows"], done["adjustments"], done["errors"], done["allFailed"])
    assert ["debit"] == [entry["type"]["S"] for entry in entries(deployed, job)]
