"""What a Telegram message asks for, told by the JSON that the Bot API sends."""

from collections.abc import Mapping
from typing import Any

import pytest
from telegram import Message

from bots.telegram.messages import MAX_DOWNLOAD_BYTES, Ask, Carried, Command, Picture, Wish, carried_by, wish_of

ME, MY_ID = "igsearch_bot", 42
PRIVATE = {"id": 7, "type": "private", "first_name": "Anna"}
GROUP = {"id": -1007, "type": "supergroup", "title": "Friends"}
ANNA = {"id": 7, "is_bot": False, "first_name": "Anna"}
MYSELF = {"id": MY_ID, "is_bot": True, "first_name": "igsearch", "username": ME}
HUGE = MAX_DOWNLOAD_BYTES + 1


def file(file_id: str, size: int | None = 1000, **more: Any) -> dict[str, Any]:
    return {"file_id": file_id, "file_unique_id": f"u{file_id}", **({"file_size": size} if size else {}), **more}


def sized(file_id: str, side: int, size: int | None = 1000) -> dict[str, Any]:
    return file(file_id, size, width=side, height=side)


PHOTO = {"photo": [sized("small", 90), sized("large", 1280), sized("middle", 320)]}
THUMBNAIL: dict[str, Any] = {"thumbnail": sized("thumb", 320)}
PDF = {"document": file("pdf", file_name="a.pdf", mime_type="application/pdf", **THUMBNAIL)}


def message(chat: Mapping[str, Any] = PRIVATE, **content: Any) -> Message:
    data = {"message_id": 5, "date": 0, "chat": chat, "from": ANNA, **content}
    read = Message.de_json(data, None)
    assert read is not None
    return read


def document(name: str | None, kind: str | None, size: int | None = 1000, **more: Any) -> dict[str, Any]:
    named = {"file_name": name} if name is not None else {}
    typed = {"mime_type": kind} if kind is not None else {}
    return {"document": file("doc", size, **named, **typed, **more)}


def sticker(**more: Any) -> dict[str, Any]:
    plain = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
    return {"sticker": file("sticker", **{**plain, **more})}


def moving(**more: Any) -> dict[str, Any]:
    return file("moving", width=320, height=320, duration=3, **more)


@pytest.mark.parametrize(
    ("content", "carried"),
    [
        (PHOTO, Picture("large")),
        ({"photo": [sized("small", 90), sized("large", 4000, HUGE)]}, Picture("small")),
        ({"photo": [sized("large", 4000, None)]}, Picture("large")),
        (document("a.jpg", "image/jpeg"), Picture("doc")),
        (document("a.HEIC", "image/heic"), Picture("doc")),
        (document("picture", None), Picture("doc")),
        (document(None, None), Picture("doc")),
        (document("picture", "application/octet-stream"), Picture("doc")),
        (document("a.webp", "application/octet-stream"), Picture("doc")),
        (document("a.heic", "application/octet-stream"), Picture("doc")),
        (document("a.jpg_large", "application/octet-stream"), Picture("doc")),
        (document("a.jpg", "image/jpeg", None), Picture("doc")),
        (document("a.jpg", "image/jpeg", HUGE, **THUMBNAIL), Picture("thumb", is_preview=True)),
        (document("a.jpg", "image/jpeg", HUGE), "too large"),
        (document("a.pdf", "application/pdf"), "unsupported"),
        (document("a.pdf", None), "unsupported"),
        (document("a.zip", "application/octet-stream"), "unsupported"),
        (document("a.txt", "text/plain; charset=utf-8"), "unsupported"),
        (document("a.mov", "video/quicktime", **THUMBNAIL), Picture("thumb", is_preview=True)),
        (document("a.mp4", None), "no preview"),
        (sticker(), Picture("sticker")),
        (sticker(is_animated=True, **THUMBNAIL), Picture("thumb", is_preview=True)),
        (sticker(is_video=True), "no preview"),
        (
            {"animation": moving(mime_type="video/mp4", **THUMBNAIL), **document("a.mp4", "video/mp4")},
            Picture("thumb", is_preview=True),
        ),
        ({"animation": moving(mime_type="image/gif")}, Picture("moving", is_preview=True)),
        ({"video": moving(**THUMBNAIL)}, Picture("thumb", is_preview=True)),
        ({"video": moving(cover=[sized("cover", 1280)], **THUMBNAIL)}, Picture("cover", is_preview=True)),
        ({"video_note": file("note", length=240, duration=3, **THUMBNAIL)}, Picture("thumb", is_preview=True)),
        ({"video": moving()}, "no preview"),
        ({"voice": file("voice", duration=3)}, "unsupported"),
        ({"audio": file("audio", duration=3)}, "unsupported"),
        ({"text": "hello"}, None),
        ({"location": {"latitude": 1, "longitude": 2}}, None),
    ],
)
def test_a_message_carries_a_picture_a_fault_or_nothing(content: Mapping[str, Any], carried: Carried | None) -> None:
    """The largest photo that may be downloaded; files by what is said of them; else a preview, or why there is none."""
    assert carried_by(message(**content)) == carried


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"text": words, **entities(words, "entities"), **more}


