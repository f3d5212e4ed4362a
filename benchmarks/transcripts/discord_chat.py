"""A chat with the Discord bot: what people do, and what the Discord of the tests was given for it."""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

from benchmarks.lab.photos import opened
from benchmarks.transcripts.entries import Card, Entry, Message, Note, Part, Photos, Picture, Run, Speaker
from benchmarks.transcripts.photos import SHARED, in_a_post, mirrored_crop, view
from tests.fakes.discord import channels as discord
from tests.fakes.discord.api import discord_api
from tests.fakes.discord.calls import Json
from tests.fakes.discord.content import Embed
from tests.fakes.discord.people import Person
from tests.fakes.discord.stage import Stage
from tests.pictures import encode
from tests.shell import Shell

AS_IT_IS, IN_A_POST, UNKNOWN = 15, 7, 35
"""The seeds of a photo that is passed on as it is, of one inside a screenshot, and of one that nobody posted."""
SEARCH, IMAGE, MENU = "search", "image", "Search this image"
SENT_QUALITY = 80
AVATARS = ("#757e8a", "#3ba55c", "#5865f2", "#faa61a", "#eb459f", "#ed4245")
"""Discord chooses one by a person's id; here it is by the length of the name, and so always the same."""
MARKDOWN = re.compile(
    r"\\(?P<escaped>[^A-Za-z0-9\s])"
    r"|\[(?P<label>(?:\\.|[^\]\\])+)\]\(<?https?://[^)\s]+\)"
    r"|\*\*(?P<bold>[^*\n]+)\*\*"
    r"|\*(?P<italic>[^*\n]+)\*"
)
"""What the bot writes of it: escapes, links, bold and italic."""


def discord_chat(shell: Shell) -> list[Entry]:
    """Let the bot answer from the dataset of a shell."""
    with discord_api() as api, Stage(shell, api).bot():
        return list(conversation(api.person("anna"), api.person("bob"), api.guild()))


def conversation(anna: Person, bob: Person, guild: discord.Guild) -> Iterator[Entry]:
    """Ask in the ways that people ask, and tell of each message when it is answered."""
    found = yield from searched(anna, guild, "evening.jpg", mirrored_crop(view(SHARED)))
    yield from shown(anna, found)
    yield from searched_by_menu(anna, bob, guild, [view(AS_IT_IS), in_a_post(view(IN_A_POST))])
    yield from searched(anna, guild, "hills.jpg", view(UNKNOWN))


def searched(
    person: Person, guild: discord.Guild, filename: str, picture: Picture
) -> Generator[Entry, None, discord.BotMessage]:
    file = person.attaches(filename, sent(picture))
    answer = person.uses_command(SEARCH, {IMAGE: file}, where=guild).answer()
    words = (Run(f"/{SEARCH}  ", is_bold=True), Run(f"{IMAGE}: ", is_faint=True), Run(file.filename))
    yield Message((Photos((opened(file.data),)), words), speaker=speaker_of(person.raw))
    yield from_bot(answer)
    return answer


def shown(person: Person, found: discord.BotMessage) -> Iterator[Entry]:
    """Let a person press the first button of an answer."""
    button = found.buttons[0].label
    answer = person.presses(found, button).answer()
    yield Note(f"{name_of(person.raw)} presses {button}")
    yield from_bot(answer)


def searched_by_menu(
    asker: Person, poster: Person, guild: discord.Guild, pictures: Sequence[Picture]
) -> Iterator[Entry]:
    files = [poster.attaches(f"{number}.jpg", sent(picture)) for number, picture in enumerate(pictures)]
    message = poster.sends_message(attachments=files, where=guild)
    answer = asker.uses_message_menu(MENU, message).answer()
    photos = Photos(tuple(opened(file.data) for file in files))
    yield Message((photos,), speaker=speaker_of(message.raw["author"]))
    yield Note(f"{name_of(asker.raw)} chooses Apps > {MENU}")
    yield from_bot(answer)


def sent(picture: Picture) -> bytes:
    return encode(picture, "JPEG", quality=SENT_QUALITY)


# What stands in messages


def from_bot(message: discord.BotMessage) -> Message:
    photos = tuple(opened(file.data) for file in message.body.shown_attachments)
    parts: list[Part] = [Photos(photos)] if photos else []
    parts += [tuple(runs_of(message.content))] if message.content else []
    parts += [card_of(embed, message) for embed in message.embeds]
    parts += [(Run("Only you can see this", is_faint=True),)] if message.is_ephemeral else []
    buttons = tuple(tuple(button.label for button in row) for row in message.components)
    return Message(tuple(parts), buttons, speaker_of(message.author), is_from_bot=True)


def speaker_of(user: Json) -> Speaker:
    name = name_of(user)
    return Speaker(name, AVATARS[len(name) % len(AVATARS)], "APP" if user.get("bot") else "")


def name_of(user: Json) -> str:
    return str(user["global_name"] or user["username"])


def card_of(embed: Embed, message: discord.BotMessage) -> Card:
    thumbnails = [opened(file.data) for file in message.body.attachments if file.url == embed.thumbnail]
    title = (Run(f"{embed.title}\n", is_bold=True),) if embed.title else ()
    words = (*title, *runs_of(embed.description))
    return Card(f"#{embed.raw['color']:06x}", words, thumbnails[0] if thumbnails else None)


def runs_of(markdown: str) -> Iterator[Run]:
    """Resolve what the bot writes of Discord's markdown."""
    end = 0
    for found in MARKDOWN.finditer(markdown):
        yield Run(markdown[end : found.start()])
        if found["label"]:
            yield from (replace(run, is_link=True) for run in runs_of(found["label"]))
        else:
            words = found["escaped"] or found["bold"] or found["italic"]
            yield Run(words, is_bold=bool(found["bold"]), is_italic=bool(found["italic"]))
        end = found.end()
    yield Run(markdown[end:])
