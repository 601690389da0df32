"""Credit Reconciler: every user's credit ledger, aligned with the work that was really done.

One way leads through the house, and a room imports only from floors below its own::

    envelope -> match -> price -> decide -> post -> report

    handler.py      [7] entry points: build once per container, hand over, answer
    engine/
      cli/          [7] the ``reconciler`` command; nothing imports it
      preview/      [6] what a policy does or would do, in memory: plan, policy tests, reasons, the next try, the next scan
      audit/        [6] the entries against balances, each other and their seals; recount; repair; statements; a job's story
      anomalies/    [6] look back, findings, digest; explain/ alone knows a language model
      reconcile/    [5] the conductors: one event, a batch, the catch-up, dead letters, corrections
      ledger/       [4] the store of the ledger, in memory too; dynamodb/ alone knows DynamoDB
      rating/       [3] event + policy + log -> decision; pure
      policy/       [2] YAML -> Policy; patterns/ and expressions/ inside
      runtime/      [1] clock, telemetry, tracing, precompiled methods
      domain/       [0] immutable values, one subject a file
"""

__version__ = "0.1.0"
