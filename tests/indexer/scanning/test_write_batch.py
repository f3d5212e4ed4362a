"""The batches of decisions: each decision is passed on once it is recorded, and not before."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from core.errors import Unavailable
from core.model.records import Change, RemoveFile
from indexer.scanning.write_batch import BATCH_FILES, BATCH_SECONDS, Decision, FileOutcome, written

CHANGES = [RemoveFile(b"%d" % number) for number in range(BATCH_FILES + 5)]


class Records:
    """A store that accepts a number of batches, and then fails."""

    def __init__(self, batches: int) -> None:
        self.kept: list[Sequence[Change]] = []
        self.asked = 0
        self._batches = batches

    async def write(self, changes: Sequence[Change]) -> None:
        self.asked += 1
        if self.asked > self._batches:
            raise Unavailable("It is away.")
        self.kept.append(changes)


async def decisions(changes: Sequence[Change | None]) -> AsyncGenerator[Decision, None]:
    for change in changes:
        yield Decision(FileOutcome.UPDATED if change else FileOutcome.GONE, change)


async def test_a_decision_is_passed_on_once_it_is_on_record() -> None:
    """Decisions come once each after they are written, those of a failed batch never; after that nothing is written."""
    store, passed = Records(batches=1), list[Change | None]()

    async def take() -> None:
        async for decision in written(decisions(CHANGES), store):
            passed.append(decision.change)
            assert len(store.kept) == 1

    with pytest.raises(Unavailable):
        await take()

    assert passed == list(store.kept[0]) == CHANGES[:BATCH_FILES]
    assert store.asked == 2


async def test_what_changes_nothing_waits_for_nobody() -> None:
    """A decision without a change is passed on at once, and the rest is written at the end."""
    store = Records(batches=9)

    passed = [one.change async for one in written(decisions([CHANGES[0], None, CHANGES[1]]), store)]

    assert passed == [None, CHANGES[0], CHANGES[1]]
    assert store.kept == [CHANGES[:2]]


async def test_a_batch_does_not_wait_until_it_is_full() -> None:
    """An old decision is written with the next one, though more would fit into the batch."""
    store, now = Records(batches=9), iter([0.0, 0.0, 0.0, BATCH_SECONDS, BATCH_SECONDS, BATCH_SECONDS])

    passed = [one.change async for one in written(decisions(CHANGES[:3]), store, clock=lambda: next(now))]

    assert passed == CHANGES[:3]
    assert [len(batch) for batch in store.kept] == [2, 1]
