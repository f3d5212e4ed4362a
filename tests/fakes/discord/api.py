"""A Discord for tests: REST, gateway and CDN, which answer as the real ones do, and fail as they may.

It runs in a thread of its own, so that a test drives people from one side and a bot process calls from the other:

    with discord_api() as api:
        anna, guild = api.person(), api.guild()
        ...                                 # start the bot here
        api.until_online()
        asked = anna.uses_command("search", {"photo": ("a.jpg", data, "image/jpeg")}, where=guild.channel)
        answer = asked.answer()             # waits for what the person sees
        anna.presses(answer, "More").answer()
"""

import asyncio
import fnmatch
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from tests.fakes.discord.calls import Call, Json, Refusal
from tests.fakes.discord.channels import Guild, Message
from tests.fakes.discord.commands import Commands
from tests.fakes.discord.files import CDN, PROXY, Attachment, Cdn
from tests.fakes.discord.gateway import Gateway, Op
from tests.fakes.discord.interactions import ACKNOWLEDGE_SECONDS, TOKEN_SECONDS
from tests.fakes.discord.limits import Bucket, Buckets
from tests.fakes.discord.methods import Request, Upload, find_route
from tests.fakes.discord.people import Person
from tests.fakes.discord.platform import Platform
from tests.fakes.discord.snowflakes import Snowflakes
from tests.journal import PATIENCE_SECONDS, Journal
from tests.loopback import Loopback, running_loop

TEST_TOKEN = "test.token.of_the_tests"
REST = "/api/v10"
GATEWAYS = ("/gateway", "/resume")
BIGGEST_REQUEST = 100 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
UPLOAD = re.compile(r"files\[(\d+)\]")
VIA = {"Via": "1.1 google"}


class Download(NamedTuple):
    """A file that the bot began to load, and when."""

    attachment_id: int
    path: str
    at: float


@dataclass(eq=False)
class Fault:
    """What goes wrong with the next calls of a method and path."""

    method: str
    path: str
    times: int
    attachment_ids: frozenset[int] | None = None
    status: int | None = None
    body: str | Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    is_cut: bool = False
    is_carried_out: bool = False

    def meets(self, method: str, path: str, attachment_id: int | None) -> bool:
        is_file = self.attachment_ids is None or attachment_id in self.attachment_ids
        return self.times > 0 and self.method in ("*", method) and is_file and fnmatch.fnmatchcase(path, self.path)


