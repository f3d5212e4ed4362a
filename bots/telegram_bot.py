"""The Telegram bot: a photo in, the usernames out.

1. `_on_message` reads what a message wants (bots/telegram_messages.py); the parts of an album are gathered first.
2. `_answer` hands each picture in at the desk (bots/desk.py), while the chat shows that we are at it.
3. bots/replies.py says what became of them, bots/telegram_markup.py writes it, and it is sent as one reply.
4. `_on_button` turns pages, shows pictures and takes reports, by what the database keeps of the reply.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TypedDict

from telegram import (
    BotCommand,
    BotCommandScopeChat,
    CallbackQuery,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MaybeInaccessibleMessage,
    Message,
    ReplyParameters,
    Update,
    User,
)
from telegram.constants import ChatAction, ChatType, ParseMode
from telegram.error import BadRequest, TelegramError
from telegram.ext import ApplicationBuilder, CallbackContext, CallbackQueryHandler, MessageHandler, filters

from bots import replies as words
from bots.access import Access
from bots.albums import Albums
from bots.desk import Desk, Served
from bots.downloads import DownloadFailed, Downloads
from bots.languages import ENGLISH, Language, language_of, languages
from bots.limits import Pace
from bots.service import SearchService
from bots.signs import SignsOfLife
from bots.telegram_markup import Button, html_of, keyboard_of, match_html, pressed
from bots.telegram_messages import Ask, Carried, Command, Picture, Wish, carried_by, wish_of
from bots.telegram_transport import QuietBot, Receive, address_of, is_gone, patiently
from core.errors import StoreError, TooLarge
from core.model import KeptReply, Outcome
from core.storage.replies import KEPT_DAYS, REPORTED_DAYS
from core.supervision import until_first

CONCURRENT_UPDATES = 4_096
"""More than pictures may wait, so that a pressed button never does."""
BURST, SECONDS_EACH = 60, 3.0
"""Pictures that a person may send at once, and how soon one more."""
BUTTON_SECONDS = 0.8
"""For which a pressed button waits for the database: a person sees it turn, and expects something within a second."""
KEEP_SECONDS = 1.0
"""For which a reply waits to be kept; without that it has no buttons."""
STOP_SECONDS = 7.5
"""How long answers in hand may take at the end, of the 10 s that the process has."""
REPORTS_SHOWN = 20
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

logger = logging.getLogger(__name__)
Context = CallbackContext[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is said: a chat, and in a forum the topic."""

    chat_id: int
    thread_id: int | None


class _ReplyTo(TypedDict):
    """The arguments that make something said a reply."""

    reply_parameters: ReplyParameters
    message_thread_id: int | None


