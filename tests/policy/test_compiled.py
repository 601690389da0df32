"""A policy compiled beforehand: the same policy, tied to its text, and nothing of YAML or the grammar imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.policy import load_policy
from engine.policy.compiled import compile_policy, compiled_path, load_compiled
from engine.preview.changes import changes
from tests.policy.mutation.spread import SPREAD
from tests.support.events import failed, rendered
from tools.environments import ROOT

CALCULATED = "round_up(divide(multiply(detail.width, detail.frames), `1000`), `5`)"

SHIPPED = sorted((ROOT / "policies").glob("*.yaml"))


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return a policy file that has every construct, compiled."""
    path = tmp_path / "policy.yaml"
    path.write_text(SPREAD)
    compile_policy(path)
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_compiled_policy_is_the_policy(path: Path, tmp_path: Path) -> None:
    """Part by part, and for every event."""
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    compile_policy(copy)

    compiled, read = load_compiled(copy), load_policy(path)

    assert compiled is not None
    assert (read.identity, []) == (compiled.identity, list(changes(read, compiled)))
    for document in (rendered(), failed(), rendered("test-1"), {"source": "other"}):
        assert [rule.name for rule in read.matching(document)] == [rule.name for rule in compiled.matching(document)]


def test_every_construct_can_be_compiled(policy: Path) -> None:
    """Tiers, selectors, grants, windows, outliers, alternatives."""
    compiled = load_compiled(policy)

    assert compiled is not None
    assert [] == list(changes(load_policy(policy), compiled))


def test_without_a_compiled_form_the_text_counts(tmp_path: Path) -> None:
    """On a laptop there is none."""
    assert load_compiled(tmp_path / "policy.yaml") is None


@pytest.mark.parametrize("edit", ["# edited\n", None])
def test_a_policy_that_was_edited_after_the_build_does_not_start(policy: Path, edit: str | None) -> None:
    """What runs must be what is shown; a text that is gone shows nothing."""
    policy.write_text(edit + policy.read_text()) if edit else policy.unlink()

    with pytest.raises(PolicyError, match="was compiled from another text; build the artifact again"):
        load_compiled(policy)


@pytest.mark.parametrize("packed", [b"", b"garbage", b"\x80\x05cengine.gone\nName\n."])
def test_what_another_version_compiled_does_not_start(policy: Path, packed: bytes) -> None:
    """Cut short, damaged, or with classes that are no more."""
    Path(compiled_path(policy)).write_bytes(packed)

    with pytest.raises(PolicyError, match="cannot be read .*build the artifact again"):
        load_compiled(policy)


@pytest.mark.parametrize("quantity", ["detail.seconds", CALCULATED])
def test_two_compilations_are_equal(policy: Path, tmp_path: Path, quantity: str) -> None:
    """Byte for byte, whatever the order of hashes in a process, with the seed that the build sets."""
    policy.write_text(policy.read_text().replace("quantity: detail.seconds", f'quantity: "{quantity}"'))
    command = [sys.executable, "-m", "engine.policy.compiled", str(policy)]
    made = []
    for _ in range(2):
        subprocess.run(command, check=True, cwd=ROOT, env={"PYTHONHASHSEED": "0", "PATH": str(tmp_path)})
        made.append(Path(compiled_path(policy)).read_bytes())

    assert made[0] == made[1]


HEAVY = (
    "yaml",
    "botocore",
    "boto3",
    "jmespath",
    "openai",
    "aws_xray_sdk",
    "engine.policy.loader",
    "engine.policy.patterns.parse",
)


UNUSED = ("engine.policy.expressions.functions", "engine.policy.expressions.closures", "engine.policy.expressions.values")


def test_a_known_calculation_is_asked_again_without_jmespath(tmp_path: Path) -> None:
    """A later charge that says something else: what is kept is an expression of the policy that is loaded."""
    path = tmp_path / "video.yaml"
    shipped = (ROOT / "policies" / "video.yaml").read_text()
    path.write_text(shipped.replace("quantity: detail.seconds", f'quantity: "{CALCULATED}"'))
    compile_policy(path)
    first, second = rendered(width=1280, frames="24"), rendered(width=1280, frames="28", at="11:00")
    code = (
        "import sys; from pathlib import Path\n"
        "from engine.domain.envelope import Envelope, Source\n"
        "from engine.policy.compiled import load_compiled\n"
        "from engine.preview.dry_run import DryRun, store_of\n"
        f"run = DryRun(load_compiled(Path({str(path)!r})), store_of())\n"
        f"for event in {[first, second, first]!r}:\n"
        "    print(run.reconcile(Envelope(event, Source.EVENT)).outcome.value)\n"
        "print([each.name for entry in run.entries() for each in entry.anomalies], 'jmespath' in sys.modules)"
    )

    run = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)

    assert "['replaced-charge'] False" == run.stdout.splitlines()[-1].replace("'unknown-job', ", "")
    assert "duplicate" == run.stdout.splitlines()[2]


@pytest.mark.parametrize("quantity", ["detail.seconds", CALCULATED])
def test_a_compiled_policy_imports_neither_yaml_nor_the_grammar_nor_botocore(quantity: str, tmp_path: Path) -> None:
    """The shipped one, and one that calculates, in a process of its own, up to the first price. The first has no closures."""
    path = tmp_path / "video.yaml"
    shipped = (ROOT / "policies" / "video.yaml").read_text()
    path.write_text(shipped.replace("quantity: detail.seconds", f'quantity: "{quantity}"'))
    compile_policy(path)
    document = rendered(width=1280, frames="24")
    never = HEAVY if quantity == CALCULATED else (*HEAVY, *UNUSED)
    code = (
        "import sys, handler; from pathlib import Path\n"
        "from engine.domain.envelope import Envelope, Source\n"
        "from engine.policy.compiled import load_compiled\n"
        "from engine.rating.assess import assess\n"
        f"print(assess(Envelope({document!r}, Source.EVENT), load_compiled(Path({str(path)!r}))).quantity)\n"
        f"print([name for name in {never} if name in sys.modules])"
    )

    run = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)

    assert f"{35 if quantity == CALCULATED else 8}\n[]\n" == run.stdout
