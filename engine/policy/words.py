"""What an editor says of each key of a policy: by the keys that lead to it, lists and names of one's own left out."""

from __future__ import annotations

from collections.abc import Mapping

TERMS = {
    "price": "The name of a price book.",
    "quantity": "How many units: JMESPath over the envelope and `row`, the job's row in Jobs; a number >= 0.",
    "priced_at": "The instant that selects the row of the price book: JMESPath. Left out: the event's own time.",
    "amount": "A flat amount of credits.",
    "minimum": "The least that it comes to, in credits.",
    "maximum": "The most that it comes to, in credits.",
    "components": "Several prices in one event: their sum, within the bounds, is rounded once.",
    "components.name": "A name of the component's own. Entries and explanations show it.",
    "components.price": "The name of a price book.",
    "components.quantity": "How many units: JMESPath over the envelope, a number >= 0.",
    "components.amount": "A flat amount of credits. It may have more places than a credit.",
}

TIERS = {
    "up_to": "The largest quantity of this tier; the last tier has none.",
    "rate": "Credits a unit within this tier.",
}

ABOUT: Mapping[str, str] = {
    "version": "The version of the policy language: 1.",
    "name": "The policy's name. Entries carry it with a digest of the file.",
    "event": "Where the facts stand in an event: JMESPath over the envelope.",
    "event.job": "The job: a string of 1 to 1,024 characters.",
    "event.user": "The user: a string of 1 to 1,024 characters. `row.userId` reads it from the job's row in Jobs.",
    "event.time": "When it happened: an ISO 8601 instant with its zone.",
    "event.reference": "The id of a purchase or another grant; each is granted once.",
    "event.attempt": "Which try of its job an event is about: a whole number. Higher ones decide over lower ones.",
    "money": "How many decimal places a credit has, and how amounts get there.",
    "money.places": "Decimal places of a credit, 0 to 10.",
    "money.rounding": "half-even (the banker's), half-up, up (away from zero) or down.",
    "prices": "Price books by name. Of a book the row in force at the event's own time counts.",
    "prices.effective": "From when on these rates count: an instant with its zone. The oldest row first.",
    "prices.until": "Where they end: an instant with its zone. From then on the row before counts again.",
    "prices.by": "JMESPath of the value that selects the rate; a list of them for rates inside rates.",
    "prices.tiers": "graduated: each part at the rate of its own tier; volume: all of it at the rate of the tier it reaches.",
    "prices.rates": "Credits a unit by selected value: a rate, tiers, or rates by the next of `by`; else `default`.",
    "prices.changes": "Instead of `rates`: only what differs from the last row above without `until`; null takes a rate away.",
    **{f"prices.{of}.{key}": text for of in ("rates", "changes") for key, text in TIERS.items()},
    "rules": "In order: the first rule that matches and is no flag rule decides; every flag rule that matches applies too.",
    "rules.name": "A name of the rule's own. Entries, metrics and messages show it.",
    "rules.match": "The events that the rule is about: an EventBridge event pattern.",
    "rules.action": "What these events mean: debit, hold, refund, grant, revoke or flag.",
    "rules.repeats": "ignore: of charges that say the same the earliest counts (events that are sent again with a new time).",
    "rules.charge": "What a debit costs: price x quantity within bounds, or a flat amount.",
    "rules.hold": "What is reserved before the work begins: price x quantity within bounds, or a flat amount.",
    "rules.hold.expires": "How long at most it is reserved (30m, 2h, 7d): then the scheduled run gives it back.",
    "rules.hold.overdraft": "What becomes of a hold that the balance does not cover: refuse it, or allow it.",
    "rules.refund": "How much of the charge goes back.",
    "rules.refund.percent": "How many percent of the charge, 0 to 100: a number, or JMESPath over the envelope.",
    "rules.refund.amount": "How many credits, never more than the charge: a number, or JMESPath over the envelope.",
    "rules.refund.within": "How old the charge may be (30m, 36h, 7d). Left out: as old as it likes.",
    "rules.grant": "How many credits come in, once for each `event.reference`.",
    "rules.revoke": "How much of a grant is taken back by now, in all: of a refunded purchase, or one under dispute.",
    "rules.revoke.percent": "How many percent of the grant, 0 to 100: a number, or JMESPath over the envelope.",
    "rules.revoke.amount": "How many credits, never more than the grant: a number, or JMESPath over the envelope.",
    "rules.revoke.series": "The name it is counted under (the rule's): of a series the latest counts, series add up.",
    "rules.reason": "Why it is flagged, for people.",
    **{f"rules.{of}.{key}": text for of in ("charge", "hold", "grant") for key, text in TERMS.items()},
    "overdraft": "A debit that the balance does not cover. allow; flag: post and mark it; refuse: post a flag, stay due.",
    "unknown_user": "A user without a row in Credits. refuse: an error, retried and dead-lettered; flag: create the row.",
    "unknown_job": "A job without a row in Jobs. allow; flag: post and mark it; refuse: an error, retried and dead-lettered.",
    "grants": "Who gives credits. application: it moves `remaining` itself; events: it never does, and audits check balances.",
    "clock": "How far the clocks of those who tell events may be off.",
    "clock.skew": "A charge and a refund no further apart are flagged close-call: the order of two clocks decided (5s).",
    "clock.ahead": "An event whose time lies further ahead of the engine's clock makes no sense (1h).",
    "anomalies": "What a person should look at. It marks entries and moves nothing.",
    "anomalies.name": "A name of the anomaly's own. Entries, metrics and messages show it.",
    "anomalies.match": "Pattern over the envelope plus `charge` (`amount`, `quantity`, `rate`, `unit`, `price`, `defaulted`).",
    "anomalies.reason": "Why it is looked for, for people.",
    "anomalies.outlier": "What is unusual for its group, by the median and the median absolute deviation of 30 days.",
    "anomalies.outlier.value": "The number that is looked at: JMESPath over the envelope plus `charge`.",
    "anomalies.outlier.group": "What it is compared within: JMESPath, a string (detail.model, say).",
    "anomalies.outlier.mads": "How many median absolute deviations from the median are still usual.",
    "anomalies.outlier.samples": "A group with fewer samples flags nothing.",
    "anomalies.outlier.scale": "linear; log: measured by the factor, so that of 20 both 10 and 40 are equally far.",
    "anomalies.frequency": "What comes too often: jobs with the same values, counted by the scheduled run.",
    "anomalies.frequency.same": "What they have in common: JMESPath over the envelope plus `charge`, or a list of them.",
    "anomalies.frequency.more_than": "How many of these jobs are still usual.",
    "anomalies.frequency.within": "By the events' times (10m, 1h, 1d; at most 7d).",
    "anomalies.drift": "What falls: the median of the last values of a group, measured by the scheduled run.",
    "anomalies.drift.value": "The number that is looked at: JMESPath over the envelope plus `charge`.",
    "anomalies.drift.group": "What belongs together: JMESPath, a string (detail.model, say).",
    "anomalies.drift.below": "The share of the usual median below which it is flagged: 0.6, say.",
    "anomalies.drift.last": "Of how many values the median is taken.",
    "anomalies.drift.within": "They lie at most so far apart, by the events' times (1d; at most 7d).",
    "anomalies.drift.samples": "A group whose usual median is of fewer samples flags nothing.",
    "catch_up": "How a row of Jobs becomes the event that should have come.",
    "catch_up.when": "The rows that this is about: a pattern over the row.",
    "catch_up.event": "The event that such a row stands for; its `detail` is the row.",
    "catch_up.event.source": "The event's source.",
    "catch_up.event.detail-type": "The event's detail-type.",
    "catch_up.event.time": "JMESPath over the row: when it happened. Without one the start of the scan counts.",
    "catch_up_ignore": "Statuses of rows that need no event. Each scan tells every other one that `catch_up` does not map.",
    "explain": "The language model that explains anomalies. It decides nothing.",
    "explain.model": "Its name; LLM_MODEL overrides it.",
    "explain.max_per_hour": "How often it may be asked in an hour. 0 asks none: the rules alone explain.",
    "explain.pseudonyms": "Whether users, jobs and events go to it under other names.",
    "adjustments": "How many credits a person may adjust by `reconciler adjust`.",
    "adjustments.maximum": "The most that one adjustment may move, in credits. Left out: no bound.",
    "adjustments.second_person_above": "More than so many credits wait until another person approves. Left out: never.",
    "low_balance": "When the event bus is told that a user has few credits left.",
    "low_balance.below": "A balance of less is low: `credits.low` is told.",
    "low_balance.recovered": "A low balance that is so much or more is told as `credits.recovered`. Left out: `below`.",
}