class TelegramBot:
    """One life of the bot, from `run` to its end."""

    def __init__(self, bot: QuietBot, access: Access, service: SearchService) -> None:
        self._bot = bot
        self._access = access
        self._replies = service.replies
        self._gallery = service.gallery
        self._catalogue = service.catalogue
        self._desk = Desk(service.engine, workers=service.workers, tidy=service.replies.forget_old)
        self._languages = languages()
        self._pace = Pace(burst=BURST, seconds_each=SECONDS_EACH, clock=time.monotonic)
        self._albums: Albums[Message] = Albums()
        self._signs = SignsOfLife(self._show_typing)
        self._downloads = Downloads()
        self._commands: dict[str, Callable[[Message, Language], Awaitable[str]]] = {
            "start": self._welcome,
            "help": self._help,
            "stats": self._stats,
            "privacy": self._privacy,
            "reports": self._reports,
        }

    async def run(self, receive: Receive, stopped: asyncio.Event) -> None:
        """Answer people until stopped, then finish what is in hand; raises SettingsError where the token is refused."""
        await patiently(self._bot.initialize, stopped, what="start")
        if stopped.is_set():
            return
        application = (
            ApplicationBuilder()
            .bot(self._bot)
            .updater(None)
            .job_queue(None)
            .concurrent_updates(CONCURRENT_UPDATES)
            .build()
        )
        application.add_handler(MessageHandler(filters.UpdateType.MESSAGE, self._on_message))
        application.add_handler(CallbackQueryHandler(self._on_button))
        application.add_error_handler(self._on_error)
        await application.initialize()
        await application.start()
        logger.info("the Telegram bot @%s answers", self._bot.username)
        announcing = asyncio.create_task(self._announce_commands())
        try:
            await until_first(receive(self._bot, application.update_queue, stopped), self._desk.keep_fresh())
        finally:
            announcing.cancel()
            self._desk.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await application.stop()
            await application.shutdown()
            await self._downloads.close()
            logger.info("the Telegram bot ended")

    async def _on_message(self, update: Update, _context: Context) -> None:
        message = update.message
        if message is None:
            return
        is_part = message.media_group_id is not None and carried_by(message) is not None
        if messages := await self._album(message) if is_part else [message]:
            await self._grant(messages)

    async def _album(self, message: Message) -> list[Message]:
        """Return the whole album of a message, in order; nothing where another message of it came first."""
        gathering = self._albums.gathered((message.chat.id, message.media_group_id), message)
        if message.chat.type != ChatType.PRIVATE:  # perhaps nobody asks
            return sorted(await gathering or [], key=_number_of)
        async with self._signs.shown(_place_of(message)):
            return sorted(await gathering or [], key=_number_of)

    async def _grant(self, messages: Sequence[Message]) -> None:
        """Do what a message wants, or one of an album for all of it."""
        wish: Wish = "nothing"
        asked = messages[0]
        for message in messages:
            wish = wish_of(message, self._bot.username, self._bot.id)
            if wish != "nothing":
                asked = message
                break
        language = self._language_of(asked.from_user)
        if wish == "nothing" or not await self._admits(asked, language, pictures=len(messages)):
            return
        if isinstance(wish, Ask):
            await self._answer(asked, _carried(wish, messages), language)
        else:
            await self._obey(wish, asked, language)

    async def _admits(self, asked: Message, language: Language, *, pictures: int) -> bool:
        """Tell whether a person may ask here and now; where not, they are told, of their pace only once."""
        person = _person_of(asked)
        if not self._access.admits(asked.chat.id, person):
            await self._say(asked, language.say("This bot serves certain chats only: ask its operator."))
            return False
        if refusal := self._pace.take(person, pictures):
            if not refusal.is_told:
                await self._say(asked, words.too_fast(refusal.seconds, language))
            return False
        return True

    async def _obey(self, wish: Command | Literal["hint"], asked: Message, language: Language) -> None:
        if isinstance(wish, Command) and (command := self._commands.get(wish.name)):
            try:
                await self._say(asked, await command(asked, language))
            except StoreError as error:
                self._desk.note_away(error)
                await self._say(asked, words.fault_words("unavailable", language))
        elif wish == "hint" or asked.chat.type == ChatType.PRIVATE:
            await self._say(asked, words.usage(language))

    async def _answer(self, asked: Message, carried: Sequence[Carried], language: Language) -> None:
        """Search for the pictures that a message, or an album, carries, and send one reply."""
        began, person = time.monotonic(), _person_of(asked)
        async with self._signs.shown(_place_of(asked)):
            served = await asyncio.gather(*(self._served(one, person) for one in carried))
            outcomes = tuple(one.outcome for one in served)
            number = await self._keep(asked, person, outcomes, language)
            reply = words.compose(outcomes, language, now=datetime.now(UTC))
            replying = time.monotonic()
            await self._send(asked, html_of(reply), ParseMode.HTML, keyboard_of(reply, number, language))
        _log(served, replied=time.monotonic() - replying, whole=time.monotonic() - began)

    async def _served(self, carried: Carried, person: int) -> Served:
        if not isinstance(carried, Picture):
            return Served(Outcome("error", carried))
        served = await self._desk.serve(person, partial(self._fetch, carried))
        return replace(served, outcome=replace(served.outcome, is_preview=carried.is_preview))

    async def _fetch(self, picture: Picture) -> bytes:
        """Download a picture; raises DownloadFailed or TooLarge."""
        try:
            file = await self._bot.get_file(picture.file_id)
        except BadRequest as error:
            if "too big" in str(error):
                raise TooLarge("The file is larger than Telegram hands out.") from error
            raise DownloadFailed(str(error)) from error
        except TelegramError as error:
            raise DownloadFailed(str(error)) from error
        return await self._downloads.fetch(address_of(file, self._bot))

    async def _keep(self, asked: Message, person: int, outcomes: tuple[Outcome, ...], language: Language) -> int | None:
        """Keep a reply for its buttons and return its number; None where it has none, or cannot be kept just now."""
        if not any(outcome.matches for outcome in outcomes):
            return None
        reply = KeptReply("telegram", asked.chat.id, person, language.code, datetime.now(UTC), outcomes)
        try:
            async with asyncio.timeout(KEEP_SECONDS):
                return await self._replies.keep(reply)
        except (StoreError, TimeoutError) as error:
            logger.warning("a reply has no buttons, it could not be kept: %s", error)
            return None

    async def _on_button(self, update: Update, _context: Context) -> None:
        query = update.callback_query
        if query is None:
            return
        language, button = self._language_of(query.from_user), pressed(query.data)
        if refusal := self._pace.take(query.from_user.id):
            await self._hint(query, words.too_fast(refusal.seconds, language))
            return
        try:
            async with asyncio.timeout(BUTTON_SECONDS):
                kept = await self._kept(query, button)
                if kept and button and button.kind == "w":
                    await self._replies.report(button.reply, person_id=query.from_user.id, at=datetime.now(UTC))
        except (StoreError, TimeoutError) as error:
            self._note_away(error)
            await self._hint(query, language.say("My index cannot be reached just now: press again in a minute."))
            return
        if not kept or not button:
            await self._hint(query, language.say("This button is too old, or not of this chat: send the photo again."))
        elif button.kind == "w":
            await self._hint(query, language.say("Thank you: it is noted for the operator to look at."))
        else:
            act = self._turn if button.kind == "p" else self._show
            await asyncio.gather(self._hint(query), act(query, kept, button))

    async def _kept(self, query: CallbackQuery, button: Button | None) -> KeptReply | None:
        """Return the reply of a button, if it is one of ours below a reply in this chat, and the chat is allowed."""
        if button is None or query.message is None:
            return None
        chat_id = query.message.chat.id
        if self._desk.is_away:
            raise TimeoutError
        kept = await self._replies.find(button.reply)
        is_ours = kept is not None and (kept.front_end, kept.chat_id) == ("telegram", chat_id)
        return kept if is_ours and self._access.admits(chat_id, query.from_user.id) else None

    async def _turn(self, query: CallbackQuery, kept: KeptReply, button: Button) -> None:
        """Show another page in the place of this one."""
        language = self._languages.get(kept.language, self._languages[ENGLISH])
        reply = words.compose(kept.outcomes, language, now=datetime.now(UTC), page=button.number)
        keyboard = keyboard_of(reply, button.reply, language)
        with _excused():
            await query.edit_message_text(
                html_of(reply), ParseMode.HTML, reply_markup=keyboard, link_preview_options=NO_PREVIEW
            )

    async def _show(self, query: CallbackQuery, kept: KeptReply, button: Button) -> None:
        """Send the picture of a match below the reply that names it."""
        language, message = self._language_of(query.from_user), query.message
        matches = [match for outcome in kept.outcomes for match in outcome.matches if match.light_id == button.number]
        if message is None:
            return
        try:
            picture = await self._gallery.picture(button.number, [match.username for match in matches])
        except StoreError as error:
            self._note_away(error)
            await self._say(message, words.fault_words("unavailable", language))
            return
        if picture is None:
            await self._say(message, language.say("That picture is no longer in the index."))
            return
        with _excused():
            await self._bot.send_photo(
                message.chat.id,
                picture,
                match_html(matches, language),
                parse_mode=ParseMode.HTML,
                **_reply_to(message),
            )

    async def _hint(self, query: CallbackQuery, sentence: str | None = None) -> None:
        """End the waiting of a pressed button, with a sentence where something is to be said."""
        with _excused():
            await query.answer(sentence, show_alert=sentence is not None)

    async def _welcome(self, asked: Message, language: Language) -> str:
        if self._access.is_admin(_person_of(asked)):
            await self._announce_to_admin(asked.chat.id, language)
        return words.welcome(asked.from_user.first_name if asked.from_user else "", language)

    async def _help(self, _asked: Message, language: Language) -> str:
        return words.usage(language)

    async def _privacy(self, _asked: Message, language: Language) -> str:
        return words.privacy(language, kept_days=KEPT_DAYS, reported_days=REPORTED_DAYS)

    async def _stats(self, asked: Message, language: Language) -> str:
        self._desk.refuse_while_away()
        stats, searched = await self._catalogue.stats(), await self._catalogue.checkpoint()
        is_admin = self._access.is_admin(_person_of(asked))
        return words.figures(stats, searched, language, now=datetime.now(UTC), is_admin=is_admin)

    async def _reports(self, asked: Message, language: Language) -> str:
        if not self._access.is_admin(_person_of(asked)):
            return language.say("/reports is for admins of this bot.")
        self._desk.refuse_while_away()
        return "\n".join(words.report_lines(await self._replies.reports(REPORTS_SHOWN), language))

    async def _on_error(self, update: object, context: Context) -> None:
        """Say what went wrong, to the operator and to the person."""
        error = context.error
        logger.error("an update met a fault in igsearch (%s: %s): report it", type(error).__name__, error)
        if isinstance(update, Update) and update.message and update.message.chat.type == ChatType.PRIVATE:
            language = self._language_of(update.message.from_user)
            await self._say(update.message, words.fault_words("unexpected", language))

    async def _announce_commands(self) -> None:
        """Set the menu of commands, in every language, and that of the admins."""
        for language in self._languages.values():
            code = None if language.code == ENGLISH else language.code
            with _excused():
                await self._bot.set_my_commands(_menu(language), language_code=code)
        for admin in self._access.admins:
            await self._announce_to_admin(admin, self._languages[ENGLISH])

    async def _announce_to_admin(self, admin: int, language: Language) -> None:
        """Set an admin's own menu; before their first message Telegram knows no chat with them, and refuses."""
        menu = [*_menu(language), BotCommand("reports", language.say("Answers that were called wrong"))]
        with _excused():
            await self._bot.set_my_commands(menu, BotCommandScopeChat(admin))

    async def _say(self, to: MaybeInaccessibleMessage, sentence: str) -> None:
        """Reply with plain text: shown exactly, whatever is in it."""
        await self._send(to, sentence, None, None)

    async def _send(
        self,
        to: MaybeInaccessibleMessage,
        text: str,
        parse_mode: ParseMode | None,
        keyboard: InlineKeyboardMarkup | None,
    ) -> None:
        with _excused():
            await self._bot.send_message(
                to.chat.id,
                text,
                parse_mode,
                reply_markup=keyboard,
                link_preview_options=NO_PREVIEW,
                **_reply_to(to),
            )

    async def _show_typing(self, place: _Place) -> None:
        with suppress(TelegramError):
            await self._bot.send_chat_action(place.chat_id, ChatAction.TYPING, message_thread_id=place.thread_id)

    def _language_of(self, person: User | None) -> Language:
        return language_of(person.language_code if person else None, self._languages)

    def _note_away(self, error: StoreError | TimeoutError) -> None:
        if isinstance(error, StoreError):
            self._desk.note_away(error)


