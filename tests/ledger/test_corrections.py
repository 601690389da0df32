"""A person's correction as it is posted: with its balance, its id and its approval, all together or not at all.

The tables and the store in memory are asked the same questions, and must answer and keep the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.domain.adjustment import AdjustmentProposal, AdjustmentRequest, Approval, Identity
from engine.domain.decision import Guard, Standing
from engine.domain.entry import Correction, Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.errors import LedgerRefused
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.corrections import CorrectionPosting
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.corrections import item_of_proposal
from engine.ledger.store import Receipt, Tables, Verdict
from engine.ledger.traced import traced
from engine.runtime.tracing import UNTRACED
from tests.ledger.test_contract import Both, told
from tests.support.clock import START
from tools.local_aws import create_tables, delete_tables, tables_named

pytestmark = pytest.mark.local_aws

ANN = Identity("arn:aws:iam::1:user/ann", "AIDAANN", "ann")
BEN = Identity("arn:aws:sts::1:assumed-role/support/ben", "AROASUP:ben", "ben")
ANN_AS_ADMIN = Identity("arn:aws:sts::1:assumed-role/admin/ann", "AROAADM:ann", "ann")
ANN_RENAMED = Identity("arn:aws:iam::1:user/anna", "AIDAANN", "anna")
KEYS = {"credits": ("userId",), "ledger": ("reference", "sequence"), "state": ("id",)}


def adjusted(name: str = "a-1", amount: str | int = 5, *, user: str = "u-1", sequence: int = 1, reverses: str = "") -> Entry:
    """Return the entry of a user's adjustment, on its own log."""
    told_now = Adjustment(name, Decimal(amount), START, reverses=reverses)
    return Entry(
        reference=f"adjust#{name}",
        job=None,
        sequence=sequence,
        user=user,
        type=EntryType.ADJUST,
        amount=Decimal(amount),
        occurred_at=START,
        rule="adjust",
        policy="video@1",
        facts=Facts(adjustments=(told_now,)),
        cost=-Decimal(amount),
        money=Money(),
        source=Source.COMMAND,
        correction=Correction("goodwill", ANN.name, name, about="job#j-7"),
    )


def conceded(name: str = "a-1", amount: int = 2, sequence: int = 1) -> CorrectionPosting:
    """Return a concession of a job, with the claim of its id."""
    facts = Facts(concessions=(Adjustment(name, Decimal(amount), START),))
    entry = evolve(adjusted(name, amount, sequence=sequence), reference="job#j-1", job="j-1", facts=facts)
    claimed = Facts(adjustments=(Adjustment(name, Decimal(amount), START, job="j-1"),))
    claim = evolve(adjusted(name), type=EntryType.VOID, amount=Decimal(0), cost=Decimal(0), facts=claimed)
    return CorrectionPosting(entry, Guard.EXISTS, claim)


PROPOSAL = AdjustmentProposal(AdjustmentRequest("a-1", "u-1", Decimal("5.00"), "goodwill", about="job#j-7"), ANN, START)


def approved(by: Identity = BEN, proposal: AdjustmentProposal = PROPOSAL, **more: Any) -> CorrectionPosting:
    """Return an adjustment that comes from a proposal."""
    return CorrectionPosting(adjusted(), Guard.EXISTS, approval=Approval(proposal, by), **more)


