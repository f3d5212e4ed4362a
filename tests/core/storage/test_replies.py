"""The bots' replies: they are found again as they were, without removed accounts, and for a limited time."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from core.model.files import FileStamp, Place
from core.model.fingerprints import PhotoHashes
from core.model.outcomes import KeptReply, NamedMatch, QueryOutcome
from core.model.records import Checkpoint, PutImage, RemoveFile
from core.storage.replies import KEPT_DAYS, REPORTED_DAYS, Replies
from core.storage.store import Store

NOW = datetime(2026, 11, 25, 12, 30, 15, 123456, tzinfo=UTC)
SEARCHED = Checkpoint("id", 7, 28_114, 31, NOW)


@pytest.fixture
def replies(store: Store) -> Replies:
    return Replies(store.database)


async def remember(store: Store, *usernames: str) -> None:
    """Give each account an image."""
    changes = [
        PutImage(
            Place(username, f"{username}/1.jpg".encode()),
            FileStamp(number, number, number, 1),
            PhotoHashes(bytes([number]) * 32, bytes(8), bytes(32), 100, 0, 10, 10, 1),
        )
        for number, username in enumerate(usernames, start=1)
    ]
    async with store.hold_lock():
        await store.write(changes)


async def forget(store: Store, username: str) -> None:
    async with store.hold_lock():
        await store.write([RemoveFile(f"{username}/1.jpg".encode())])


def reply_with(*outcomes: QueryOutcome, at: datetime = NOW) -> KeptReply:
    return KeptReply("telegram", -1001234567890, 2**52, "de", at, outcomes)


def named(usernames: Sequence[str], confidence: float = 0.9123) -> tuple[NamedMatch, ...]:
    return tuple(NamedMatch(username, confidence, ("mirrored", "cropped to about 60 %"), 7) for username in usernames)


async def test_a_reply_is_found_as_it_was_kept(store: Store, replies: Replies) -> None:
    """Every outcome of an album comes back, in order, with all that a page is made from."""
    await remember(store, "anna", "__dunder__", "a.b_c")
    kept = reply_with(
        QueryOutcome("match", matches=named(["__dunder__", "anna"]), similar=named(["a.b_c"], 0.3), searched=SEARCHED),
        QueryOutcome("error", "unreadable"),
        QueryOutcome("none", searched=SEARCHED, is_preview=True),
        QueryOutcome("match", matches=named(["anna"]), searched=SEARCHED),
    )

    number = await replies.keep(kept)

    assert await replies.find(number) == kept
    assert await replies.find(number + 1) is None


async def test_accounts_that_are_gone_are_in_no_old_reply(store: Store, replies: Replies) -> None:
    """Once an account's last image is removed, old replies no longer name it, even if it comes back."""
    await remember(store, "anna", "bob")
    both = await replies.keep(reply_with(QueryOutcome("match", matches=named(["anna", "bob"]), searched=SEARCHED)))
    alone = await replies.keep(reply_with(QueryOutcome("match", matches=named(["anna"]), searched=SEARCHED)))

    await forget(store, "anna")
    await remember(store, "anna")

    assert await replies.find(both) == reply_with(QueryOutcome("match", matches=named(["bob"]), searched=SEARCHED))
    assert await replies.find(alone) == reply_with(QueryOutcome("none", searched=SEARCHED))


async def test_an_account_that_went_before_it_was_kept_is_left_out(store: Store, replies: Replies) -> None:
    """Between a search and its keeping an account may go: the rest is kept."""
    await remember(store, "bob")

    number = await replies.keep(reply_with(QueryOutcome("match", matches=named(["anna", "bob"]), searched=SEARCHED)))

    kept = await replies.find(number)
    assert kept is not None
    assert [match.username for match in kept.outcomes[0].matches] == ["bob"]


async def test_a_report_counts_once_a_person(store: Store, replies: Replies) -> None:
    """However often a person presses, it is one report; another person's is another; of no reply it is none."""
    await remember(store, "anna")
    kept = reply_with(QueryOutcome("match", matches=named(["anna"]), searched=SEARCHED))
    number = await replies.keep(kept)

    for person in (1, 1, 2):
        await replies.report(number, person_id=person, at=NOW + timedelta(minutes=person))
    await replies.report(number + 9, person_id=1, at=NOW)

    reports = await replies.reports(10)
    assert [(report.reply_id, report.reported_at) for report in reports] == [
        (number, NOW + timedelta(minutes=2)),
        (number, NOW + timedelta(minutes=1)),
    ]
    assert [match.username for match in reports[0].matches] == ["anna"]
    assert [len(await replies.reports(1)), (await store.statuses.read_stats()).reports] == [1, 2]


async def test_presses_at_once_are_one_report(store: Store, replies: Replies) -> None:
    """Ten presses of one person at the same moment are one report, and none of them fails."""
    await remember(store, "anna")
    number = await replies.keep(reply_with(QueryOutcome("match", matches=named(["anna"]), searched=SEARCHED)))

    await asyncio.gather(*(replies.report(number, person_id=1, at=NOW) for _ in range(10)))

    assert len(await replies.reports(20)) == 1


async def test_replies_go_after_their_time(store: Store, replies: Replies) -> None:
    """A reply is kept for a month, a reported one for a year; its report is removed with it."""
    await remember(store, "anna")
    outcome = QueryOutcome("match", matches=named(["anna"]), searched=SEARCHED)
    plain, reported = [await replies.keep(reply_with(outcome)) for _ in range(2)]
    await replies.report(reported, person_id=1, at=NOW)

    found = []
    for days in (KEPT_DAYS - 1, KEPT_DAYS + 1, REPORTED_DAYS + 1):
        await replies.remove_old(NOW + timedelta(days=days))
        found.append([bool(await replies.find(number)) for number in (plain, reported)])

    assert found == [[True, True], [False, True], [False, False]]
    assert await replies.reports(10) == []


async def test_a_reply_with_thousands_of_accounts_is_kept(store: Store, replies: Replies) -> None:
    """A photo that everybody posted is no exception."""
    names = [f"user{number}" for number in range(1200)]
    async with store.hold_lock():
        await store.write(
            [
                PutImage(
                    Place(name, f"{name}/1.jpg".encode()),
                    FileStamp(1, 1, number, 1),
                    PhotoHashes(bytes(32), bytes(8), bytes(32), 100, 0, 10, 10, 1),
                )
                for number, name in enumerate(names)
            ]
        )

    number = await replies.keep(reply_with(QueryOutcome("match", matches=named(names), searched=SEARCHED)))

    kept = await replies.find(number)
    assert kept is not None
    assert [match.username for match in kept.outcomes[0].matches] == names


async def test_the_store_knows_when_its_newest_image_came(store: Store) -> None:
    """It is noted when images are added, and left alone when they go."""
    before = (await store.changes.read_checkpoint()).newest

    await remember(store, "anna")
    added = (await store.changes.read_checkpoint()).newest
    await forget(store, "anna")

    assert before is None
    assert added is not None
    assert abs(added - datetime.now(UTC)) < timedelta(minutes=1)
    assert (await store.changes.read_checkpoint()).newest == added