ENVELOPE_FIELDS: Mapping[str, str] = {
    "source": "Who tells the event: [video.generation], say.",
    "detail-type": "What happened: [video.rendered], say.",
    "detail": "The fields of the event's own.",
}
"""What each event has. A pattern may test other fields too."""

PRICED_ABOUT: Mapping[str, str] = {
    "charge": "What the event costs.",
    "grant": "What the event grants.",
    "hold": "What the event reserves.",
}
"""What an anomaly sees beside the envelope."""

FIGURES: Mapping[str, str] = {
    "amount": "The credits that it comes to.",
    "quantity": "The units that it was counted by.",
    "rate": "The credits a unit.",
    "unit": "The name of the rate: `default`, a model, or names with a slash between them.",
    "price": "The price book, the date of its row and the name of the rate.",
    "defaulted": "true where the rate was `default` and `by` asked for another.",
}
"""What an anomaly sees of a charge or a grant."""

COMPONENT_FIGURES: Mapping[str, str] = {"name": "The component's own name.", **FIGURES}
"""What it sees of a component."""

OPERATORS_ABOUT: Mapping[str, str] = {
    "prefix": "A text that begins like this.",
    "suffix": "A text that ends like this.",
    "equals-ignore-case": "This text, in small or capital letters.",
    "wildcard": "A text like this; * stands for any letters.",
    "anything-but": "Any text or number but this, or but what one operator takes.",
    "numeric": 'A number within bounds: [">", 0, "<=", 5].',
    "exists": "true: the field is there; false: it is not.",
    "cidr": "An address of this network: 10.0.0.0/8.",
    "$or": "A list of at least two patterns, of which one must match.",
}
"""What an editor says of each operator of a pattern. Those that are not here are never offered."""

