"""The Telegram bot as people meet it: the real process, over HTTP, against a server that behaves as Telegram's."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.accounts import DOTTED, DUNDER, OWNERS, SHARED, STRANGER, copied_dataset, cropped, jpeg, sent, small
from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.fakes.telegram.chats import BotMessage
from tests.fakes.telegram.people import Person
from tests.fakes.telegram.stage import Stage
from tests.pictures import (
    MIRRORED,
    encode,
    jpeg_of_scans,
    lying,
    photo,
    png_of_16_bits,
    webp_headers,
)
from tests.shell import Shell

TYPES = "I cannot read this kind of file: send a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF."
DAMAGED = "This picture is damaged and cannot be read: send another copy."
TOO_LARGE = "This picture is too large: send it as a photo, or a smaller copy."
PREVIEW = "I searched the small preview of this file: the photo itself may find more."
NO_PREVIEW = "This file has no preview that I can search: send a screenshot of it."
HUGE = 20_000_001


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One bot for the whole module; each test brings people of its own."""
    shell: Shell = copied_dataset(tmp_path_factory, tmp_path_factory.mktemp("telegram"))
    with bot_api() as api:
        stage = Stage(shell, api)
        with stage.bot(IGSEARCH_ADMINS="telegram:7000000001", IGSEARCH_LOG_LEVEL="DEBUG"):
            yield stage


@pytest.fixture(scope="module")
def admin(stage: Stage) -> Person:
    """Return the first person, whom the settings name."""
    person = stage.api.person(first_name="Admin")
    assert person.id == 7_000_000_001
    return person


@pytest.fixture
def api(stage: Stage, admin: Person) -> BotApi:
    return stage.api


@pytest.fixture
def anna(api: BotApi) -> Person:
    return api.person()


def usernames(answer: BotMessage) -> list[str]:
    """Return the accounts that an answer names, in order, by their links."""
    return [mark.text for mark in answer.entities if mark.kind == "text_link"]


# What a person meets, 1: a photo


def test_a_photo_is_answered_with_the_username(anna: Person) -> None:
    """One reply to the photo: the account with its link, how sure, how it matched; and a sign of life before it."""
    question = anna.sends_photo(sent(DUNDER))

    answer = anna.answer_to(question)

    assert answer.text.splitlines() == [
        "Found: 1 account",
        "1. __dunder__ — 99.9 %, same photo",
        "saved again",
    ]
    [link] = [mark for mark in answer.entities if mark.kind == "text_link"]
    assert (link.text, link.url) == ("__dunder__", "https://www.instagram.com/__dunder__/")
    assert anna.chat.actions[0].action == "typing"
    assert anna.answers_to(question) == [answer]


@pytest.mark.parametrize(
    ("picture", "how"),
    [
        (cropped(DOTTED), "cropped to about 64 %"),
        (encode(photo(DOTTED).transpose(MIRRORED), "JPEG"), "mirrored"),
        (encode(photo(DOTTED).rotate(90, expand=True), "JPEG"), "turned by about 270 degrees"),
        (jpeg(DOTTED), "the same file"),
    ],
    ids=["cropped", "mirrored", "turned", "identical"],
)
def test_an_edited_copy_is_found_and_explained(anna: Person, picture: bytes, how: str) -> None:
    """What was done to the photo is said beside the name."""
    answer = anna.answer_to(anna.sends_photo(picture))

    assert usernames(answer) == ["a.b_c"]
    assert answer.text.splitlines()[2] == how


def test_a_photo_in_a_screenshot_is_found(anna: Person) -> None:
    """A post within a larger picture is called that."""
    screen = Image.new("RGB", (400, 800), "white")
    screen.paste(photo(DUNDER), (0, 200))

    answer = anna.answer_to(anna.sends_photo(encode(screen, "JPEG")))

    assert usernames(answer) == ["__dunder__"]
    assert "inside a larger picture: a screenshot, story or collage" in answer.text


def test_the_matching_picture_is_shown(stage: Stage, anna: Person) -> None:
    """The button sends the reference image, newly encoded, with whose it is, below the answer."""
    answer = anna.answer_to(anna.sends_photo(cropped(DUNDER)))

    press = anna.presses(answer, "Show the picture")

    shown = anna.answer_to(answer)
    assert press.answer().seconds < 1
    assert shown.photo is not None
    assert shown.photo != jpeg(DUNDER)
    with Image.open(io.BytesIO(shown.photo)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (400, 300))
    assert shown.caption is not None
    assert shown.caption.startswith("__dunder__ — ")


