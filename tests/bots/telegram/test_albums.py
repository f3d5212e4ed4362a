"""Albums: what comes under one key within a moment is one."""

import asyncio

from bots.telegram.albums import LARGEST_ALBUM, Albums

KEY = ("chat", "album")


async def test_one_caller_gets_the_whole_album() -> None:
    """Whoever brings the first item gets all, in the order they came; the others get nothing."""
    albums: Albums[int] = Albums(quiet_seconds=0.05)

    answers = await asyncio.gather(*(albums.gathered(KEY, item) for item in range(4)))

    assert answers == [[0, 1, 2, 3], None, None, None]


async def test_a_full_album_is_not_waited_for() -> None:
    """With its tenth item an album is whole, at once."""
    albums: Albums[int] = Albums(quiet_seconds=3600)

    answers = await asyncio.gather(*(albums.gathered(KEY, item) for item in range(LARGEST_ALBUM)))

    assert answers[0] == list(range(LARGEST_ALBUM))


async def test_albums_do_not_mix() -> None:
    """Items of different keys are gathered apart, at the same time."""
    albums: Albums[int] = Albums(quiet_seconds=0.05)

    one, other = await asyncio.gather(albums.gathered("one", 1), albums.gathered("other", 2))

    assert (one, other) == ([1], [2])


async def test_a_late_item_is_an_album_of_its_own() -> None:
    """What comes when an album was handed on is not lost."""
    albums: Albums[int] = Albums(quiet_seconds=0.01)

    first = await albums.gathered(KEY, 1)
    late = await albums.gathered(KEY, 2)

    assert (first, late) == ([1], [2])


async def test_the_quiet_begins_with_the_last_item() -> None:
    """Items that come one after the other are one album, though the first is long ago."""
    albums: Albums[int] = Albums(quiet_seconds=0.3)
    first = asyncio.create_task(albums.gathered(KEY, 0))

    for item in range(1, 4):
        await asyncio.sleep(0.15)
        await albums.gathered(KEY, item)

    assert await first == [0, 1, 2, 3]
