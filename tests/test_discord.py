"""The Discord bot as people meet it: the real process, against a gateway and REST server that behave as Discord's."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.accounts import DOTTED, DUNDER, OWNERS, SHARED, STRANGER, copied_dataset, cropped, jpeg, sent
from tests.fakes.discord.api import DiscordApi, discord_api
from tests.fakes.discord.channels import BotMessage, Guild
from tests.fakes.discord.content import Pings
from tests.fakes.discord.files import Serving
from tests.fakes.discord.interactions import Interaction
from tests.fakes.discord.people import Person
from tests.fakes.discord.stage import Stage
from tests.pictures import bombs, encode, lying, photo

TYPES = "I cannot read this kind of file: send a JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP or TIFF."
DAMAGED = "This picture is damaged and cannot be read: send another copy."
TOO_LARGE = "This picture is too large: send it as a photo, or a smaller copy."
HOSTILE = {"everyone": 11, "here": 12, "_.dot._": 13}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One bot for the whole module; each test brings people of its own."""
    shell = copied_dataset(tmp_path_factory, tmp_path_factory.mktemp("discord"), more=HOSTILE)
    with discord_api() as api:
        stage = Stage(shell, api)
        with stage.bot(IGSEARCH_LOG_LEVEL="DEBUG"):
            yield stage


@pytest.fixture
def api(stage: Stage) -> DiscordApi:
    return stage.api


@pytest.fixture
def anna(api: DiscordApi) -> Person:
    return api.person("anna")


@pytest.fixture
def guild(api: DiscordApi) -> Guild:
    return api.guild()


def search(
    person: Person, picture: bytes, where: Guild | None = None, *, name: str = "photo.jpg", **options: object
) -> Interaction:
    """Use /search with a picture."""
    return person.uses_command("search", {"image": person.attaches(name, picture), **options}, where=where)


def accounts(answer: BotMessage) -> list[str]:
    """Return the accounts that an answer names, in order, as they are read."""
    lines = answer.words.splitlines()
    return [line.split("[")[1].split("](")[0].replace("\\", "") for line in lines if "](https" in line and "—" in line]


# 1: /search


def test_search_answers_with_the_username(anna: Person, guild: Guild) -> None:
    """An embed with the account and its link, how sure, how it matched, the picture of the match; for all to see."""
    asked = search(anna, sent(DUNDER), guild)

    answer = asked.answer()

    [embed] = answer.embeds
    assert embed.title == "Found: 1 account"
    assert embed.description.splitlines() == [
        r"**1.** [\_\_dunder\_\_](https://www.instagram.com/__dunder__/) — 99.9 %, same photo",
        "*saved again*",
    ]
    [(name, picture)] = answer.files.items()
    assert embed.thumbnail is not None
    assert name in embed.thumbnail
    with Image.open(io.BytesIO(picture)) as shown:
        assert shown.size == (400, 300)
    assert asked.acknowledged() < 1
    assert not answer.is_ephemeral
    assert answer.pings == Pings()


@pytest.mark.parametrize("place", ["guild", "direct", "private"])
def test_search_works_everywhere(api: DiscordApi, anna: Person, place: str) -> None:
    """In a server, in a direct message, and in a talk with others by an app that a person installed for themselves."""
    where = {"guild": api.guild().channel, "direct": anna.direct, "private": anna.private}[place]

    answer = anna.uses_command("search", {"image": anna.attaches("a.jpg", cropped(DOTTED))}, where=where).answer()

    assert accounts(answer) == ["a.b_c"]
    assert "cropped to about 64 %" in answer.words


def test_a_private_answer_is_for_who_asked(anna: Person, guild: Guild) -> None:
    """With `private` nobody else sees it."""
    answer = search(anna, sent(DUNDER), guild, private=True).answer()

    assert answer.is_ephemeral
    assert accounts(answer) == ["__dunder__"]


# 2: the menu of a message


def test_any_message_can_be_searched_by_its_menu(api: DiscordApi, anna: Person, guild: Guild) -> None:
    """All pictures of a message, attached and embedded: one answer, numbered, for who asked alone."""
    bob = api.person("bob")
    link = bob.attaches("linked.jpg", sent(DOTTED))
    embed = {"type": "image", "url": "https://example.com/x", "thumbnail": {"url": link.url, "proxy_url": link.url}}
    files = [bob.attaches("1.jpg", sent(DUNDER)), bob.attaches("2.txt", b"x", "text/plain")]
    message = bob.sends_message(attachments=files, embeds=[embed], where=guild)

    answer = anna.uses_message_menu("Search this image", message).answer()

    assert answer.is_ephemeral
    assert [one.title for one in answer.embeds] == ["Picture 1", "Picture 2", "Picture 3"]
    assert accounts(answer) == ["__dunder__", "a.b_c"]
    assert answer.embeds[1].description == TYPES


