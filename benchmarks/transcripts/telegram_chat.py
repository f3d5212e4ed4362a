"""A chat with the Telegram bot: what a person sends, and what the Bot API server of the tests was given for it."""

from collections.abc import Generator, Iterator
from itertools import pairwise

from benchmarks.lab.photos import opened
from benchmarks.lab.queries import as_sent
from benchmarks.transcripts.entries import Card, Entry, Message, Note, Part, Photos, Picture, Run
from benchmarks.transcripts.looks import LIGHT
from benchmarks.transcripts.photos import SHARED, in_a_post, mirrored_crop, view
from tests.fakes.telegram import chats as telegram
from tests.fakes.telegram.bot_api import bot_api
from tests.fakes.telegram.people import Person
from tests.fakes.telegram.stage import Stage
from tests.fakes.telegram.text import Entity, Text
from tests.pictures import encode
from tests.shell import Shell

IN_A_POST, UNKNOWN = 13, 35
"""The seeds of a photo that is shown inside a screenshot, and of one that nobody posted."""
SHOW = "🖼 1"
LINKS = {"text_link", "url", "mention", "bot_command", "hashtag"}
"""Entities that Telegram shows as links."""


def telegram_chat(shell: Shell) -> list[Entry]:
    """Let the bot answer from the dataset of a shell."""
    with bot_api() as api, Stage(shell, api).bot():
        return list(conversation(api.person()))


def conversation(person: Person) -> Iterator[Entry]:
    """Send what people send, and tell of each message when it is answered."""
    found = yield from asked(person, mirrored_crop(view(SHARED)))
    person.presses(found, SHOW).answer()
    yield Note(f"{person.raw['first_name']} presses {SHOW}")
    yield theirs(person.answer_to(found))
    yield from asked(person, in_a_post(view(IN_A_POST)))
    yield from asked(person, view(UNKNOWN))


def asked(person: Person, picture: Picture) -> Generator[Entry, None, telegram.BotMessage]:
    question = person.sends_photo(as_sent(encode(picture, "PNG")))
    answer = person.answer_to(question)
    yield mine(question)
    yield theirs(answer)
    return answer


def mine(message: telegram.Message) -> Message:
    return Message((Photos(tuple(photos_in(message.raw, message.chat))),), is_mine=True)


def theirs(message: telegram.BotMessage) -> Message:
    parts: list[Part] = [quote_of(message.original, message.chat)] if message.original else []
    if message.photo:
        parts.append(Photos((opened(message.photo),)))
    buttons = tuple(tuple(button.text for button in row) for row in message.buttons)
    return Message((*parts, tuple(runs_of(message.content.text))), buttons, is_from_bot=True)


def quote_of(original: telegram.Json, chat: telegram.Chat) -> Card:
    """Return what Telegram shows of a message above the reply to it."""
    words = str(original.get("text", "Photo")).splitlines()[0]
    name = Run(f"{original['from']['first_name']}\n", is_bold=True, is_link=True)
    return Card(LIGHT.link, (name, Run(words)), next(photos_in(original, chat), None))


def photos_in(raw: telegram.Json, chat: telegram.Chat) -> Iterator[Picture]:
    """Yield the photo of a message, if it has one, in its largest size."""
    for size in raw.get("photo", [])[-1:]:
        yield opened(chat.telegram.files.by_id[size["file_id"]].data)


def runs_of(text: Text) -> Iterator[Run]:
    """Part a text where its entities begin and end."""
    places = {place for entity in text.entities for place in (entity.offset, entity.end)}
    for begin, end in pairwise(sorted({0, *places, text.length})):
        kinds = {entity.kind for entity in text.entities if entity.offset <= begin and end <= entity.end}
        words = text.part(Entity("", begin, end - begin))
        yield Run(words, is_bold="bold" in kinds, is_italic="italic" in kinds, is_link=bool(LINKS & kinds))
