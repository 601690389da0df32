"""Credit Reconciler: every user's credit ledger, aligned with the work that was really done.

One way leads through the house, and a module imports only from floors below its own::

    envelope -> match -> price -> decide -> post -> report

    handler.py            [5] entry points: build once per container, hand over, answer
    engine/cli/           [5] the ``reconciler`` command
    engine/explain/       [4] anomalies put into words, off the money's path; the only part that knows a model
    engine/scheduled.py   [4] what is due at regular times: baselines, scan, books; whole or in steps
    engine/scan.py        [4] every job that no event told of, slice by slice
    engine/reconcile.py   [4] the conductor: one event, one batch
    engine/give_up.py     [4] events of the queue that no retry helps, put aside with their reason
    engine/coalesce.py    [4] many events in few transactions
    engine/wiring.py      [4] settings from the environment, the client, the reconciler
    engine/unmark.py      [4] after a restore: marks that rest on entries which are gone
    engine/look_back.py   [4] what only many entries show, flagged by the scheduled run
    engine/usual.py       [4] what is usual: renewed by the schedule, read at most once in ten minutes
    engine/reasons.py     [4] why an event costs what it costs
    engine/recount.py     [4] an entry's amount, worked out again from the ledger alone
    engine/plan.py        [4] what an edit of the policy would do
    engine/policy_tests.py [4] what given events must post, and what no test reached
    engine/rehearsal.py   [4] the engine on a ledger in memory: what a policy would do
    engine/dead_letters.py [4] what stands in the dead-letter queues, and why
    engine/findings.py    [4] flagged entries: open, explained, resolved
    engine/digest.py      [4] what was flagged in a day, on one page
    engine/audit/         [4] the entries against the balances, against each other, against their seals; repair
    engine/assess.py      [3] what the policy makes of an event: match, price, anomalies; pure
    engine/told.py        [2] which known fact an event tells again, and what is unsure about a new one; pure
    engine/decide.py      [3] the one idea: posting = desired(facts) - posted; pure
    engine/job_row.py     [3] what a job's own row says to a posting: whose it is, what is later, that there is none; pure
    engine/trends.py      [3] what only many entries show: too often, falling; pure
    engine/arithmetic.py  [3] how an amount comes about, in words
    engine/ledger/        [3] all of DynamoDB; the client is passed in
    engine/telemetry.py   [3] the JSON log line and the metrics in it
    engine/policy/        [2] YAML -> Policy; all mistakes at once, each with its line
    engine/anomalies.py   [2] detectors
    engine/tracing.py     [1] X-Ray subsegments of sampled invocations; alone knows the SDK
    engine/patterns/      [1] EventBridge patterns -> predicates; knows nothing of credits
    engine/paths.py       [1] JMESPath expressions, exact in decimals
    engine/prices.py      [1] price books: effective dates, selected rates, tiers, bounds
    engine/documents.py   [1] JSON from outside: one reading, whichever door it came in by
    engine/baselines.py   [1] what is usual: median and median absolute deviation
    engine/precompiled.py [0] the methods that attrs writes, compiled by the build
    engine/clock.py       [0] time and chance, handed in from the top
    engine/instants.py    [0] instants as text and back
    engine/texts.py       [0] texts that are stored: what an entry can keep
    engine/decimals.py    [0] exact numbers of the ledger, rounding
    engine/values.py      [0] envelopes, entries, decisions: immutable
    engine/facts.py       [0] what is known of a job or a grant, and how it joins
    engine/errors.py      [0] what can go wrong, and what that means for the event
"""
