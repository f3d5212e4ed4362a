"""igsearch against the Discord of the tests: `python tests/fakes/discord/main.py discord --dataset images`.

It reads where that server is from TEST_DISCORD_REST and TEST_DISCORD_GATEWAY; everything else is as in production.
"""

import os
import sys
import warnings
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[3])


def redirect(rest_url: str, gateway_url: str) -> None:
    """Send discord.py to a server other than Discord."""
    with warnings.catch_warnings():
        # discord.py 2.7.1 imports audioop, which is deprecated since Python 3.11.
        warnings.simplefilter("ignore", DeprecationWarning)
        import discord.gateway  # noqa: PLC0415 - worker processes import this file too, and need no discord
        import discord.http  # noqa: PLC0415
    import yarl  # noqa: PLC0415

    discord.http.Route.BASE = rest_url
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


def main() -> None:
    # Run by its path, Python looks for modules in this folder, where `core` and `bots` hold tests.
    sys.path[0] = ROOT
    import igsearch  # noqa: PLC0415

    redirect(os.environ["TEST_DISCORD_REST"], os.environ["TEST_DISCORD_GATEWAY"])
    igsearch.main()


if __name__ == "__main__":
    main()
