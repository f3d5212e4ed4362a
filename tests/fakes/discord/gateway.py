"""The gateway: sessions of the bot, the WebSockets on which they live, and what is sent to them."""

import asyncio
import contextlib
import json
import secrets
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from tests.fakes.discord.calls import Json

VERSION = 10
HEARTBEAT_SECONDS = 41.25
MOST_EVENTS_A_MINUTE = 120
ENDED_BY_CLIENT = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


class Op(IntEnum):
    """What a payload is."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Intent(IntEnum):
    """What a session asked to be told of; the last three are privileged, and not granted."""

    GUILDS = 1 << 0
    GUILD_MESSAGES = 1 << 9
    DIRECT_MESSAGES = 1 << 12
    MEMBERS = 1 << 1
    PRESENCES = 1 << 8
    MESSAGE_CONTENT = 1 << 15


ALL_INTENTS = (1 << 26) - 1
PRIVILEGED = Intent.MEMBERS | Intent.PRESENCES | Intent.MESSAGE_CONTENT


class Closed(Exception):
    """The server closes a WebSocket: a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Event(NamedTuple):
    """An event, and the intent without which a session is not told of it."""

    name: str
    data: Json
    intent: int | None = None


@dataclass(eq=False)
class Session:
    """What RESUME comes back to: every event that was meant for the bot."""

    intents: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    payloads: list[Json] = field(default_factory=list)
    connection: "Connection | None" = None

    def add(self, event: Event) -> Json:
        payload = {"t": event.name, "s": len(self.payloads) + 1, "op": int(Op.DISPATCH), "d": event.data}
        self.payloads.append(payload)
        return payload


