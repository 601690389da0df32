"""The plan as a job of Apache Spark, which carries items between machines. ``steps_apart`` says what is done with them.

Nothing of the command imports this module: PySpark is 300 MB, and is there where Spark is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import evolve, frozen
from pyspark import RDD, StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

from engine.preview.planning.kept.spool import Spooled
from engine.preview.planning.kept_apart import LEFT_OUT, SPOOLED, Kept, KeptSteps
from engine.preview.planning.run import Planned
from engine.preview.planning.steps_apart import PARTITIONS_MIN, Item, Items, Numbered, Step, Steps, planned_apart
from engine.preview.planning.work import Wish

FILES, BYTES = 1 << 44, 1 << 40
"""A line's number: which file it is of, at which byte its part of the file begins, and which line of that part it is."""

GATHERED_TOGETHER = 4
"""Of so many partitions the items that an answer asks for are handed over at once; each time costs Spark a job."""


@frozen
class Distributed(Items):
    """What a step has yielded, on the machines of a cluster; kept on their disks, since two ask for it."""

    items: RDD[Item]
    partitions: int

    def then(self, step: Step, *kinds: str) -> Distributed:
        """Carry the items of some kinds to their partitions, and let the next step run there."""
        sent = self._of(kinds).keyBy(lambda item: item[1])
        there = sent.partitionBy(self.partitions, _itself).mapPartitionsWithIndex(_stepping(step))
        return Distributed(there.persist(StorageLevel.DISK_ONLY), self.partitions)

    def gathered(self, *kinds: str) -> Iterator[Item]:
        """Yield items of some kinds here, in memory those of few partitions; first all are worked out, side by side."""
        self.items.count()
        together = self._of(kinds).coalesce(self.partitions // GATHERED_TOGETHER)
        return together.toLocalIterator()  # type: ignore[no-any-return]

    def _of(self, kinds: Sequence[str]) -> RDD[Item]:
        return self.items.filter(lambda item: item[0] in kinds)


def _itself(partition: int) -> int:
    return partition


def _stepping(step: Step) -> Any:
    return lambda partition, pairs: step(partition, (item for _, item in pairs))


def planned_on_spark(spark: SparkSession, uris: Sequence[str], wish: Wish) -> AbstractContextManager[Planned]:
    """Plan the events in files, by all machines of a cluster: see ``planned_apart``. A folder stands for its files."""
    files = {_name(file): rank for rank, file in enumerate(_files(spark, uris))}
    partitions = _partitions(spark, wish)
    steps = Steps(evolve(wish, partitions=partitions))
    routed = _lines(spark, uris).rdd.mapPartitions(lambda rows: steps.route(_numbered(rows, files)))
    return planned_apart(Distributed(routed, partitions), steps)


@contextmanager
def planned_on_spark_of(spark: SparkSession, uris: Sequence[str], wish: Wish) -> Iterator[tuple[Planned, Spooled]]:
    """Plan what the archive's Parquet files have of a ledger, and hand over what is known of it too."""
    partitions = _partitions(spark, wish)
    steps = KeptSteps(evolve(wish, partitions=partitions, is_kept=True))
    entries = spark.read.parquet(*uris).select("reference", "entry").rdd
    routed = Distributed(entries.mapPartitions(steps.route_entries), partitions)
    with TemporaryDirectory(prefix="reconciler-ledger-") as folder:
        kept = Kept(Path(folder))
        with planned_apart(routed, steps, kept.add, SPOOLED, LEFT_OUT) as outcome:
            yield outcome, kept.spooled()


def _partitions(spark: SparkSession, wish: Wish) -> int:
    cores: int = spark.sparkContext.defaultParallelism
    return max(PARTITIONS_MIN, wish.partitions, 2 * cores)


def _files(spark: SparkSession, uris: Sequence[str]) -> Iterator[str]:
    """Yield the files that are meant, in the order in which they are named; those of a folder by their names."""
    for uri in uris:
        yield from sorted(_text(spark, [uri]).inputFiles())


def _text(spark: SparkSession, uris: Sequence[str]) -> DataFrame:
    return spark.read.option("lineSep", "\n").text([*uris])  # by itself it takes \r for the end of a line too


def _lines(spark: SparkSession, uris: Sequence[str]) -> DataFrame:
    """Return lines with the file that each is of, and where the part of it begins in which Spark has read the line."""
    raw = col("value").cast("binary")  # as a text it would have other characters in place of what is no UTF-8
    return _text(spark, uris).select(raw, "_metadata.file_path", "_metadata.file_block_start")


def _name(file: str) -> str:
    """Return the name of a file, which Spark writes in more than one way: ``file:/a b`` and ``file:///a%20b``."""
    parts = urlsplit(file)
    return unquote(f"//{parts.netloc}{parts.path}")


def _numbered(rows: Iterable[Sequence[Any]], files: Mapping[str, int]) -> Iterator[Numbered]:
    """Number the lines of a part of the files so that a later line has a larger number."""
    counts = dict[tuple[str, int], int]()
    for line, file, begins in rows:
        count = counts[file, begins] = counts.get((file, begins), 0) + 1
        number = (files[_name(file)] * FILES + begins) * BYTES + count
        yield Numbered(number, f"{file}: line {count}{f' behind byte {begins}' if begins else ''}", bytes(line))