@dataclass(eq=False)
class DiscordApi:
    """The server, and the people and guilds that a bot meets there."""

    token: str
    platform: Platform = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)
    downloads: list[Download] = field(default_factory=list)
    bugs: list[Exception] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _buckets: Buckets = field(default_factory=Buckets)
    _server: Loopback = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._server = Loopback(self.loop, self._handle, BIGGEST_REQUEST)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def rest_url(self) -> str:
        """What stands in the place of https://discord.com/api/v10."""
        return self.url + REST

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self._server.port}/gateway"

    @property
    def cdn_url(self) -> str:
        """What stands in the place of https://cdn.discordapp.com."""
        return self.url + CDN

    @property
    def calls(self) -> list[Call]:
        return self.platform.journal.calls

    @property
    def gateway(self) -> Gateway:
        return self.platform.gateway

    @property
    def commands(self) -> Commands:
        """What was synced: `commands.of(None)` are the global ones, `commands.bulk_puts[None]` says how often."""
        return self.platform.commands

    @property
    def bot_id(self) -> int:
        return self.platform.bot_id

    def person(self, name: str = "anna", *, locale: str = "en-US", is_bot: bool = False) -> Person:
        """Return somebody new, who may write to the bot and is in every guild."""
        user = self.platform.add_user(name, is_bot=is_bot)
        friend = self.platform.add_user("friend", is_bot=False)
        direct = self.platform.add_direct_channel(user)
        return Person(
            self.platform, user, locale, direct, self.platform.add_direct_channel(user, friend, name="Friends")
        )

    def guild(self, name: str = "Guild", *, has_bot: bool = True, locale: str = "en-US") -> Guild:
        """Return a new guild with a text channel; where the bot is not, people may bring it themselves."""
        return self.platform.add_guild(name, has_bot=has_bot, locale=locale)

    def calls_of(self, method: str, path: str) -> list[Call]:
        """Return the calls of a method to paths of a form: `*` stands for anything."""
        calls = list(self.calls)
        return [call for call in calls if call.method == method and fnmatch.fnmatchcase(call.path, path)]

    def until(self, condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, what: str = "it") -> None:
        """Wait until something is so, or fail with the recent calls."""
        self.platform.journal.until(condition, seconds=seconds, what=what)

    def until_online(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until the bot is on the gateway; what happened before is not told to it."""
        self.until(lambda: self.gateway.is_online, seconds=seconds, what="the bot to come to the gateway")

    def until_offline(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until no bot is on the gateway, as between the end of one process and the start of the next."""
        self.until(lambda: not self.gateway.is_online, seconds=seconds, what="the bot to leave the gateway")

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int = 500,
        times: int = 1,
        retry_after: float | None = None,
        is_global: bool = False,
        body: str | Json | None = None,
        headers: Mapping[str, str] | None = None,
        file_of: Message | Attachment | None = None,
    ) -> None:
        """Refuse the next calls without carrying them out.

        `*` in the path stands for anything; the CDN's paths begin with /cdn. With `retry_after` it is a 429; a body
        that is a text is sent as HTML, as a proxy in between does, and any other as Discord's JSON.
        """
        if retry_after is not None:
            status, body = 429, body or _limited(retry_after, is_global=is_global)
            scope = {"X-RateLimit-Scope": "global" if is_global else "shared", "Retry-After": f"{retry_after:g}"}
            headers = scope | dict(headers or {})
        fault = Fault(method, path, times, _ids_of(file_of), status, body, headers or {})
        self._expect(fault)

    def drop(self, method: str, path: str, times: int = 1, *, is_carried_out: bool = False) -> None:
        """Cut the connection of the next calls: before they are carried out, or when only the answer is missing."""
        self._expect(Fault(method, path, times, is_cut=True, is_carried_out=is_carried_out))

    def hang(
        self,
        path: str,
        seconds: float,
        times: int = 1,
        *,
        method: str = "*",
        file_of: Message | Attachment | None = None,
    ) -> None:
        """Carry the next calls out, but answer late; of downloads maybe only that message's files."""
        self._expect(Fault(method, path, times, _ids_of(file_of), seconds=seconds))

    def limit_acknowledgement(self, seconds: float = ACKNOWLEDGE_SECONDS) -> None:
        """Change how long interactions wait for their first sign."""
        self.platform.acknowledge_seconds = seconds

    def limit_token(self, seconds: float = TOKEN_SECONDS) -> None:
        """Change for how long an interaction may be answered."""
        self.platform.token_seconds = seconds

    def reconnect(self) -> None:
        """Ask the bot to connect anew and resume."""
        self.gateway.send(Op.RECONNECT, None)

    def invalid_session(self, *, resumable: bool) -> None:
        """Tell the bot that its session is invalid, for good or until it resumes."""
        if not resumable:
            self.gateway.forget_sessions()
        self.gateway.send(Op.INVALID_SESSION, resumable)

    def cut(self) -> None:
        """Cut every WebSocket without a word."""
        self.gateway.cut()

    def forget_sessions(self) -> None:
        """Let the next RESUME be refused."""
        self.gateway.forget_sessions()

    def refuse_gateway(self, times: int) -> None:
        """Let the next handshakes of WebSockets fail with 503."""
        with self.platform.changed:
            self.gateway.refusals = times

    def ignore_heartbeats(self, *, is_ignoring: bool = True) -> None:
        """Leave the bot's heartbeats without an answer."""
        self.gateway.is_acknowledging = not is_ignoring

    def start(self) -> None:
        """Listen, after a stop on the same port as before and with all that was kept."""
        self._server.carry_out(self._open())

    def stop(self) -> None:
        """Cut every connection and refuse new ones."""
        self._server.carry_out(self._close())

    def _expect(self, fault: Fault) -> None:
        with self.platform.changed:
            self._faults.append(fault)

    async def _open(self) -> None:
        await self._server.open()
        self.platform.files.server = self.url

    async def _close(self) -> None:
        self.gateway.cut()
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request; what is no Refusal is a bug of this server, and told at the end of the test."""
        try:
            if request.path in GATEWAYS:
                return await self.gateway.serve(request)
            if request.path.startswith((CDN, PROXY)):
                return await self._serve(request)
            return await self._call(request)
        except Refusal as refusal:
            return _json(refusal.body, refusal.status)
        except ConnectionError:
            raise  # the bot went away while it was answered
        except Exception as bug:  # noqa: BLE001 - a door
            self.bugs.append(bug)
            return _json({"message": f"Bug of the test server: {bug!r}", "code": 0}, 500)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Send a file, in the way that it was given to be served."""
        path = request.rel_url.raw_path
        attachment = self.platform.files.find(path.removeprefix(CDN).removeprefix(PROXY), request.query)
        fault = self._next_fault(request.method, path, attachment.id if attachment else None)
        with self.platform.changed:
            if attachment:
                self.downloads.append(Download(attachment.id, path, time.monotonic()))
            self.platform.changed.notify_all()
        if fault and (fault.is_cut or fault.status):
            return _broken(request, fault, {})
        await asyncio.sleep(fault.seconds if fault else 0)
        if attachment is None or attachment.serving.is_gone:
            return web.Response(text="This content is no longer available.", status=404)
        return await _stream(request, attachment)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path.removeprefix(REST)
        if not request.path.startswith(REST):
            raise Refusal(404, 0, "404: Not Found")
        parsed = await _parse(request)
        files = {f"files[{number}]": upload.data for number, upload in parsed.files.items()}
        call = Call(request.method, path, parsed.body, files, dict(request.query))
        self.platform.journal.note(call)
        fault = self._next_fault(request.method, path, None)
        bucket = self._bucket(request.method, path)
        headers = VIA | (bucket.headers if bucket else {})
        if fault and (fault.status or (fault.is_cut and not fault.is_carried_out)):
            response = _broken(request, fault, headers)
        else:
            response = self._result(request, path, parsed, bucket)
            await asyncio.sleep(fault.seconds if fault else 0)
        if fault and fault.is_cut:
            return _broken(request, fault, headers)
        self.platform.journal.answered(call, response.status)
        return response

    def _result(self, request: web.Request, path: str, parsed: Request, bucket: Bucket | None) -> web.Response:
        headers = VIA | (bucket.headers if bucket else {})
        try:
            if bucket and bucket.used > bucket.limit:
                limited = headers | {"X-RateLimit-Scope": "user", "Retry-After": f"{bucket.retry_after:g}"}
                return _json(_limited(bucket.retry_after, is_global=False), 429, limited)
            result = self._carry_out(request, path, parsed)
        except Refusal as refusal:
            return _json(refusal.body, refusal.status, headers)
        return web.Response(status=204, headers=headers) if result is None else _json(result, 200, headers)

    def _carry_out(self, request: web.Request, path: str, parsed: Request) -> object:
        route, ids = find_route(request.method, path)
        if route.needs_token and request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refusal(401, 0, "401: Unauthorized")
        with self.platform.changed:
            result = route.carry_out(self.platform, Request(ids, parsed.body, parsed.files, parsed.query))
            self.platform.changed.notify_all()
            return result

    def _bucket(self, method: str, path: str) -> Bucket | None:
        """Count a call in its bucket; first signs about interactions have none."""
        try:
            route, ids = find_route(method, path)
        except Refusal:
            return None
        if "interaction" in ids:
            return None
        bucket = self._buckets.of(method, route.path, ids)
        bucket.take()
        return bucket

    def _next_fault(self, method: str, path: str, attachment_id: int | None) -> Fault | None:
        with self.platform.changed:
            fault = next((one for one in self._faults if one.meets(method, path, attachment_id)), None)
            if fault:
                fault.times -= 1
            return fault


