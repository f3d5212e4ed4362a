"""Word the bots' replies: turn outcomes into pages in a person's language, the same for every chat. Pure.

A reply is plain text and names without markup; each chat escapes them in its own way.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from answers.languages import Language
from core.matching.ranking import word_for
from core.model.outcomes import Fault, NamedMatch, QueryOutcome, Report
from core.model.records import Checkpoint
from core.model.statuses import Stats

PAGE_ENTRIES = 10
MOST_SIMILAR_IN_ALBUM = 2
"""The most similar scenes named for each picture of an album: ten pictures must fit into a message."""
NAMES_A_REPORT = 3
NUMBER = re.compile(r"\d+")


def N_(sentence: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a sentence for the catalogues; another function translates it."""
    return sentence


FAULTS: dict[Fault, str] = {
    "unreadable": N_("This picture is damaged and cannot be read: send another copy."),
    "unsupported": N_("I cannot read this kind of file: send a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF."),
    "too large": N_("This picture is too large: send it as a photo, or a smaller copy."),
    "too slow": N_("This picture takes too long to read: save it again and send the copy."),
    "no preview": N_("This file has no preview that I can search: send a screenshot of it."),
    "download": N_("I could not download this picture: send it again."),
    "unavailable": N_("My index cannot be reached just now: try again in a minute."),
    "busy": N_("Too many pictures are waiting just now: send this one again in two minutes."),
    "stopping": N_("I am restarting: send the picture again in a minute."),
    "unexpected": N_("Something went wrong on my side: send another copy, or try again later."),
}
HOW = {
    "identical": N_("the same file"),
    "recompressed": N_("saved again"),
    "mirrored": N_("mirrored"),
    "same scene": N_("same scene"),
    "part of a larger picture": N_("inside a larger picture: a screenshot, story or collage"),
    "rotated by about {number} degrees": N_("turned by about {number} degrees"),
    "cropped to about {number} %": N_("cropped to about {number} %"),
}
"""The phrases of core/matching/ranking.py and core/matching/placement.py, and how a chat words them."""
SURENESS = {
    "same photo": N_("same photo"),
    "likely": N_("likely"),
    "possible": N_("possible"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One account in a reply."""

    number: int
    """Counts from 1 through all pages."""
    username: str
    sureness: str
    """The confidence in percent and in a word."""
    how: str
    """The way the photo matched, in words."""
    photo_id: int
    """The distinct photo that matched."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The part of a page that is about one picture."""

    title: str | None
    sentences: tuple[str, ...]
    """Stand below the title, before the entries."""
    entries: tuple[Entry, ...]
    similar_words: str
    """Introduces `similar`; empty if there are none."""
    similar: tuple[str, ...]
    """Usernames with a similar scene."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One page of a reply."""

    passages: tuple[Passage, ...]
    closing: tuple[str, ...]
    """Sentences that stand below all passages."""
    page: int
    """The number of this page, from 1."""
    pages: int
    """The number of pages."""
    is_album: bool
    """True if the reply is about several pictures."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(entry for passage in self.passages for entry in passage.entries)


def profile_url(username: str) -> str:
    return f"https://www.instagram.com/{username}/"


def compose(outcomes: Sequence[QueryOutcome], language: Language, *, now: datetime, page: int = 1) -> Reply:
    """Word one page about the outcomes of a message or album; a page has at most ten entries.

    A page number out of range means the nearest page. A picture without entries shares the page of its neighbours.
    """
    pages = list(_pages(outcomes))
    shown = min(max(page, 1), len(pages))
    is_alone = len(outcomes) == 1
    passages = tuple(_passage(outcomes[part.picture], part, language, is_alone=is_alone) for part in pages[shown - 1])
    missed = [outcome for outcome in outcomes if outcome.verdict in {"none", "similar"}]
    closing = tuple(_closing(missed[0], language, now, is_alone=is_alone)) if missed and shown == len(pages) else ()
    return Reply(passages, closing, shown, len(pages), not is_alone)


@dataclass(frozen=True, slots=True)
class _Part:
    """A picture's entries on one page."""

    picture: int
    """The index of the picture."""
    begin: int
    """The index of its first match on this page."""
    end: int
    """The index after its last match on this page."""
    number: int
    """The number of the first entry in the whole reply."""


def _pages(outcomes: Sequence[QueryOutcome]) -> Iterator[list[_Part]]:
    """Split the entries into pages; a picture without any takes the space of one entry."""
    parts: list[_Part] = []
    room, number = PAGE_ENTRIES, 1
    for picture, outcome in enumerate(outcomes):
        begin, count = 0, len(outcome.matches)
        while True:
            taken = min(count - begin, room)
            parts.append(_Part(picture, begin, begin + taken, number))
            begin, number, room = begin + taken, number + taken, room - max(taken, 1)
            if not room:
                yield parts
                parts, room = [], PAGE_ENTRIES
            if begin == count:
                break
    if parts:
        yield parts


def _passage(outcome: QueryOutcome, part: _Part, language: Language, *, is_alone: bool) -> Passage:
    entries = tuple(
        _entry(match, part.number + offset, language)
        for offset, match in enumerate(outcome.matches[part.begin : part.end])
    )
    is_last = part.end == len(outcome.matches)
    similar = outcome.similar[: len(outcome.similar) if is_alone else MOST_SIMILAR_IN_ALBUM] if is_last else ()
    return Passage(
        title=_title(outcome, part.picture, language, is_alone=is_alone),
        sentences=tuple(_sentences(outcome, language, is_alone=is_alone)) if part.begin == 0 else (),
        entries=entries,
        similar_words=language.say("Similar scene, perhaps another picture:") if similar else "",
        similar=tuple(match.username for match in similar),
    )


def _title(outcome: QueryOutcome, picture: int, language: Language, *, is_alone: bool) -> str | None:
    if not is_alone:
        return language.say("Picture {number}", number=language.number(picture + 1))
    if outcome.matches:
        return language.count("Found: {number} account", "Found: {number} accounts", len(outcome.matches))
    return None


def _sentences(outcome: QueryOutcome, language: Language, *, is_alone: bool) -> Iterator[str]:
    if outcome.is_preview and outcome.verdict != "error":
        yield language.say("I searched the small preview of this file: the photo itself may find more.")
    if outcome.verdict == "error":
        yield fault_words(outcome.fault or "unexpected", language)
    elif outcome.verdict == "unsearchable":
        yield language.say("Too little detail to search: send a picture that shows more.")
    elif not outcome.matches and not is_alone:
        yield language.say("No certain match.") if outcome.similar else language.say("Nothing found.")


def _closing(missed: QueryOutcome, language: Language, now: datetime, *, is_alone: bool) -> Iterator[str]:
    """Yield what was searched where nothing was found, and one thing to try."""
    scope = scope_of(missed.searched, language, now) if missed.searched else "-"
    if not is_alone:
        yield language.say("I searched {scope}.", scope=scope)
    elif missed.similar:
        yield language.say("No certain match among {scope}.", scope=scope)
    else:
        yield language.say("Nothing found among {scope}.", scope=scope)
    yield language.say("Try this: crop to the photo itself and send it again.")


def scope_of(searched: Checkpoint, language: Language, now: datetime) -> str:
    """Return what was searched, in words."""
    photos = language.count("{number} photo", "{number} photos", searched.images)
    accounts = language.count("{number} account", "{number} accounts", searched.users)
    if searched.newest is None:
        return language.say("{photos} of {accounts}", photos=photos, accounts=accounts)
    age = language.ago(now - searched.newest)
    return language.say("{photos} of {accounts}, newest {age}", photos=photos, accounts=accounts, age=age)


def _entry(match: NamedMatch, number: int, language: Language) -> Entry:
    return Entry(
        number=number,
        username=match.username,
        sureness=sureness(match.confidence, language),
        how=", ".join(how(words, language) for words in match.how),
        photo_id=match.photo_id,
    )


def sureness(confidence: float, language: Language) -> str:
    """Return how sure a match is, in percent and in a word."""
    return f"{language.percent(confidence)}, {language.say(SURENESS[word_for(confidence)])}"


def how(words: str, language: Language) -> str:
    """Return in a language how a photo matched; unknown phrases stay as they are."""
    number = NUMBER.search(words)
    sentence = HOW.get(NUMBER.sub("{number}", words), words)
    return language.say(sentence, number=number[0]) if number else language.say(sentence)


def fault_words(fault: Fault, language: Language) -> str:
    """Return why a query image has no result, and what to do."""
    return language.say(FAULTS[fault])


def too_fast(seconds: int, language: Language) -> str:
    return language.count(
        "You are too fast for me: wait {number} second, then send the rest again.",
        "You are too fast for me: wait {number} seconds, then send the rest again.",
        seconds,
    )


def welcome(name: str, language: Language) -> str:
    return "\n\n".join(
        [
            language.say("Hello, {name}!", name=name),
            language.say(
                "Send me a photo and I will tell you which Instagram account posted it. Screenshots, stories, crops,"
                " and mirrored or captioned copies work too."
            ),
            language.say("See /help for more, and /privacy for what happens to your photos."),
        ]
    )


def usage(language: Language) -> str:
    """Return how to use the bot, in a private chat and in a group."""
    return "\n".join(
        [
            language.say(
                "Send me a photo, a picture as a file, a sticker, a GIF or a video, or up to ten as an album."
            ),
            language.say("In a group: reply to a photo with /search, or mention me in its caption."),
            language.say("I answer with the accounts that posted it, how sure I am, and how it matched."),
            language.say("For best results, crop to the photo itself."),
            language.say("Videos are searched by their preview picture."),
            language.say("/stats shows what is searched, /privacy what happens to your photos."),
        ]
    )


def discord_usage(language: Language) -> str:
    """Return how to use the bot on Discord."""
    return "\n".join(
        [
            language.say('Use /search with a picture, or Apps > "Search this image" on any message with pictures.'),
            language.say("Or send me a picture in a direct message, or mention me with one."),
            language.say("I answer with the accounts that posted it, how sure I am, and how it matched."),
            language.say("For best results, crop to the photo itself."),
            language.say("/stats shows what is searched, /privacy what happens to your photos."),
        ]
    )


def privacy(language: Language, *, kept_days: int, reported_days: int) -> str:
    """Return what happens to query images, and what is kept."""
    return "\n".join(
        [
            language.say(
                "Your photo is read in memory, compared with the index on the operator's own machine, and forgotten"
                " when the answer is sent. It is never written to a disk or a log, and never passed on."
            ),
            language.count(
                "Kept for {number} day, so that the buttons work: the answer's usernames, the chat, and who asked.",
                "Kept for {number} days, so that the buttons work: the answer's usernames, the chat, and who asked.",
                kept_days,
            ),
            language.count(
                'Kept for {number} day if you press "Wrong?": the same, for the operator to review.',
                'Kept for {number} days if you press "Wrong?": the same, for the operator to review.',
                reported_days,
            ),
            language.say(
                "To keep an account of yours out of every answer, tell the operator of this bot: it is removed within"
                " seconds and not indexed again."
            ),
        ]
    )


def figures(stats: Stats, searched: Checkpoint, language: Language, *, now: datetime, is_admin: bool) -> str:
    """Return what is searched; an admin is told more."""
    lines = [language.say("I search {scope}.", scope=scope_of(searched, language, now))]
    if stats.backlog:
        lines.append(
            language.count(
                "{number} photo is not found in crops and screenshots yet.",
                "{number} photos are not found in crops and screenshots yet.",
                stats.backlog,
            )
        )
    if is_admin:
        lines.append(
            language.say(
                "Unreadable files: {unreadable}. Answers reported as wrong: {reports}.",
                unreadable=language.number(stats.unreadable),
                reports=language.number(stats.reports),
            )
        )
    return "\n".join(lines)


def report_lines(reports: Sequence[Report], language: Language) -> list[str]:
    """List the answers that were reported as wrong, one per line."""
    return [_report_line(report, language) for report in reports] or [
        language.say("No answers have been reported as wrong.")
    ]


def _report_line(report: Report, language: Language) -> str:
    named = [f"{match.username} ({language.percent(match.confidence)})" for match in report.matches[:NAMES_A_REPORT]]
    more = [f"+{language.number(len(report.matches) - len(named))}"] if len(report.matches) > len(named) else []
    names = language.listed([*named, *more])
    when = f"{report.reported_at:%Y-%m-%d %H:%M} UTC"
    who = names or language.say("nobody any more")
    return f"#{report.reply_id} {when}, {report.reply.front_end}: {who}"
