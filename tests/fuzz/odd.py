"""Values as JSON holds them: mostly right, now and then odd."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "", " ", "u-1", "j-1", "\x00", "\n", "a\x85b", "\ufeff", "\u2028", "\ud800", "\udfff\ud800", "é", "\U0001f3ac", "\u0663",
    "x" * 1024, "x" * 1025, "語" * 700, "null", "true", "1e3", "-1", "08", "8", "8.50", "0.1", ".5", "1" * 38, "1" * 39,
    "0." + "0" * 37 + "1", "0." + "0" * 38 + "1", "8." + "0" * 60, "NaN", "Infinity", "\x1b[2J", "'", "\\", "{}", "[", "$or",
    "job#j-1", "2026-01-05T10:00:00Z", "__proto__", "test-1", "premium",
)  # fmt: skip
ODD_NUMBERS: tuple[Any, ...] = (
    0, -0.0, 1, -1, 8, 8.5, 0.1, 1e-7, 5e-324, 1e22, 1e38, 1e300, -1e-9, float("inf"), float("-inf"), float("nan"),
    10**37, 10**38, 10**38 - 1, 10**39, -(10**38), 2**63, 8.333333333333334, 10**400, 500, 5000, 0.09, 59.99995,
)  # fmt: skip
ODD_TIMES = (
    "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.123456789Z", "2026-01-05T11:30:00+02:00", "20260105T100000Z", "20260105T10Z",
    "2026-01-05T10Z", "2026-01-05T10:00Z", "2026-01-05T10:00:00,5Z", "2026-01-05", "2026-01-05T10:00:00",
    "2026-01-05 10:00:00Z",
    "2026-01-05T24:00:00Z", "2026-01-05T23:59:60Z", "2026-13-05T10:00:00Z", "2026-02-29T10:00:00Z", "2024-02-29T10:00:00Z",
    "2026-01-05T13:00:00Z", "2026-01-05T13:00:01Z", "2026-01-05T13:00:00.000001Z", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z",
    "0000-01-01T00:00:00Z", "2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2026-01-05T10:00:00z",
    "2026-W02-1T10:00:00Z", "2026-005T10:00:00Z", "2026-01-05T10:00:00+0100", "2026-01-05T10:00:00+01",
    "2026-01-05T10:00:00-24:00",
    "2026-01-05T1000Z", "2026-0105T10:00Z", "+2026-01-05T10:00:00Z", "2026-01-05T10:00:00.Z", "٢٠٢٦-01-05T10:00:00Z",
    "2026-01-05T10:00:00+00:00:01", "2026-01-05T10.5Z", "1767607200", "2026-01-05T10:00:00Z\n",
)  # fmt: skip

texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=4), st.text("\ud800\udc00aé\x00", max_size=3))
numbers = st.one_of(st.sampled_from(ODD_NUMBERS), st.integers(-3, 10**6), st.floats(width=32), st.floats())
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.sampled_from(ODD_TIMES))
names = st.sampled_from(
    [
        "id",
        "source",
        "detail-type",
        "time",
        "detail",
        "jobId",
        "userId",
        "seconds",
        "model",
        "Records",
        "body",
        "slices",
        "",
        "x",
    ]
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)), max_leaves=8
)


def any_of(*several: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one of several, each as likely. Of a ``one_of`` within another each alternative would count by itself."""
    return st.integers(0, len(several) - 1).flatmap(lambda number: several[number])


def mostly(right: st.SearchStrategy[Any], odd: st.SearchStrategy[Any] = values) -> st.SearchStrategy[Any]:
    """Return what is right five times in six."""
    return st.integers(0, 5).flatmap(lambda chance: odd if chance == 0 else right)


def either(*right: Any) -> st.SearchStrategy[Any]:
    """Return one of these values, now and then an odd one."""
    return mostly(st.sampled_from(right))


def mapping(odd_members: st.SearchStrategy[Any] = values, /, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return objects with these members, now and then without one of them, or with another; ``detail_type`` has its dash."""
    named = {name.replace("detail_type", "detail-type"): member for name, member in members.items()}
    whole = st.fixed_dictionaries(named)
    without = st.tuples(whole, st.sampled_from(sorted(named))).map(lambda it: {k: v for k, v in it[0].items() if k != it[1]})
    more = st.tuples(whole, names, odd_members).map(lambda it: {**it[0], it[1]: it[2]})
    return st.integers(0, 9).flatmap(lambda chance: {0: without, 1: more}.get(chance, whole))


# --- events -----------------------------------------------------------------------------------------------------------

odd_names = st.one_of(st.sampled_from(ODD_TEXTS), texts, values)
jobs = mostly(st.sampled_from(["j-1", "j-2", "j-1", "test-3", "j-é"]), odd_names)
users = mostly(st.sampled_from(["u-1", "u-1", "u-1", "u-2", "nobody"]), odd_names)
seconds = mostly(st.one_of(st.integers(0, 400), st.sampled_from([8.5, "8", "8.50", 0.1, 0, 0.00001])), numbers | texts)
times = mostly(
    st.sampled_from(["2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z", "2026-01-05T10:00:00+01:00", "2026-01-05T14:00:00Z"]),
    st.sampled_from(ODD_TIMES),
)
details = mapping(jobId=jobs, userId=users, seconds=seconds, model=either("veo-3", "premium"), result_url=either("s3://a"))
odd_anywhere = mapping(
    id=either("e-1", "e-2", "e-3"),
    source=mostly(st.just("video.generation")),
    detail_type=mostly(st.sampled_from(["video.rendered", "video.rendered", "video.failed"])),
    time=times,
    detail=mostly(details),
)


def told(job: str, user: str, quantity: Any, time: str, kind: str, model: str) -> dict[str, Any]:  # noqa: PLR0917  by place
    """Return an event with nothing odd in its form."""
    detail = {"jobId": job, "userId": user, "seconds": quantity, "model": model}
    return {"id": "e-1", "source": "video.generation", "detail-type": f"video.{kind}", "time": time, "detail": detail}


def with_odd(event: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return an event of which one member is something else; an empty name changes none."""
    if name in event["detail"]:
        return {**event, "detail": {**event["detail"], name: value}}
    return {**event, name: value} if name else event


plain_events = st.builds(
    told,
    st.sampled_from(["j-1", "j-1", "j-2"]),
    st.sampled_from(["u-1", "u-1", "u-2", "u-2", "nobody"]),
    st.sampled_from([8, 8.5, "8.50", 0, 0.00001, 0.1, 5000]),
    st.sampled_from(["2026-01-05T10:00:00Z", "2026-01-05T10:00:00+01:00", "2026-01-05T14:00:00Z"]),
    st.sampled_from(["rendered", "rendered", "failed"]),
    st.sampled_from(["veo-3", "premium"]),
)
one_odd = st.builds(
    with_odd,
    plain_events,
    st.sampled_from([*[""] * 9, "id", "source", "detail-type", "time", "detail", "jobId", "userId", "seconds", "model"]),
    any_of(st.sampled_from(ODD_TIMES), st.sampled_from(ODD_TEXTS), numbers, values),
)
events = any_of(odd_anywhere, one_odd, one_odd)
"""Most of them are odd in one place at most: where several things are, the first hides the others."""
