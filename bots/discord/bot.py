"""Run the Discord bot: /search, "Search this image" on any message, and pictures in direct messages and mentions.

1. bots/discord/attachments.py finds the pictures of a command or message.
2. `_answered` has them searched (answers/answering.py), and acknowledges the command if that takes a moment.
3. answers/replies.py words the reply, bots/discord/markup.py renders it. If nobody was found, it is private.
4. `on_button` turns pages, shows pictures and takes reports, from what the database keeps of the reply.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from discord import (
    Attachment,
    Client,
    ConnectionClosed,
    Intents,
    Interaction,
    InteractionType,
    LoginFailure,
    MemberCacheFlags,
    Message,
    PrivilegedIntentsRequired,
)
from discord.abc import Messageable
from discord.app_commands import (
    AppCommandError,
    Command,
    CommandNotFound,
    CommandSignatureMismatch,
    CommandTree,
    ContextMenu,
    describe,
    locale_str,
)

from answers import replies as words
from answers.access import Access
from answers.admission import Admission, Requester
from answers.answering import Answer, AnswerService, QueryPhoto
from answers.backend import SearchBackend
from answers.downloads import Downloads
from answers.languages import Language, language_of, languages
from answers.replies import N_
from bots.button_presses import ButtonPress, ButtonPresses, page_of
from bots.connection import ConnectionState, heartbeat_of
from bots.discord.attachments import Carried, Picture, carried_by, picture_of
from bots.discord.commands import BY_ANYBODY, EVERYWHERE, Catalogues, announce
from bots.discord.identity import refused_token
from bots.discord.in_flight import InFlight
from bots.discord.markup import ReplyButton, embeds_of, match_words, view_of
from bots.discord.sending import (
    CONNECTION_ERRORS,
    NOBODY,
    RenderedReply,
    acknowledge,
    acknowledge_button,
    excused,
    reply,
    show_typing,
    tell,
    tell_later,
)
from bots.typing_indicator import TypingIndicator
from core.errors import SettingsError
from core.model.outcomes import Fault
from core.service.backoff import Backoff
from core.service.supervision import rest, unless_stopped, until_first

QUICK_SECONDS = 0.5
"""The wait for an answer before the command is acknowledged: most answers need no "thinking..." at all."""
STOP_SECONDS = 7.5
"""The time limit for answers in progress at shutdown, out of the 10 s that the process has."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 15.0
"""Between attempts to log in."""
REFUSED_TOKEN = 4004
"""The close code by which the gateway refuses a token."""

logger = logging.getLogger(__name__)


