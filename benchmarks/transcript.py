"""A chat with the Telegram bot as a picture, for the documentation.

python -m benchmarks.transcript docs/telegram.png

The real `igsearch telegram` answers over HTTP, from an index of made-up photos, and the picture shows what it said:
its words with their entities, its buttons and its photos, as the Bot API server of the tests was given them.
"""

import argparse
import io
import math
from collections.abc import Generator, Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from benchmarks.chat_picture import Bubble, Entry, Note, Picture, Quote, Run, drawn, save
from benchmarks.edits import EDITS
from benchmarks.templates import gradient
from tests.bot_api import bot_api
from tests.pictures import encode
from tests.shell import Shell
from tests.telegram_chats import BotMessage, Chat, Json, Message
from tests.telegram_people import Person
from tests.telegram_stage import Stage
from tests.telegram_text import Entity, Text

ALBUMS = {
    "lena.hikes.north": range(1, 6),
    "two_rucksacks": range(6, 10),
    "slow.evening.light": range(10, 14),
    "mika__outdoors": range(14, 16),
    "fjord.postcards": range(16, 18),
    "best.of.hills": range(18, 20),
}
"""The accounts of the dataset, and the seeds of their photos."""
SHARED, REPOSTER = 2, "best.of.hills"
"""A photo that another account posts again."""
IN_A_POST, UNKNOWN = 13, 35
SHOW = "🖼 1"
SCREEN = 4
"""The seed of a screen on which all is in its place."""
SIZES = ((1080, 810), (1080, 1080), (1080, 1350))
SENT_SIDE, SENT_QUALITY = 1280, 87
"""How Telegram encodes whatever is sent as a photo."""
LINKS = {"text_link", "url", "mention", "bot_command", "hashtag"}
"""Entities that Telegram shows as links."""
MOST_BYTES = 400_000


def main() -> None:
    path = parse().path
    with TemporaryDirectory(prefix="igsearch-transcript-") as folder, bot_api() as api:
        stage = Stage(indexed(Shell(Path(folder))), api)
        with stage.bot():
            chat = list(conversation(api.person()))
    picture = drawn(chat)
    save(picture, path, most_bytes=MOST_BYTES)
    print(f"wrote {path}: {picture.width} x {picture.height} px, {path.stat().st_size:,} bytes")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="the .png file to write")
    return parser.parse_args()


def indexed(shell: Shell) -> Shell:
    """Make the dataset in a shell's folder and index it."""
    for username, seeds in ALBUMS.items():
        for seed in seeds:
            shell.put(f"images/{username}/{seed}.jpg", encode(view(seed), "JPEG", quality=92))
    shell.put(f"images/{REPOSTER}/again.jpg", encode(ImageOps.contain(view(SHARED), (720, 720)), "JPEG", quality=75))
    ended = shell.igsearch("index", "--dataset", "images")
    assert ended.code == 0, ended.err
    return shell


# What is said


def conversation(person: Person) -> Iterator[Entry]:
    """Send what people send, and tell of each message when it is answered."""
    found = yield from asked(person, mirrored_crop(view(SHARED)))
    person.presses(found, SHOW).answer()
    yield Note(f"{person.raw['first_name']} presses {SHOW}")
    yield theirs(person.answer_to(found))
    yield from asked(person, in_a_post(view(IN_A_POST)))
    yield from asked(person, view(UNKNOWN))


def asked(person: Person, picture: Picture) -> Generator[Entry, None, BotMessage]:
    question = person.sends_photo(sent(picture))
    answer = person.answer_to(question)
    yield mine(question)
    yield theirs(answer)
    return answer


def mine(message: Message) -> Bubble:
    return Bubble(is_mine=True, photo=photo_in(message.raw, message.chat))


def theirs(message: BotMessage) -> Bubble:
    return Bubble(
        is_mine=False,
        quote=quote_of(message.original, message.chat) if message.original else None,
        photo=opened(message.photo) if message.photo else None,
        words=tuple(runs_of(message.content.text)),
        buttons=tuple(tuple(button.text for button in row) for row in message.buttons),
    )


def quote_of(original: Json, chat: Chat) -> Quote:
    """Return what Telegram shows of a message above the reply to it."""
    words = str(original.get("text", "Photo")).splitlines()[0]
    return Quote(original["from"]["first_name"], words, photo_in(original, chat))


def photo_in(raw: Json, chat: Chat) -> Picture | None:
    """Return the photo of a message in its largest size."""
    sizes = raw.get("photo")
    return opened(chat.telegram.files.by_id[sizes[-1]["file_id"]].data) if sizes else None


