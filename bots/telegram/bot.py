"""Run the Telegram bot: receive photos, and reply with the usernames that posted them.

1. `_on_message` finds out what a message asks for (bots/telegram/messages.py), after gathering the parts of an album.
2. `_answer` has the pictures searched (answers/answering.py) while the chat shows "is typing".
3. answers/replies.py words the reply, bots/telegram/markup.py renders it, and it is sent as one message.
4. `_on_button` turns pages, shows pictures and takes reports, from what the database keeps of the reply.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
)
from telegram.constants import ChatAction, ChatType, ParseMode
from telegram.error import BadRequest, TelegramError
from telegram.ext import ApplicationBuilder, CallbackContext, CallbackQueryHandler, MessageHandler, filters

from answers import replies as words
from answers.access import Access
from answers.admission import Admission, Requester
from answers.answering import AnswerService, QueryPhoto
from answers.backend import SearchBackend
from answers.downloads import DownloadFailed, Downloads
from answers.languages import ENGLISH, Language, language_of, languages
from bots.button_presses import ButtonPress, ButtonPresses, page_of
from bots.connection import ConnectionState, heartbeat_of
from bots.telegram.albums import Albums
from bots.telegram.markup import html_of, keyboard_of, match_html
from bots.telegram.messages import Ask, Carried, Command, Picture, Wish, carried_by, wish_of
from bots.telegram.transport import QuietBot, Receive, address_of, is_gone, patiently
from bots.typing_indicator import TypingIndicator
from core.errors import TooLarge
from core.model.outcomes import Fault
from core.service.supervision import until_first

CONCURRENT_UPDATES = 4_096
"""More than the pictures that may wait, so that a pressed button never waits behind them."""
STOP_SECONDS = 7.5
"""The time limit for answers in progress at shutdown, out of the 10 s that the process has."""
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

logger = logging.getLogger(__name__)
Context = CallbackContext[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class _Place:
    """A place to send messages to."""

    chat_id: int
    thread_id: int | None
    """The topic, in a forum."""


class _ReplyTo(TypedDict):
    """The arguments that make a message a reply."""

    reply_parameters: ReplyParameters
    message_thread_id: int | None


class TelegramBot:
    """The Telegram bot, for one call of `run`."""

    def __init__(self, bot: QuietBot, access: Access, backend: SearchBackend) -> None:
        self._bot = bot
        self._languages = languages()
        self._admission = Admission("telegram", access, backend.meter)
        self._answers = AnswerService("telegram", self._admission, backend)
        self._buttons = ButtonPresses("telegram", self._admission, backend, self._answers.queue)
        self._albums: Albums[Message] = Albums()
        self._connection = ConnectionState()
        self._heartbeat = heartbeat_of("telegram", self._connection, backend, lambda: self._answers.queue.waiting)
        self._typing = TypingIndicator(self._show_typing)
        self._downloads = Downloads()
        self._commands: dict[str, Callable[[Message, Requester], Awaitable[str]]] = {
            "start": self._welcome,
            "help": self._help,
            "stats": lambda _message, requester: self._answers.stats(requester),
            "privacy": self._privacy,
            "reports": lambda _message, requester: self._answers.reports(requester),
        }

    async def run(self, receive: Receive, stopped: asyncio.Event) -> None:
        """Answer people until stopped, then finish answers in progress; raises SettingsError for a refused token."""
        async with self._heartbeat.beating():
            await self._answer_all(receive, stopped)

    async def _answer_all(self, receive: Receive, stopped: asyncio.Event) -> None:
        await patiently(self._bot.initialize, self._connection, stopped, what="start")
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
            await until_first(
                receive(self._bot, application.update_queue, self._connection, stopped),
                self._answers.queue.keep_fresh(),
            )
        finally:
            announcing.cancel()
            self._answers.queue.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await application.stop()
            await application.shutdown()
            await self._downloads.close()
            logger.info("the Telegram bot has stopped")

    async def _on_message(self, update: Update, _context: Context) -> None:
        message = update.message
        if message is None:
            return
        is_part = message.media_group_id is not None and carried_by(message) is not None
        if messages := await self._album(message) if is_part else [message]:
            await self._grant(messages)

    async def _album(self, message: Message) -> list[Message]:
        """Return the whole album of a message, in order; nothing if another message of it came first."""
        gathering = self._albums.gathered((message.chat.id, message.media_group_id), message)
        if message.chat.type != ChatType.PRIVATE:  # in a group it may not be meant for us
            return sorted(await gathering or [], key=_number_of)
        async with self._typing.shown(_place_of(message)):
            return sorted(await gathering or [], key=_number_of)

    async def _grant(self, messages: Sequence[Message]) -> None:
        """Do what a message asks for; one message of an album asks for all of it."""
        wish: Wish = "nothing"
        asked = messages[0]
        for message in messages:
            wish = wish_of(message, self._bot.username, self._bot.id)
            if wish != "nothing":
                asked = message
                break
        if wish == "nothing":
            return
        requester = self._requester(asked)
        if refusal := self._admission.refusal_of_query(requester, pictures=len(messages)):
            if not refusal.is_told:
                await self._say(asked, refusal.sentence)
        elif isinstance(wish, Ask):
            await self._answer(asked, _carried(wish, messages), requester)
        else:
            await self._obey(wish, asked, requester)

    async def _obey(self, wish: Command | Literal["hint"], asked: Message, requester: Requester) -> None:
        if isinstance(wish, Command) and (command := self._commands.get(wish.name)):
            await self._say(asked, await command(asked, requester))
        elif wish == "hint" or asked.chat.type == ChatType.PRIVATE:
            await self._say(asked, await self._help(asked, requester))

    async def _answer(self, asked: Message, carried: Sequence[Carried], requester: Requester) -> None:
        """Search for the pictures of a message or album, and send one reply."""
        async with self._typing.shown(_place_of(asked)):
            answer = await self._answers.answer([self._query_photo(one) for one in carried], requester)
            keyboard = keyboard_of(answer.reply, answer.number, requester.language)
            await self._send(asked, html_of(answer.reply), ParseMode.HTML, keyboard)
        self._answers.note_sent(answer)

    def _query_photo(self, carried: Carried) -> QueryPhoto | Fault:
        if isinstance(carried, Picture):
            return QueryPhoto(partial(self._fetch, carried), carried.is_preview)
        return carried

    async def _fetch(self, picture: Picture) -> bytes:
        """Download a picture; raises DownloadFailed or TooLarge."""
        try:
            file = await self._bot.get_file(picture.file_id)
        except BadRequest as error:
            if "too big" in str(error):
                raise TooLarge("The file is larger than bots may download from Telegram.") from error
            raise DownloadFailed(str(error)) from error
        except TelegramError as error:
            raise DownloadFailed(str(error)) from error
        return await self._downloads.fetch(address_of(file, self._bot))

    async def _on_button(self, update: Update, _context: Context) -> None:
        query = update.callback_query
        if query is None:
            return
        person, chat_id = query.from_user, query.message.chat.id if query.message else 0
        language = language_of(person.language_code, self._languages)
        pressed = await self._buttons.press(query.data, Requester(chat_id, person.id, language, chat_id))
        if isinstance(pressed, str):
            await self._hint(query, pressed)
        else:
            act = self._turn(query, pressed) if pressed.button.kind == "p" else self._show(query, pressed, language)
            await asyncio.gather(self._hint(query), act)

    async def _turn(self, query: CallbackQuery, pressed: ButtonPress) -> None:
        """Replace this page with another one."""
        reply, language = page_of(pressed, self._languages)
        keyboard = keyboard_of(reply, pressed.button.reply, language)
        with _excused():
            await query.edit_message_text(
                html_of(reply), ParseMode.HTML, reply_markup=keyboard, link_preview_options=NO_PREVIEW
            )

    async def _show(self, query: CallbackQuery, pressed: ButtonPress, language: Language) -> None:
        """Send the picture of a match below the reply that names it."""
        message = query.message
        picture = await self._buttons.picture(pressed.button.number, pressed.usernames, language)
        if message is None:
            return
        if isinstance(picture, str):
            await self._say(message, picture)
            return
        caption = match_html(pressed.matches, language)
        try:
            await self._bot.send_photo(
                message.chat.id, picture, caption, parse_mode=ParseMode.HTML, **_reply_to(message)
            )
        except TelegramError as error:
            logger.warning("a picture could not be sent to Telegram: %s", error)
            await self._say(message, language.say("That picture cannot be shown in this chat."))

    async def _hint(self, query: CallbackQuery, sentence: str | None = None) -> None:
        """Stop the spinner of a pressed button, and show a sentence if there is one."""
        with _excused():
            await query.answer(sentence, show_alert=sentence is not None)

    async def _welcome(self, asked: Message, requester: Requester) -> str:
        if self._admission.is_admin(requester):
            await self._announce_to_admin(requester.chat_id, requester.language)
        return words.welcome(asked.from_user.first_name if asked.from_user else "", requester.language)

    async def _help(self, _asked: Message, requester: Requester) -> str:
        return words.usage(requester.language)

    async def _privacy(self, _asked: Message, requester: Requester) -> str:
        return self._answers.privacy(requester.language)

    async def _on_error(self, update: object, context: Context) -> None:
        """Report what went wrong, to the operator and to the person."""
        error = context.error
        logger.error("an update caused a fault in igsearch (%s: %s): report it", type(error).__name__, error)
        if isinstance(update, Update) and update.message and update.message.chat.type == ChatType.PRIVATE:
            language = self._requester(update.message).language
            await self._say(update.message, words.fault_words("unexpected", language))

    async def _announce_commands(self) -> None:
        """Set the menu of commands in every language, and the menus of the admins."""
        for language in self._languages.values():
            code = None if language.code == ENGLISH else language.code
            with _excused():
                await self._bot.set_my_commands(_menu(language), language_code=code)
        for admin in self._admission.admins:
            await self._announce_to_admin(admin, self._languages[ENGLISH])

    async def _announce_to_admin(self, admin: int, language: Language) -> None:
        """Set the menu of an admin; Telegram refuses it until they have written to the bot for the first time."""
        menu = [*_menu(language), BotCommand("reports", language.say("Answers reported as wrong"))]
        with _excused():
            await self._bot.set_my_commands(menu, BotCommandScopeChat(admin))

    async def _say(self, to: MaybeInaccessibleMessage, sentence: str) -> None:
        """Reply with plain text, which is shown exactly, whatever it contains."""
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

    def _requester(self, message: Message) -> Requester:
        """Return the author of a message: a person, or the chat in whose name it was written."""
        author = message.sender_chat or message.from_user or message.chat
        code = message.from_user.language_code if message.from_user else None
        return Requester(message.chat.id, author.id, language_of(code, self._languages), message.chat.id)


@contextmanager
def _excused() -> Iterator[None]:
    """Log and ignore a failed call: its message or chat may be gone, or Telegram may not answer."""
    try:
        yield
    except TelegramError as error:
        level = logging.INFO if is_gone(error) else logging.WARNING
        logger.log(level, "a message could not be sent to Telegram: %s", error)


def _reply_to(message: MaybeInaccessibleMessage) -> _ReplyTo:
    """Return the arguments that make a message a reply to this one, even if this one is deleted meanwhile."""
    parameters = ReplyParameters(message.message_id, allow_sending_without_reply=True)
    return {"reply_parameters": parameters, "message_thread_id": _place_of(message).thread_id}


def _place_of(message: MaybeInaccessibleMessage) -> _Place:
    thread_id = message.message_thread_id if isinstance(message, Message) and message.is_topic_message else None
    return _Place(message.chat.id, thread_id)


def _number_of(message: Message) -> int:
    return message.message_id


def _carried(wish: Ask, messages: Sequence[Message]) -> list[Carried]:
    """Return what to search: all of an album, although only one of its captions addresses the bot.

    In groups, files that are not pictures are skipped unless there is nothing else.
    """
    if len(messages) == 1:
        return [wish.carried]
    found = [carried for message in messages if (carried := carried_by(message))]
    pictures: list[Carried] = [carried for carried in found if isinstance(carried, Picture)]
    is_private = messages[0].chat.type == ChatType.PRIVATE
    return found if is_private else pictures or found


def _menu(language: Language) -> list[BotCommand]:
    return [
        BotCommand("search", language.say("Search the photo that you reply to")),
        BotCommand("help", language.say("How to use this bot")),
        BotCommand("stats", language.say("What is searched")),
        BotCommand("privacy", language.say("What happens to your photos")),
    ]