SECTIONS: Mapping[str, str] = {
    "": "a-first-policy",
    "event": "event",
    "event.attempt": "several-attempts-of-one-job",
    "money": "money",
    "prices": "prices",
    "prices.until": "a-row-that-ends",
    "prices.by": "several-selectors",
    "prices.tiers": "tiers",
    "prices.rates.up_to": "tiers",
    "prices.rates.rate": "tiers",
    "prices.changes": "a-row-that-says-only-what-changes",
    "rules": "rules",
    "rules.match": "patterns",
    "rules.repeats": "repeats",
    "rules.charge": "charge",
    "rules.charge.priced_at": "the-price-of-another-time",
    "rules.charge.components": "several-prices-in-one-event",
    "rules.hold": "hold",
    "rules.refund": "refund",
    "rules.grant": "grant",
    "rules.revoke": "revoke",
    "rules.reason": "flag",
    "overdraft": "overdraft-and-unknown-users",
    "unknown_user": "overdraft-and-unknown-users",
    "unknown_job": "unknown-jobs",
    "grants": "grants",
    "clock": "clock",
    "anomalies": "anomalies",
    "anomalies.match": "patterns",
    "anomalies.outlier": "outliers",
    "anomalies.frequency": "frequency",
    "anomalies.drift": "drift",
    "catch_up": "catch_up",
    "catch_up.when": "patterns",
    "catch_up_ignore": "catch_up_ignore",
    "explain": "explain",
    "adjustments": "adjustments",
    "low_balance": "low_balance",
}
"""Where docs/policy.md says more of a key and of what stands below it."""


def section_of(path: str) -> str:
    """Return the section of docs/policy.md that is about a key: its own, or that of the nearest key above it."""
    while path not in SECTIONS:
        path = path.rpartition(".")[0]
    return SECTIONS[path]
