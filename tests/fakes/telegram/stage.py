"""The stage of the Telegram tests: a dataset, a Bot API server, and the real bot between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.fakes.telegram.bot_api import BotApi
from tests.shell import Service, Shell

ANSWERS = "answers"


@dataclass(frozen=True)
class Stage:
    """A shell with an indexed dataset, and the server that the bot is to speak to."""

    shell: Shell
    api: BotApi

    @contextmanager
    def bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        """Run the bot until the end of the block; it answers when the block begins."""
        with self.starting_bot(*arguments, **variables) as service:
            service.until_said(ANSWERS)
            yield service

    @contextmanager
    def starting_bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        command = arguments or ("telegram", "--dataset", "images")
        with self.shell.service(*command, variables={**self.variables(), **variables}) as service:
            yield service

    def variables(self) -> dict[str, str]:
        return {"IGSEARCH_TELEGRAM_TOKEN": self.api.token, "IGSEARCH_TELEGRAM_API_URL": self.api.url}
