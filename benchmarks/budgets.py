"""What may not become slower than this, each with its reason. Ratios are of medians within one interleaved run.

``FLOOR`` is a function that does no more than ``import boto3; boto3.client("dynamodb")``, compiled, in the same runtime.
"""

from __future__ import annotations

COLD_START_TO_FLOOR_MAX = 0.6
"""Process start to first debit answered, policy loaded. The obvious good way (boto3 with Powertools) takes 1.4 of the floor
without reading a policy; this bound catches an import that does not belong into the hot function."""

COLD_HOLD_TO_DEBIT_MAX = 1.25
"""Process start to first hold answered, to that of the first debit by the shipped policy: 0.87 to 1.06 was seen, and 1.19 once
on a busy machine. The policy with holds is shorter, and measures nothing by what is usual; what answers a hold is one small
module. An import that does not belong there takes more than the quarter."""

MEMORY_MIB_MAX = 40
"""After the first debit; boto3 with Powertools takes 55."""

COLD_START_MILLISECONDS_P95 = 600
"""The promise to the user. Bare milliseconds mean nothing on a machine that is busy with something else, so it is judged only
where the floor itself is quick; the ratio is judged always."""

FLOOR_MILLISECONDS_QUIET = 360
"""What the floor takes at its p95 on two idle cores, with some room."""

WARM_EVENT_MILLISECONDS_MAX = 2000
"""The promise to the user for one event, all retries aside."""

WARM_EVENT_TO_BARE_TRANSACTION_MAX = 0.55
"""CPU of one debit through the handler, to that of boto3's bare ``transact_write_items`` with the same three items. botocore's
client could not get below 1; the wire client alone takes 0.16, and the anomalies of the shipped policy 0.1 (0.42 was seen in
all, and 0.62 with a read that is not needed)."""

HOLD_TO_DEBIT_MAX = 1.6
"""CPU of a request to hold, answered with what the user has left, to that of a debit by the shipped policy: 1.1 to 1.25 was
seen. It is one transaction and one read."""

SETTLE_TO_DEBIT_MAX = 1.9
"""CPU of the charge that settles a hold, which reads the log of its job first, to that of a debit: 1.46 was seen, and 2.2
where it was posted without that look, cancelled, and posted again."""

BATCH_EVENT_TO_BARE_TRANSACTION_MAX = 0.2
"""CPU of one event of a full batch, to that of boto3's bare transaction for it. Between 0.10 and 0.13 was seen of one and the
same code: both sides depend on what the processor's caches still hold. Since a mark asks the row for its user, sequence and
time it is 0.14 to 0.17."""

BATCH_EVENTS_PER_SECOND_TO_BARE_MIN = 2.5
"""Events a second in a batch, to boto3's bare transactions one after the other.

In runs that took turns it was 4.2 before a mark had conditions on the row's user, sequence and time, and is 3.4 with them. The
processor's time of ours went from 0.145 to 0.16 of a bare transaction's; the rest is the local AWS, which evaluates them."""

DECIDE_MICROSECONDS_MAX = 400
"""Match, price and decide, for one event without a database: nothing beside the ten milliseconds of a transaction."""

COLD_ROUNDS = 15
"""Fewer do not tell a p95 from the maximum."""

COMMAND_ROUNDS = 15
"""Of the command and of an empty Python, by turns."""

HELP_TO_PYTHON_MAX = 2.5
"""CPU of ``reconciler --help``, to that of ``python -c pass``: 1.1 to 1.4 for a stored text, 24 for all commands' imports."""

VALIDATE_TO_PYTHON_MAX = 10
"""CPU of ``reconciler validate`` on the shipped policy, to that of ``python -c pass``: 7.7 on a machine with other work.
attrs itself is a quarter of it, PyYAML a fifth, the making of 81 classes another one. It was 9.7 to 10.5 while their methods
were compiled anew in each process, and Python took apart what had been imported; 34 with the imports of all commands."""

BLOCKS, CALLS = 45, 20
"""How many blocks are taken by turns, and how many calls a block has. The ratio of the warm debit has a standard deviation of
0.03 over runs of 15 blocks, so that one of eighty would have failed by chance; it falls with the root of their number."""

PLANTED_ROUNDS = 7
"""Enough to catch what is planted."""

MATCHING_THOUSAND_TO_TEN_MAX = 2.5
"""A policy with a rule for each of a thousand models, to one with ten. Prototypes with an index had 1.8; a loop has 100."""

MATCHING_MICROSECONDS_MAX = 10
"""A thousand rules on one event; Event Ruler (Java, warm, with parsing) takes 21. A loop over predicates takes a thousand."""

LAMBDA_MEGABYTES = 512
"""The function's memory (``template.yaml``), and with it 0.29 of a vCPU in each invocation. Init is not held to that."""

FIRST_TO_SECOND_INVOCATION_MAX = 1.5
"""The first invocation after init, to those after it. With nothing prepared in init this very function takes 7 times as long:
roots and handshake use up a period of its processor. A prototype on botocore, with all of the web's roots, took 25 times."""

LAMBDA_MILLISECONDS_P95 = 400
"""Start of the process to the first debit answered, with TLS and a throttled invocation. The user's promise is 600; judged
where the floor is quick, as above."""

POST_TO_BARE_TRANSACTION_MAX = 0.35
"""CPU of posting a decided debit, to boto3's ``transact_write_items`` with the same items, both against a database that
answers at once. Prototypes with a signer and ``http.client`` took 0.2, without the entry's being made."""

SCAN_ROW_TO_BOTO3_CLIENT_MAX = 0.4
"""CPU of a row of a scan until it can be looked at, to that of boto3's client, which leaves it undecoded. A page of 1 MB must
not take the two seconds of an invocation."""

SAMPLED_TO_UNSAMPLED_MAX = 2
"""CPU of a sampled debit to that of one that is not: four subsegments, each a document and a datagram of the SDK."""

UNTRACED_SHARE_MAX = 0.02
"""What an event that is not sampled spends on subsegments that do nothing, of all its CPU."""

SAMPLED_COLD_START_TO_FLOOR_MAX = 0.9
"""As ``COLD_START_TO_FLOOR_MAX``, and the import of the X-Ray SDK."""
