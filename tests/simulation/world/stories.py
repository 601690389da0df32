"""What may happen to a job, how large its figures are, and when: the planner draws from these."""

from __future__ import annotations

from collections.abc import Mapping

STORIES: tuple[tuple[str, ...], ...] = (
    ("done",),
    ("done",),
    ("done", "failed"),
    ("done", "cancelled"),
    ("done", "credited"),
    ("done", "broken"),
    ("failed",),
    ("failed", "done"),
    ("done", "failed", "done"),
    ("done", "failed", "again"),
    ("done", "cancelled", "failed"),
    ("done", "failed", "cancelled"),
    ("failed", "cancelled", "done"),
    ("done", "twin"),
    ("done", "done"),
    ("done", "again"),
    ("again", "credited", "done", "again"),
    ("cancelled", "done", "cancelled"),
    ("done", "credited", "broken", "credited"),
    ("done", "other"),
)
WORK = ("rendered", "rendered", "hooked", "answered")
FIGURES: Mapping[str, tuple[str, ...]] = {
    "seconds": ("0", "1", "2", "4", "8", "8.3333", "30", "100"),
    "frames": ("7", "0", "3", "5", "11", "41.5", "90", "64"),
    "count": ("1", "2", "3", "0", "5", "7", "11", "40"),
    "input": ("0", "10", "250", "1234", "1", "33", "600", "9000"),
    "output": ("60", "0", "61", "12.5", "240", "59", "7", "1000"),
    "back": ("0", "0.1", "0.33335", "1", "2", "0.25", "5", "1000"),
    "missing": ("0", "25", "33.3", "100", "50", "99.9", "1", "75"),
    "credits": ("5", "20", "2000", "0", "7.12345", "997.5", "100", "1"),
    "amount": ("0", "1.5", "4", "30", "0.00005", "2000", "7", "12"),
    "percent": ("0", "50", "100", "12.5", "1", "99", "30", "20"),
}
"""Figures of eight sizes: facts of two sizes differ in each figure, whatever the policy asks for."""

SIZES = 8
GAPS = (0, 3, 60, 300, 4800, 12000)
"""Seconds between two things that happen to a job."""
FIRST, LAST, AHEAD = 300, 420, 760
"""Minutes of the day: when work is done; from the last on it is ahead of the clocks at first."""
