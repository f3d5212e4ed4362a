"""The typing indicator: shown at once, again and again, and once a chat however many answers are on their way."""

import asyncio

from bots.typing_indicator import TypingIndicator


class Screen:
    """What was shown, and a way to wait for it."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.news = asyncio.Condition()

    async def show(self, chat: str) -> None:
        async with self.news:
            self.shown.append(chat)
            self.news.notify_all()

    async def until(self, count: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.shown) >= count)


async def test_a_sign_is_shown_until_the_answer_is_there() -> None:
    """It is repeated within the block, and no more after it."""
    screen = Screen()
    indicator = TypingIndicator(screen.show, every_seconds=0.01)

    async with indicator.shown("anna"):
        await screen.until(3)
    shown = len(screen.shown)
    await asyncio.sleep(0.05)

    assert len(screen.shown) == shown


async def test_many_answers_in_a_chat_share_one_sign() -> None:
    """Ten answers on their way in one chat show one sign at a time, and the last of them ends it."""
    screen = Screen()
    indicator = TypingIndicator(screen.show, every_seconds=3600)

    async def answer(number: int) -> None:
        async with indicator.shown("anna"):
            await asyncio.sleep(0.001 * number)

    await asyncio.gather(*(answer(number) for number in range(10)))

    assert screen.shown == ["anna"]
    assert not indicator._shown
    assert not indicator._answers