class Corrections(Both):
    """The correction stores of the tables and of memory, asked the same questions."""

    def ask(self, name: str, *arguments: Any) -> Any:
        """Ask both stores, and return the answer, which must be one."""
        self.now += timedelta(seconds=1)
        real, memory = (
            told(lambda store=store: getattr(store.corrections(), name)(*arguments, self.deadline())) for store in self.stores
        )
        assert real == memory, name
        return memory

    def sent(self, posting: CorrectionPosting) -> Receipt:
        """Post a correction on both."""
        receipt: Receipt = self.ask("post", posting)
        return receipt

    def verdict(self, posting: CorrectionPosting) -> Verdict:
        """Post a correction on both, and return what became of it."""
        self.agree()
        verdict = self.sent(posting).verdict
        self.agree()
        return verdict

    def agree(self) -> None:
        """Hold all rows of all tables to what memory keeps."""
        super().agree()
        proposals = {item["id"]["S"]: item for item in self.client.scan(TableName=self.tables.state)["Items"]}
        kept = (item_of_proposal(each) for each in self.memory.proposals.values())
        assert proposals == {item["id"]["S"]: item for item in kept}

    def balance(self) -> tuple[Any, Any]:
        """Return a user's balance, and the sum of what was posted."""
        row = self.memory.credits["u-1"]
        return row["remaining"], row.get("posted")


@pytest.fixture(scope="module")
def shared_tables(dynamodb: Any) -> Iterator[Tables]:
    """Return tables that all stories share."""
    tables = create_tables(dynamodb, tables_named(f"test-corrections-{uuid.uuid4().hex[:12]}"))
    yield tables
    delete_tables(dynamodb, tables)


@pytest.fixture
def both(dynamodb: Any, shared_tables: Tables) -> Iterator[Corrections]:
    """Return empty tables and an empty memory, with a user who has ten credits."""
    yield Corrections(dynamodb, shared_tables).user("u-1", remaining=10)  # type: ignore[misc]
    for table, key in KEYS.items():
        name = getattr(shared_tables, table)
        for item in dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]:
            dynamodb.delete_item(TableName=name, Key={attribute: item[attribute] for attribute in key})


# --- postings ---------------------------------------------------------------------------------------------------------


def test_an_adjustment_moves_the_balance_once_by_its_id(both: Corrections):
    """The entry is the claim. Whoever tells the same id again finds its place taken, and what stands there."""
    assert Verdict.POSTED is both.verdict(CorrectionPosting(adjusted(), Guard.EXISTS))
    assert (Decimal(15), Decimal(5)) == both.balance()

    again = both.sent(CorrectionPosting(adjusted(amount=7), Guard.EXISTS))
    assert Verdict.SEQUENCE_TAKEN is again.verdict
    assert again.log is not None
    assert (("a-1", Decimal(5)),) == tuple((each.id, each.amount) for each in again.log.facts.adjustments)
    assert (Decimal(15), Decimal(5)) == both.balance()


def test_a_concession_claims_its_id_with_its_own_entry(both: Corrections):
    """One transaction: the job's log, the balance, the claim."""
    assert Verdict.POSTED is both.verdict(conceded())
    assert (Decimal(12), Decimal(2)) == both.balance()
    (claim,) = both.memory.entries_of("adjust#a-1", both.deadline())
    assert (EntryType.VOID, Decimal(0), "j-1") == (claim.type, claim.amount, claim.facts.adjustments[0].job)


@pytest.mark.parametrize("first", [CorrectionPosting(adjusted(), Guard.EXISTS), conceded()])
def test_an_id_that_is_claimed_posts_nothing_more(both: Corrections, first: CorrectionPosting):
    """Neither on the user's log nor on a job's, wherever it was told first, and whatever else is wrong."""
    both.verdict(first)
    before = both.balance()

    found = both.sent(conceded(amount=9, sequence=1 if first.claim is None else 2))
    assert Verdict.ID_TAKEN is found.verdict
    assert found.log is not None
    assert ("a-1",) == tuple(each.id for each in found.log.facts.adjustments)
    assert Verdict.SEQUENCE_TAKEN is both.verdict(CorrectionPosting(adjusted(), Guard.EXISTS))
    assert before == both.balance()


def test_a_log_that_moved_on_takes_no_correction_and_no_claim(both: Corrections):
    """The compare-and-set of every posting. The id stays free."""
    both.verdict(conceded("a-1"))

    assert Verdict.SEQUENCE_TAKEN is both.verdict(conceded("a-2"))
    assert Verdict.POSTED is both.verdict(conceded("a-2", sequence=2))


