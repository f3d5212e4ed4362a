"""`igsearch doctor` asks Telegram who the bot is: what it hears, and that the token is in nothing that it says."""

from datetime import UTC, datetime, timedelta

from bots.telegram.identity import introduce
from tests.fakes.telegram.bot_api import bot_api

TOKEN = "987654321:AAsecret-of_a_bot_that_nobody_knows_0"


def now() -> datetime:
    return datetime.now(UTC)


async def test_the_bot_is_named_and_the_server_tells_the_time() -> None:
    """By its @name; the clock is the server's, to the second."""
    with bot_api() as api:
        met = await introduce(api.token, api.url, lambda: now() + timedelta(minutes=10))

    assert (met.name, met.fault) == ("igsearch_bot", None)
    assert met.clock_ahead is not None
    assert timedelta(minutes=-11) < met.clock_ahead < timedelta(minutes=-9)


async def test_a_refused_token_a_silent_server_and_a_proxy_are_told_apart() -> None:
    """Each is something to fix; the token is not in it."""
    with bot_api() as api:
        refused = await introduce(TOKEN, api.url, now)
        api.fail("getMe", status=502, times=9, body="<h1>Bad gateway</h1>")
        proxied = await introduce(api.token, api.url, now)
    away = await introduce(TOKEN, "http://127.0.0.1:1", now)

    assert "copy the token from @BotFather again" in (refused.fault or "")
    assert refused.clock_ahead is not None
    for met in (proxied, away):
        assert "127.0.0.1 does not answer as Telegram does" in (met.fault or "")
    assert away.clock_ahead is None
    assert not any(part in repr((refused, proxied, away)) for part in (TOKEN, TOKEN.partition(":")[2]))