class DiscordBot:
    """The Discord bot, for one call of `run`."""

    def __init__(self, token: str, access: Access, backend: SearchBackend) -> None:
        self._token = token
        self._languages = languages()
        self._admission = Admission("discord", access, backend.meter)
        self._answers = AnswerService("discord", self._admission, backend)
        self._buttons = ButtonPresses("discord", self._admission, backend, self._answers.queue)
        self._downloads = Downloads()
        self._in_flight = InFlight()
        self.connection = ConnectionState()
        self._heartbeat = heartbeat_of("discord", self.connection, backend, lambda: self._answers.queue.waiting)
        self._typing: TypingIndicator[Messageable] = TypingIndicator(show_typing)
        self.catalogues = Catalogues(self._languages)

    async def run(self, stopped: asyncio.Event) -> None:
        """Answer people until stopped, then finish answers in progress; raises SettingsError for a refused token."""
        async with self._heartbeat.beating():
            try:
                await until_first(self._stay_connected(stopped), self._answers.queue.keep_fresh())
            finally:
                await self._downloads.close()
                logger.info("the Discord bot has stopped")

    async def _stay_connected(self, stopped: asyncio.Event) -> None:
        """Stay logged in until stopped; log in again if the library gives up, as it does when its first try fails."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while not stopped.is_set():
            began = time.monotonic()
            error = await self._connected(stopped)
            if stopped.is_set():
                return
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                backoff.reset()
            self.connection.down(f"Discord cannot be reached ({type(error).__name__})")
            pause = backoff.next()
            logger.warning("Discord cannot be reached (%r); logging in again in %.0f s", error, pause)
            await rest(stopped, pause)

    async def _connected(self, stopped: asyncio.Event) -> Exception | None:
        """Log in once and return the error that ended the connection; when stopped, finish what is in progress."""
        async with _Client(self) as client:
            try:
                await unless_stopped(client.start(self._token), stopped)
            except LoginFailure:
                raise refused_token() from None
            except PrivilegedIntentsRequired as error:
                raise SettingsError(f"Discord requires intents that this bot does not use: {error}") from None
            except CONNECTION_ERRORS as error:
                if isinstance(error, ConnectionClosed) and error.code == REFUSED_TOKEN:
                    raise refused_token() from None
                return error
            self._answers.queue.close()
            await self._in_flight.empty(STOP_SECONDS)
        return None

    def new_tree(self, client: Client) -> CommandTree[Any]:
        """Return the command tree of a client."""
        tree = _Tree(self, client)
        search = locale_str(N_("Which Instagram account posted this picture?"))
        tree.add_command(Command(name="search", description=search, callback=self._search))
        for name, sentence, say in (
            ("help", N_("How to use this bot"), self._help),
            ("stats", N_("What is searched"), self._stats),
            ("privacy", N_("What happens to your photos"), self._privacy),
        ):
            tree.add_command(Command(name=name, description=locale_str(sentence), callback=say))
        menu = ContextMenu(name=locale_str(N_("Search this image")), callback=self._search_message)
        tree.add_command(menu)
        return tree

    @describe(
        image=locale_str(N_("The picture: a photo, screenshot, crop or story")),
        private=locale_str(N_("Only you see the answer")),
    )
    async def _search(self, interaction: Interaction[Any], image: Attachment, private: bool = False) -> None:  # noqa: FBT001, FBT002 - the option of the command
        await self._answered(interaction, [picture_of(image)], is_private=private)

    async def _search_message(self, interaction: Interaction[Any], message: Message) -> None:
        requester = self._requester(interaction)
        if carried := carried_by(message):
            await self._answered(interaction, carried, is_private=True)
        else:
            await tell(interaction, requester.language.say("There is no picture in this message."))

    async def _help(self, interaction: Interaction[Any]) -> None:
        await tell(interaction, words.discord_usage(self._requester(interaction).language))

    async def _privacy(self, interaction: Interaction[Any]) -> None:
        await tell(interaction, self._answers.privacy(self._requester(interaction).language))

    async def _stats(self, interaction: Interaction[Any]) -> None:
        with self._in_flight.busy(), excused():
            await acknowledge(interaction, is_private=True)
            await tell_later(interaction, await self._answers.stats(self._requester(interaction)))

    async def _answered(self, interaction: Interaction[Any], carried: Sequence[Carried], *, is_private: bool) -> None:
        """Search for pictures and send one answer; if nobody was found, only the requester sees it."""
        requester = self._requester(interaction)
        if refusal := self._admission.refusal_of_query(requester, pictures=len(carried)):
            await tell(interaction, refusal.sentence)
            return
        making = asyncio.create_task(self._ready(carried, requester))
        with self._in_flight.busy(), excused():
            try:
                await asyncio.wait({making}, timeout=QUICK_SECONDS)
                is_quick = making.done()
                if not is_quick:
                    await acknowledge(interaction, is_private=is_private)
                ready = await making
                is_for_all = ready.page.has_matches and not is_private
                if is_quick:
                    await ready.page.answer(interaction, is_for_all=is_for_all)
                else:
                    await (ready.page.replace if is_for_all or is_private else ready.page.reply_privately)(interaction)
                self._answers.note_sent(ready.answer)
            finally:
                making.cancel()

    async def _ready(self, carried: Sequence[Carried], requester: Requester) -> "_ReadyAnswer":
        """Search for pictures and render the answer."""
        answer = await self._answers.answer([self._query_photo(one) for one in carried], requester)
        return _ReadyAnswer(answer, await self._rendered(answer.reply, answer.number, requester.language))

    async def on_message(self, message: Message, me: int) -> None:
        """Answer the pictures of a direct message, or of a message that mentions us."""
        is_direct = message.guild is None
        is_mention = any(user.id == me for user in message.mentions)
        if message.author.bot or not (is_direct or is_mention):
            return
        requester, carried = self._writer(message), carried_by(message)
        if not carried and not is_direct and f"<@{me}>" not in message.content:
            return  # a reply to one of our answers, such as a "thank you"
        refusal = self._admission.refusal_of_query(requester, pictures=max(1, len(carried)))
        with self._in_flight.busy(), excused():
            if refusal is None and carried:
                async with self._typing.shown(message.channel):
                    ready = await self._ready(carried, requester)
                    await ready.page.reply(message)
                self._answers.note_sent(ready.answer)
            elif refusal is None or not refusal.is_told:
                said = refusal.sentence if refusal else words.discord_usage(requester.language)
                await reply(message, said)

    async def on_button(self, interaction: Interaction[Any]) -> None:
        """Handle a pressed button, for the person whose answer it belongs to."""
        requester = self._requester(interaction)
        with self._in_flight.busy(), excused():
            pressed = await self._buttons.press(_said_by(interaction), requester, is_owners=True)
            if isinstance(pressed, str):
                await tell(interaction, pressed)
            elif pressed.button.kind == "p":
                await self._turn(interaction, pressed)
            else:
                await self._show(interaction, pressed, requester.language)

    async def _turn(self, interaction: Interaction[Any], pressed: ButtonPress) -> None:
        """Replace this page with another one."""
        await acknowledge_button(interaction)
        turned, language = page_of(pressed, self._languages)
        await (await self._rendered(turned, pressed.button.reply, language)).replace(interaction)

    async def _show(self, interaction: Interaction[Any], pressed: ButtonPress, language: Language) -> None:
        """Show the picture of a match to the person who pressed the button."""
        await acknowledge(interaction, is_private=True)
        picture = await self._buttons.picture(pressed.button.number, pressed.usernames, language)
        if isinstance(picture, str):
            await tell_later(interaction, picture)
        else:
            await tell_later(interaction, match_words(pressed.matches, language), picture)

    async def refresh(self, interaction: Interaction[Any]) -> None:
        """Tell the user of an outdated command what to do."""
        await tell(
            interaction,
            self._requester(interaction).language.say("This command has changed: restart Discord and try again."),
        )

    async def excuse(self, interaction: Interaction[Any]) -> None:
        """Tell the requester that something went wrong."""
        await tell(interaction, words.fault_words("unexpected", self._requester(interaction).language))

    async def _rendered(self, page: words.Reply, number: int | None, language: Language) -> RenderedReply:
        """Render a page of a reply with the picture of each passage's first match."""
        first = [passage.entries[0] for passage in page.passages if passage.entries]
        pictures = await asyncio.gather(
            *(self._buttons.picture(entry.photo_id, [entry.username], language) for entry in first)
        )
        found = {entry.photo_id: data for entry, data in zip(first, pictures, strict=True) if isinstance(data, bytes)}
        names = {photo_id: f"match-{photo_id}.jpg" for photo_id in found}
        return RenderedReply(
            embeds_of(page, names),
            {names[photo_id]: data for photo_id, data in found.items()},
            view_of(page, number, language),
            has_matches=bool(page.entries),
        )

    def _query_photo(self, carried: Carried) -> QueryPhoto | Fault:
        return QueryPhoto(partial(self._downloads.fetch, carried.url)) if isinstance(carried, Picture) else carried

    def _requester(self, interaction: Interaction[Any]) -> Requester:
        language = language_of(interaction.locale.value, self._languages)
        return Requester(interaction.channel_id or 0, interaction.user.id, language, interaction.guild_id or 0)

    def _writer(self, message: Message) -> Requester:
        """Return the author of a message; Discord does not tell their language, so take the server's, or English."""
        code = message.guild.preferred_locale.value if message.guild else None
        language = language_of(code, self._languages)
        return Requester(message.channel.id, message.author.id, language, message.guild.id if message.guild else 0)