@pytest.mark.parametrize(
    ("posting", "standing"),
    [
        (CorrectionPosting(adjusted(user="u-9"), Guard.EXISTS), Standing.UNKNOWN_USER),
        (CorrectionPosting(adjusted(amount=-11), Guard.COVERED), Standing.NOT_COVERED),
        (CorrectionPosting(adjusted(amount=-11), Guard.MISSING), Standing.ASSUMED_COVERED),
        (evolve(conceded(), guard=Guard.MISSING), Standing.ASSUMED_COVERED),
        (evolve(approved(), guard=Guard.MISSING), Standing.ASSUMED_COVERED),
    ],
)
def test_the_users_row_is_asked_as_by_every_posting(both: Corrections, posting: CorrectionPosting, standing: Standing):
    """It teaches, and neither the claim nor the approval is used up."""
    both.ask("propose", PROPOSAL)
    receipt = both.sent(posting)

    assert (Verdict.STANDING_LEARNED, standing) == (receipt.verdict, receipt.standing)
    assert PROPOSAL == both.ask("proposal", "a-1")
    assert [] == list(both.memory.kept)
    both.agree()


def test_an_adjustment_and_its_claim_cannot_be_one_item(both: Corrections):
    """A transaction holds an item but once: memory refuses what the tables would."""
    with pytest.raises(LedgerRefused, match="an item but once"):
        both.memory.corrections().post(CorrectionPosting(adjusted(), Guard.EXISTS, adjusted()), both.deadline())
    both.agree()


# --- approvals --------------------------------------------------------------------------------------------------------


def test_what_a_second_person_approves_is_posted_and_waits_no_longer(both: Corrections):
    """In one transaction. It cannot be approved twice."""
    both.ask("propose", PROPOSAL)

    assert Verdict.POSTED is both.verdict(approved())
    assert None is both.ask("proposal", "a-1")
    assert (Decimal(15), Decimal(5)) == both.balance()
    assert Verdict.PROPOSAL_GONE is both.verdict(CorrectionPosting(adjusted("a-2"), Guard.EXISTS, None, approved().approval))


@pytest.mark.parametrize("who", [ANN, ANN_AS_ADMIN, ANN_RENAMED])
def test_the_second_person_cannot_be_the_first(both: Corrections, who: Identity):
    """By the condition in the transaction: also under another role, and under another name of the same user."""
    both.ask("propose", PROPOSAL)

    assert Verdict.PROPOSED_BY_THE_SAME is both.verdict(approved(who))
    assert PROPOSAL == both.ask("proposal", "a-1")
    assert (10, None) == both.balance()


@pytest.mark.parametrize(
    "read",
    [
        evolve(PROPOSAL, request=evolve(PROPOSAL.request, amount=Decimal(6))),
        evolve(PROPOSAL, request=evolve(PROPOSAL.request, user="u-2")),
        evolve(PROPOSAL, request=evolve(PROPOSAL.request, about="")),
        evolve(PROPOSAL, by=BEN),
        evolve(PROPOSAL, at=START + timedelta(seconds=1)),
    ],
)
def test_a_proposal_that_was_changed_is_not_approved(both: Corrections, read: AdjustmentProposal):
    """What the second person saw is what is posted, or nothing is."""
    both.ask("propose", PROPOSAL)
    third = Identity("cid", "AIDACID", "cid")

    assert Verdict.PROPOSAL_GONE is both.verdict(approved(third, read))
    assert PROPOSAL == both.ask("proposal", "a-1")