def test_a_message_without_pictures_is_told(anna: Person, guild: Guild) -> None:
    """There is nothing to search, and a sentence says so, to who asked alone."""
    message = anna.sends_message("just words", where=guild)

    answer = anna.uses_message_menu("Search this image", message).answer()

    assert (answer.content, answer.is_ephemeral) == ("There is no picture in this message.", True)


# 3: direct messages and mentions


def test_a_picture_in_a_direct_message_is_searched(anna: Person) -> None:
    """One reply to it."""
    message = anna.sends_message(attachments=[anna.attaches("a.jpg", sent(DUNDER))])

    answer = anna.direct.answer_to(message)

    assert accounts(answer) == ["__dunder__"]
    assert answer.pings == Pings()


def test_a_picture_with_a_mention_is_searched_and_others_are_not(anna: Person, guild: Guild) -> None:
    """Without the privileged intent the bot sees no other picture, and says nothing about it."""
    picture = anna.attaches("a.jpg", sent(DUNDER))
    anna.sends_message("look", attachments=[picture], where=guild)
    asked = anna.sends_message("whose is it?", attachments=[picture], mentions_bot=True, where=guild)

    answer = guild.channel.answer_to(asked)

    assert accounts(answer) == ["__dunder__"]
    assert len(guild.channel.bot_messages) == 1


def test_words_in_a_direct_message_get_a_hint(anna: Person) -> None:
    """Who says hello is told how to ask."""
    assert "Use /search with a picture" in anna.direct.answer_to(anna.sends_message("hello")).content


# 4: whatever goes wrong


def flat() -> bytes:
    return encode(Image.new("RGB", (300, 300), "grey"), "JPEG")


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (sent(STRANGER), "Nothing found among 30 photos of 30 accounts, newest "),
        (flat(), "Too little detail to search: send a picture that shows more."),
        (b"no picture at all", TYPES),
        (jpeg(DUNDER)[:3000], DAMAGED),
        (bombs()["webp, lossless"](), TOO_LARGE),
    ],
    ids=["stranger", "flat", "text", "truncated", "bomb"],
)
def test_what_is_not_found_is_told_to_who_asked_alone(anna: Person, guild: Guild, picture: bytes, said: str) -> None:
    """Each has its own sentence, and nobody else sees it."""
    answer = search(anna, picture, guild).answer()

    assert answer.words.startswith(said)
    assert answer.is_ephemeral
    assert answer.buttons == []


def test_type_and_size_are_looked_at_before_the_download(api: DiscordApi, anna: Person, guild: Guild) -> None:
    """A PDF and a file of 30 MB are refused by what Discord says of them."""
    before = len(api.downloads)
    asked = [
        anna.uses_command("search", {"image": anna.attaches("a.pdf", b"%PDF", "application/pdf")}, where=guild),
        anna.uses_command("search", {"image": anna.attaches("a.jpg", b"x", size=30_000_000)}, where=guild),
    ]

    assert [one.answer().words for one in asked] == [TYPES, TOO_LARGE]
    assert all(one.answer().is_ephemeral for one in asked)
    assert len(api.downloads) == before


def test_a_file_that_is_larger_than_said_is_not_read_on(anna: Person, guild: Guild) -> None:
    """The download counts: a file that claims 1 kB and sends 40 MB is cut off."""
    liar = anna.attaches("a.jpg", bytes(40_000_000), size=1_000, serving=Serving(has_length=False))

    answer = anna.uses_command("search", {"image": liar}, where=guild).answer()

    assert answer.words == TOO_LARGE


def test_a_file_that_is_gone_is_told(anna: Person, guild: Guild) -> None:
    """A link that Discord does not serve any more."""
    gone = anna.attaches("a.jpg", sent(DUNDER), serving=Serving(is_gone=True))

    answer = anna.uses_command("search", {"image": gone}, where=guild).answer()

    assert answer.words == "I could not download this picture: send it again."


def test_a_slow_download_is_acknowledged_and_answered(api: DiscordApi, anna: Person, guild: Guild) -> None:
    """A CDN that needs 6 s: "thinking" within a second, then the answer; a stranger's to who asked alone."""
    known, strange = anna.attaches("a.jpg", sent(DUNDER)), anna.attaches("a.jpg", sent(STRANGER))
    for file in (known, strange):
        api.hang("/cdn/*", 6, file_of=file)

    asked = [anna.uses_command("search", {"image": file}, where=guild) for file in (known, strange)]

    found, missed = (one.answer() for one in asked)
    assert max(one.acknowledged() for one in asked) < 1
    assert (accounts(found), found.is_ephemeral) == (["__dunder__"], False)
    assert missed.words.startswith("Nothing found among")
    assert missed.is_ephemeral