def caption(words: str, **more: Any) -> dict[str, Any]:
    return {"caption": words, **entities(words, "caption_entities"), **more}


def entities(words: str, name: str) -> dict[str, Any]:
    """Mark commands and mentions as the server does."""
    found, at = [], 0
    for word in words.split(" "):
        kind = {"/": "bot_command", "@": "mention"}.get(word[:1])
        if kind:
            found.append({"type": kind, "offset": at, "length": len(word)})
        at += len(word) + 1
    return {name: found} if found else {}


def replying(content: Mapping[str, Any], author: Mapping[str, Any] = ANNA) -> dict[str, Any]:
    return {"reply_to_message": {"message_id": 4, "date": 0, "chat": GROUP, "from": author, **content}}


ASK = "ask"


def kind_of(wish: Wish) -> object:
    return ASK if isinstance(wish, Ask) else wish


@pytest.mark.parametrize(
    ("chat", "content", "wish"),
    [
        (PRIVATE, PHOTO, ASK),
        (PRIVATE, PDF, ASK),
        (PRIVATE, text("hello"), "hint"),
        (PRIVATE, text("/start"), Command("start")),
        (PRIVATE, text("/START@igsearch_BOT"), Command("start")),
        (PRIVATE, text("/search"), "hint"),
        (PRIVATE, text("/search", **replying(PHOTO)), ASK),
        (PRIVATE, caption("/search", **PHOTO), ASK),
        (PRIVATE, {"new_chat_title": "x"}, "nothing"),
        (PRIVATE, {"contact": {"phone_number": "1", "first_name": "x"}}, "hint"),
        (GROUP, PHOTO, "nothing"),
        (GROUP, PDF, "nothing"),
        (GROUP, text("hello"), "nothing"),
        (GROUP, {"new_chat_members": [ANNA]}, "nothing"),
        (GROUP, text("/search", **replying(PHOTO)), ASK),
        (GROUP, text("/search@igsearch_bot", **replying(PHOTO)), ASK),
        (GROUP, text("/search@other_bot", **replying(PHOTO)), "nothing"),
        (GROUP, text("/search@igsearch_bot"), "hint"),
        (GROUP, text("/search@igsearch_bot", **replying(text("hello"))), "hint"),
        (GROUP, text("/search@igsearch_bot", **replying(PDF)), ASK),
        (GROUP, caption("/search@igsearch_bot", **PHOTO), ASK),
        (GROUP, caption("@igsearch_bot who is this", **PHOTO), ASK),
        (GROUP, caption("who @IGsearch_Bot", **PHOTO), ASK),
        (GROUP, caption("@igsearch_bottle", **PHOTO), "nothing"),
        (GROUP, caption("@igsearch_bot", **PDF), "nothing"),
        (GROUP, text("@igsearch_bot", **replying(PHOTO)), ASK),
        (GROUP, text("@igsearch_bot hello"), "hint"),
        (GROUP, {**PHOTO, **replying(text("answer"), MYSELF)}, ASK),
        (GROUP, {**PDF, **replying(text("answer"), MYSELF)}, "nothing"),
        (GROUP, text("thanks!", **replying(text("answer"), MYSELF)), "nothing"),
        (GROUP, text("/stats@igsearch_bot"), Command("stats")),
        (GROUP, text("well /search it", **replying(PHOTO)), "nothing"),
    ],
)
def test_a_message_wants_something_or_nothing(
    chat: Mapping[str, Any], content: Mapping[str, Any], wish: Wish | str
) -> None:
    """In private everything is answered; in groups only commands, mentions, and pictures in reply to us."""
    assert kind_of(wish_of(message(chat, **content), ME, MY_ID)) == wish


def test_a_mention_by_id_counts() -> None:
    """People without a username are mentioned by their id; so may we be."""
    mention = {"type": "text_mention", "offset": 0, "length": 2, "user": MYSELF}

    asked = message(GROUP, caption="hi", caption_entities=[mention], **PHOTO)

    assert isinstance(wish_of(asked, ME, MY_ID), Ask)


def test_the_photo_replied_to_is_what_is_searched() -> None:
    """`/search` as a reply asks for the other message's picture."""
    asked = message(GROUP, **text("/search", **replying({"photo": [sized("theirs", 800)]})))

    wish = wish_of(asked, ME, MY_ID)

    assert isinstance(wish, Ask)
    assert wish.carried == Picture("theirs")
