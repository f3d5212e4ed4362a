"""The stage of the Discord tests: a dataset, a Discord of our own, and the real bot between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.discord.api import DiscordApi
from tests.shell import Service, Shell

MAIN = str(Path(__file__).with_name("main.py"))


@dataclass(frozen=True)
class Stage:
    """A shell with an indexed dataset, and the server that the bot is to speak to."""

    shell: Shell
    api: DiscordApi

    @contextmanager
    def bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        """Run the bot until the end of the block; it answers when the block begins."""
        self.api.until_offline()
        with self.starting_bot(*arguments, **variables) as service:
            service.until(lambda: self.api.gateway.is_online)  # discord.py calls itself ready 2 s later
            yield service

    @contextmanager
    def starting_bot(self, *arguments: str, **variables: str) -> Iterator[Service]:
        command = arguments or ("discord", "--dataset", "images")
        with self.shell.service(*command, variables={**self.variables(), **variables}, program=(MAIN,)) as service:
            yield service

    def variables(self) -> dict[str, str]:
        return {
            "IGSEARCH_DISCORD_TOKEN": self.api.token,
            "TEST_DISCORD_REST": self.api.rest_url,
            "TEST_DISCORD_GATEWAY": self.api.gateway_url,
        }
