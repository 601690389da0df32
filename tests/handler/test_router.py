"""Router and template cannot drift apart: what the rules of template.yaml deliver is what the shipped policy decides on."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from engine.domain.envelope import Envelope, Source
from engine.domain.fact_kinds import Action
from engine.policy import load_policy
from engine.rating.assess import assess
from tests.support.eventbridge import delivered, rules
from tests.support.events import event, failed, rendered
from tools.delivery import samconfig_parameters
from tools.environments import ROOT
from tools.template import load, template_rules

EVENTS = {
    "video.rendered": rendered(),
    "video.failed": failed(),
    "credits.purchased": event("credits.purchased", {"purchaseId": "p-1", "userId": "u-1", "credits": 250}),
}
DEPLOYED = samconfig_parameters("prod")
"""What a deployment says that takes samconfig.toml as it is."""


@pytest.fixture(scope="module")
def policy() -> Any:
    """Return the policy that the template runs by default."""
    return load_policy(ROOT / load()["Parameters"]["PolicyFile"]["Default"])


def routed() -> set[tuple[str, str]]:
    """Return every source and detail-type that a rule of the template delivers, as it is deployed."""
    patterns = template_rules(None, DEPLOYED).values()
    return {kind for pattern in patterns for kind in product(pattern["source"], pattern["detail-type"])}


def test_the_template_delivers_what_the_application_and_the_renderer_send() -> None:
    """Both events, whatever is in their detail, reach the function; purchases do where a deployment asks for them."""
    for document in (EVENTS["video.rendered"], EVENTS["video.failed"]):
        assert document == delivered(document)
    with pytest.raises(AssertionError, match=r"no rule of template\.yaml delivers"):
        delivered(EVENTS["credits.purchased"])
    assert ("video.generation", "credits.purchased") in routed()


def test_every_event_that_the_template_delivers_is_decided_by_the_shipped_policy(policy: Any) -> None:
    """No rule of the template feeds a function that has no opinion."""
    for source, detail_type in routed():
        document = {**EVENTS[detail_type], "source": source}
        assert assess(Envelope(document, Source.EVENT), policy) is not None


def test_every_rule_that_moves_credits_of_the_shipped_policy_is_fed_by_the_template(policy: Any) -> None:
    """A rule whose events nobody delivers would lose them in silence."""
    for rule in policy.rules:
        if rule.action is not Action.FLAG:
            fed = [kind for kind in routed() if rule.matches({**EVENTS[kind[1]], "source": kind[0]})]
            assert fed, f"{rule.name} never sees an event"


def test_the_catch_up_makes_only_events_that_the_template_would_deliver(policy: Any) -> None:
    """A row that was not told of takes the same way as its event would have."""
    for catch_up in policy.catch_up:
        assert (catch_up.source, catch_up.detail_type) in routed()


@pytest.mark.parametrize(
    "change",
    [{"source": "aws.mediaconvert"}, {"detail-type": "video.queued"}, {"source": "Video.Generation"}, {"detail-type": ""}],
)
def test_the_template_delivers_nothing_else(change: dict[str, str]) -> None:
    """Other events on the bus cost nothing."""
    assert not any(matches({**rendered(), **change}) for matches in rules().values())