@contextmanager
def discord_api(*, token: str = TEST_TOKEN, name: str = "igsearch") -> Iterator[DiscordApi]:
    """Run a server with one bot for as long as the context lasts."""
    with running_loop("discord-api") as loop:
        api = DiscordApi(token, _platform(token, name, loop), loop)
        api.start()
        try:
            yield api
        finally:
            api.stop()
    if api.bugs:
        raise ExceptionGroup("bugs of the Discord of the tests", api.bugs)


def _platform(token: str, name: str, loop: asyncio.AbstractEventLoop) -> Platform:
    new_id = Snowflakes()
    journal: Journal[Call] = Journal()
    bot = {"id": str(new_id()), "username": name, "global_name": None, "discriminator": "0001", "avatar": None}
    gateway = Gateway(token, journal.changed, loop)
    commands = Commands(int(bot["id"] or 0), new_id)
    platform = Platform(bot | {"bot": True, "public_flags": 0}, journal, gateway, new_id, Cdn(new_id), commands)
    gateway.greeting = platform.greeting
    platform.add_user("owner", is_bot=False)
    return platform


async def _parse(request: web.Request) -> Request:
    """Return the body and the files of a call; they are read even if it is refused."""
    query = dict(request.query)
    try:
        if request.content_type == "multipart/form-data":
            form = await request.post()
            body = json.loads(str(form["payload_json"])) if "payload_json" in form else {}
            return Request({}, body, dict(_uploads(dict(form))), query)
        text = await request.text()
        return Request({}, json.loads(text) if text else None, {}, query)
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(413, 40005, "Request entity too large") from None
    except ValueError:
        raise Refusal(400, 50109, "The request body contains invalid JSON.") from None