@pytest.mark.parametrize(
    "picture", [jpeg(DOTTED), sent(DUNDER), cropped(DOTTED), sent(STRANGER)], ids=["same", "sent", "cropped", "strange"]
)
def test_all_front_ends_say_the_same(stage: Stage, anna: Person, picture: bytes) -> None:
    """The same photo gives the same usernames, order and percent in the chat, on the command line and in JSON."""
    path = stage.shell.put("query.jpg", picture)

    answer = anna.answer_to(anna.sends_photo(picture))
    [result] = stage.shell.igsearch("search", "--query", str(path), "--json").objects
    lines = stage.shell.igsearch("search", "--query", str(path), "--verbose").lines

    said = [line.split(" — ")[1].split(",")[0] for line in answer.text.splitlines() if " — " in line]
    assert usernames(answer) == [match["username"] for match in result["matches"]]
    assert said == [f"{100 * match['confidence']:.1f} %" for match in result["matches"]]
    assert list(zip(usernames(answer), said, strict=True)) == [
        (name, sureness.split(" (")[0]) for name, sureness, *_ in (line.split("\t") for line in lines)
    ]


# 2: nothing found, and whatever goes wrong


def test_nothing_found_says_what_was_searched_and_what_to_try(anna: Person) -> None:
    """A photo that nobody posted gets no name, but the scope of the search and a hint."""
    answer = anna.answer_to(anna.sends_photo(sent(STRANGER)))

    found, hint = answer.text.splitlines()
    assert found.startswith("Nothing found among 27 photos of 27 accounts, newest ")
    assert found.endswith(" ago.")
    assert hint == "Try this: crop to the photo itself and send it again."
    assert usernames(answer) == []
    assert answer.buttons == []


def flat() -> bytes:
    return encode(Image.new("RGB", (300, 300), "grey"), "JPEG")


def upright(orientation: int) -> bytes:
    picture, exif = lying(photo(DUNDER), orientation)
    return encode(picture, "JPEG", exif=exif)


def sixteen_bits() -> bytes:
    import numpy as np  # noqa: PLC0415 - for this picture only

    return png_of_16_bits(np.asarray(photo(DUNDER), np.uint16) * 257)


def animated() -> bytes:
    file = io.BytesIO()
    photo(DUNDER).save(file, "WEBP", save_all=True, append_images=[photo(STRANGER)], duration=100)
    return file.getvalue()


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (flat(), "Too little detail to search: send a picture that shows more."),
        (b"no picture at all", TYPES),
        (b"", TYPES),
        (b"%PDF-1.7 called a.jpg", TYPES),
        (jpeg(DUNDER)[:3000], DAMAGED),
        (webp_headers(16_000, 16_000)["lossless"], TOO_LARGE),
        (jpeg_of_scans(500), TOO_LARGE),
    ],
    ids=["flat", "text", "empty", "pdf", "truncated", "bomb", "scans"],
)
def test_what_cannot_be_searched_gets_its_own_sentence(anna: Person, picture: bytes, said: str) -> None:
    """Blank, foreign, damaged and hostile pictures: one sentence each, never silence, never a name."""
    answer = anna.answer_to(anna.sends_document(picture, file_name="a.jpg", mime_type="image/jpeg"))

    assert answer.text == said


@pytest.mark.parametrize(
    "picture",
    [
        encode(photo(DUNDER).convert("CMYK"), "JPEG"),
        upright(6),
        upright(3),
        sixteen_bits(),
        animated(),
        encode(photo(DUNDER).convert("RGBA"), "PNG"),
    ],
    ids=["cmyk", "turned", "upside down", "16 bits", "animated", "alpha"],
)
def test_odd_pictures_are_found(anna: Person, picture: bytes) -> None:
    """CMYK, EXIF orientations, 16 bits, animations and transparency hide nothing."""
    assert usernames(anna.answer_to(anna.sends_document(picture, file_name="x", mime_type="image/x"))) == ["__dunder__"]


