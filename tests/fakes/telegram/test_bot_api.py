"""The Bot API server of the tests answers as Telegram does; these are the laws that other tests lean on."""

import asyncio
import io
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
import telegram
from PIL import Image
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter

from tests.fakes.telegram.bot_api import BotApi, bot_api
from tests.fakes.telegram.chats import BotMessage
from tests.fakes.telegram.people import Person
from tests.fakes.telegram.text import Unparsable, parse_html

SECRET = "a-secret_1"


def picture(width: int = 400, height: int = 300, *, kind: str = "JPEG") -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(output, kind)
    return output.getvalue()


@pytest.fixture
def api() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


@pytest.fixture
async def bot(api: BotApi) -> AsyncIterator[telegram.Bot]:
    async with bot_of(api, api.token) as bot:
        yield bot


@pytest.fixture
def anna(api: BotApi) -> Person:
    """Somebody who started the bot; that update is one of those that wait."""
    anna = api.person()
    anna.sends_text("/start")
    return anna


def bot_of(api: BotApi, token: str) -> telegram.Bot:
    return telegram.Bot(token, base_url=f"{api.url}/bot", base_file_url=f"{api.url}/file/bot")


def raw(api: BotApi, method: str, **parameters: Any) -> httpx.Response:
    return httpx.post(f"{api.url}/bot{api.token}/{method}", json=parameters)


def keyboard(*buttons: InlineKeyboardButton) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([list(buttons)])


def last(person: Person) -> BotMessage:
    return person.chat.bot_messages[-1]