def test_twenty_five_commands_at_once_are_all_answered_right(api: DiscordApi, guild: Guild) -> None:
    """Each is acknowledged in time, and gets its own photo's account."""
    seeds = [DUNDER, DOTTED, 11, 12, 13] * 5
    people = [api.person(f"person{number}") for number in range(25)]

    asked = [
        search(person, jpeg(seed, quality=50 + number), guild)
        for number, (person, seed) in enumerate(zip(people, seeds, strict=True))
    ]

    names = {DUNDER: "__dunder__", DOTTED: "a.b_c", **{seed: name for name, seed in HOSTILE.items()}}
    assert [accounts(one.answer()) for one in asked] == [[names[seed]] for seed in seeds]
    assert not any(one.failed for one in asked)


# 5: pages and buttons


def test_many_owners_come_in_pages_for_who_asked(api: DiscordApi, anna: Person, guild: Guild) -> None:
    """Buttons turn the pages in place; over all of them each owner stands once; others get a hint."""
    answer = search(anna, jpeg(SHARED), guild).answer()
    pages = [accounts(answer)]
    stranger = api.person("bob")

    refused = stranger.presses(answer, "Page 2 of 3 ›").answer()
    for label in ("Page 2 of 3 ›", "Page 3 of 3 ›"):
        turned = anna.presses(answer, label)
        assert turned.acknowledged() < 1
        api.until(lambda: answer.edits == len(pages), what="the page")
        pages.append(accounts(answer))

    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(name for page in pages for name in page) == OWNERS
    assert refused.is_ephemeral
    assert refused.content.startswith("This button is too old or from another chat")


@pytest.mark.parametrize("custom_id", ["x", "p:999999:1", "s:1:1:1", "igs", "p:0:0"])
def test_foreign_and_malformed_buttons_get_a_hint(anna: Person, guild: Guild, custom_id: str) -> None:
    """Whatever a button says that is not ours, who pressed it is told."""
    answer = search(anna, sent(DUNDER), guild).answer()

    hint = anna.presses_raw(answer, custom_id).answer()

    assert hint.content == "This button is too old or from another chat: send the photo again."
    assert hint.is_ephemeral


def test_the_matching_picture_is_shown_to_who_asked(anna: Person, guild: Guild) -> None:
    """Larger than beside the answer, and to nobody else."""
    answer = search(anna, cropped(DUNDER), guild).answer()

    shown = anna.presses(answer, "Show the picture").answer()

    assert shown.is_ephemeral
    assert list(shown.files) == ["match.jpg"]
    assert shown.content.startswith(r"[\_\_dunder\_\_](<https://www.instagram.com/__dunder__/>) — ")


def test_a_wrong_answer_is_reported(stage: Stage, anna: Person, guild: Guild) -> None:
    """The operator reads it on the command line."""
    answer = search(anna, sent(DOTTED), guild).answer()

    thanks = anna.presses(answer, "Wrong?").answer()

    assert thanks.content == "Thank you: this is noted for the operator to review."
    assert "discord: a.b_c 99.9 %" in stage.shell.igsearch("reports").out


# 6: nobody is pinged


@pytest.mark.parametrize("username", list(HOSTILE))
def test_hostile_names_are_shown_exactly_and_ping_nobody(anna: Person, guild: Guild, username: str) -> None:
    """Accounts called everyone and here, and attachments called so, are names and nothing else."""
    answer = search(anna, jpeg(HOSTILE[username]), guild, name="@everyone <@1> **here**.jpg").answer()

    assert accounts(answer) == [username]
    assert answer.pings == Pings()
    assert answer.allowed_mentions == {"parse": []}


# 7: the other commands, languages


def test_the_other_commands_answer(anna: Person, guild: Guild) -> None:
    """/help, /privacy and /stats, for who asked alone."""
    said = {name: anna.uses_command(name, where=guild).answer() for name in ("help", "privacy", "stats")}

    assert "Use /search with a picture" in said["help"].content
    assert "never written to a disk or a log" in said["privacy"].content
    assert said["stats"].content.startswith("I search 30 photos of 30 accounts, newest ")
    assert all(answer.is_ephemeral for answer in said.values())


def test_people_are_answered_in_their_language(api: DiscordApi, guild: Guild) -> None:
    """By the language of their Discord; the commands have their words in it too."""
    berta = api.person("berta", locale="de")

    answer = search(berta, sent(DUNDER), guild).answer()

    assert answer.embeds[0].title == "Gefunden: 1 Konto"
    commands = {command["name"]: command for command in api.commands.of(None)}
    assert commands["Search this image"]["name_localizations"]["de"] == "Dieses Bild suchen"
    assert commands["search"]["description_localizations"]["es-ES"] == "¿Qué cuenta de Instagram publicó esta imagen?"