# 3: files, stickers, moving pictures


@pytest.mark.parametrize(
    ("kind", "name", "mime_type"),
    [
        ("JPEG", "a.jpg", "image/jpeg"),
        ("PNG", "a.png", "image/png"),
        ("WEBP", "a.webp", "image/webp"),
        ("HEIF", "a.heic", "image/heic"),
        ("HEIF", "IMG_0001", "application/octet-stream"),
        ("JPEG", "photo", None),
        ("AVIF", None, None),
    ],
)
def test_a_picture_sent_as_a_file_is_searched(anna: Person, kind: str, name: str | None, mime_type: str | None) -> None:
    """With or without extension and type, a file that is a picture is found."""
    question = anna.sends_document(encode(photo(DUNDER), kind), file_name=name, mime_type=mime_type)

    assert usernames(anna.answer_to(question)) == ["__dunder__"]


def test_a_static_sticker_is_searched(anna: Person) -> None:
    """It is a picture like any other."""
    answer = anna.answer_to(anna.sends_sticker(encode(photo(DUNDER), "WEBP")))

    assert usernames(answer) == ["__dunder__"]


def test_moving_pictures_are_searched_by_their_preview(anna: Person) -> None:
    """GIFs, videos, video notes and animated stickers: the thumbnail is searched, and the answer says so."""
    preview = small(jpeg(DUNDER))
    questions = [
        anna.sends_animation(b"mp4", thumbnail=preview),
        anna.sends_video(b"mp4", thumbnail=preview),
        anna.sends_video_note(b"mp4", thumbnail=preview),
        anna.sends_sticker(b"tgs", is_animated=True, thumbnail=preview),
        anna.sends_sticker(b"webm", is_video=True, thumbnail=preview),
        anna.sends_document(b"mov", file_name="a.mov", mime_type="video/quicktime", thumbnail=preview),
    ]

    for question in questions:
        answer = anna.answer_to(question)
        assert usernames(answer) == ["__dunder__"]
        assert PREVIEW in answer.text


def test_a_gif_is_searched_by_its_first_frame(anna: Person) -> None:
    """Where the chat has the GIF itself, that is read."""
    answer = anna.answer_to(anna.sends_animation(encode(photo(DUNDER), "GIF"), mime_type="image/gif"))

    assert usernames(answer) == ["__dunder__"]


def test_a_video_without_a_preview_says_so(anna: Person) -> None:
    """There is nothing to search, and a way out."""
    assert anna.answer_to(anna.sends_video(b"mp4")).text == NO_PREVIEW


def test_files_that_are_no_pictures_get_one_line_without_a_download(api: BotApi, anna: Person) -> None:
    """PDF, zip, text and voice: a sentence, and nothing was fetched."""
    before = len(api.calls_of("getFile"))
    questions = [
        anna.sends_document(b"%PDF", file_name="a.pdf", mime_type="application/pdf"),
        anna.sends_document(b"PK", file_name="a.zip", mime_type="application/zip"),
        anna.sends_document(b"hello", file_name="a.txt", mime_type="text/plain"),
        anna.sends_voice(b"ogg"),
    ]

    assert [anna.answer_to(question).text for question in questions] == [TYPES] * 4
    assert len(api.calls_of("getFile")) == before


def test_a_file_over_20_mb_is_searched_by_its_preview(api: BotApi, anna: Person) -> None:
    """The preview is searched and the answer says so; without one a sentence says what to do."""
    large = anna.sends_document(
        jpeg(DUNDER), file_name="a.jpg", mime_type="image/jpeg", thumbnail=small(jpeg(DUNDER)), file_size=HUGE
    )
    bare = anna.sends_document(jpeg(DUNDER), file_name="a.jpg", mime_type="image/jpeg", file_size=HUGE)

    answer = anna.answer_to(large)

    assert usernames(answer) == ["__dunder__"]
    assert PREVIEW in answer.text
    assert anna.answer_to(bare).text == TOO_LARGE


# 4: albums