class TestHttp:
    """Paths, encodings and the form of answers."""

    def test_every_encoding_of_parameters_means_the_same(self, api: BotApi, anna: Person) -> None:
        """A query, JSON, a form and a multipart body carry one call."""
        url = f"{api.url}/bot{api.token}/sendMessage"
        markup = json.dumps({"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]})
        form = {"chat_id": str(anna.id), "text": "[1]", "reply_markup": markup}

        answers = [
            httpx.get(url, params=form),
            httpx.post(url, json={"chat_id": anna.id, "text": "[1]", "reply_markup": json.loads(markup)}),
            httpx.post(url, data=form),
            httpx.post(url, data=form, files={"ignored": b"bytes"}),
        ]

        assert [answer.status_code for answer in answers] == [200] * 4
        assert {message.text for message in anna.chat.bot_messages} == {"[1]"}
        assert {message.buttons[0][0].data for message in anna.chat.bot_messages} == {"b"}
        assert [call.parameters for call in api.calls_of("sendmessage")] == [api.calls[0].parameters] * 4
        assert api.calls[3].files == {"ignored": b"bytes"}

    def test_method_names_ignore_case(self, api: BotApi) -> None:
        assert raw(api, "GETme").json()["result"]["username"] == api.username

    @pytest.mark.parametrize(
        ("path", "status", "description"),
        [
            ("/bot1:wrong/getMe", 401, "Unauthorized"),
            ("/botnonsense/getMe", 404, "Not Found"),
            ("/", 404, "Not Found"),
            ("/bot{token}/getNothing", 404, "Not Found"),
            ("/file/bot{token}/photos/file_99.jpg", 404, "Not Found"),
            ("/file/bot1:wrong/photos/file_0.jpg", 401, "Unauthorized"),
        ],
    )
    def test_a_wrong_path_is_refused(self, api: BotApi, path: str, status: int, description: str) -> None:
        answer = httpx.get(api.url + path.format(token=api.token))

        assert answer.status_code == status
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.json() == {"ok": False, "error_code": status, "description": description}

    async def test_python_telegram_bot_knows_the_refusal_of_a_token(self, api: BotApi) -> None:
        bot = bot_of(api, "1:wrong")

        with pytest.raises(InvalidToken):
            await bot.initialize()

        await bot.shutdown()
        assert [(call.method, call.status) for call in api.calls] == [("getMe", 401)]

    @pytest.mark.parametrize("body", [b"{", b"[1, 2]", b'{"text": "\xff"}'])
    def test_a_broken_body_is_refused(self, api: BotApi, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}

        answer = httpx.post(f"{api.url}/bot{api.token}/sendMessage", content=body, headers=headers)

        assert answer.status_code == 400

    def test_a_lone_surrogate_is_refused(self, api: BotApi, anna: Person) -> None:
        body = f'{{"chat_id": {anna.id}, "text": "\\ud800"}}'

        answer = httpx.post(
            f"{api.url}/bot{api.token}/sendMessage", content=body, headers={"Content-Type": "application/json"}
        )

        assert answer.json()["description"] == "Bad Request: strings must be encoded in UTF-8"


class TestUpdates:
    """getUpdates."""

    async def test_updates_stay_until_they_are_confirmed(self, bot: telegram.Bot, anna: Person) -> None:
        anna.sends_text("one")

        first = await bot.get_updates()
        again = await bot.get_updates(limit=1)
        rest = await bot.get_updates(offset=first[0].update_id + 1)

        assert [update.message.text for update in first if update.message] == ["/start", "one"]
        assert again[0].update_id == first[0].update_id
        assert [update.update_id for update in rest] == [first[1].update_id]
        assert await bot.get_updates(offset=rest[0].update_id + 1) == ()

    async def test_a_negative_offset_forgets_all_but_the_last(self, bot: telegram.Bot, anna: Person) -> None:
        anna.sends_text("last")

        await bot.get_updates(offset=-1)

        assert [update.message.text for update in await bot.get_updates() if update.message] == ["last"]

    async def test_a_long_poll_ends_when_something_comes(self, api: BotApi, bot: telegram.Bot) -> None:
        anna = api.person()
        began = time.monotonic()
        poll = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.to_thread(api.until, lambda: bool(api.calls_of("getUpdates")))

        anna.sends_text("now")

        assert len(await poll) == 1
        assert time.monotonic() - began < 10

    async def test_a_long_poll_ends_with_its_time(self, bot: telegram.Bot) -> None:
        began = time.monotonic()

        assert await bot.get_updates(timeout=1) == ()
        assert time.monotonic() - began >= 0.9

    async def test_the_older_of_two_polls_is_ended(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        [start] = await bot.get_updates()
        offset = start.update_id + 1
        older = asyncio.create_task(bot.get_updates(offset=offset, timeout=20))
        await asyncio.to_thread(api.until, lambda: len(api.calls_of("getUpdates")) == 2)

        async with bot_of(api, api.token) as rival:
            newer = asyncio.create_task(rival.get_updates(offset=offset, timeout=20))
            with pytest.raises(Conflict, match="terminated by other getUpdates request; make sure that only one bot"):
                await older
            anna.sends_text("to the newer")
            assert len(await newer) == 1

    async def test_the_bot_is_told_only_what_it_asked_for(self, bot: telegram.Bot, anna: Person) -> None:
        """allowed_updates counts for what comes later, and is kept by calls without it."""
        await bot.get_updates(offset=-1, allowed_updates=["edited_message"])
        photo = anna.sends_photo(picture())
        anna.edits_caption(photo, "later")

        updates = await bot.get_updates(offset=0)

        assert [bool(update.edited_message) for update in updates] == [False, True]

    def test_an_update_that_was_lost_on_the_way_comes_again(self, api: BotApi, anna: Person) -> None:
        api.drop("getUpdates")

        with pytest.raises(httpx.RemoteProtocolError):
            raw(api, "getUpdates")

        assert len(raw(api, "getUpdates").json()["result"]) == 1


class TestWebhook:
    """setWebhook and what follows."""

    async def test_updates_are_posted_until_they_are_taken(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        with receiver(500, 200, 200) as (url, received):
            await bot.set_webhook(url, secret_token=SECRET)
            anna.sends_text("two")
            await asyncio.to_thread(api.until, lambda: len(received) == 3)
            info = await bot.get_webhook_info()

        assert [update["message"]["text"] for _, update in received] == ["/start", "/start", "two"]
        assert {secret for secret, _ in received} == {SECRET}
        assert info.url == url
        assert info.last_error_message == "Wrong response from the webhook: 500 Internal Server Error"
        await asyncio.to_thread(
            api.until, lambda: not raw(api, "getWebhookInfo").json()["result"]["pending_update_count"]
        )

    async def test_a_webhook_and_polls_exclude_each_other(self, bot: telegram.Bot) -> None:
        await bot.set_webhook("http://127.0.0.1:9/")

        with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
            await bot.get_updates()

        await bot.delete_webhook(drop_pending_updates=True)
        assert await bot.get_updates() == ()
        assert (await bot.get_webhook_info()).url == ""

    @pytest.mark.parametrize("parameters", [{"url": "nonsense"}, {"secret_token": "a b"}, {"secret_token": "a" * 257}])
    def test_a_bad_webhook_is_refused(self, api: BotApi, parameters: dict[str, str]) -> None:
        assert raw(api, "setWebhook", **{"url": "http://127.0.0.1:9/", **parameters}).status_code == 400


class TestText:
    """sendMessage, and what Telegram makes of a text."""

    async def test_html_is_parsed(self, bot: telegram.Bot, anna: Person) -> None:
        html = '<b>Found 🙂</b> <a href="https://instagram.com/p/x/">a&lt;b</a> &amp; <code>@no_mention</code> @someone'

        sent = await bot.send_message(anna.id, html, parse_mode=ParseMode.HTML)

        assert sent.text == last(anna).text == "Found 🙂 a<b & @no_mention @someone"
        assert last(anna).html == html
        assert last(anna).entities == [
            ("bold", "Found 🙂", None),
            ("text_link", "a<b", "https://instagram.com/p/x/"),
            ("code", "@no_mention", None),
            ("mention", "@someone", None),
        ]
        assert list(sent.parse_entities().values()) == [mark.text for mark in last(anna).entities]

    async def test_plain_text_stays_as_it_is(self, bot: telegram.Bot, anna: Person) -> None:
        await bot.send_message(anna.id, " <b>& </b>\n")

        assert last(anna).text == "<b>& </b>"

    @pytest.mark.parametrize(
        ("html", "description"),
        [
            ("é<br>", 'Unsupported start tag "br" at byte offset 2'),
            ("I <3 you", 'Unsupported start tag "3" at byte offset 2'),
            ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
            ("<b", "Unclosed start tag at byte offset 0"),
            ("x</b>", "Unexpected end tag at byte offset 1"),
            ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
            ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
            ("<a href>x</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ],
    )
    async def test_bad_html_is_refused(self, bot: telegram.Bot, anna: Person, html: str, description: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            await bot.send_message(anna.id, html, parse_mode=ParseMode.HTML)

        assert refusal.value.message.lower() == f"can't parse entities: {description}".lower()

    @pytest.mark.parametrize(
        ("html", "kinds"),
        [
            ("<strong>a</strong><em>b</em><ins>c</ins><del>d</del>", ["bold", "italic", "underline", "strikethrough"]),
            ("<tg-spoiler>a</tg-spoiler><span class='tg-spoiler'>b</span>", ["spoiler", "spoiler"]),
            ("<blockquote expandable>a</blockquote>", ["expandable_blockquote"]),
            ('<pre><code class="language-python">x</code></pre>', ["pre"]),
            ('<tg-emoji emoji-id="1">🙂</tg-emoji>', ["custom_emoji"]),
            ("<b></b><a href='no link'>x</a>", []),
        ],
    )
    def test_every_tag_of_telegram_is_known(self, html: str, kinds: list[str]) -> None:
        assert [entity.kind for entity in parse_html(html).entities] == kinds

    def test_what_is_no_entity_stays(self) -> None:
        assert parse_html("&nbsp; & &#39;&#x1F642; &#0;").plain == "&nbsp; & '🙂 &#0;"

    def test_a_tag_that_is_not_closed_before_the_end_is_refused(self) -> None:
        with pytest.raises(Unparsable):
            parse_html('<a href="x')

    async def test_names_with_dots_become_links_as_on_the_real_server(self, bot: telegram.Bot, anna: Person) -> None:
        await bot.send_message(anna.id, "anna.me, see https://a.b/c. #tag /help@igsearch_bot")

        assert [(mark.kind, mark.text) for mark in last(anna).entities] == [
            ("url", "anna.me"),
            ("url", "https://a.b/c"),
            ("hashtag", "#tag"),
            ("bot_command", "/help@igsearch_bot"),
        ]

    @pytest.mark.parametrize(
        ("text", "description"),
        [(" \n", "Message text is empty"), ("<b> </b>", "Message text is empty"), ("🙂" * 2049, "Message is too long")],
    )
    async def test_a_text_has_a_length(self, bot: telegram.Bot, anna: Person, text: str, description: str) -> None:
        with pytest.raises(BadRequest, match=description):
            await bot.send_message(anna.id, text, parse_mode=ParseMode.HTML)

    async def test_length_is_counted_after_parsing(self, bot: telegram.Bot, anna: Person) -> None:
        await bot.send_message(anna.id, "<b>" + "&amp;" * 4096 + "</b>", parse_mode=ParseMode.HTML)

        assert last(anna).text == "&" * 4096

    async def test_only_html_is_understood(self, bot: telegram.Bot, anna: Person) -> None:
        with pytest.raises(BadRequest, match="parses no other text than html"):
            await bot.send_message(anna.id, "*x*", parse_mode=ParseMode.MARKDOWN_V2)


class TestReplies:
    """To which message a message of the bot belongs."""

    async def test_an_answer_is_found_by_what_it_answers(self, bot: telegram.Bot, anna: Person) -> None:
        question = anna.sends_photo(picture())

        sent = await bot.send_message(anna.id, "yes", reply_parameters=ReplyParameters(question.message_id))

        assert sent.reply_to_message
        assert sent.reply_to_message.photo
        assert [answer.text for answer in anna.answers_to(question)] == ["yes"]
        assert anna.answer_to(question, seconds=1) is anna.chat.next_bot_message(after=question, seconds=1)

    async def test_a_deleted_message_can_not_be_answered(self, bot: telegram.Bot, anna: Person) -> None:
        gone = anna.sends_text("gone")
        anna.deletes(gone)

        with pytest.raises(BadRequest, match="Message to be replied not found"):
            await bot.send_message(anna.id, "x", reply_parameters=ReplyParameters(gone.message_id))
        await bot.send_message(anna.id, "y", reply_to_message_id=gone.message_id, allow_sending_without_reply=True)

        assert [(message.text, message.reply_to) for message in anna.chat.bot_messages] == [("y", None)]

    async def test_a_person_replies_with_the_whole_original(self, bot: telegram.Bot, anna: Person) -> None:
        sent = await bot.send_message(anna.id, "question")

        anna.sends_text("answer", reply_to=last(anna))

        message = (await bot.get_updates(offset=-1))[0].message
        assert message
        assert message.reply_to_message == sent
        assert message.reply_to_message.from_user == bot.bot

    def test_waiting_in_vain_shows_the_recent_calls(self, api: BotApi, anna: Person) -> None:
        raw(api, "getMe")

        with pytest.raises(AssertionError, match=r"an answer to message 2(.|\n)*200 getMe"):
            anna.answer_to(anna.sends_text("?"), seconds=0.1)


class TestChats:
    """To whom the bot may write."""

    async def test_nobody_is_written_to_who_did_not_start(self, api: BotApi, bot: telegram.Bot) -> None:
        with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
            await bot.send_message(api.person().id, "hello")

    async def test_an_unknown_chat_is_not_found(self, bot: telegram.Bot) -> None:
        for chat in (1, "@nobody"):
            with pytest.raises(BadRequest, match="Chat not found"):
                await bot.send_message(chat, "hello")

    async def test_who_blocked_the_bot_gets_nothing_until_they_write(self, bot: telegram.Bot, anna: Person) -> None:
        anna.blocks()

        with pytest.raises(Forbidden, match="bot was blocked by the user"):
            await bot.send_chat_action(anna.id, "typing")

        change = (await bot.get_updates(offset=-1))[0].my_chat_member
        assert change
        assert change.new_chat_member.status == "kicked"
        anna.sends_text("again")
        await bot.send_message(anna.id, "welcome")

    async def test_a_group_may_throw_the_bot_out(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        group = api.group()
        anna.removes_bot(group)
        anna.sends_text("/unseen", chat=group)

        with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
            await bot.send_message(group.id, "hello")

        anna.adds_bot(group)
        await bot.send_message(group.id, "hello")
        assert [message.text for message in group.bot_messages] == ["hello"]

    async def test_privacy_shows_the_bot_what_is_meant_for_it(
        self, api: BotApi, bot: telegram.Bot, anna: Person
    ) -> None:
        group = api.group()
        unseen = anna.sends_photo(picture(), chat=group, caption="nice")
        await bot.send_message(group.id, "I am here")
        anna.sends_text("/search@other_bot", chat=group)
        anna.sends_text("@igsearch_bot2 hello", chat=group)
        meant = [
            anna.sends_text("/search", chat=group),
            anna.sends_text("/search@IGsearch_bot now", chat=group),
            anna.sends_text("@igsearch_bot who?", chat=group, reply_to=unseen),
            anna.sends_photo(picture(), chat=group, caption="who, @igsearch_bot?"),
            anna.sends_text("thanks", chat=group, reply_to=group.bot_messages[0]),
            anna.joins(group),
            anna.pins(unseen),
            anna.leaves(group),
        ]

        messages = [update.message for update in (await bot.get_updates())[1:] if update.message]

        assert [message.message_id for message in messages] == [message.message_id for message in meant]
        original = messages[2].reply_to_message
        assert original
        assert (original.message_id, bool(original.photo)) == (unseen.message_id, True)

    async def test_without_privacy_the_bot_sees_everything(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        anna.sends_text("hello", chat=api.group(privacy=False))

        assert len(await bot.get_updates()) == 2

    async def test_a_channel_posts(self, api: BotApi, bot: telegram.Bot) -> None:
        channel = api.channel()
        channel.posts_text("news")
        channel.posts_photo(picture(), caption="look")

        posts = [update.channel_post for update in await bot.get_updates()]

        assert [(post.text, post.caption, post.from_user) for post in posts if post] == [
            ("news", None, None),
            (None, "look", None),
        ]

    async def test_ids_are_those_of_today(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        """Ids of users need more than 32 bits, and those of groups are negative."""
        assert anna.id > 2**32
        assert str(api.group().id).startswith("-100")
        assert (await bot.get_chat(anna.id)).first_name == "Anna"

    async def test_the_bot_leaves(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        group = api.group()

        await bot.leave_chat(group.id)

        with pytest.raises(Forbidden, match="not a member"):
            await bot.send_message(group.id, "x")
        with pytest.raises(BadRequest):
            await bot.leave_chat(anna.id)

    async def test_actions_are_kept(self, bot: telegram.Bot, anna: Person) -> None:
        await bot.send_chat_action(anna.id, "typing")

        assert [action.action for action in anna.chat.actions] == ["typing"]
        with pytest.raises(BadRequest, match="Wrong parameter action"):
            await bot.send_chat_action(anna.id, "dancing")


class TestEdits:
    """Messages that change and go."""

    async def test_the_message_shows_what_it_says_now(self, bot: telegram.Bot, anna: Person) -> None:
        sent = await bot.send_message(
            anna.id, "wait", reply_markup=keyboard(InlineKeyboardButton("a", callback_data="b"))
        )
        shown = last(anna)

        await bot.edit_message_text("<i>done</i>", anna.id, sent.message_id, parse_mode=ParseMode.HTML)

        assert (shown.text, shown.html, shown.edits, shown.buttons) == ("done", "<i>done</i>", 1, [])

    async def test_an_edit_must_change_something(self, bot: telegram.Bot, anna: Person) -> None:
        markup = keyboard(InlineKeyboardButton("a", callback_data="b"))
        sent = await bot.send_message(anna.id, "x", reply_markup=markup)

        with pytest.raises(BadRequest, match="Message is not modified: specified new message content and reply markup"):
            await bot.edit_message_text("x", anna.id, sent.message_id, reply_markup=markup)
        with pytest.raises(BadRequest, match="not modified"):
            await bot.edit_message_reply_markup(anna.id, sent.message_id, reply_markup=markup)

        await bot.edit_message_reply_markup(anna.id, sent.message_id)
        assert last(anna).buttons == []

    async def test_only_own_messages_of_the_right_kind_are_edited(self, bot: telegram.Bot, anna: Person) -> None:
        text = await bot.send_message(anna.id, "x")
        photo = await bot.send_photo(anna.id, picture())

        for wrong, number in [
            ("Message to edit not found", 999),
            ("Message can't be edited", 1),
            ("There is no text in the message to edit", photo.message_id),
        ]:
            with pytest.raises(BadRequest, match=wrong):
                await bot.edit_message_text("y", anna.id, number)
        with pytest.raises(BadRequest, match="There is no caption"):
            await bot.edit_message_caption(anna.id, text.message_id, caption="y")
        await bot.edit_message_caption(anna.id, photo.message_id, caption="y")

        assert (last(anna).caption, last(anna).edits) == ("y", 1)

    async def test_a_deleted_message_is_gone(self, bot: telegram.Bot, anna: Person) -> None:
        sent = await bot.send_message(anna.id, "x")
        shown = last(anna)

        await bot.delete_message(anna.id, sent.message_id)

        assert shown.is_deleted
        assert anna.chat.bot_messages == []
        with pytest.raises(BadRequest, match="Message to delete not found"):
            await bot.delete_message(anna.id, sent.message_id)

    async def test_a_person_edits(self, bot: telegram.Bot, anna: Person) -> None:
        anna.edits_text(anna.sends_text("hello"), "/help")

        edited = (await bot.get_updates(offset=-1))[0].edited_message
        assert edited
        assert (edited.text, [entity.type for entity in edited.entities]) == ("/help", ["bot_command"])


class TestButtons:
    """Inline keyboards and presses."""

    async def test_a_press_is_answered_once(self, bot: telegram.Bot, anna: Person) -> None:
        button = InlineKeyboardButton("More", callback_data="more:1")
        link = InlineKeyboardButton("Post", url="https://instagram.com/p/x/")
        await bot.send_message(anna.id, "x", reply_markup=keyboard(button, link))

        press = anna.presses(last(anna), "More")
        query = (await bot.get_updates(offset=-1))[0].callback_query
        assert query
        await query.answer("here", show_alert=True)

        assert (query.data, query.from_user.id) == ("more:1", anna.id)
        assert press.answer(seconds=1)[:2] == ("here", True)
        assert press.answer(seconds=1).seconds < 10
        with pytest.raises(BadRequest, match="Query is too old"):
            await query.answer()
        with pytest.raises(AssertionError, match="opens a link"):
            anna.presses(last(anna), "Post")
        with pytest.raises(AssertionError, match="no button"):
            anna.presses(last(anna), "Less")

    async def test_a_press_is_answered_briefly(self, bot: telegram.Bot) -> None:
        with pytest.raises(BadRequest, match="Message_too_long"):
            await bot.answer_callback_query("1", "x" * 201)
        with pytest.raises(BadRequest, match="query id is invalid"):
            await bot.answer_callback_query("1")

    async def test_data_of_no_button_can_be_sent(self, bot: telegram.Bot, anna: Person) -> None:
        await bot.send_message(anna.id, "x")

        anna.presses_raw(last(anna), "'; DROP")

        query = (await bot.get_updates(offset=-1))[0].callback_query
        assert query
        assert query.data == "'; DROP"

    @pytest.mark.parametrize(
        ("button", "description"),
        [
            ({"text": "a", "callback_data": "é" * 33}, "BUTTON_DATA_INVALID"),
            ({"text": "a", "callback_data": ""}, "BUTTON_DATA_INVALID"),
            ({"text": "a"}, "text buttons are unallowed in the inline keyboard"),
            ({"text": "", "callback_data": "a"}, "can't parse inline keyboard button: Text is empty"),
            (
                {"text": "a", "callback_data": "a", "url": "https://a.b"},
                "can't parse inline keyboard button: it must have exactly one action",
            ),
            ({"text": "a", "url": "ftp://a"}, "inline keyboard button URL 'ftp://a' is invalid: Wrong HTTP URL"),
        ],
    )
    def test_a_bad_button_is_refused(self, api: BotApi, anna: Person, button: dict[str, str], description: str) -> None:
        answer = raw(api, "sendMessage", chat_id=anna.id, text="x", reply_markup={"inline_keyboard": [[button]]})

        assert answer.json()["description"] == f"Bad Request: {description}"

    async def test_buttons_are_at_most_a_hundred(self, bot: telegram.Bot, anna: Person) -> None:
        row = [InlineKeyboardButton("a", callback_data="b")]

        await bot.send_message(anna.id, "x", reply_markup=InlineKeyboardMarkup([row] * 100))
        with pytest.raises(BadRequest):
            await bot.send_message(anna.id, "x", reply_markup=InlineKeyboardMarkup([row] * 101))


class TestFiles:
    """What people send, what the bot fetches, and what it sends."""

    async def test_a_photo_comes_in_sizes(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        data = picture(400, 300)
        anna.sends_photo(data, caption="/who is this")

        message = (await bot.get_updates(offset=-1))[0].message
        assert message
        fetched = await (await bot.get_file(message.photo[-1])).download_as_bytearray()
        small = await (await bot.get_file(message.photo[0])).download_as_bytearray()

        assert [(size.width, size.height) for size in message.photo] == [(90, 68), (320, 240), (400, 300)]
        assert message.photo[-1].file_size == len(data)
        assert bytes(fetched) == data
        assert Image.open(io.BytesIO(small)).size == (90, 68)
        assert [download.file_id for download in api.downloads] == [message.photo[-1].file_id, message.photo[0].file_id]
        assert message.caption_entities[0].type == "bot_command"

    async def test_every_kind_of_message_is_understood(self, bot: telegram.Bot, anna: Person) -> None:
        anna.sends_photo(b"no picture")
        anna.sends_document(b"d", file_name="a.heic", mime_type="image/heic", thumbnail=picture(), caption="c")
        anna.sends_sticker(b"s", is_animated=True, thumbnail=picture())
        anna.sends_animation(b"a", thumbnail=picture())
        anna.sends_video(b"v", thumbnail=picture(), file_size=2**31)
        anna.sends_video_note(b"n")
        anna.sends_voice(b"w")

        messages = [update.message for update in (await bot.get_updates())[1:] if update.message]
        photo, document, sticker, animation, video, note, voice = messages

        assert photo.photo
        assert document.document
        assert document.document.thumbnail
        assert (document.document.file_name, document.caption) == ("a.heic", "c")
        assert sticker.sticker
        assert sticker.sticker.is_animated
        assert animation.animation
        assert animation.document
        assert animation.document.file_id == animation.animation.file_id
        assert video.video
        assert video.video.file_size == 2**31
        assert note.video_note
        assert voice.voice
        assert (await bot.get_file(document.document)).file_path == f"{bot.base_file_url}/documents/file_4.heic"

    async def test_an_album_is_messages_of_one_group(self, bot: telegram.Bot, anna: Person) -> None:
        anna.sends_album([picture()] * 3, captions=["first"])

        album = [update.message for update in (await bot.get_updates())[1:] if update.message]

        assert [message.caption for message in album] == ["first", None, None]
        assert len({message.media_group_id for message in album}) == 1

    async def test_a_big_or_unknown_file_is_refused(self, bot: telegram.Bot, anna: Person) -> None:
        sent = anna.sends_document(b"x", file_size=20 * 1024 * 1024 + 1)

        with pytest.raises(BadRequest, match="File is too big"):
            await bot.get_file(sent.raw["document"]["file_id"])
        with pytest.raises(BadRequest, match="Wrong file_id or the file is temporarily unavailable"):
            await bot.get_file("AgACAgIAAxkBAAI")

    async def test_the_bot_sends_photos_and_documents(self, bot: telegram.Bot, anna: Person) -> None:
        sent = await bot.send_photo(anna.id, picture(), caption="<b>c</b>", parse_mode=ParseMode.HTML)
        photo = last(anna)
        await bot.send_photo(anna.id, sent.photo[-1])
        again = last(anna)
        await bot.send_document(anna.id, telegram.InputFile(b"rows", filename="a.csv", attach=True))

        assert (photo.photo, photo.caption, photo.entities) == (picture(), "c", [("bold", "c", None)])
        assert again.photo == picture()
        assert (last(anna).document, last(anna).caption) == (b"rows", "")

    @pytest.mark.parametrize(
        ("data", "status", "description"),
        [
            (b"no picture", 400, "Bad Request: IMAGE_PROCESS_FAILED"),
            (picture(2100, 100), 400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
            (picture(9000, 1001, kind="PNG"), 400, "Bad Request: PHOTO_INVALID_DIMENSIONS"),
            (b"", 400, "Bad Request: file must be non-empty"),
            (None, 400, "Bad Request: there is no photo in the request"),
            (bytes(10 * 1024 * 1024 + 1), 413, "Request Entity Too Large"),
            (bytes(51 * 1024 * 1024), 413, "Request Entity Too Large"),
        ],
        ids=["no-picture", "too-long", "too-large", "empty", "none", "too-big", "far-too-big"],
    )
    def test_a_bad_photo_is_refused(
        self, api: BotApi, anna: Person, data: bytes | None, status: int, description: str
    ) -> None:
        url = f"{api.url}/bot{api.token}/sendPhoto"

        answer = httpx.post(
            url,
            data={"chat_id": str(anna.id)},
            files={"photo" if data is not None else "other": data or b""},
            timeout=30,
        )

        assert (answer.status_code, answer.json()["description"]) == (status, description)

    async def test_a_caption_is_shorter_than_a_text(self, bot: telegram.Bot, anna: Person) -> None:
        with pytest.raises(BadRequest, match="Message caption is too long"):
            await bot.send_photo(anna.id, picture(), caption="x" * 1025)


class TestProfile:
    """What people see of the bot before they write."""

    async def test_commands_are_kept_by_scope_and_language(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        await bot.set_my_commands([("start", "Start")])
        await bot.set_my_commands([("start", "Los")], language_code="de")
        await bot.set_my_commands([("admin", "More")], scope=telegram.BotCommandScopeChat(anna.id))

        german = [{"command": "start", "description": "Los"}]
        assert list(api.commands) == [("default", ""), ("default", "de"), (f"chat/{anna.id}", "")]
        assert api.commands["default", "de"] == german
        assert [command.description for command in await bot.get_my_commands(language_code="de")] == ["Los"]
        await bot.delete_my_commands(language_code="de")
        assert await bot.get_my_commands(language_code="de") == ()

    @pytest.mark.parametrize(
        "command", [("Start", "x"), ("a" * 33, "x"), ("", "x"), ("start", ""), ("start", "x" * 257)]
    )
    async def test_a_bad_command_is_refused(self, bot: telegram.Bot, command: tuple[str, str]) -> None:
        with pytest.raises(BadRequest):
            await bot.set_my_commands([command])

    async def test_descriptions_are_kept_by_language(self, api: BotApi, bot: telegram.Bot) -> None:
        await bot.set_my_description("Finds photos")
        await bot.set_my_short_description("Findet Fotos", language_code="de")
        await bot.set_my_name("igsearch")

        assert api.profile["description", ""] == "Finds photos"
        assert (await bot.get_my_description("de")).description == "Finds photos"
        assert (await bot.get_my_short_description("de")).short_description == "Findet Fotos"
        assert (await bot.get_my_name()).name == "igsearch"
        with pytest.raises(BadRequest):
            await bot.set_my_short_description("x" * 121)

    async def test_the_rest_says_yes(self, bot: telegram.Bot) -> None:
        assert await bot.close()
        assert await bot.log_out()


class TestFaults:
    """What may go wrong between Telegram and the bot."""

    async def test_a_call_fails_as_often_as_asked(self, api: BotApi, bot: telegram.Bot, anna: Person) -> None:
        api.fail("sendMessage", status=500, times=2)

        for _ in range(2):
            with pytest.raises(NetworkError, match="Internal Server Error"):
                await bot.send_message(anna.id, "x")
        await bot.send_message(anna.id, "y")

        assert [message.text for message in anna.chat.bot_messages] == ["y"]
        assert [call.status for call in api.calls_of("sendMessage")] == [500, 500, 200]

    async def test_too_many_requests_say_when_to_come_again(
        self, api: BotApi, bot: telegram.Bot, anna: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PTB_TIMEDELTA", "1")  # without it python-telegram-bot warns of its next version
        bert = api.person(first_name="Bert")
        bert.sends_text("hello")
        api.fail("sendMessage", retry_after=3, chat_id=bert.id)

        await bot.send_message(anna.id, "x")
        with pytest.raises(RetryAfter) as refusal:
            await bot.send_message(bert.id, "x")

        assert refusal.value.retry_after == timedelta(seconds=3)

    def test_a_proxy_answers_with_a_page(self, api: BotApi) -> None:
        api.fail("getMe", status=502, body="<h1>502</h1>")

        answer = raw(api, "getMe")

        assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (
            502,
            "<h1>502</h1>",
            "text/html; charset=utf-8",
        )

    def test_a_cut_call_was_not_carried_out(self, api: BotApi, anna: Person) -> None:
        api.drop("sendMessage")

        with pytest.raises(httpx.RemoteProtocolError):
            raw(api, "sendMessage", chat_id=anna.id, text="x")

        assert anna.chat.bot_messages == []
        assert [call.status for call in api.calls_of("sendMessage")] == [None]

    def test_a_late_answer_comes_after_the_deed(self, api: BotApi, anna: Person) -> None:
        api.hang("sendMessage", seconds=30)

        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{api.url}/bot{api.token}/sendMessage", json={"chat_id": anna.id, "text": "x"}, timeout=0.3)

        assert [message.text for message in anna.chat.bot_messages] == ["x"]

    def test_downloads_fail_too(self, api: BotApi, anna: Person) -> None:
        slow, quick = (anna.sends_document(name) for name in (b"slow", b"quick"))
        slow_url, quick_url = (download_url(api, sent.raw["document"]["file_id"]) for sent in (slow, quick))

        api.hang("file", seconds=0.5, file_of=slow)
        began = time.monotonic()
        assert httpx.get(quick_url).content == b"quick"
        assert httpx.get(slow_url).content == b"slow"
        assert time.monotonic() - began >= 0.5
        api.fail("file", status=404)
        assert httpx.get(quick_url).status_code == 404
        api.drop("file")
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(quick_url)
        assert len(api.downloads) == 2

    def test_the_server_goes_and_comes_back(self, api: BotApi, anna: Person) -> None:
        """Polls under way end at once, and what was kept is still there afterwards."""
        raw(api, "getUpdates", offset=-1)
        failed: list[Exception] = []
        poll = threading.Thread(target=lambda: failed.append(failure_of_a_poll(api)))
        poll.start()
        api.until(lambda: len(api.calls_of("getUpdates")) == 2)

        api.stop()
        poll.join(10)

        assert isinstance(failed[0], httpx.TransportError)
        with pytest.raises(httpx.ConnectError):
            raw(api, "getMe")
        anna.sends_text("while it was away")
        api.start()
        assert raw(api, "getUpdates").json()["result"][-1]["message"]["text"] == "while it was away"

    def test_a_bug_of_the_server_is_told(self) -> None:
        with pytest.raises(ExceptionGroup), bot_api() as api:
            raw(api, "setMyCommands", commands=[1])


def download_url(api: BotApi, file_id: str) -> str:
    path = raw(api, "getFile", file_id=file_id).json()["result"]["file_path"]
    return f"{api.url}/file/bot{api.token}/{path}"


def failure_of_a_poll(api: BotApi) -> Exception:
    with pytest.raises(httpx.TransportError) as failure:
        raw(api, "getUpdates", offset=500_000_002, timeout=30)
    return failure.value


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[str | None, dict[str, Any]]]]]:
    """Run a web server that notes the secret and the update of each post, and answers with the next status."""
    received: list[tuple[str | None, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = statuses[len(received)]
            received.append((self.headers["X-Telegram-Bot-Api-Secret-Token"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
