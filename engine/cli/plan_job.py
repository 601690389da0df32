"""The plan as a job of Apache Spark: what ``spark-submit`` starts. No part of the command, which does without PySpark."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from attrs import evolve, frozen

import engine
from engine.cli.options import day_or_instant
from engine.cli.output import complain, print_streamed
from engine.cli.plan import own_group
from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import PolicyError
from engine.policy import Policy, parse_policy
from engine.preview.planning.answer import Asked, answer_of, is_mixed, net_of
from engine.preview.planning.books import as_of, with_prices_of
from engine.preview.planning.lines import UnreadableEvents
from engine.preview.planning.material import ENTRIES_DO_NOT_SAY
from engine.preview.planning.of_ledger import EVENTS_ALONE, OfLedger
from engine.preview.planning.run import Planned
from engine.preview.planning.work import Wish

S3 = "s3://"


def plan_job(
    edited: Annotated[str, typer.Argument(help="The edited policy file, here or in S3 (s3://BUCKET/KEY).")],
    *,
    policy: Annotated[str, typer.Option(help="The policy as it is now, here or in S3.")],
    events: Annotated[
        list[str] | None,
        typer.Option(help="Files or folders of events, one JSON object a line; packed ones end in .gz. Several by several."),
    ] = None,
    entries: Annotated[
        list[str] | None,
        typer.Option(help="In place of events: the archive's Parquet files, or folders of them. Several by several."),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option("--as-of", parser=day_or_instant, metavar="DAY", help="Price all events as if they happened then."),
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME=JMESPATH", help="Also by what this finds in each event.")
    ] = None,
    partitions: Annotated[
        int, typer.Option(min=1, help="Among how many partitions logs are divided; at least twice as many as there are cores.")
    ] = 64,
    out: Annotated[str, typer.Option(help="Where the answer goes, here or in S3; -: it is printed.")] = "-",
) -> None:
    """Show as JSON what an edit of the policy would do to given events: the answer of `reconciler plan --json`."""
    if bool(events) == bool(entries):
        complain("name what to plan: --events, or --entries of the archive")
        raise typer.Exit(MISUSED)
    try:
        now, then = _read(policy), _read(edited)
        groups = tuple(dict(map(own_group, group or ())).items())
        wish = Wish((), now, then, groups=groups, partitions=partitions)
        with _written(out):
            has_refused = _Job(_session(), tuple(events or ()), tuple(entries or ())).show(wish, at)
    except (UnreadableEvents, PolicyError) as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
    if has_refused:
        raise typer.Exit(FAILED)


@frozen
class _Job:
    """What is planned, by which cluster."""

    spark: Any
    events: tuple[str, ...]
    entries: tuple[str, ...]

    def show(self, wish: Wish, at: datetime | None) -> bool:
        """Plan, print the answer, and say whether the edit refuses events."""
        asked = Asked(wish.now, wish.then, at)
        if at is not None:
            wish = evolve(wish, now=as_of(wish.now, at), then=as_of(wish.then, at))
        if is_mixed(asked.now, asked.then):
            with self._planned(evolve(wish, then=with_prices_of(wish.now, wish.then), groups=())) as (outcome, _):
                asked = evolve(asked, by_prices=net_of(outcome.tally.sums)[1])
        with self._planned(wish) as (outcome, ledger):
            answer = answer_of(wish, outcome, evolve(asked, ledger=ledger))
            print_streamed(answer)
            return bool(answer["refused"])

    @contextlib.contextmanager
    def _planned(self, wish: Wish) -> Iterator[tuple[Planned, OfLedger]]:
        from engine.preview.planning.spark import planned_on_spark, planned_on_spark_of  # noqa: PLC0415  options come first

        if self.events:
            with planned_on_spark(self.spark, self.events, wish) as outcome:
                yield outcome, EVENTS_ALONE
        else:
            with planned_on_spark_of(self.spark, self.entries, wish) as (outcome, spooled):
                yield outcome, OfLedger(spooled, ENTRIES_DO_NOT_SAY)


def _session() -> Any:
    """Return the session of the cluster, whose processes look for the engine where this one has found it."""
    from pyspark.sql import SparkSession  # noqa: PLC0415  it takes a while, and is there where Spark is

    folder = str(Path(engine.__file__).parent.parent)
    return SparkSession.builder.appName("reconciler plan").config("spark.executorEnv.PYTHONPATH", folder).getOrCreate()


def _read(place: str) -> Policy:
    """Return the policy in a file. Raises PolicyError."""
    if not place.startswith(S3):
        return parse_policy(Path(place).read_text(encoding="utf-8"), place)
    bucket, _, key = place.removeprefix(S3).partition("/")
    return parse_policy(_s3().get_object(Bucket=bucket, Key=key)["Body"].read().decode(), place)


@contextlib.contextmanager
def _written(place: str) -> Iterator[None]:
    """Let what is printed go to a file, or to an object of S3 once all is there."""
    if place == "-":
        yield
        return
    with TemporaryDirectory(prefix="reconciler-plan-") as folder:
        path = Path(folder, "answer.json") if place.startswith(S3) else Path(place)
        with path.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            yield
        if place.startswith(S3):
            bucket, _, key = place.removeprefix(S3).partition("/")
            _s3().upload_file(str(path), bucket, key)


def _s3() -> Any:
    import boto3  # noqa: PLC0415  only where something lies there

    return boto3.client("s3")


def main() -> None:
    """Run the job. Raises SystemExit."""
    typer.run(plan_job)


if __name__ == "__main__":
    main()