@contextmanager
def _excused() -> Iterator[None]:
    """Let a call fail whose message or chat is gone, or for which Telegram had no ear; the log says so."""
    try:
        yield
    except TelegramError as error:
        level = logging.DEBUG if is_gone(error) else logging.WARNING
        logger.log(level, "Telegram did not take what was said: %s", error)


def _reply_to(message: MaybeInaccessibleMessage) -> _ReplyTo:
    """Return the arguments that make something said a reply, also where the message is gone meanwhile."""
    parameters = ReplyParameters(message.message_id, allow_sending_without_reply=True)
    return {"reply_parameters": parameters, "message_thread_id": _place_of(message).thread_id}


def _place_of(message: MaybeInaccessibleMessage) -> _Place:
    thread_id = message.message_thread_id if isinstance(message, Message) and message.is_topic_message else None
    return _Place(message.chat.id, thread_id)


def _person_of(message: Message) -> int:
    """Return who wrote a message: a person, or the chat in whose name it was written."""
    author = message.sender_chat or message.from_user or message.chat
    return author.id


def _number_of(message: Message) -> int:
    return message.message_id


def _carried(wish: Ask, messages: Sequence[Message]) -> list[Carried]:
    """Return what is to be searched: all of an album, though only one of its captions speaks to us."""
    if len(messages) == 1:
        return [wish.carried]
    return [carried for message in messages if (carried := carried_by(message))]


def _menu(language: Language) -> list[BotCommand]:
    return [
        BotCommand("search", language.say("Search the photo that you reply to")),
        BotCommand("help", language.say("How to ask")),
        BotCommand("stats", language.say("What is searched")),
        BotCommand("privacy", language.say("What happens to your photos")),
    ]


def _log(served: Sequence[Served], *, replied: float, whole: float) -> None:
    """Log what an answer took; of an album its slowest picture."""
    slowest = max(served, key=lambda one: one.download + one.reading + one.search)
    steps = (whole, slowest.download, slowest.reading, slowest.search, replied)
    verdicts = ", ".join(one.outcome.fault or one.outcome.verdict for one in served)
    logger.info(
        "answered with %s in %.0f ms (download %.0f, reading %.0f, search %.0f, reply %.0f)",
        verdicts,
        *(1000 * step for step in steps),
    )