def test_an_album_gets_one_reply_numbered_by_picture(anna: Person) -> None:
    """Ten pictures, one reply to the first of them: each with its number and what became of it."""
    seeds = [DUNDER, STRANGER, DOTTED, DUNDER, STRANGER, DOTTED, DUNDER, DUNDER, DUNDER, DOTTED]
    album = anna.sends_album([sent(seed) for seed in seeds])

    answer = anna.answer_to(album[0])

    passages = answer.text.split("\n\n")
    assert [passage.splitlines()[0] for passage in passages[:10]] == [f"Picture {number}" for number in range(1, 11)]
    assert passages[1].splitlines()[1] == "Nothing found."
    names = {DUNDER: "__dunder__", DOTTED: "a.b_c"}
    assert usernames(answer) == [names[seed] for seed in seeds if seed in names]
    assert passages[10].startswith("I searched 27 photos of 27 accounts")
    assert [len(anna.answers_to(message)) for message in album] == [1] + [0] * 9


def test_an_album_of_mixed_files_says_what_became_of_each(anna: Person) -> None:
    """A file that is no picture has its number too."""
    group = "mixed-album"
    first = anna.sends_document(jpeg(DUNDER), file_name="a.jpg", mime_type="image/jpeg", media_group_id=group)
    anna.sends_document(b"%PDF", file_name="a.pdf", mime_type="application/pdf", media_group_id=group)

    passages = anna.answer_to(first).text.split("\n\n")

    assert passages[0].splitlines()[1].startswith("🖼 1 __dunder__")
    assert passages[1].splitlines() == ["Picture 2", TYPES]


# 5: groups


def test_a_photo_in_a_group_is_searched_on_command(api: BotApi, anna: Person) -> None:
    """`/search` as a reply to somebody's photo, with privacy mode on: one answer, to who asked."""
    group, bob = api.group(), api.person(first_name="Bob")
    picture = bob.sends_photo(sent(DUNDER), chat=group)

    command = anna.sends_text("/search@igsearch_bot", chat=group, reply_to=picture)

    assert usernames(anna.answer_to(command)) == ["__dunder__"]
    assert len(group.bot_messages) == 1


def test_in_groups_the_bot_is_quiet_unless_spoken_to(api: BotApi, anna: Person) -> None:
    """Photos, files, talk, joining and leaving pass in silence, also where the bot sees everything."""
    group = api.group(privacy=False)
    anna.joins(group)
    anna.sends_photo(sent(DUNDER), chat=group)
    anna.sends_album([sent(DUNDER), sent(DOTTED)], chat=group)
    anna.sends_document(b"%PDF", file_name="a.pdf", mime_type="application/pdf", chat=group)
    anna.sends_text("look at this", chat=group)
    anna.sends_text("/search@another_bot", chat=group)
    mentioned = anna.sends_photo(sent(DOTTED), caption="@igsearch_bot who is it?", chat=group)

    answer = anna.answer_to(mentioned)

    anna.sends_text("thanks!", chat=group, reply_to=answer)
    anna.sends_document(b"%PDF", file_name="a.pdf", mime_type="application/pdf", chat=group, reply_to=answer)
    replied = anna.sends_photo(sent(DUNDER), chat=group, reply_to=answer)
    assert usernames(anna.answer_to(replied)) == ["__dunder__"]
    assert usernames(answer) == ["a.b_c"]
    assert len(group.bot_messages) == 2


def test_an_album_without_pictures_in_a_group_is_answered_when_commanded(api: BotApi, anna: Person) -> None:
    """Two PDFs with `/search` in a caption: a sentence each, in one reply."""
    group, album = api.group(), "files"
    first = anna.sends_document(
        b"%PDF", file_name="a.pdf", mime_type="application/pdf", chat=group, media_group_id=album, caption="/search"
    )

    assert anna.answer_to(first).text == TYPES


def test_who_pressed_many_buttons_may_still_send_a_picture(anna: Person) -> None:
    """Buttons have a pace of their own."""
    answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
    for _ in range(70):
        pressed = anna.presses(answer, "Wrong?").answer()

    assert pressed.text.startswith("You are too fast") or pressed.text.startswith("Thank you")
    assert usernames(anna.answer_to(anna.sends_photo(sent(DOTTED)))) == ["a.b_c"]


def test_a_picture_that_may_not_be_shown_is_told(api: BotApi, anna: Person) -> None:
    """Where the chat takes no photos the button says so."""
    answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
    api.fail("sendPhoto", status=400, description="Bad Request: not enough rights to send photos to the chat")

    anna.presses(answer, "Show the picture")

    assert anna.answer_to(answer).text == "That picture cannot be shown in this chat."