def test_an_id_that_was_claimed_since_is_told_before_the_proposal(both: Corrections):
    """Somebody has told the id while it waited: the proposal is left, and its proposer can withdraw it."""
    both.ask("propose", PROPOSAL)
    both.verdict(conceded())

    of_job = conceded(sequence=2)
    assert Verdict.ID_TAKEN is both.verdict(evolve(of_job, approval=Approval(PROPOSAL, BEN)))
    assert PROPOSAL == both.ask("proposal", "a-1")


# --- proposals --------------------------------------------------------------------------------------------------------


def test_a_proposal_stands_as_it_was_told_first(both: Corrections):
    """Told again, or told otherwise by another person, the first one stands."""
    assert PROPOSAL == both.ask("propose", PROPOSAL)
    assert PROPOSAL == both.ask("propose", evolve(PROPOSAL, by=BEN))
    other = evolve(PROPOSAL, request=evolve(PROPOSAL.request, id="a-2", job="j-1", about="", reverses="a-0"))
    assert other == both.ask("propose", other)

    assert {"a-1": PROPOSAL, "a-2": other} == {each.request.id: each for each in both.ask("proposals")}
    both.agree()


def test_who_has_proposed_withdraws_it(both: Corrections):
    """Nobody else, and nothing that changed since it was read."""
    both.ask("propose", PROPOSAL)

    assert False is both.ask("withdraw", PROPOSAL, BEN)
    assert False is both.ask("withdraw", evolve(PROPOSAL, at=START - timedelta(1)), ANN)
    assert PROPOSAL == both.ask("proposal", "a-1")
    assert True is both.ask("withdraw", PROPOSAL, ANN)
    assert False is both.ask("withdraw", PROPOSAL, ANN)
    assert [] == both.ask("proposals")
    both.agree()


def test_what_stands_there_and_is_no_proposal_is_told(dynamodb: Any, shared_tables: Tables, both: Corrections):
    """Somebody has written it by hand. Other rows of State are none of its business."""
    store, deadline = both.stores[0].corrections(), both.deadline()
    dynamodb.put_item(TableName=shared_tables.state, Item=encode_item({"id": "run", "scanRun": "r-1"}))
    assert [] == list(store.proposals(deadline))

    for broken in ({}, {"said": "x"}, {**decode_item(item_of_proposal(PROPOSAL)), "proposedAt": "yesterday"}):
        dynamodb.put_item(TableName=shared_tables.state, Item=encode_item({**broken, "id": "proposal#a-1"}))
        with pytest.raises(LedgerRefused, match="proposal#a-1: is no proposal"):
            store.proposal("a-1", deadline)
        with pytest.raises(LedgerRefused, match="proposal#a-1: is no proposal"):
            list(store.proposals(deadline))


def test_what_was_corrected_is_found_by_its_id(both: Corrections):
    """Claims too, and nothing else of the ledger."""
    both.sent(CorrectionPosting(adjusted("a-1"), Guard.EXISTS))
    between = both.now
    both.sent(conceded("a-2"))
    plain = CorrectionPosting(evolve(adjusted("a-3"), correction=None), Guard.EXISTS)
    both.sent(plain)
    both.sent(evolve(plain, entry=evolve(adjusted("a-4"), correction=Correction("dear", "ann", plan="p"))))

    def found(since: Any) -> list[tuple[str, str]]:
        real, memory = (
            sorted(
                (each["reference"], each["correction"]["id"]) for each in store.corrections().corrected(since, both.deadline())
            )
            for store in both.stores
        )
        assert real == memory
        return memory

    of_job = [("adjust#a-2", "a-2"), ("job#j-1", "a-2")]
    assert [("adjust#a-1", "a-1"), *of_job] == found(None)
    assert of_job == found(between + timedelta(seconds=1))


def test_a_traced_store_posts_corrections_too(both: Corrections):
    """It is the store behind it that posts."""
    store = traced(both.stores[1], UNTRACED)
    assert Verdict.POSTED is store.corrections().post(CorrectionPosting(adjusted(), Guard.EXISTS), both.deadline()).verdict