@dataclass(eq=False)
class Connection:
    """One WebSocket; what is put is sent in that order."""

    socket: web.WebSocketResponse
    request: web.Request
    compressor: Any = None
    session: Session | None = None
    outbox: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    received_at: list[float] = field(default_factory=list)

    def put(self, op: Op, data: object) -> None:
        self.outbox.put_nowait({"t": None, "s": None, "op": int(op), "d": data})

    async def send_what_is_put(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._send_what_is_put()

    async def _send_what_is_put(self) -> None:
        while True:
            payload = await self.outbox.get()
            text = json.dumps(payload)
            if self.compressor is None:
                await self.socket.send_str(text)
                continue
            # One stream for the whole connection; each message ends with 00 00 FF FF.
            await self.socket.send_bytes(
                self.compressor.compress(text.encode()) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
            )

    def cut(self) -> None:
        if self.request.transport:
            self.request.transport.abort()


@dataclass(eq=False)
class Gateway:
    """Where the bot is told what happens; `greeting` returns what a new session is told first."""

    token: str
    changed: threading.Condition = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)
    greeting: Callable[[Session], Iterable[Event]] = field(default=lambda session: (), repr=False)
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    is_acknowledging: bool = True
    sessions: dict[str, Session] = field(default_factory=dict, repr=False)
    connections: list[Connection] = field(default_factory=list, repr=False)
    identifies: list[Json] = field(default_factory=list, repr=False)
    resumes: list[Json] = field(default_factory=list, repr=False)
    presences: list[Json] = field(default_factory=list, repr=False)
    heartbeats: int = 0
    close_codes: list[int | None] = field(default_factory=list)
    """With which codes WebSockets ended, by either side; None if one was just cut."""
    refusals: int = 0

    @property
    def is_online(self) -> bool:
        """Return whether the bot is told at once of what happens."""
        with self.changed:
            return any(session.connection for session in self.sessions.values())

    def dispatch(self, event: Event) -> None:
        """Tell every session of an event, those that lost their WebSocket when they resume."""
        with self.changed:
            for session in self.sessions.values():
                if event.intent is None or session.intents & event.intent:
                    payload = session.add(event)
                    if session.connection:
                        self.loop.call_soon_threadsafe(session.connection.outbox.put_nowait, payload)
            self.changed.notify_all()

    def send(self, op: Op, data: object) -> None:
        """Send something that is no event on every WebSocket."""
        with self.changed:
            for connection in self.connections:
                self.loop.call_soon_threadsafe(connection.put, op, data)

    def cut(self) -> None:
        """Cut every WebSocket without a word; a bot may resume."""
        with self.changed:
            for connection in self.connections:
                self.loop.call_soon_threadsafe(connection.cut)
                self._detach(connection)

    def forget_sessions(self) -> None:
        """Let no session be resumed."""
        with self.changed:
            self.sessions.clear()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Speak with a bot on a WebSocket until either side ends it."""
        with self.changed:
            if self.refusals > 0:
                self.refusals -= 1
                return web.Response(text="<html>503</html>", status=503, content_type="text/html")
        socket = web.WebSocketResponse(max_msg_size=4096)
        await socket.prepare(request)
        is_compressed = request.query.get("compress") == "zlib-stream"
        connection = Connection(socket, request, zlib.compressobj() if is_compressed else None)
        with self.changed:
            self.connections.append(connection)
        writer = asyncio.create_task(connection.send_what_is_put())
        try:
            await self._speak(connection)
        except Closed as closed:
            await socket.close(code=closed.code, message=closed.reason.encode())
        except ConnectionError:
            pass  # cut while something was sent
        finally:
            # Nothing is awaited here: aiohttp cancels this when the client has gone.
            writer.cancel()
            self._forget(connection)
        return socket

    async def _speak(self, connection: Connection) -> None:
        connection.put(Op.HELLO, {"heartbeat_interval": int(self.heartbeat_seconds * 1000), "_trace": []})
        async for message in connection.socket:
            if message.type != WSMsgType.TEXT:
                raise Closed(4002, "Decode error.")
            _refuse_flood(connection)
            with self.changed:
                self._receive(connection, _payload(message.data))
                self.changed.notify_all()

    def _receive(self, connection: Connection, payload: Json) -> None:
        op, data = payload.get("op"), payload.get("d")
        if op == Op.HEARTBEAT:
            self.heartbeats += 1
            if self.is_acknowledging:
                connection.put(Op.HEARTBEAT_ACK, None)
        elif op in (Op.IDENTIFY, Op.RESUME):
            if connection.session:
                raise Closed(4005, "Already authenticated.")
            begin = self._identify if op == Op.IDENTIFY else self._resume
            begin(connection, data if isinstance(data, dict) else {})
        elif connection.session is None:
            raise Closed(4003, "Not authenticated.")
        elif op == Op.PRESENCE:
            self.presences.append(data or {})
        elif op not in (Op.VOICE_STATE, Op.REQUEST_MEMBERS):
            raise Closed(4001, "Unknown opcode.")

    def _identify(self, connection: Connection, data: Json) -> None:
        self.identifies.append(data)
        if data.get("token") != self.token:
            raise Closed(4004, "Authentication failed.")
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~ALL_INTENTS:
            raise Closed(4013, "Invalid intent(s).")
        if intents & PRIVILEGED:
            raise Closed(4014, "Disallowed intent(s).")
        session = Session(intents)
        self.sessions[session.id] = session
        self._attach(connection, session)
        for event in self.greeting(session):
            connection.outbox.put_nowait(session.add(event))

    def _resume(self, connection: Connection, data: Json) -> None:
        self.resumes.append(data)
        if data.get("token") != self.token:
            raise Closed(4004, "Authentication failed.")
        session = self.sessions.get(str(data.get("session_id")))
        if session is None:
            connection.put(Op.INVALID_SESSION, False)
            return
        seen = data.get("seq")
        if not isinstance(seen, int) or seen > len(session.payloads):
            raise Closed(4007, "Invalid seq.")
        self._attach(connection, session)
        for payload in session.payloads[seen:]:
            connection.outbox.put_nowait(payload)
        connection.outbox.put_nowait(session.add(Event("RESUMED", {"_trace": []})))

    def _attach(self, connection: Connection, session: Session) -> None:
        connection.session = session
        session.connection = connection

    def _detach(self, connection: Connection) -> None:
        if connection.session and connection.session.connection is connection:
            connection.session.connection = None

    def _forget(self, connection: Connection) -> None:
        """Note the end of a WebSocket; whoever closes it properly wants no more of the session."""
        code = connection.socket.close_code
        with self.changed:
            self._detach(connection)
            self.connections.remove(connection)
            self.close_codes.append(None if code == WSCloseCode.ABNORMAL_CLOSURE else code)
            if connection.session and code in ENDED_BY_CLIENT:
                self.sessions.pop(connection.session.id, None)
            self.changed.notify_all()


def _payload(text: str) -> Json:
    try:
        payload = json.loads(text)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise Closed(4002, "Decode error.")
    return payload


def _refuse_flood(connection: Connection) -> None:
    now = time.monotonic()
    connection.received_at = [at for at in connection.received_at if at > now - 60] + [now]
    if len(connection.received_at) > MOST_EVENTS_A_MINUTE:
        raise Closed(4008, "Rate limited.")