def test_an_album_in_a_group_is_searched_when_one_caption_asks(api: BotApi, anna: Person) -> None:
    """A mention in one caption asks for all pictures of the album."""
    group = api.group(privacy=False)
    album = anna.sends_album([sent(DUNDER), sent(DOTTED)], captions=["", "@igsearch_bot"], chat=group)

    answer = group.next_bot_message(after=album[-1])

    assert usernames(answer) == ["__dunder__", "a.b_c"]


def test_a_command_without_a_photo_gets_a_hint(api: BotApi, anna: Person) -> None:
    """`/search` alone, in private and in a group, is told how to ask."""
    group = api.group()

    hints = [anna.answer_to(anna.sends_text("/search", chat=chat)).text for chat in (anna.chat, group)]

    assert all("reply to a photo with /search" in hint for hint in hints)


# 6: pages and buttons


def test_many_owners_come_in_pages_of_ten(api: BotApi, anna: Person) -> None:
    """Buttons turn the pages in place; over all of them each owner stands once."""
    answer = anna.answer_to(anna.sends_photo(jpeg(SHARED)))
    first = usernames(answer)

    waits = []
    pages = [first]
    for label in ("Page 2 of 3 ›", "Page 3 of 3 ›"):
        waits.append(anna.presses(answer, label).answer().seconds)
        api.until(lambda: answer.edits == len(pages), what="the page")
        pages.append(usernames(answer))

    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(name for page in pages for name in page) == OWNERS
    assert max(waits) < 1
    assert "21. " in answer.text


@pytest.mark.parametrize("data", ["p:1:1:1", "x", "p:0:1", "p:999999:1", "s:999999:1", "🖼", "p:-1:2", "w:99999:0"])
def test_malformed_and_unknown_buttons_get_a_hint(anna: Person, data: str) -> None:
    """Whatever a hostile client sends as a button's data, it is told that it does not work."""
    answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))

    pressed = anna.presses_raw(answer, data).answer()

    assert pressed.text == "This button is too old or from another chat: send the photo again."
    assert pressed.seconds < 1


def test_a_button_of_another_chat_gets_a_hint(api: BotApi, anna: Person) -> None:
    """Nobody reads another chat's answers by guessing their numbers."""
    bob = api.person(first_name="Bob")
    theirs = bob.answer_to(bob.sends_photo(jpeg(SHARED)))
    mine = anna.answer_to(anna.sends_photo(sent(DUNDER)))
    [data] = [button.data for row in theirs.buttons for button in row if button.text == "Page 2 of 3 ›"]
    assert data is not None

    pressed = anna.presses_raw(mine, data).answer()

    assert pressed.text.startswith("This button is too old or from another chat")
    assert usernames(mine) == ["__dunder__"]


def test_a_picture_that_the_answer_does_not_name_is_not_shown(api: BotApi, anna: Person) -> None:
    """A button that is forged to show another image shows nothing."""
    answer = anna.answer_to(anna.sends_photo(sent(DUNDER)))
    number = answer.buttons[0][0].data
    assert number is not None
    reply = number.split(":")[1]

    for photo_id in range(1, 5):
        if f"s:{reply}:{photo_id}" != number:
            anna.presses_raw(answer, f"s:{reply}:{photo_id}").answer()

    api.until(lambda: len(anna.answers_to(answer)) >= 3, what="the refusals")
    assert {message.text for message in anna.answers_to(answer)} == {"That picture is no longer in the index."}


def test_a_wrong_answer_is_reported_and_listed(stage: Stage, anna: Person, admin: Person) -> None:
    """Pressing "Wrong?" counts once; an admin lists it in the chat, the operator on the command line."""
    answer = anna.answer_to(anna.sends_photo(sent(DOTTED)))
    before = stage.shell.figures()["reports"]

    said = [anna.presses(answer, "Wrong?").answer().text for _ in range(2)]

    assert said == ["Thank you: this is noted for the operator to review."] * 2
    assert stage.shell.figures()["reports"] == before + 1
    assert "telegram: a.b_c" in admin.answer_to(admin.sends_text("/reports")).text
    refused = anna.answer_to(anna.sends_text("/reports")).text
    assert refused == f"/reports is for admins of this bot; your ID is {anna.id}."
    assert "a.b_c 99.9 % (same photo), recompressed" in stage.shell.igsearch("reports").out


