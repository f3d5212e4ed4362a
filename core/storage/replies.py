"""Store the bots' replies, for the buttons below them and for reports of wrong answers.

Accounts are stored by their row, never by name: so names are current, and no old reply names a forgotten account.
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.model.outcomes import KeptReply, NamedMatch, QueryOutcome, Report
from core.model.records import Checkpoint
from core.storage import tables as t
from core.storage.database import KEYS_A_QUERY, Database
from core.storage.writing import aware, naive

KEPT_DAYS = 30
"""Days for which a reply is kept and its buttons work."""
REPORTED_DAYS = 365
"""Days for which a reported reply is kept."""
NUMBER_BITS = 62

REPLY = t.replies.c
MATCH = t.reply_matches.c
REPORT = t.reports.c


class Replies:
    """The bots' replies in a database. Every call raises StoreError if the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, reply: KeptReply) -> int:
        """Store a reply and return its number."""
        number = 1 + secrets.randbits(NUMBER_BITS)
        row = {
            "id": number,
            "front_end": reply.front_end,
            "chat_id": reply.chat_id,
            "person_id": reply.person_id,
            "language": reply.language,
            "at": naive(reply.at),
            "outcomes": json.dumps([_outline(outcome) for outcome in reply.outcomes], default=datetime.isoformat),
        }

        async def work(connection: AsyncConnection) -> int:
            await connection.execute(insert(t.replies), row)
            accounts = await _accounts(connection, {match.username for match in _named(reply.outcomes)})
            if rows := list(_match_rows(number, reply.outcomes, accounts)):
                await connection.execute(insert(t.reply_matches), rows)
            return number

        return await self._database.write(work)

    async def find(self, number: int) -> KeptReply | None:
        """Return a reply with those of its accounts that still have images; None if it is not stored."""
        return (await self._found([number])).get(number)

    async def report(self, number: int, *, person_id: int, at: datetime) -> None:
        """Record a person's report of a wrong reply, once however often it is sent."""
        same = (REPORT.reply_id == number, REPORT.person_id == person_id)

        async def work(connection: AsyncConnection) -> None:
            # The reply is locked first: two simultaneous presses must not both find that there is no report yet.
            is_there = await connection.scalar(select(REPLY.id).where(REPLY.id == number).with_for_update())
            is_known = await connection.scalar(select(REPORT.id).where(*same).with_for_update())
            if is_there and not is_known:
                row = {"reply_id": number, "person_id": person_id, "reported_at": naive(at)}
                await connection.execute(insert(t.reports), row)

        await self._database.write(work)

    async def reports(self, limit: int) -> list[Report]:
        """Return the latest reports, the latest first."""
        query = select(t.reports).order_by(REPORT.id.desc()).limit(limit)
        rows = await self._database.rows(query)
        replies = await self._found([row.reply_id for row in rows])
        return [
            Report(row.reply_id, aware(row.reported_at), replies[row.reply_id])
            for row in rows
            if row.reply_id in replies
        ]

    async def remove_old(self, now: datetime) -> None:
        """Remove the replies that are older than they are kept."""
        reported = select(REPORT.reply_id)
        unreported_until, reported_until = (naive(now - timedelta(days=days)) for days in (KEPT_DAYS, REPORTED_DAYS))

        async def work(connection: AsyncConnection) -> None:
            old = (REPLY.at < unreported_until) & REPLY.id.not_in(reported)
            await connection.execute(delete(t.replies).where(old | (REPLY.at < reported_until)))

        await self._database.write(work)

    async def _found(self, numbers: Sequence[int]) -> dict[int, KeptReply]:
        rows = await self._database.rows(select(t.replies).where(REPLY.id.in_(numbers)))
        matches = await self._database.rows(
            select(t.reply_matches, t.users.c.username)
            .join(t.users)
            .where(MATCH.reply_id.in_(numbers))
            .order_by(MATCH.reply_id, MATCH.picture, MATCH.position)
        )
        return {row.id: _kept_reply(row, [match for match in matches if match.reply_id == row.id]) for row in rows}


async def _accounts(connection: AsyncConnection, usernames: set[str]) -> dict[str, int]:
    """Return the row ids of the accounts that still exist."""
    wanted = sorted(usernames)
    found: dict[str, int] = {}
    for start in range(0, len(wanted), KEYS_A_QUERY):
        names = wanted[start : start + KEYS_A_QUERY]
        query = select(t.users.c.username, t.users.c.id).where(t.users.c.username.in_(names))
        found.update({row.username: row.id for row in await connection.execute(query)})
    return found


def _named(outcomes: Sequence[QueryOutcome]) -> Iterator[NamedMatch]:
    for outcome in outcomes:
        yield from (*outcome.matches, *outcome.similar)


def _match_rows(
    number: int, outcomes: Sequence[QueryOutcome], accounts: Mapping[str, int]
) -> Iterator[dict[str, object]]:
    for picture, outcome in enumerate(outcomes):
        for position, match in enumerate(_named([outcome])):
            if match.username in accounts:
                yield {
                    "reply_id": number,
                    "picture": picture,
                    "position": position,
                    "user_id": accounts[match.username],
                    "photo_id": match.photo_id,
                    "is_similar": int(position >= len(outcome.matches)),
                    "confidence": match.confidence,
                    "how": json.dumps(match.how),
                }


def _outline(outcome: QueryOutcome) -> dict[str, object]:
    """Return the stored part of an outcome, except its matches."""
    return {
        "verdict": outcome.verdict,
        "fault": outcome.fault,
        "is_preview": outcome.is_preview,
        "searched": asdict(outcome.searched) if outcome.searched else None,
    }


def _kept_reply(row: Row[Any], matches: Sequence[Row[Any]]) -> KeptReply:
    outlines = enumerate(json.loads(row.outcomes))
    return KeptReply(
        front_end=row.front_end,
        chat_id=row.chat_id,
        person_id=row.person_id,
        language=row.language,
        at=aware(row.at),
        outcomes=tuple(
            _outcome(outline, [match for match in matches if match.picture == picture]) for picture, outline in outlines
        ),
    )


def _outcome(outline: Mapping[str, Any], rows: Sequence[Row[Any]]) -> QueryOutcome:
    """Read an outcome; its verdict is adjusted to the accounts that still exist."""
    matches, similar = (tuple(_match(row) for row in rows if row.is_similar == is_similar) for is_similar in (0, 1))
    verdict = outline["verdict"]
    if verdict in {"match", "similar"}:
        verdict = "match" if matches else "similar" if similar else "none"
    return QueryOutcome(
        verdict=verdict,
        fault=outline["fault"],
        matches=matches,
        similar=similar,
        searched=_checkpoint(outline["searched"]),
        is_preview=outline["is_preview"],
    )


def _checkpoint(kept: Mapping[str, Any] | None) -> Checkpoint | None:
    if kept is None:
        return None
    return Checkpoint(**{**kept, "newest": datetime.fromisoformat(kept["newest"]) if kept["newest"] else None})


def _match(row: Row[Any]) -> NamedMatch:
    return NamedMatch(row.username, row.confidence, tuple(json.loads(row.how)), row.photo_id)
