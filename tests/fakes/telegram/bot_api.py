"""A Telegram Bot API server for tests: it answers as the real one does, and fails as it may.

It runs in a thread of its own, so that a test drives people from one side and a bot process calls from the other:

    with bot_api() as api:
        anna = api.person()
        photo = anna.sends_photo(data)      # the bot finds it in getUpdates
        answer = anna.answer_to(photo)      # waits for what the bot replies
        anna.presses(answer, "More").answer()
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web

from tests.fakes.telegram.calls import Call
from tests.fakes.telegram.chats import Channel, Group, Json, Message, Telegram
from tests.fakes.telegram.methods import BIGGEST_REQUEST, METHODS, Refusal, Request, bad, remember_allowed_updates
from tests.fakes.telegram.people import Person
from tests.fakes.telegram.updates import Conflict, Updates
from tests.journal import PATIENCE_SECONDS, Journal
from tests.loopback import Loopback, running_loop

TEST_TOKEN = "123456789:TEST-token_of_the_tests_0123456789abc"
DOWNLOAD = "file"
PATH = re.compile(r"/(?P<file>file/)?bot(?P<token>[^/]*)/(?P<rest>.+)")
TOKEN = re.compile(r"\d+:[\w-]+")
# What a form brings is text; these are not JSON even when they look so.
WORDS = frozenset(
    {
        "action",
        "callback_query_id",
        "caption",
        "description",
        "document",
        "file_id",
        "name",
        "photo",
        "secret_token",
        "short_description",
        "text",
        "url",
    }
)


class Download(NamedTuple):
    """A file that the bot was given, and when."""

    file_id: str
    at: float


@dataclass(eq=False)
class Fault:
    """What goes wrong with the next calls of a method."""

    method: str
    times: int
    chat_id: int | None = None
    file_ids: frozenset[str] | None = None
    refusal: Refusal | None = None
    body: str | None = None
    seconds: float = 0
    is_cut: bool = False

    def meets(self, method: str, chat_id: object, file_id: str | None) -> bool:
        is_chat = self.chat_id is None or self.chat_id == chat_id
        is_file = self.file_ids is None or file_id in self.file_ids
        return self.times > 0 and self.method == method.lower() and is_chat and is_file


@dataclass(eq=False)
class BotApi:
    """The server, and the people, groups and channels that a bot meets there."""

    token: str
    username: str
    telegram: Telegram = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)
    downloads: list[Download] = field(default_factory=list)
    bugs: list[Exception] = field(default_factory=list)
    _faults: list[Fault] = field(default_factory=list)
    _server: Loopback = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._server = Loopback(self.loop, self._handle, BIGGEST_REQUEST)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def calls(self) -> list[Call]:
        return self.telegram.journal.calls

    @property
    def commands(self) -> dict[tuple[str, str], list[dict[str, str]]]:
        """What setMyCommands set, by scope ("default", "chat/42") and language."""
        return self.telegram.commands

    @property
    def profile(self) -> dict[tuple[str, str], str]:
        """What setMyName, setMyDescription and setMyShortDescription set, by field and language."""
        return self.telegram.profile

    def person(self, *, first_name: str = "Anna", language: str | None = "en") -> Person:
        """Return somebody new; the bot may write to them once they wrote to it."""
        chat = self.telegram.add_private_chat(first_name)
        user = {"id": chat.id, "is_bot": False, "first_name": first_name}
        return Person(self.telegram, user | ({"language_code": language} if language else {}), chat)

    def group(self, title: str = "Group", *, privacy: bool = True) -> Group:
        """Return a new supergroup with the bot in it; with privacy it sees only what is meant for it."""
        return self.telegram.add_group(title, has_privacy=privacy)

    def channel(self, title: str = "Channel") -> Channel:
        return self.telegram.add_channel(title)

    def calls_of(self, method: str) -> list[Call]:
        return [call for call in list(self.calls) if call.method.lower() == method.lower()]

    def until(self, condition: Callable[[], bool], *, seconds: float = PATIENCE_SECONDS, what: str = "it") -> None:
        """Wait until something is so, or fail with the recent calls."""
        self.telegram.journal.until(condition, seconds=seconds, what=what)

    def fail(
        self,
        method: str,
        *,
        status: int = 500,
        times: int = 1,
        retry_after: int | None = None,
        description: str | None = None,
        body: str | None = None,
        chat_id: int | None = None,
    ) -> None:
        """Refuse the next calls of a method ("file" for downloads) without carrying them out.

        With `retry_after` it is a 429; `body` is sent as HTML in place of JSON, as a proxy in between does.
        """
        refusal = _too_many(retry_after) if retry_after else Refusal(status, description or HTTPStatus(status).phrase)
        self._expect(Fault(method.lower(), times, chat_id=chat_id, refusal=refusal, body=body))

    def drop(self, method: str, *, times: int = 1) -> None:
        """Cut the connection of the next calls of a method, which are not carried out."""
        self._expect(Fault(method.lower(), times, is_cut=True))

    def hang(self, method: str, *, seconds: float, times: int = 1, file_of: Message | None = None) -> None:
        """Carry the next calls of a method out, but answer late; of downloads maybe only that message's file."""
        file_ids = frozenset(_file_ids(file_of.raw)) if file_of else None
        self._expect(Fault(method.lower(), times, seconds=seconds, file_ids=file_ids))

    def start(self) -> None:
        """Listen, after a stop on the same port as before and with all that was kept."""
        self._server.carry_out(self._open())

    def stop(self) -> None:
        """Close every connection and refuse new ones."""
        self._server.carry_out(self._close())

    def _expect(self, fault: Fault) -> None:
        with self.telegram.changed:
            self._faults.append(fault)

    async def _open(self) -> None:
        await self._server.open()
        self.telegram.updates.resume()

    async def _close(self) -> None:
        await self.telegram.updates.pause()
        await self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request; what is no Refusal is a bug of this server, and told at the end of the test."""
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return _refused(refusal)
        except Exception as bug:  # noqa: BLE001 - a door
            self.bugs.append(bug)
            return _refused(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Bug of the test server: {bug!r}"))

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = PATH.fullmatch(request.path)
        if not path or not TOKEN.fullmatch(path["token"]):
            raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
        if path["token"] != self.token:
            if not path["file"]:
                self.telegram.journal.note(Call(path["rest"], {}, {}, status=HTTPStatus.UNAUTHORIZED))
            raise Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized")
        if path["file"]:
            return await self._serve(request, path["rest"])
        return await self._call(request, path["rest"])

    async def _serve(self, request: web.Request, path: str) -> web.StreamResponse:
        file = self.telegram.files.by_path.get(path)
        if file is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
        fault = self._next_fault(DOWNLOAD, None, file.id)
        if fault and (fault.is_cut or fault.refusal):
            return _broken(request, fault)
        await asyncio.sleep(fault.seconds if fault else 0)
        with self.telegram.changed:
            self.downloads.append(Download(file.id, time.monotonic()))
            self.telegram.changed.notify_all()
        return web.Response(body=file.data, content_type="application/octet-stream")

    async def _call(self, request: web.Request, method: str) -> web.StreamResponse:
        parsed = await _parse(request)
        call = Call(method, parsed.parameters, dict(parsed.files))
        self.telegram.journal.note(call)
        fault = self._next_fault(method, parsed.parameters.get("chat_id"), None)
        if fault and fault.is_cut:
            return _broken(request, fault)
        if fault and fault.refusal:
            response = _broken(request, fault)
        else:
            response = await self._result(method.lower(), parsed)
            await asyncio.sleep(fault.seconds if fault else 0)
        self.telegram.journal.answered(call, response.status)
        return response

    async def _result(self, method: str, request: Request) -> web.Response:
        try:
            return _json({"ok": True, "result": await self._carry_out(method, request)}, HTTPStatus.OK)
        except Refusal as refusal:
            return _refused(refusal)
        except Conflict as conflict:
            return _refused(Refusal(HTTPStatus.CONFLICT, f"Conflict: {conflict}"))

    async def _carry_out(self, method: str, request: Request) -> object:
        if method == "getupdates":
            remember_allowed_updates(self.telegram, request)
            numbers = {name: request.integer(name) for name in ("offset", "limit", "timeout")}
            return await self.telegram.updates.poll(**numbers)
        if method not in METHODS:
            raise Refusal(HTTPStatus.NOT_FOUND, "Not Found")
        with self.telegram.changed:
            return METHODS[method](self.telegram, request)

    def _next_fault(self, method: str, chat_id: object, file_id: str | None) -> Fault | None:
        with self.telegram.changed:
            fault = next((one for one in self._faults if one.meets(method, chat_id, file_id)), None)
            if fault:
                fault.times -= 1
            return fault


@contextmanager
def bot_api(*, token: str = TEST_TOKEN, username: str = "igsearch_bot") -> Iterator[BotApi]:
    """Run a server with one bot for as long as the context lasts."""
    with running_loop("bot-api") as loop:
        journal = Journal[Call]()
        bot = {"id": int(token.partition(":")[0]), "is_bot": True, "first_name": "igsearch", "username": username}
        api = BotApi(token, username, Telegram(bot, journal, Updates(loop, journal.changed)), loop)
        api.start()
        try:
            yield api
        finally:
            api.stop()
    if api.bugs:
        raise ExceptionGroup("bugs of the Bot API server of the tests", api.bugs)


async def _parse(request: web.Request) -> Request:
    """Return the parameters and files of a call; its body goes before its query."""
    query: Json = {name: _decoded(name, value) for name, value in request.query.items()}
    try:
        if request.content_type == "application/json":
            body = await request.json()
            return Request(query | body)
        return _parsed_form(query, dict(await request.post()))
    except web.HTTPRequestEntityTooLarge:
        raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large") from None
    except UnicodeDecodeError:
        raise bad("strings must be encoded in UTF-8") from None
    except (ValueError, TypeError):
        raise bad("can't parse the request") from None


def _parsed_form(query: Json, form: dict[str, Any]) -> Request:
    files, names = {}, {}
    for name, value in form.items():
        if isinstance(value, web.FileField):
            with value.file:
                files[name], names[name] = value.file.read(), value.filename
    words = {name: _decoded(name, value) for name, value in form.items() if isinstance(value, str)}
    return Request(query | words, files, names)


def _decoded(name: str, value: str) -> object:
    """Return what a form's value means: numbers, booleans and objects come as JSON there."""
    if name in WORDS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _json(body: Json, status: int) -> web.Response:
    return web.json_response(body, status=status)


def _refused(refusal: Refusal) -> web.Response:
    body: Json = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return _json(body, refusal.status)


def _too_many(retry_after: int) -> Refusal:
    description = f"Too Many Requests: retry after {retry_after}"
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, description, {"retry_after": retry_after})


def _broken(request: web.Request, fault: Fault) -> web.Response:
    """Return what a fault puts in the place of an answer, which nobody reads if the connection is cut."""
    if fault.is_cut and request.transport:
        request.transport.close()
    if not fault.refusal:
        return web.Response()
    if fault.body is not None:
        return web.Response(text=fault.body, status=fault.refusal.status, content_type="text/html")
    return _refused(fault.refusal)


def _file_ids(raw: object) -> Iterator[str]:
    """Yield every file id in a message."""
    if isinstance(raw, dict):
        yield from (value for name, value in raw.items() if name == "file_id")
        raw = list(raw.values())
    if isinstance(raw, list):
        for value in raw:
            yield from _file_ids(value)
