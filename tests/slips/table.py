"""Forty slips that people make in five edits, and what becomes of each: refused or warned of, and in which line."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from tests.slips.edits import EDITS, POLICY


class Caught(StrEnum):
    """What ``validate`` says."""

    REFUSED = "refused"
    WARNED = "warned"
    NEVER = "not caught"


@frozen
class Slip:
    """An edit in which one text was written for another.

    The message has to stand in the line where ``at`` begins (None: where ``written`` does). ``why`` says why nobody can know.
    """

    name: str
    edit: str
    meant: str
    written: str
    caught: Caught
    at: str | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """The policy with the slip."""
        edit = EDITS[self.edit]
        edited = edit.of(POLICY)
        start = edited.index(edit.lines)
        assert self.meant in edited[start:]
        return edited[:start] + edited[start:].replace(self.meant, self.written, 1)

    @property
    def line(self) -> int:
        """The line of the message; lines count from 1."""
        edit = EDITS[self.edit]
        start = edit.of(POLICY).index(edit.lines)
        return self.text.count("\n", 0, self.text.index(self.at or self.written.lstrip("\n"), start)) + 1


REFUSED, WARNED, NEVER = Caught

PRO = 'sora-2-pro: {default: "0.36", 720p: "0.36"}'
JANUARY, CHRISTMAS = "effective: 2027-01-01T00:00:00Z", "effective: 2026-12-24T00:00:00+01:00"
KLING = 'kling-3: {default: "0.20", 1080p: "0.28"}'
MARCH = "effective: 2027-03-01T00:00:00Z"
TIERS = '[{up_to: 60, rate: "0.25"}, {up_to: 300, rate: "0.20"}, {rate: "0.15"}]'
RUNWAY = """\
  - name: refund-runway
    match: {source: [video.generation], detail-type: [video.failed], detail: {provider: [runway]}}
    action: refund
    refund: {percent: 50}
"""
ALL_REFUNDS = """\
  - name: refund-failed
    match: {source: [video.generation], detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
"""

SLIPS = (
    # a model becomes dearer
    Slip("a model misspelt", "raise", "sora-2-pro:", "sora-2-por:", WARNED),
    Slip("capitals in a model", "raise", "sora-2-pro:", "Sora-2-Pro:", WARNED),
    Slip("a resolution misspelt", "raise", "720p:", "702p:", WARNED),
    Slip("cents for credits", "raise", 'default: "0.36"', "default: 36", WARNED),
    Slip("a zero too many", "raise", '720p: "0.36"', '720p: "0.036"', WARNED),
    Slip("a decimal comma", "raise", '"0.36"', '"0,36"', REFUSED),
    Slip("a decimal comma without quotes", "raise", '"0.36"', "0,36", REFUSED),
    Slip("a currency beside the rate", "raise", '"0.36"', '"0.36 $"', REFUSED),
    Slip("a rise for a rate", "raise", '"0.36"', "+20%", REFUSED),
    Slip("a number as programs write it", "raise", '"0.36"', "36e-2", REFUSED),
    Slip("a rate as a list", "raise", '"0.36"', '["0.36"]', REFUSED),
    Slip("a day without its zone", "raise", JANUARY, "effective: 2027-01-01", REFUSED),
    Slip("a day as people write it", "raise", JANUARY, "effective: 01.01.2027", REFUSED),
    Slip("the year that is ending", "raise", JANUARY, "effective: 2026-01-01T00:00:00Z", REFUSED),
    Slip("digits of the year swapped", "raise", JANUARY, "effective: 2072-01-01T00:00:00Z", WARNED),
    Slip("the date of the row that was copied", "raise", JANUARY, "effective: 2026-11-23T00:00:00Z", REFUSED),
    Slip("rates for changes", "raise", f"changes: {{{PRO}}}", f"by: detail.model\n      rates: {{{PRO}}}", REFUSED, "rates:"),
    Slip("all rates but most forgotten", "raise", f"changes: {{{PRO}}}",
         'by: [detail.model, detail.resolution]\n      rates: {default: "0.12", premium: "0.25"}', WARNED, "rates:"),
    Slip("a key written twice", "raise", PRO, f"{PRO}, {PRO}", REFUSED),
    Slip("a tab", "raise", "      changes:", "\tchanges:", REFUSED),
    Slip("too far to the left", "raise", "      changes:", "    changes:", REFUSED),
    # a discount for much
    Slip("the largest tier first", "discount", TIERS,
         '[{up_to: 300, rate: "0.20"}, {up_to: 60, rate: "0.25"}, {rate: "0.15"}]', REFUSED),
    Slip("nothing above the last tier", "discount", '{rate: "0.15"}', '{up_to: 900, rate: "0.15"}', REFUSED),
    Slip("a point forgotten in a tier", "discount", '{up_to: 300, rate: "0.20"}', '{up_to: 300, rate: "20"}', WARNED),
    Slip("a key of a tier misspelt", "discount", "up_to: 300", "upto: 300", REFUSED),
    # half of it back from one provider
    Slip("a half for fifty percent", "refund", "percent: 50", "percent: 0.5", WARNED),
    Slip("a sign behind the number", "refund", "percent: 50", "percent: 50%", REFUSED),
    Slip("below the rule that takes everything", "refund", RUNWAY + ALL_REFUNDS, ALL_REFUNDS + RUNWAY, REFUSED,
         "- name: refund-runway"),
    Slip("a name that is taken", "refund", "name: refund-runway", "name: refund-failed", REFUSED,
         ALL_REFUNDS),
    Slip("a detail-type misspelt", "refund", "[video.failed], detail", "[video.faild], detail", WARNED),
    Slip("a word for a list", "refund", "provider: [runway]", "provider: runway", REFUSED),
    Slip("a field that only the producer knows", "refund", "provider: [runway]", "provdier: [runway]", NEVER,
         why="no other line of the policy says what the field is called; a policy test with a real event does"),
    # a week at half the price
    Slip("the end before the beginning", "promotion", "until: 2026-12-31", "until: 2026-12-13", REFUSED),
    Slip("the end misspelt", "promotion", "until:", "untill:", REFUSED),
    Slip("the end forgotten", "promotion", "      until: 2026-12-31T00:00:00+01:00\n", "", NEVER, CHRISTMAS,
         why="a lower price for ever is a price like any other; the table of what changes says 'on' in place of 'until'"),
    Slip("the end in another year", "promotion", "until: 2026-12-31", "until: 2062-12-31", WARNED),
    # a new model
    Slip("dollars in cents", "model", '1080p: "0.28"', '1080p: "28"', WARNED),
    Slip("the default misspelt", "model", "kling-3: {default:", "kling-3: {defualt:", WARNED),
    Slip("a name taken away that is not there", "model", KLING, "kling-2: null", REFUSED),
    Slip("a book of its own by mistake", "model", f"    - {MARCH}\n", f"  render-secnd:\n    - {MARCH}\n", REFUSED,
         "changes:"),
)  # fmt: skip