# 7: commands, languages, what is passed over


def test_the_commands_answer(anna: Person) -> None:
    """/start, /help, /privacy and /stats say what they are for."""
    said = {name: anna.answer_to(anna.sends_text(f"/{name}")).text for name in ("start", "help", "privacy", "stats")}

    assert said["start"].startswith("Hello, Anna!")
    assert "reply to a photo with /search" in said["help"]
    assert "never written to a disk or a log, and never passed on" in said["privacy"]
    assert said["stats"].startswith("I search 27 photos of 27 accounts, newest ")


def test_a_persons_name_is_shown_exactly(api: BotApi) -> None:
    """A name that looks like markup is greeted to the letter."""
    bob = api.person(first_name="<b>Bob & *Co* _x_")

    assert bob.answer_to(bob.sends_text("/start")).text.startswith("Hello, <b>Bob & *Co* _x_!")


def test_the_command_menu_is_set_in_every_language(api: BotApi, admin: Person) -> None:
    """The menu has the commands, in English for all, in German and Spanish, and more for admins."""
    admin.answer_to(admin.sends_text("/start"))
    api.until(lambda: len(api.commands) >= 4, what="the menus")

    menus = {key: [command["command"] for command in menu] for key, menu in api.commands.items()}
    everyone = ["search", "help", "stats", "privacy"]
    assert menus == {
        ("default", ""): everyone,
        ("default", "de"): everyone,
        ("default", "es"): everyone,
        (f"chat/{admin.id}", ""): [*everyone, "reports"],
    }
    assert api.commands["default", "de"][0]["description"] == "Das Foto suchen, auf das du antwortest"


@pytest.mark.parametrize(
    ("code", "title", "sureness"),
    [("de", "Gefunden: 1 Konto", "99,9 %, dasselbe Foto"), ("es-MX", "Encontrada: 1 cuenta", "99,9 %, la misma foto")],
)
def test_people_are_answered_in_their_language(api: BotApi, code: str, title: str, sureness: str) -> None:
    """By the code that Telegram tells; everybody else in English."""
    person, other = api.person(language=code), api.person(language="xx")

    text = person.answer_to(person.sends_photo(sent(DUNDER))).text.splitlines()

    assert (text[0], text[1]) == (title, f"1. __dunder__ — {sureness}")
    assert other.answer_to(other.sends_photo(sent(DUNDER))).text.startswith("Found: 1 account")


def test_edits_and_channel_posts_are_passed_over(api: BotApi, anna: Person) -> None:
    """An edited caption is not answered again; what a channel posts is harmless."""
    question = anna.sends_photo(sent(DUNDER))
    anna.answer_to(question)
    channel = api.channel()

    anna.edits_caption(question, "edited")
    channel.posts_photo(sent(DUNDER))
    channel.posts_text("/search")
    anna.answer_to(anna.sends_text("/help"))

    assert len(anna.answers_to(question)) == 1
    assert channel.bot_messages == []


def test_anything_else_said_in_private_gets_a_hint(anna: Person) -> None:
    """Talk and unknown commands are told how to ask."""
    answers = [anna.answer_to(anna.sends_text(text)).text for text in ("hello", "/nonsense", "https://example.com")]

    assert all(answer.startswith("Send me a photo") for answer in answers)


# The way to Telegram


def test_a_pause_that_telegram_asks_for_is_obeyed(api: BotApi, anna: Person) -> None:
    """After a 429 nothing is sent to that chat until its time is over; other chats go on meanwhile."""
    bob = api.person(first_name="Bob")
    api.fail("sendMessage", retry_after=3, chat_id=anna.chat.id)

    question = anna.sends_photo(sent(DUNDER))
    api.until(lambda: any(call.status == 429 for call in api.calls_of("sendMessage")), what="the refusal")
    refused = next(call for call in api.calls_of("sendMessage") if call.status == 429)
    bob.answer_to(bob.sends_photo(sent(DUNDER)), seconds=2.5)
    answer = anna.answer_to(question)

    assert answer.at - refused.at >= 3
    assert len(anna.answers_to(question)) == 1