def _uploads(form: dict[str, Any]) -> Iterator[tuple[int, Upload]]:
    for name, value in form.items():
        field_name = UPLOAD.fullmatch(name)
        if field_name and isinstance(value, web.FileField):
            with value.file:
                yield int(field_name[1]), Upload(value.filename, value.file.read())


async def _stream(request: web.Request, attachment: Attachment) -> web.StreamResponse:
    serving = attachment.serving
    response = web.StreamResponse(headers={"Content-Type": attachment.content_type or "application/octet-stream"})
    if serving.has_length:
        response.content_length = len(attachment.data)
    await response.prepare(request)
    if request.method != "HEAD":
        for start in range(0, len(attachment.data), CHUNK_BYTES):
            await response.write(attachment.data[start : start + CHUNK_BYTES])
            await asyncio.sleep(serving.chunk_seconds)
    await response.write_eof()
    return response


def _json(body: object, status: int, headers: Mapping[str, str] = VIA) -> web.Response:
    """Return an answer whose type is `application/json` without more, as discord.py demands."""
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers=dict(headers), content_type="application/json"
    )


def _limited(retry_after: float, *, is_global: bool) -> Json:
    return {"message": "You are being rate limited.", "retry_after": retry_after, "global": is_global}


def _broken(request: web.Request, fault: Fault, headers: Mapping[str, str]) -> web.Response:
    """Return what a fault puts in the place of an answer, which nobody reads if the connection is cut."""
    if fault.is_cut and request.transport:
        request.transport.abort()
    if not fault.status:
        return web.Response()
    if isinstance(fault.body, str):
        return web.Response(text=fault.body, status=fault.status, headers=dict(fault.headers), content_type="text/html")
    phrase = HTTPStatus(fault.status).phrase
    body = fault.body or {"message": f"{fault.status}: {phrase}", "code": 0}
    return _json(body, fault.status, {**headers, **fault.headers})


def _ids_of(file_of: Message | Attachment | None) -> frozenset[int] | None:
    if file_of is None:
        return None
    if isinstance(file_of, Attachment):
        return frozenset({file_of.id})
    return frozenset(int(raw["id"]) for raw in file_of.raw["attachments"])