@pytest.mark.parametrize(
    "picture",
    [
        encode(photo(DUNDER).convert("CMYK"), "JPEG"),
        encode(lying(photo(DUNDER), 6)[0], "JPEG", exif=lying(photo(DUNDER), 6)[1]),
        encode(photo(DUNDER), "HEIF"),
    ],
    ids=["cmyk", "turned", "heic"],
)
def test_odd_pictures_are_found(anna: Person, guild: Guild, picture: bytes) -> None:
    """As everywhere."""
    assert accounts(search(anna, picture, guild).answer()) == ["__dunder__"]


@pytest.mark.parametrize(
    "picture", [jpeg(DOTTED), sent(DUNDER), cropped(DOTTED), sent(STRANGER)], ids=["same", "sent", "cropped", "strange"]
)
def test_all_front_ends_say_the_same(stage: Stage, anna: Person, guild: Guild, picture: bytes) -> None:
    """The same photo gives the same usernames, order and percent here as on the command line and in JSON."""
    path = stage.shell.put("query.jpg", picture)

    answer = search(anna, picture, guild).answer()
    [result] = stage.shell.igsearch("search", "--query", str(path), "--json").objects

    said = [line.split(" — ")[1].split(",")[0] for line in answer.words.splitlines() if " — " in line]
    assert accounts(answer) == [match["username"] for match in result["matches"]]
    assert said == [f"{100 * match['confidence']:.1f} %" for match in result["matches"]]


# The connection to Discord


@pytest.mark.parametrize("trouble", ["pause", "error", "drop", "lost"])
@pytest.mark.parametrize("moment", ["first sign", "answer"])
def test_pauses_and_errors_are_lived_through(
    api: DiscordApi, anna: Person, guild: Guild, moment: str, trouble: str
) -> None:
    """A 429 is obeyed; a 5xx, a dropped connection and a lost answer are tried again: one answer, the right one."""
    path = "/webhooks/*" if moment == "answer" else "/interactions/*"
    picture = anna.attaches("a.jpg", sent(DUNDER))
    if moment == "answer":
        api.hang("/cdn/*", 1, file_of=picture)
    if trouble == "pause":
        api.fail("*", path, status=429, retry_after=1)
    elif trouble == "error":
        api.fail("*", path, status=502, body="<html>Bad Gateway</html>")
    else:
        api.drop("*", path, is_carried_out=trouble == "lost")

    asked = anna.uses_command("search", {"image": picture}, where=guild)

    assert accounts(asked.answer()) == ["__dunder__"]
    assert len(asked.answers) == 1


@pytest.mark.parametrize("call", ["DELETE", "POST"])
def test_a_private_reply_survives_a_lost_connection(api: DiscordApi, anna: Person, guild: Guild, call: str) -> None:
    """If nobody was found and a response of Discord is lost, the requester is told all the same."""
    picture = anna.attaches("a.jpg", sent(STRANGER))
    api.hang("/cdn/*", 1, file_of=picture)
    api.drop(call, "/webhooks/*", is_carried_out=call == "DELETE")

    answer = anna.uses_command("search", {"image": picture}, where=guild).answer()

    assert answer.words.startswith("Nothing found among")
    assert answer.is_ephemeral


def test_a_reply_whose_answer_is_lost_is_said_once(api: DiscordApi, anna: Person) -> None:
    """Discord has it already when it is said again."""
    api.drop("POST", "/channels/*/messages", is_carried_out=True)
    message = anna.sends_message(attachments=[anna.attaches("a.jpg", sent(DUNDER))])
    anna.direct.answer_to(message)

    api.until(lambda: len(api.calls_of("POST", f"/channels/{anna.direct.id}/messages")) >= 2, what="the second attempt")

    second = anna.sends_message(attachments=[anna.attaches("a.jpg", sent(DOTTED))])
    anna.direct.answer_to(second)
    assert len(anna.direct.answers_to(message)) == 1


def test_reconnections_are_lived_through_without_a_second_sync(api: DiscordApi, anna: Person, guild: Guild) -> None:
    """RESUME, reconnect requests, invalid sessions and a cut wire: the bot answers, and says its commands once."""
    for disturb in (
        api.reconnect,
        api.cut,
        lambda: api.invalid_session(resumable=True),
        lambda: api.invalid_session(resumable=False),
    ):
        disturb()
        api.until_online(seconds=40)
        assert accounts(search(anna, sent(DUNDER), guild).answer(seconds=40)) == ["__dunder__"]

    assert api.commands.bulk_puts[None] == 1