def test_many_answers_in_one_chat_live_through_pauses(api: BotApi, anna: Person) -> None:
    """However many answers a pause holds up, each is sent once: they do not run into the next pause together."""
    api.fail("sendMessage", retry_after=1, times=3, chat_id=anna.chat.id)

    questions = [anna.sends_photo(jpeg(DUNDER, quality=40 + number)) for number in range(20)]

    assert [usernames(anna.answer_to(question)) for question in questions] == [["__dunder__"]] * 20
    assert [len(anna.answers_to(question)) for question in questions] == [1] * 20
    assert sum(call.status == 429 for call in api.calls_of("sendMessage") if call.parameters["chat_id"] == anna.id) == 3


@pytest.mark.parametrize("method", ["sendMessage", "getFile", "file", "getUpdates"])
def test_errors_and_cut_connections_are_tried_again(api: BotApi, anna: Person, method: str) -> None:
    """A 5xx, HTML from a proxy and a dropped connection delay an answer and lose none."""
    api.fail(method, status=500)
    api.fail(method, status=502, body="<html>Bad Gateway</html>")
    api.drop(method)

    assert usernames(anna.answer_to(anna.sends_photo(sent(DUNDER)))) == ["__dunder__"]


def test_a_file_that_stays_away_gets_a_sentence(api: BotApi, anna: Person) -> None:
    """A download that fails again and again is told, with what to do."""
    api.fail("file", status=404)

    assert anna.answer_to(anna.sends_photo(sent(DUNDER))).text == "I could not download this picture: send it again."


def test_a_deleted_message_and_a_blocked_bot_are_no_errors(stage: Stage, anna: Person) -> None:
    """The answer to a deleted photo comes all the same; to who blocked the bot none, and the bot goes on."""
    stage.api.hang("file", seconds=1, times=2)
    deleted = anna.sends_photo(sent(DUNDER))
    bob = stage.api.person(first_name="Bob")
    bob.sends_photo(sent(DUNDER))
    bob.blocks()

    anna.deletes(deleted)

    answer = anna.chat.next_bot_message(after=deleted)
    assert (usernames(answer), answer.reply_to) == (["__dunder__"], None)
    assert usernames(anna.answer_to(anna.sends_photo(sent(DOTTED)))) == ["a.b_c"]


def test_forty_photos_at_once_are_all_answered_while_one_hangs(api: BotApi, anna: Person) -> None:
    """A download that takes 9 s delays nobody: the others are answered before it, each right.

    On a busy machine 9 s do not do for all of them; if they waited for it, no more would come before it than the seven
    that are downloaded beside it.
    """
    slow = anna.sends_photo(sent(DOTTED))
    api.hang("file", seconds=9, file_of=slow)
    seeds = [DUNDER, DOTTED, STRANGER] * 13
    questions = [anna.sends_photo(jpeg(seed, quality=50 + number)) for number, seed in enumerate(seeds)]

    answers = [usernames(anna.answer_to(question)) for question in questions]
    late = anna.answer_to(slow)

    names = {DUNDER: ["__dunder__"], DOTTED: ["a.b_c"], STRANGER: []}
    assert answers == [names[seed] for seed in seeds]
    assert usernames(late) == ["a.b_c"]
    assert sum(anna.answers_to(question)[0].message_id < late.message_id for question in questions) > 10


def test_who_is_too_fast_is_told_once(api: BotApi, anna: Person) -> None:
    """Beyond sixty pictures at once, one sentence says how long to wait; others are not held up."""
    bob = api.person(first_name="Bob")
    questions = [anna.sends_text(f"hello {number}") for number in range(90)]

    answer = bob.answer_to(bob.sends_photo(sent(DUNDER)))
    api.until(lambda: len(anna.chat.bot_messages) >= 61, what="the answers")
    refusals = [m for q in questions for m in anna.answers_to(q) if m.text.startswith("You are too fast")]

    assert usernames(answer) == ["__dunder__"]
    assert [refusal.text for refusal in refusals] == [
        "You are too fast for me: wait 3 seconds, then send the rest again."
    ]
    assert len(anna.chat.bot_messages) == 61
