"""What shares a deployed stack or what its module makes is handed to one worker, all other tests to whoever is free."""

from __future__ import annotations

from tests.support.scheduling import unit_of


def test_all_tests_of_the_stack_are_one_unit() -> None:
    """In whatever file they are: a second worker would deploy a second stack."""
    units = {
        unit_of(f"tests/aws/{file}.py::test_a") for file in ("test_alarms", "test_deployed", "test_permissions", "test_poison")
    }

    assert {"the deployed stack"} == units


def test_tests_of_a_module_with_a_fixture_of_its_own_stay_together() -> None:
    """One local AWS for all that an operator does."""
    assert "tests/aws/test_operator.py" == unit_of("tests/aws/test_operator.py::test_a[one::two]")


def test_tests_of_a_module_that_keeps_what_it_has_made_stay_together() -> None:
    """Histories that are over: a second worker would play them again."""
    assert "tests/simulation/test_damage.py" == unit_of("tests/simulation/test_damage.py::test_a[one: two]")


def test_any_other_test_goes_by_itself() -> None:
    """So that workers end together."""
    assert "tests/prices/test_tiers.py::test_a[b]" == unit_of("tests/prices/test_tiers.py::test_a[b]")
