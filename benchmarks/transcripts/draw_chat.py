"""A chat with a bot as a picture, for the documentation.

python -m benchmarks.transcripts.draw_chat docs/telegram.png
python -m benchmarks.transcripts.draw_chat --discord docs/discord.png

The real `igsearch telegram` or `igsearch discord` answers over HTTP, from an index of made-up photos, and the picture
shows what it said: its words with their markup, its buttons and its photos, as the servers of the tests were given
them.
"""

import argparse
from pathlib import Path

from benchmarks.lab.script import own_folder, parser
from benchmarks.transcripts.chat_picture import drawn, save
from benchmarks.transcripts.discord_chat import discord_chat
from benchmarks.transcripts.looks import DARK, LIGHT
from benchmarks.transcripts.photos import indexed
from benchmarks.transcripts.telegram_chat import telegram_chat


def main() -> None:
    arguments = parse()
    path, chat_of, look = arguments.path, telegram_chat, LIGHT
    if arguments.discord:
        chat_of, look = discord_chat, DARK
    with own_folder() as folder:
        picture = drawn(chat_of(indexed(folder)), look)
    save(picture, path)
    print(f"wrote {path}: {picture.width} x {picture.height} px, {path.stat().st_size:,} bytes")


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("path", type=Path, help="the .png file to write")
    options.add_argument("--discord", action="store_true", help="ask the Discord bot, not the Telegram bot")
    return options.parse_args()


if __name__ == "__main__":
    main()
