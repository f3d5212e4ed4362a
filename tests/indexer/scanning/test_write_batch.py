"""A batch: what is told to be on record is."""

from collections.abc import Sequence
from functools import partial

import pytest

from core.errors import Unavailable
from core.model.records import Change, RemoveFile
from indexer.scanning.write_batch import BATCH_FILES, WriteBatch


class Disk:
    """A store that keeps so many batches, and then no more."""

    def __init__(self, batches: int) -> None:
        self.kept: list[Change] = []
        self._left = batches

    async def write(self, changes: Sequence[Change]) -> None:
        if not self._left:
            raise Unavailable("It is away.")
        self._left -= 1
        self.kept += changes


async def test_what_is_on_record_is_told_once_it_is() -> None:
    """Nothing is told before it is written, each change once, and of a batch that fails none."""
    store, told = Disk(batches=1), list[Change]()
    batch = WriteBatch(store)
    changes = [RemoveFile(b"%d" % number) for number in range(BATCH_FILES + 5)]

    before = []
    for change in changes:
        before.append(len(told))
        await batch.add(change, partial(told.append, change))
    with pytest.raises(Unavailable):
        await batch.flush()

    assert set(before[:BATCH_FILES]) == {0}
    assert told == store.kept == changes[:BATCH_FILES]
