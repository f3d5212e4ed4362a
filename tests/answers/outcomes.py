"""Outcomes at their longest, for the laws that replies keep the limits of every chat."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from answers.replies import FAULTS
from core.model.outcomes import MOST_SIMILAR, NamedMatch, QueryOutcome
from core.model.records import Checkpoint

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SEARCHED = Checkpoint("id", 2**62, 10**9, 10**9, NOW)
LONGEST_HOW = ("mirrored", "rotated by about 123 degrees", "cropped to about 12 %", "part of a larger picture")
LARGEST = 2**63 - 1

usernames = st.from_regex(r"[a-z0-9._]{1,30}", fullmatch=True)


def named(names: list[str], first_id: int = LARGEST - 1000) -> tuple[NamedMatch, ...]:
    return tuple(NamedMatch(name, 0.9123, LONGEST_HOW, first_id + number) for number, name in enumerate(names))


outcomes = st.builds(
    lambda matches, similar, fault, is_preview: QueryOutcome(
        "match" if matches else "similar" if similar else "error" if fault else "none",
        None if matches or similar else fault,
        named(matches),
        named(similar),
        SEARCHED,
        is_preview,
    ),
    st.lists(usernames, max_size=12),
    st.lists(usernames, max_size=MOST_SIMILAR),
    st.sampled_from([None, *FAULTS]),
    st.booleans(),
)
LONGEST = [
    QueryOutcome("similar", None, (), named(["_" * 30] * MOST_SIMILAR), SEARCHED, is_preview=True),
    QueryOutcome("match", None, named(["_" * 30]), named(["_" * 30] * MOST_SIMILAR), SEARCHED, is_preview=True),
]