def opened(data: bytes) -> Picture:
    return Image.open(io.BytesIO(data)).convert("RGB")


def runs_of(text: Text) -> Iterator[Run]:
    """Part a text where its entities begin and end."""
    places = {place for entity in text.entities for place in (entity.offset, entity.end)}
    for begin, end in pairwise(sorted({0, *places, text.length})):
        kinds = {entity.kind for entity in text.entities if entity.offset <= begin and end <= entity.end}
        words = text.part(Entity("", begin, end - begin))
        yield Run(words, is_bold="bold" in kinds, is_italic="italic" in kinds, is_link=bool(LINKS & kinds))


# Photos


def sent(picture: Picture) -> bytes:
    """Encode a picture as Telegram does that is sent as a photo."""
    return encode(ImageOps.contain(picture, (SENT_SIDE, SENT_SIDE)), "JPEG", quality=SENT_QUALITY)


def mirrored_crop(picture: Picture) -> Picture:
    width, height = picture.size
    return ImageOps.mirror(picture.crop((width // 6, height // 10, width, height * 9 // 10)))


def in_a_post(picture: Picture) -> Picture:
    [edit] = [edit for edit in EDITS if edit.name == "post_light"]
    return opened(edit.apply(picture, Random(SCREEN), []))


def view(seed: int) -> Picture:
    """Make up a photo of wooded hills in the evening; other seeds are other places."""
    random = Random(seed)
    hue = random.choice((18, 30, 190, 205, 218, 235, 262, 340))
    page = gradient(random.choice(SIZES), f"hsl({hue}, 50%, 46%)", f"hsl({(hue + 25) % 360}, 70%, 84%)")
    add_clouds(page, random)
    sun = (page.width * random.uniform(0.15, 0.85), page.height * random.uniform(0.12, 0.4))
    ImageDraw.Draw(page).circle(sun, page.width * random.uniform(0.04, 0.09), f"hsl({(hue + 25) % 360}, 90%, 93%)")
    for near in (0.1, 0.35, 0.6, 0.85):
        tone = (hue + random.randint(160, 220)) % 360
        add_hills(page, random, near, f"hsl({tone}, {random.randint(20, 40)}%, {round(56 - 42 * near)}%)")
    return grained(page, random)


def add_clouds(page: Picture, random: Random) -> None:
    veil = Image.new("L", page.size)
    for _ in range(random.randint(4, 12)):
        x, y = random.uniform(0, page.width), random.uniform(0, page.height * 0.4)
        for _ in range(9):
            wide, left, top = random.uniform(0.02, 0.07), x + random.gauss(0, 75), y + random.gauss(0, 13)
            puff = (left, top, left + page.width * wide, top + page.width * wide / 2)
            ImageDraw.Draw(veil).ellipse(puff, random.randint(60, 150))
    page.paste("white", mask=veil.filter(ImageFilter.GaussianBlur(9)))


def add_hills(page: Picture, random: Random, near: float, colour: str) -> None:
    """Draw a ridge with firs, which are taller the nearer it is."""
    waves = [(random.uniform(10, 60) / bend, random.uniform(2, 5) * bend, random.uniform(0, 7)) for bend in range(1, 6)]
    base, pen = page.height * (0.45 + near / 2), ImageDraw.Draw(page)

    def ridge(x: float) -> float:
        return base + sum(tall * math.sin(x / page.width * bend + turn) for tall, bend, turn in waves)

    for _ in range(90):
        x, tall = random.uniform(0, page.width), page.height * (0.02 + 0.1 * near) * random.uniform(0.5, 1.3)
        pen.polygon([(x - tall / 4, ridge(x) + 6), (x, ridge(x) - tall), (x + tall / 4, ridge(x) + 6)], colour)
    line = [(x, ridge(x)) for x in range(0, page.width + 9, 8)]
    pen.polygon([(0, page.height), *line, (page.width, page.height)], colour)


def grained(page: Picture, random: Random) -> Picture:
    """Add the texture that photos have and drawings lack."""
    noise = np.random.default_rng(random.getrandbits(32))
    pixels: NDArray[np.float32] = np.asarray(page, np.float32)
    for cells in (12, 40, 160):
        coarse = Image.fromarray(noise.integers(0, 256, (cells, cells)).astype(np.uint8))
        fine = np.asarray(coarse.resize(page.size, Image.Resampling.BICUBIC), np.float32)
        pixels = pixels + (fine[:, :, None] - np.float32(128)) / np.float32(13)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