@dataclass(frozen=True, slots=True)
class _ReadyAnswer:
    """An answer and its rendered first page."""

    answer: Answer
    page: RenderedReply


class _Client(Client):
    """The library's client, which passes every event on to the bot."""

    def __init__(self, bot: DiscordBot) -> None:
        super().__init__(
            intents=Intents(guilds=True, guild_messages=True, dm_messages=True),
            allowed_mentions=NOBODY,
            max_messages=None,
            member_cache_flags=MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
        )
        self._bot = bot
        self._tree = bot.new_tree(self)

    async def setup_hook(self) -> None:
        """Prepare what each login needs once; reconnections do not need it."""
        self.add_dynamic_items(ReplyButton)
        await self._tree.set_translator(self._bot.catalogues)
        if await announce(self, self._tree):
            logger.info("the commands were registered with Discord")

    async def on_ready(self) -> None:
        self._bot.connection.up()
        logger.info("the Discord bot %s answers", self.user)

    async def on_resumed(self) -> None:
        self._bot.connection.up()

    async def on_disconnect(self) -> None:
        self._bot.connection.down("the connection to Discord was lost; reconnecting")

    async def on_message(self, message: Message) -> None:
        if self.user:
            await self._bot.on_message(message, self.user.id)

    async def on_interaction(self, interaction: Interaction[Any]) -> None:
        """Handle a button that is not on its message: the library ignores it silently."""
        if interaction.type == InteractionType.component and not _is_below(interaction):
            await self._bot.on_button(interaction)

    async def on_button(self, interaction: Interaction[Any]) -> None:
        await self._bot.on_button(interaction)

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log what went wrong with an event, without the library's traceback."""
        error = sys.exception()
        logger.error("%s caused a fault in igsearch (%s: %s): report it", event_method, type(error).__name__, error)


class _Tree(CommandTree[Client]):
    """The command tree, which tells the user of a command when it fails."""

    def __init__(self, bot: DiscordBot, client: Client) -> None:
        super().__init__(client, allowed_contexts=EVERYWHERE, allowed_installs=BY_ANYBODY)
        self._bot = bot

    async def on_error(self, interaction: Interaction[Any], error: AppCommandError, /) -> None:
        if isinstance(error, CommandNotFound | CommandSignatureMismatch):
            await self._bot.refresh(interaction)
            return
        cause = error.__cause__ or error
        logger.error("a command caused a fault in igsearch (%s: %s): report it", type(cause).__name__, cause)
        await self._bot.excuse(interaction)


def _is_below(interaction: Interaction[Any]) -> bool:
    """Tell whether a pressed button is on its message."""
    rows = interaction.message.components if interaction.message else []
    buttons = (button for row in rows for button in getattr(row, "children", ()))
    return any(getattr(button, "custom_id", None) == _said_by(interaction) for button in buttons)


def _said_by(interaction: Interaction[Any]) -> object:
    """Return the data of a pressed button."""
    data: Mapping[str, object] = cast("Mapping[str, object]", interaction.data or {})
    return data.get("custom_id")
