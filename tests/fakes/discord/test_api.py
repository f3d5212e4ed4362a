"""The Discord of the tests answers as the real one does; these are the laws that other tests lean on."""

import asyncio
import io
import json
import re
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import httpx
import pytest
from PIL import Image

from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.content import Pings
from tests.fakes.discord.files import Serving
from tests.fakes.discord.limits import Buckets
from tests.fakes.discord.main import redirect
from tests.fakes.discord.people import Person

with warnings.catch_warnings():
    # discord.py 2.7.1 imports audioop, which is deprecated since Python 3.11.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord
    from discord import app_commands

INTENTS = discord.Intents(guilds=True, guild_messages=True, dm_messages=True)
GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 0, 1 << 9, 1 << 12
PRIVILEGED = [1 << 1, 1 << 8, 1 << 15]
JPEG = "image/jpeg"
ROOT = Path(__file__).resolve().parents[3]


class More(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"more:(?P<page>\d+)"):
    """A button that outlives a restart of the bot."""

    def __init__(self, page: int) -> None:
        super().__init__(discord.ui.Button(label="More", custom_id=f"more:{page}"))
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(int(match["page"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.edit_message(content=f"page {self.page}", view=buttons(self.page + 1))


class Bot(discord.Client):
    """A small bot with one of everything that a search bot needs."""

    def __init__(self, api: DiscordApi, **options: Any) -> None:
        super().__init__(intents=INTENTS, **options)
        self.api = api
        self.tree = app_commands.CommandTree(self)
        self.heard: list[discord.Message] = []
        self.errors: list[BaseException] = []
        self.asked: list[discord.Interaction] = []

    async def setup_hook(self) -> None:
        add_commands(self.tree)
        self.tree.error(self.on_command_error)
        self.add_dynamic_items(More)
        await self.tree.sync()

    async def on_command_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        self.errors.append(getattr(error, "original", error))

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)
        if message.author != self.user:
            await message.reply(f"{message.content!r} with {len(message.attachments)} files")

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.asked.append(interaction)


def add_commands(tree: "app_commands.CommandTree[Bot]") -> None:
    @tree.command(description="Find who posted a photo")
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def search(
        interaction: discord.Interaction[Bot],
        photo: discord.Attachment,
        hidden: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        await interaction.response.defer(ephemeral=hidden, thinking=True)
        data = await photo.read()
        embed = discord.Embed(title="Found", description=f"{photo.filename}: {len(data)} bytes")
        embed.set_image(url="attachment://match.png")
        file = discord.File(io.BytesIO(data), "match.png")
        await interaction.edit_original_response(embed=embed, attachments=[file], view=buttons(1))
        await interaction.followup.send("and that is all", ephemeral=hidden)

    @tree.command(description="Say it again")
    async def echo(interaction: discord.Interaction[Bot], words: str) -> None:
        await interaction.response.send_message(words)

    @tree.command(description="Answer too late")
    async def late(interaction: discord.Interaction[Bot]) -> None:
        api = interaction.client.api
        await asyncio.to_thread(lambda: api.platform.interactions[interaction.id].failed)
        await interaction.response.send_message("too late")

    @tree.context_menu(name="Search this image")
    async def search_this(interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        names = [attachment.filename for attachment in message.attachments]
        await interaction.response.send_message(f"{message.content} {names}", ephemeral=True)


def buttons(page: int) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(More(page))
    view.add_item(discord.ui.Button(label="Profile", url="https://www.instagram.com/anna/"))
    return view


@contextmanager
def running(bot: Bot) -> Iterator[Bot]:
    """Run a bot in a thread with a loop of its own; it is on the gateway when the block begins."""
    redirect(bot.api.rest_url, bot.api.gateway_url)
    thread = threading.Thread(target=asyncio.run, args=[live(bot)])
    thread.start()
    try:
        bot.api.until_online()
        yield bot
    finally:
        asyncio.run_coroutine_threadsafe(bot.close(), bot.loop)
        thread.join()
        bot.api.until_offline()


async def live(bot: Bot) -> None:
    async with bot:
        await bot.start(bot.api.token)


def picture(width: int = 40, height: int = 30) -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(output, "PNG")
    return output.getvalue()


def raw(api: DiscordApi, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bot {api.token}"}
    return httpx.request(method, api.rest_url + path, json=body, headers=headers, **options)


def post_form(api: DiscordApi, path: str, body: object, *files: tuple[str, bytes]) -> httpx.Response:
    fields: list[tuple[str, tuple[str | None, bytes]]] = [("payload_json", (None, json.dumps(body).encode()))]
    fields += [(f"files[{number}]", file) for number, file in enumerate(files)]
    return httpx.post(api.rest_url + path, files=fields, headers={"Authorization": f"Bot {api.token}"})


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return the codes of a refusal by the path of what they are about."""
    assert answer.status_code == 400
    assert answer.json()["code"] == 50035
    return dict(_faults(answer.json()["errors"], ""))


def _faults(errors: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, value in errors.items():
        if name == "_errors":
            yield path.strip("."), value[0]["code"]
        else:
            yield from _faults(value, f"{path}.{name}")


class RawGateway:
    """A client of the gateway that says what a test wants."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.stream = zlib.decompressobj()

    async def send(self, op: int, data: object) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def receive(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=10)
        if message.type == aiohttp.WSMsgType.BINARY:
            assert message.data.endswith(b"\x00\x00\xff\xff")
            return dict(json.loads(self.stream.decompress(message.data)))
        return dict(json.loads(message.data))

    async def close_code(self) -> int | None:
        while (await self.socket.receive(timeout=10)).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
            pass
        return self.socket.close_code

    async def identify(self, api: DiscordApi, intents: int = GUILDS | GUILD_MESSAGES) -> dict[str, Any]:
        assert (await self.receive())["op"] == 10
        await self.send(2, {"token": api.token, "intents": intents, "properties": {}})
        ready = await self.receive()
        assert ready["t"] == "READY"
        return dict(ready["d"])


@asynccontextmanager
async def raw_gateway(api: DiscordApi, url: str | None = None, query: str = "") -> AsyncIterator[RawGateway]:
    async with aiohttp.ClientSession() as session, session.ws_connect((url or api.gateway_url) + query) as socket:
        yield RawGateway(socket)


@pytest.fixture
def api() -> Iterator[DiscordApi]:
    with discord_api() as api:
        yield api


@pytest.fixture
def anna(api: DiscordApi) -> Person:
    return api.person()


@pytest.fixture
def bot(api: DiscordApi) -> Iterator[Bot]:
    with running(Bot(api)) as bot:
        yield bot


class TestHttp:
    """Paths, tokens and the form of answers."""

    @pytest.mark.parametrize(
        ("method", "path", "status", "body"),
        [
            ("GET", "/nothing", 404, {"message": "404: Not Found", "code": 0}),
            ("DELETE", "/users/@me", 405, {"message": "405: Method Not Allowed", "code": 0}),
            ("GET", "/channels/1", 404, {"message": "Unknown Channel", "code": 10003}),
            ("POST", "/interactions/1/x/callback", 404, {"message": "Unknown interaction", "code": 10062}),
            ("POST", "/webhooks/1/x", 404, {"message": "Unknown Webhook", "code": 10015}),
        ],
    )
    def test_refusals(self, api: DiscordApi, method: str, path: str, status: int, body: dict[str, Any]) -> None:
        answer = raw(api, method, path, {"type": 5} if method == "POST" else None)

        assert (answer.status_code, answer.json()) == (status, body)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Via"] == "1.1 google"

    def test_a_wrong_token_is_refused(self, api: DiscordApi) -> None:
        answer = httpx.get(api.rest_url + "/users/@me", headers={"Authorization": "Bot wrong"})

        assert (answer.status_code, answer.json()) == (401, {"message": "401: Unauthorized", "code": 0})
        assert [(call.method, call.path, call.status) for call in api.calls] == [("GET", "/users/@me", 401)]

    async def test_discord_py_knows_the_refusal_of_a_token(self, api: DiscordApi) -> None:
        redirect(api.rest_url, api.gateway_url)

        async with discord.Client(intents=INTENTS) as client:
            with pytest.raises(discord.LoginFailure):
                await client.login("wrong")

    def test_the_bot_is_told_of_the_gateway(self, api: DiscordApi) -> None:
        answer = raw(api, "GET", "/gateway/bot").json()

        assert answer["url"] == api.gateway_url
        assert answer["session_start_limit"]["remaining"] == 1000
        assert httpx.get(api.rest_url + "/gateway").json() == {"url": api.gateway_url}

    def test_a_broken_body_is_refused(self, api: DiscordApi, anna: Person) -> None:
        url, headers = f"{api.rest_url}/channels/{anna.direct.id}/messages", {"Authorization": f"Bot {api.token}"}

        answers = [httpx.post(url, content=body, headers=headers) for body in (b"{", b"[]", b'{"content": "\xff"}')]

        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(400, 50109)] * 3


class TestCommands:
    """What a bot syncs, and the checks of it."""

    def test_what_discord_py_syncs_is_kept(self, api: DiscordApi, bot: Bot) -> None:
        fetched = asyncio.run_coroutine_threadsafe(bot.tree.fetch_commands(), bot.loop).result()

        assert api.commands.names() == ["search", "echo", "late", "Search this image"]
        assert api.commands.bulk_puts == {None: 1}
        assert [(command.id, command.name) for command in fetched] == [
            (int(command["id"]), command["name"]) for command in api.commands.of(None)
        ]
        assert api.commands.of(None)[0]["contexts"] == [0, 1, 2]

    def test_an_unchanged_command_keeps_its_version(self, api: DiscordApi) -> None:
        path = f"/applications/{api.bot_id}/commands"
        same, other = {"name": "same", "description": "a"}, {"name": "other", "description": "a"}

        first = raw(api, "PUT", path, [same, other]).json()
        second = raw(api, "PUT", path, [same, other | {"description": "b"}]).json()

        assert [command["id"] for command in first] == [command["id"] for command in second]
        assert first[0] == second[0]
        assert first[1]["version"] != second[1]["version"]
        assert api.commands.bulk_puts == {None: 2}

    @pytest.mark.parametrize(
        ("body", "path", "code"),
        [
            ({"name": "Upper"}, "0.name", "APPLICATION_COMMAND_INVALID_NAME"),
            ({"name": "two words"}, "0.name", "APPLICATION_COMMAND_INVALID_NAME"),
            ({"name": "n" * 33}, "0.name", "BASE_TYPE_BAD_LENGTH"),
            ({"description": "d" * 101}, "0.description", "BASE_TYPE_BAD_LENGTH"),
            ({"description": ""}, "0.description", "BASE_TYPE_REQUIRED"),
            ({"name_localizations": {"xx": "a"}}, "0.name_localizations.xx", "BASE_TYPE_CHOICES"),
            ({"name_localizations": {"de": "Groß"}}, "0.name_localizations.de", "APPLICATION_COMMAND_INVALID_NAME"),
            (
                {"description_localizations": {"de": "d" * 101}},
                "0.description_localizations.de",
                "BASE_TYPE_BAD_LENGTH",
            ),
            ({"contexts": [3]}, "0.contexts.0", "BASE_TYPE_CHOICES"),
            ({"integration_types": [2]}, "0.integration_types.0", "BASE_TYPE_CHOICES"),
            ({"type": 3}, "0.description", "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION"),
            (
                {
                    "options": [
                        {"name": "a", "description": "a", "type": 3},
                        {"name": "b", "description": "b", "type": 11, "required": True},
                    ]
                },
                "0.options.1",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
            ),
        ],
    )
    def test_a_faulty_command_is_refused(self, api: DiscordApi, body: dict[str, Any], path: str, code: str) -> None:
        command = {"name": "search", "description": "d", **body}

        answer = raw(api, "PUT", f"/applications/{api.bot_id}/commands", [command])

        assert faults(answer)[path] == code
        assert api.commands.of(None) == []

    def test_names_are_unique_and_limited_in_number(self, api: DiscordApi) -> None:
        path = f"/applications/{api.bot_id}/commands"
        twins = [{"name": "a", "description": "a"}] * 2
        many = [{"name": f"a{number}", "description": "a"} for number in range(101)]

        assert faults(raw(api, "PUT", path, twins)) == {"1.name": "APPLICATION_COMMANDS_DUPLICATE_NAME"}
        assert raw(api, "PUT", path, many).json()["code"] == 30032
        assert raw(api, "PUT", path, many[:100]).status_code == 200

    def test_commands_of_a_guild_are_its_own(self, api: DiscordApi) -> None:
        guild, other = api.guild(), api.guild(has_bot=False)
        command = {"name": "here", "description": "a"}

        assert raw(api, "POST", f"/applications/{api.bot_id}/guilds/{guild.id}/commands", command).status_code == 200
        refused = raw(api, "POST", f"/applications/{api.bot_id}/guilds/{other.id}/commands", command)

        assert (refused.status_code, refused.json()["code"]) == (403, 50001)
        assert api.commands.names(guild.id) == ["here"]
        assert api.commands.names() == []

    def test_a_command_is_seen_where_it_was_synced_for(self, api: DiscordApi, anna: Person) -> None:
        """Without contexts and installations it is for guilds of the bot and talks with it."""
        raw(api, "PUT", f"/applications/{api.bot_id}/commands", [{"name": "a", "description": "a"}])

        anna.uses_command("a", where=api.guild())
        anna.uses_command("a")

        for place in (anna.private, api.guild(has_bot=False).channel):
            with pytest.raises(AssertionError, match="in vain for command 'a'"):
                anna.uses_command("a", where=place, seconds=0)


class TestSlashCommands:
    """A person uses a command."""

    def test_an_answer_comes_by_editing_what_was_deferred(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        data = picture()
        asked = anna.uses_command("search", {"photo": ("my photo.png", data, "image/png")}, where=api.guild())

        answer = asked.answer()

        assert asked.deferred
        assert not asked.deferred.is_ephemeral
        assert asked.acknowledged() < 3
        assert not asked.failed
        assert answer is asked.original
        assert not answer.is_edited
        assert answer.embeds[0].description == f"my_photo.png: {len(data)} bytes"
        assert answer.files == {"match.png": data}
        assert answer.raw["attachments"] == []
        assert answer.embeds[0].image
        assert httpx.get(answer.embeds[0].image).content == data
        assert [button[:3] for button in answer.buttons] == [
            ("More", "more:1", None),
            ("Profile", None, "https://www.instagram.com/anna/"),
        ]
        api.until(lambda: len(asked.answers) == 2)
        assert [one.words for one in asked.answers][1] == "and that is all"
        assert asked.channel.bot_messages == asked.answers

    def test_an_ephemeral_answer_stands_in_no_channel(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        """The bot is told of it as if it were a direct message, as the real gateway does."""
        guild = api.guild()

        asked = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG), "hidden": True}, where=guild)
        answer = asked.answer()

        assert answer.is_ephemeral
        assert guild.channel.bot_messages == []
        path = f"/channels/{guild.channel.id}/messages/{answer.id}"
        assert raw(api, "PATCH", path, {"content": "a"}).json()["code"] == 10008
        api.until(lambda: any(message.flags.ephemeral for message in bot.heard))
        assert all(message.guild is None for message in bot.heard)

    @pytest.mark.parametrize("place", ["guild", "direct", "foreign guild", "private"])
    def test_a_command_works_in_every_place(self, api: DiscordApi, anna: Person, bot: Bot, place: str) -> None:
        places = {
            "guild": lambda: api.guild().channel,
            "direct": lambda: anna.direct,
            "foreign guild": lambda: api.guild(has_bot=False).channel,
            "private": lambda: anna.private,
        }
        channel = places[place]()

        asked = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)}, where=channel)

        assert asked.answer().embeds[0].title == "Found"
        assert set(asked.owners) == ({"1"} if place in ("foreign guild", "private") else {"0"})
        assert channel.bot_messages[0] is asked.answer()
        refused = raw(api, "POST", f"/channels/{channel.id}/messages", {"content": "a"})
        assert refused.status_code == (403 if "1" in asked.owners else 200)

    def test_the_interaction_carries_the_language(self, api: DiscordApi, bot: Bot) -> None:
        berta = api.person("berta", locale="de")

        asked = berta.uses_command("echo", {"words": "hallo"}, where=api.guild(locale="es-ES"))

        assert asked.answer().content == "hallo"
        [interaction] = bot.asked
        assert (interaction.locale, interaction.guild_locale) == (discord.Locale.german, discord.Locale.spain_spanish)
        assert interaction.user.id == berta.id
        assert interaction.context.guild
        assert interaction.filesize_limit == 10 * 1024 * 1024

    def test_whoever_answers_too_late_is_refused(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        api.limit_acknowledgement(0.2)

        asked = anna.uses_command("late")

        assert asked.failed
        api.until(lambda: bool(bot.errors))
        assert isinstance(bot.errors[0], discord.NotFound)
        assert bot.errors[0].code == 10062
        assert asked.answers == []

    def test_an_interaction_is_acknowledged_once(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        asked = anna.uses_command("echo", {"words": "one"})
        asked.answer()

        again = raw(api, "POST", f"/interactions/{asked.id}/{asked.token}/callback", {"type": 5})

        assert (again.status_code, again.json()["code"]) == (400, 40060)
        assert again.json()["message"] == "Interaction has already been acknowledged."

    def test_a_token_grows_old(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        asked = anna.uses_command("echo", {"words": "one"})
        asked.answer()
        path = f"/webhooks/{api.bot_id}/{asked.token}"

        fresh = raw(api, "PATCH", path + "/messages/@original", {"content": "two"})
        asked.expire()
        old = raw(api, "PATCH", path + "/messages/@original", {"content": "three"})

        assert fresh.status_code == 200
        assert (old.status_code, old.json()["code"]) == (401, 50027)
        assert asked.answer().content == "two"
        assert asked.answer().is_edited

    def test_nothing_follows_before_the_first_sign(self, api: DiscordApi, anna: Person) -> None:
        raw(api, "PUT", f"/applications/{api.bot_id}/commands", [{"name": "a", "description": "a"}])
        asked = anna.uses_command("a")

        early = raw(api, "POST", f"/webhooks/{api.bot_id}/{asked.token}", {"content": "a"})

        assert (early.status_code, early.json()["code"]) == (404, 10015)

    def test_the_first_followup_fills_what_is_loading(self, api: DiscordApi, anna: Person) -> None:
        raw(api, "PUT", f"/applications/{api.bot_id}/commands", [{"name": "a", "description": "a"}])
        asked = anna.uses_command("a")
        path = f"/webhooks/{api.bot_id}/{asked.token}"

        raw(api, "POST", f"/interactions/{asked.id}/{asked.token}/callback", {"type": 5, "data": {"flags": 64}})
        first = raw(api, "POST", path, {"content": "first"}).json()
        second = raw(api, "POST", path, {"content": "second"}).json()

        assert [answer.content for answer in asked.answers] == ["first", "second"]
        assert first["id"] == raw(api, "GET", path + "/messages/@original").json()["id"]
        assert (first["flags"], second["flags"]) == (64, 0)

    def test_a_guest_says_no_more_than_five_things_after_its_answer(
        self, api: DiscordApi, anna: Person, bot: Bot
    ) -> None:
        asked = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)}, where=anna.private)
        api.until(lambda: len(asked.answers) == 2)

        answers = [raw(api, "POST", f"/webhooks/{api.bot_id}/{asked.token}", {"content": "a"}) for _ in range(4)]
        api._buckets = Buckets()
        one_more = raw(api, "POST", f"/webhooks/{api.bot_id}/{asked.token}", {"content": "a"})

        assert [answer.status_code for answer in answers] == [200] * 4
        assert (one_more.status_code, one_more.json()["code"]) == (400, 40094)

    def test_an_answer_can_be_deleted(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        asked = anna.uses_command("echo", {"words": "one"})
        answer = asked.answer()

        raw(api, "DELETE", f"/webhooks/{api.bot_id}/{asked.token}/messages/@original")

        assert answer.is_deleted
        assert asked.answers == anna.direct.bot_messages == []

    def test_a_command_takes_only_its_own_kinds_of_answers(self, api: DiscordApi, anna: Person) -> None:
        raw(api, "PUT", f"/applications/{api.bot_id}/commands", [{"name": "a", "description": "a"}])
        asked = anna.uses_command("a")

        answer = raw(api, "POST", f"/interactions/{asked.id}/{asked.token}/callback", {"type": 6})

        assert faults(answer) == {"type": "BASE_TYPE_CHOICES"}
        assert asked.acknowledged_after is None


class TestMenusAndButtons:
    """A person chooses in the menu of a message, or presses what stands under it."""

    def test_a_menu_shows_the_bot_the_whole_message(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        """It does so without the intent, in a message of which the gateway told nothing."""
        photo = anna.sends_message("look", attachments=[("a.png", picture(), "image/png")], where=api.guild())

        asked = anna.uses_message_menu("Search this image", photo)

        assert asked.answer().content == "look ['a.png']"
        assert asked.answer().is_ephemeral

    def test_a_button_changes_its_message(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        asked = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)})

        pressed = anna.presses(asked.answer(), "More")

        assert pressed.answer() is asked.answer()
        assert asked.answer().content == "page 1"
        assert asked.answer().is_edited
        assert asked.answer().files == {"match.png": b"x"}
        assert asked.answer().buttons[0].custom_id == "more:2"

    def test_a_button_works_after_a_restart_of_the_bot(self, api: DiscordApi, anna: Person) -> None:
        with running(Bot(api)):
            asked = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)})
            answer = asked.answer()

        with running(Bot(api)):
            assert anna.presses(answer, "more:1").answer().content == "page 1"

    def test_a_made_up_button_gets_no_answer_of_discord_py(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        api.limit_acknowledgement(0.3)
        answer = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)}).answer()

        assert anna.presses_raw(answer, "more:999").failed

    def test_a_press_is_answered_later_or_by_another_message(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        answer = anna.uses_command("search", {"photo": ("a.jpg", b"x", JPEG)}).answer()

        pressed = anna.presses_raw(answer, "other")
        raw(api, "POST", f"/interactions/{pressed.id}/{pressed.token}/callback", {"type": 6})
        nothing_yet = pressed.answers
        raw(api, "POST", f"/webhooks/{api.bot_id}/{pressed.token}", {"content": "new", "flags": 64})
        raw(api, "PATCH", f"/webhooks/{api.bot_id}/{pressed.token}/messages/@original", {"content": "changed"})

        assert nothing_yet == []
        assert [message.content for message in pressed.answers] == ["changed", "new"]
        assert answer.content == "changed"


class TestMessages:
    """Messages to and from the bot."""

    def test_the_bot_sees_what_is_meant_for_it(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        guild, photo = api.guild(), ("a.png", picture(), "image/png")

        hidden = anna.sends_message("secret", attachments=[photo], where=guild)
        mentioned = anna.sends_message("who?", attachments=[photo], mentions_bot=True, where=guild)
        direct = anna.sends_message("who?", attachments=[photo])

        assert guild.channel.answer_to(hidden).content == "'' with 0 files"
        assert guild.channel.answer_to(mentioned).content == f"'<@{api.bot_id}> who?' with 1 files"
        assert anna.direct.answer_to(direct).content == "'who?' with 1 files"

    def test_a_reply_to_the_bot_mentions_it(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        """A reply to what answered an interaction does not."""
        guild = api.guild()
        said = guild.channel.answer_to(anna.sends_message("a", mentions_bot=True, where=guild))
        answered = anna.uses_command("echo", {"words": "b"}, where=guild).answer()

        seen = anna.sends_message("seen", reply_to=said, where=guild)
        unseen = anna.sends_message("unseen", reply_to=answered, where=guild)

        assert guild.channel.answer_to(seen).content == "'seen' with 0 files"
        assert guild.channel.answer_to(unseen).content == "'' with 0 files"

    def test_the_message_that_one_replies_to_stays_hidden(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        guild = api.guild()
        photo = anna.sends_message("look", attachments=[("a.png", picture(), "image/png")], where=guild)

        reply = anna.sends_message("who?", mentions_bot=True, reply_to=photo, where=guild)
        guild.channel.answer_to(reply)

        heard = next(message for message in bot.heard if message.id == reply.id)
        assert heard.reference
        assert isinstance(heard.reference.resolved, discord.Message)
        assert (heard.reference.resolved.content, heard.reference.resolved.attachments) == ("", [])
        fetched = raw(api, "GET", f"/channels/{guild.channel.id}/messages/{photo.id}").json()
        assert (fetched["content"], fetched["attachments"]) == ("", [])

    def test_the_bot_hears_of_its_own_messages(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        answer = anna.direct.answer_to(anna.sends_message("a"))

        api.until(lambda: answer.id in [message.id for message in bot.heard])

    def test_who_joins_is_told_by_a_message(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        joined = anna.joins(api.guild())

        api.until(lambda: bool(bot.heard))
        assert bot.heard[0].id == joined.id
        assert bot.heard[0].type is discord.MessageType.new_member

    def test_a_message_that_came_twice_is_said_once(self, api: DiscordApi, anna: Person) -> None:
        """A nonce that is enforced makes a repeated call harmless."""
        path, body = f"/channels/{anna.direct.id}/messages", {"content": "a", "nonce": "7", "enforce_nonce": True}

        first, second = raw(api, "POST", path, body), raw(api, "POST", path, body)

        assert first.json()["id"] == second.json()["id"]
        assert [message.content for message in anna.direct.bot_messages] == ["a"]

    def test_the_bot_writes_first(self, api: DiscordApi, anna: Person) -> None:
        channel = raw(api, "POST", "/users/@me/channels", {"recipient_id": str(anna.id)}).json()

        raw(api, "POST", f"/channels/{channel['id']}/typing")
        raw(api, "POST", f"/channels/{channel['id']}/messages", {"content": "hello"})
        anna.closes_direct()
        refused = raw(api, "POST", f"/channels/{channel['id']}/messages", {"content": "hello?"})

        assert len(anna.direct.typing_at) == 1
        assert [message.content for message in anna.direct.bot_messages] == ["hello"]
        assert (refused.status_code, refused.json()["code"]) == (403, 50007)

    def test_messages_of_others_are_not_to_be_edited(self, api: DiscordApi, anna: Person) -> None:
        path = f"/channels/{anna.direct.id}/messages/{anna.sends_message('mine').id}"

        assert raw(api, "PATCH", path, {"content": "ours"}).json()["code"] == 50005
        assert raw(api, "DELETE", path).json()["code"] == 50003

    def test_files_come_as_a_form(self, api: DiscordApi, anna: Person) -> None:
        body = {
            "embeds": [{"image": {"url": "attachment://a.png"}}],
            "attachments": [{"id": 0, "filename": "a.png", "description": "it"}, {"id": 1, "filename": "b c.txt"}],
        }
        path = f"/channels/{anna.direct.id}/messages"

        answer = post_form(api, path, body, ("x.png", picture(40, 30)), ("y.txt", b"words")).json()

        [said] = anna.direct.bot_messages
        assert list(said.files) == ["a.png", "b_c.txt"]
        assert [attachment["filename"] for attachment in answer["attachments"]] == ["b_c.txt"]
        assert answer["embeds"][0]["image"]["width"] == 40
        assert api.calls[-1].files["files[1]"] == b"words"
        assert api.calls[-1].body == body

    def test_an_edit_keeps_the_files_that_it_names(self, api: DiscordApi, anna: Person) -> None:
        url = f"/channels/{anna.direct.id}/messages"
        sent = post_form(api, url, {"content": "a"}, ("a.txt", b"a"), ("b.txt", b"b")).json()
        path = f"{url}/{sent['id']}"

        kept = raw(api, "PATCH", path, {"content": "b"}).json()
        fewer = raw(api, "PATCH", path, {"attachments": [{"id": kept["attachments"][1]["id"]}]}).json()
        none = raw(api, "PATCH", path, {"attachments": []}).json()

        assert [len(one["attachments"]) for one in (kept, fewer, none)] == [2, 1, 0]
        assert fewer["attachments"][0]["filename"] == "b.txt"
        assert anna.direct.bot_messages[0].edits == 3

    def test_too_large_a_file_is_refused(self, api: DiscordApi, anna: Person) -> None:
        path = f"/channels/{anna.direct.id}/messages"

        answer = post_form(api, path, {}, ("a.bin", bytes(10 * 1024 * 1024 + 1)))

        assert (answer.status_code, answer.json()["code"]) == (413, 40005)


class TestLimits:
    """What Discord takes in a message."""

    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ({"content": "a" * 2001}, {"content": "BASE_TYPE_MAX_LENGTH"}),
            ({"embeds": [{"title": "a" * 257}]}, {"embeds.0.title": "BASE_TYPE_MAX_LENGTH"}),
            ({"embeds": [{"description": "a" * 4097}]}, {"embeds.0.description": "BASE_TYPE_MAX_LENGTH"}),
            ({"embeds": [{"color": 1}]}, {"embeds.0.description": "BASE_TYPE_REQUIRED"}),
            ({"embeds": [{"title": "a"}] * 11}, {"embeds": "BASE_TYPE_MAX_LENGTH"}),
            ({"embeds": [{"fields": [{"name": "a", "value": "a"}] * 26}]}, {"embeds.0.fields": "BASE_TYPE_MAX_LENGTH"}),
            (
                {"embeds": [{"fields": [{"name": "a" * 257, "value": " "}]}]},
                {"embeds.0.fields.0.name": "BASE_TYPE_BAD_LENGTH", "embeds.0.fields.0.value": "BASE_TYPE_REQUIRED"},
            ),
            (
                {"embeds": [{"fields": [{"name": "a", "value": "a" * 1025}]}]},
                {"embeds.0.fields.0.value": "BASE_TYPE_BAD_LENGTH"},
            ),
            ({"embeds": [{"footer": {"text": "a" * 2049}}]}, {"embeds.0.footer.text": "BASE_TYPE_BAD_LENGTH"}),
            ({"embeds": [{"author": {"name": "a" * 257}}]}, {"embeds.0.author.name": "BASE_TYPE_BAD_LENGTH"}),
            ({"embeds": [{"description": "a" * 3001}] * 2}, {"embeds": "MAX_EMBED_SIZE_EXCEEDED"}),
            ({"embeds": [{"title": "a", "url": "ftp://a"}]}, {"embeds.0.url": "URL_TYPE_INVALID_SCHEME"}),
        ],
    )
    def test_too_much_is_refused(
        self, api: DiscordApi, anna: Person, body: dict[str, Any], fault: dict[str, str]
    ) -> None:
        answer = raw(api, "POST", f"/channels/{anna.direct.id}/messages", body)

        assert faults(answer) == fault
        assert anna.direct.bot_messages == []

    @pytest.mark.parametrize(
        ("parts", "fault"),
        [
            ([{"style": 1, "label": "a" * 81, "custom_id": "a"}], {"0.components.0.label": "BASE_TYPE_BAD_LENGTH"}),
            ([{"style": 1, "custom_id": "a"}], {"0.components.0.label": "BASE_TYPE_REQUIRED"}),
            ([{"style": 1, "label": "a"}], {"0.components.0.custom_id": "BASE_TYPE_REQUIRED"}),
            (
                [{"style": 1, "label": "a", "custom_id": "a" * 101}],
                {"0.components.0.custom_id": "BASE_TYPE_BAD_LENGTH"},
            ),
            ([{"style": 5, "label": "a"}], {"0.components.0.url": "BASE_TYPE_REQUIRED"}),
            ([{"style": 9, "label": "a", "custom_id": "a"}], {"0.components.0.style": "BASE_TYPE_CHOICES"}),
            (
                [{"style": 1, "label": "a", "custom_id": "a"}] * 2,
                {"0.components.1.custom_id": "COMPONENT_CUSTOM_ID_DUPLICATED"},
            ),
            ([], {"0.components": "BASE_TYPE_BAD_LENGTH"}),
        ],
    )
    def test_faulty_buttons_are_refused(
        self, api: DiscordApi, anna: Person, parts: list[dict[str, Any]], fault: dict[str, str]
    ) -> None:
        row = {"type": 1, "components": [{"type": 2, **part} for part in parts]}

        answer = raw(api, "POST", f"/channels/{anna.direct.id}/messages", {"content": "a", "components": [row]})

        assert faults(answer) == {f"components.{path}": code for path, code in fault.items()}

    def test_too_many_buttons_are_refused(self, api: DiscordApi, anna: Person) -> None:
        buttons = [{"type": 2, "style": 1, "label": "a", "custom_id": str(number)} for number in range(6)]
        rows = [{"type": 1, "components": buttons[:1]}] * 6
        path = f"/channels/{anna.direct.id}/messages"

        six_in_a_row = raw(api, "POST", path, {"content": "a", "components": [{"type": 1, "components": buttons}]})
        six_rows = raw(api, "POST", path, {"content": "a", "components": rows})

        assert faults(six_in_a_row) == {"components.0.components": "BASE_TYPE_BAD_LENGTH"}
        assert faults(six_rows)["components"] == "BASE_TYPE_MAX_LENGTH"

    @pytest.mark.parametrize("body", [{}, {"content": " \n"}, {"content": None, "embeds": []}])
    def test_an_empty_message_is_refused(self, api: DiscordApi, anna: Person, body: dict[str, Any]) -> None:
        answer = raw(api, "POST", f"/channels/{anna.direct.id}/messages", body)

        assert answer.json() == {"message": "Cannot send an empty message", "code": 50006}

    @pytest.mark.parametrize(
        ("allowed", "pings"),
        [
            (None, Pings(everyone=True, here=True, users=frozenset({1}), roles=frozenset({2}))),
            ({"parse": []}, Pings()),
            ({"parse": ["users"]}, Pings(users=frozenset({1}))),
            ({"parse": ["everyone"]}, Pings(everyone=True, here=True)),
            ({"users": ["1", "3"], "roles": []}, Pings(users=frozenset({1}))),
        ],
    )
    def test_it_tells_whom_a_message_would_ping(
        self, api: DiscordApi, anna: Person, allowed: dict[str, Any] | None, pings: Pings
    ) -> None:
        body = {"content": "@everyone @here <@1> <@&2>", "embeds": [{"title": "<@9>"}]}
        more = {"allowed_mentions": allowed} if allowed is not None else {}

        raw(api, "POST", f"/channels/{anna.direct.id}/messages", {**body, **more})

        [said] = anna.direct.bot_messages
        assert said.pings == pings
        assert bool(said.pings) == (allowed != {"parse": []})

    def test_a_reply_pings_unless_told_otherwise(self, api: DiscordApi, anna: Person) -> None:
        path, message = f"/channels/{anna.direct.id}/messages", anna.sends_message("a")
        body = {"content": "b", "message_reference": {"message_id": str(message.id)}}

        raw(api, "POST", path, body)
        raw(api, "POST", path, {**body, "allowed_mentions": {"parse": []}})
        unknown = raw(api, "POST", path, {**body, "message_reference": {"message_id": "1"}})

        assert [said.pings.users for said in anna.direct.bot_messages] == [frozenset({anna.id}), frozenset()]
        assert faults(unknown) == {"message_reference": "REPLIES_UNKNOWN_MESSAGE"}

    def test_too_many_calls_are_refused(self, api: DiscordApi, anna: Person) -> None:
        path = f"/channels/{anna.direct.id}/messages"

        answers = [raw(api, "POST", path, {"content": str(number)}) for number in range(6)]

        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
        assert 0 < answers[5].json()["retry_after"] <= 5


class TestGateway:
    """Sessions and what they are told."""

    @pytest.mark.parametrize("query", ["/?v=10&encoding=json", "/?v=10&encoding=json&compress=zlib-stream"])
    async def test_a_session_begins_with_ready_and_the_guilds(self, api: DiscordApi, query: str) -> None:
        guild = api.guild()
        api.guild("Without the bot", has_bot=False)

        async with raw_gateway(api, query=query.removeprefix("/")) as gateway:
            hello = await gateway.receive()
            await gateway.send(2, {"token": api.token, "intents": GUILDS})
            ready, created = await gateway.receive(), await gateway.receive()
            await gateway.send(1, 2)
            acknowledged = await gateway.receive()

        assert hello == {"t": None, "s": None, "op": 10, "d": {"heartbeat_interval": 41250, "_trace": []}}
        assert (ready["t"], ready["s"], ready["op"]) == ("READY", 1, 0)
        assert ready["d"]["guilds"] == [{"id": str(guild.id), "unavailable": True}]
        assert ready["d"]["user"]["id"] == ready["d"]["application"]["id"] == str(api.bot_id)
        assert (created["t"], created["s"], created["d"]["id"]) == ("GUILD_CREATE", 2, str(guild.id))
        assert acknowledged["op"] == 11

    @pytest.mark.parametrize(
        ("payload", "code"),
        [
            ({"op": 2, "d": {"token": "wrong", "intents": 0}}, 4004),
            *(({"op": 2, "d": {"token": "{token}", "intents": intents}}, 4014) for intents in PRIVILEGED),
            ({"op": 2, "d": {"token": "{token}", "intents": 1 << 40}}, 4013),
            ({"op": 3, "d": {}}, 4003),
            ({"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}}, 4004),
            ("nonsense", 4002),
        ],
    )
    async def test_what_is_wrong_closes_it(self, api: DiscordApi, payload: object, code: int) -> None:
        async with raw_gateway(api) as gateway:
            await gateway.socket.send_str(
                json.dumps(payload).replace("{token}", api.token) if isinstance(payload, dict) else "nonsense"
            )

            assert await gateway.close_code() == code

    async def test_missed_events_are_sent_again(self, api: DiscordApi, anna: Person) -> None:
        guild = api.guild()
        async with raw_gateway(api) as gateway:
            ready = await gateway.identify(api)
            assert (await gateway.receive())["s"] == 2
            api.cut()
            assert await gateway.close_code() == 1006
        missed = anna.sends_message("a", mentions_bot=True, where=guild)

        async with raw_gateway(api, ready["resume_gateway_url"]) as gateway:
            await gateway.send(6, {"token": api.token, "session_id": ready["session_id"], "seq": 2})
            hello, created, resumed = [await gateway.receive() for _ in range(3)]

        assert hello["op"] == 10
        assert (created["t"], created["s"], created["d"]["id"]) == ("MESSAGE_CREATE", 3, str(missed.id))
        assert created["d"]["member"]["roles"] == []
        assert (resumed["t"], resumed["s"]) == ("RESUMED", 4)
        assert api.gateway.resumes[0]["seq"] == 2

    async def test_a_closed_session_is_not_resumed(self, api: DiscordApi) -> None:
        async with raw_gateway(api) as gateway:
            ready = await gateway.identify(api)
            await gateway.socket.close(code=1000)
        await asyncio.to_thread(api.until, lambda: not api.gateway.sessions)

        async with raw_gateway(api) as gateway:
            await gateway.send(6, {"token": api.token, "session_id": ready["session_id"], "seq": 1})
            assert [(await gateway.receive())["op"], (await gateway.receive())["op"]] == [10, 9]

    async def test_a_session_is_told_only_what_it_asked_for(self, api: DiscordApi, anna: Person) -> None:
        guild = api.guild()
        async with raw_gateway(api) as gateway:
            await gateway.identify(api, GUILD_MESSAGES)
            anna.sends_message("direct")
            seen = anna.sends_message("here", where=guild)
            event = await gateway.receive()

        assert event["d"]["id"] == str(seen.id)

    async def test_it_tells_of_changed_and_deleted_messages(self, api: DiscordApi, anna: Person) -> None:
        guild, preview = api.guild(), {"type": "image", "url": "https://example.org/a.jpg"}
        async with raw_gateway(api) as gateway:
            await gateway.identify(api)
            message = anna.sends_message("https://example.org/a.jpg", mentions_bot=True, where=guild)
            anna.edits(message, embeds=[preview])
            anna.deletes(message)
            _, created, updated, deleted = [await gateway.receive() for _ in range(4)]

        assert [event["t"] for event in (created, updated, deleted)] == [
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_DELETE",
        ]
        assert (created["d"]["embeds"], updated["d"]["embeds"]) == ([], [preview])
        assert deleted["d"]["id"] == str(message.id)

    async def test_options_of_every_kind_are_filled_in(self, api: DiscordApi, anna: Person) -> None:
        """The words of a command in a group stand in one name."""
        options = [
            {"name": "who", "description": "a", "type": 6, "required": True},
            {"name": "where", "description": "a", "type": 3, "choices": [{"name": "Here", "value": "here"}]},
        ]
        group = {"name": "find", "description": "a", "options": [{"name": "person", "description": "a", "type": 1}]}
        group["options"][0]["options"] = options  # type: ignore[index]
        raw(api, "PUT", f"/applications/{api.bot_id}/commands", [group])
        async with raw_gateway(api) as gateway:
            await gateway.identify(api)
            anna.uses_command("find person", {"who": anna, "where": "here"})
            event = await gateway.receive()

        data = event["d"]["data"]
        filled = [{"name": "who", "type": 6, "value": str(anna.id)}, {"name": "where", "type": 3, "value": "here"}]
        assert data["options"] == [{"name": "person", "type": 1, "options": filled}]
        assert data["resolved"] == {"users": {str(anna.id): anna.raw}}
        for wrong in ({}, {"who": anna, "where": "there"}, {"who": anna, "why": 1}):
            with pytest.raises(AssertionError):
                anna.uses_command("find person", wrong)

    @pytest.mark.parametrize(
        "disturb",
        [
            pytest.param(lambda api: api.reconnect(), id="reconnect"),
            pytest.param(lambda api: api.invalid_session(resumable=True), id="invalid session"),
            pytest.param(lambda api: api.cut(), id="cut"),
        ],
    )
    def test_discord_py_resumes(
        self, api: DiscordApi, anna: Person, bot: Bot, disturb: Callable[[DiscordApi], None]
    ) -> None:
        disturb(api)
        api.until(lambda: len(api.gateway.resumes) == 1)
        api.until_online()

        assert anna.uses_command("echo", {"words": "still here"}).answer().content == "still here"
        assert len(api.gateway.identifies) == 1

    def test_discord_py_identifies_anew(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        """After an invalid session it waits for five seconds first."""
        api.invalid_session(resumable=False)
        api.until(lambda: len(api.gateway.identifies) == 2)
        api.until_online()

        assert anna.uses_command("echo", {"words": "again"}).answer().content == "again"
        assert api.gateway.resumes == []

    def test_a_failed_handshake_after_the_first_is_tried_again(self, api: DiscordApi, bot: Bot) -> None:
        api.refuse_gateway(1)
        api.cut()

        api.until(lambda: len(api.gateway.resumes) == 1)
        assert api.gateway.refusals == 0

    async def test_a_failed_first_handshake_ends_discord_py(self, api: DiscordApi) -> None:
        redirect(api.rest_url, api.gateway_url)
        api.refuse_gateway(1)

        async with Bot(api) as bot:
            with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'sequence'"):
                await asyncio.wait_for(bot.start(api.token), 20)

    def test_everything_goes_away_and_comes_back(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        url = api.url
        api.stop()
        assert not api.gateway.is_online
        with pytest.raises(httpx.ConnectError):
            raw(api, "GET", "/users/@me")
        api.start()
        api.until_online()

        assert api.url == url
        assert anna.uses_command("echo", {"words": "back"}).answer().content == "back"

    def test_unanswered_heartbeats_end_the_patience_of_discord_py(self, api: DiscordApi) -> None:
        api.gateway.heartbeat_seconds = 0.2
        with running(Bot(api, heartbeat_timeout=0.6)):
            api.ignore_heartbeats()
            api.until(lambda: bool(api.gateway.resumes))
            api.ignore_heartbeats(is_ignoring=False)

        assert api.gateway.close_codes[0] == 4000

    def test_the_bot_comes_and_goes(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        guild = api.guild()
        api.until(lambda: bot.get_guild(guild.id) is not None)

        anna.removes_bot(guild)
        api.until(lambda: bot.get_guild(guild.id) is None)
        anna.adds_bot(guild)

        api.until(lambda: bot.get_guild(guild.id) is not None)

    def test_privileged_intents_end_discord_py(self, api: DiscordApi) -> None:
        redirect(api.rest_url, api.gateway_url)

        async def start() -> None:
            async with discord.Client(intents=discord.Intents.all()) as client:
                await client.start(api.token)

        with pytest.raises(discord.PrivilegedIntentsRequired):
            asyncio.run(start())


class TestCdn:
    """Downloads of attachments."""

    def test_only_a_signed_link_opens(self, api: DiscordApi, anna: Person) -> None:
        photo = anna.attaches("a.png", picture(), "image/png")

        good, by_proxy = httpx.get(photo.url), httpx.get(photo.proxy_url)
        wrong = [photo.url.replace("hm=", "hm=0"), photo.url.partition("?")[0], api.cdn_url + "/attachments/1/2/a.png"]

        assert (good.content, by_proxy.content) == (photo.data, photo.data)
        assert good.headers["Content-Type"] == "image/png"
        assert int(good.headers["Content-Length"]) == len(photo.data)
        assert [httpx.get(url).status_code for url in wrong] == [404] * 3
        assert [download.attachment_id for download in api.downloads] == [photo.id] * 2

    def test_a_link_grows_old(self, anna: Person) -> None:
        assert httpx.get(anna.attaches("a.png", b"x", link_seconds=-1).url).status_code == 404

    def test_a_file_may_be_other_than_it_is_said_to_be(self, anna: Person) -> None:
        liar = anna.attaches("a.png", b"x" * 300_000, size=10, serving=Serving(has_length=False))

        answer = httpx.get(liar.url)

        assert liar.raw["size"] == 10
        assert len(answer.content) == 300_000
        assert "Content-Length" not in answer.headers

    def test_a_file_may_come_slowly_or_never(self, api: DiscordApi, anna: Person) -> None:
        slow = anna.attaches("a.png", b"x" * 300_000, serving=Serving(chunk_seconds=0.1))
        gone = anna.attaches("b.png", b"x", serving=Serving(is_gone=True))
        hanging, quick = anna.attaches("c.png", b"x"), anna.attaches("d.png", b"x")
        api.hang("/cdn/*", 30, file_of=hanging)
        began = time.monotonic()

        assert len(httpx.get(slow.url).content) == 300_000
        assert time.monotonic() - began >= 0.4
        assert httpx.get(gone.url).status_code == 404
        assert httpx.get(quick.url).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(hanging.url, timeout=0.2)

    def test_a_picture_tells_its_size(self, anna: Person) -> None:
        photo, text = anna.attaches("a.png", picture(40, 30), "image/png"), anna.attaches("a b.txt", b"x", "text/plain")

        assert (photo.raw["width"], photo.raw["height"]) == (40, 30)
        assert "width" not in text.raw
        assert (text.raw["filename"], text.raw["title"]) == ("a_b.txt", "a b")


class TestFaults:
    """What may go wrong on the way."""

    def test_discord_py_waits_when_it_is_told_to(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        api.fail("POST", "/channels/*/messages", retry_after=0.3)

        answer = anna.direct.answer_to(anna.sends_message("a"))

        api.until(lambda: api.calls[-1].status == 200)
        first, second = api.calls_of("POST", "/channels/*/messages")
        assert (first.status, second.status) == (429, 200)
        assert second.at - first.at >= 0.3
        assert anna.direct.bot_messages == [answer]

    def test_discord_py_tries_again_after_an_error_of_the_server(self, api: DiscordApi, anna: Person, bot: Bot) -> None:
        api.fail("POST", "/interactions/*/callback", status=502, body="<html>Bad gateway</html>")

        assert anna.uses_command("echo", {"words": "a"}).answer().content == "a"
        api.until(lambda: [call.status for call in api.calls_of("POST", "/interactions/*")] == [502, 200])

    def test_a_call_is_cut_before_or_after_it_is_carried_out(self, api: DiscordApi, anna: Person) -> None:
        path = f"/channels/{anna.direct.id}/messages"
        api.drop("POST", path)
        api.drop("POST", path, is_carried_out=True)

        for content in ("never", "said"):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                raw(api, "POST", path, {"content": content})

        assert [message.content for message in anna.direct.bot_messages] == ["said"]
        assert [call.status for call in api.calls] == [None, None]

    def test_a_late_answer_is_carried_out(self, api: DiscordApi, anna: Person) -> None:
        api.hang("/channels/*", 5)

        with pytest.raises(httpx.ReadTimeout):
            raw(api, "POST", f"/channels/{anna.direct.id}/messages", {"content": "a"}, timeout=0.2)

        assert [message.content for message in anna.direct.bot_messages] == ["a"]


def test_igsearch_runs_from_anywhere(tmp_path: Path) -> None:
    """The entry for tests is the command line of the product."""
    main = ROOT / "tests/fakes/discord/main.py"
    environment = {"TEST_DISCORD_REST": "http://127.0.0.1:9", "TEST_DISCORD_GATEWAY": "ws://127.0.0.1:9"}

    ended = subprocess.run(
        [sys.executable, main, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "search" in ended.stdout
