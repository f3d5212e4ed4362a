"""The command line as a person and a program meet it: real processes, exit codes, what is printed and what is not."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.mariadb import MariaDB
from tests.once import once
from tests.pictures import encode, photo, photo_bytes
from tests.shell import PROGRAM, Shell

COUNTS = ["added", "updated", "moved", "removed", "unchanged", "unreadable", "ignored", "seconds"]
FIRST, SECOND, UNKNOWN = (photo_bytes(seed) for seed in (1, 2, 3))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.put("images/anna/a.jpg", FIRST)
    shell.put("images/bob/b.jpg", SECOND)
    return shell


def index_two_photos(folder: Path) -> None:
    shell = Shell(folder)
    shell.put("images/anna/a.jpg", FIRST)
    shell.put("images/bob/b.jpg", SECOND)
    assert shell.igsearch("index").code == 0


@pytest.fixture
def indexed(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Shell:
    """A copy of a dataset of two photos and its database."""
    shutil.copytree(once(tmp_path_factory, "two-photos", index_two_photos), tmp_path, dirs_exist_ok=True)
    return Shell(tmp_path)


def test_index_then_search_names_the_account(shell: Shell) -> None:
    """The README's two commands: index a dataset, search a photo, read the username."""
    shell.put("query.jpg", FIRST)

    index = shell.igsearch("index", "--dataset", "images", program=PROGRAM)
    search = shell.igsearch("search", "--dataset", "images", "--query", "query.jpg", program=PROGRAM)

    assert (index.code, search.code) == (0, 0)
    assert index.lines[-1].startswith("2 added, 0 updated, 0 moved, 0 removed, 0 unchanged, 0 unreadable, 0 ignored")
    assert search.out == "anna\n"
    assert search.err == ""
    assert sorted(path.name for path in (shell.folder / "images").rglob("*")) == ["a.jpg", "anna", "b.jpg", "bob"]


def test_index_json_ends_with_the_counts(shell: Shell) -> None:
    """The last line of `index --json` is one object of the counts; nothing else is on standard output."""
    shell.put("images/bob/broken.jpg", FIRST[:999])

    first, second = shell.igsearch("index", "--json", "--light"), shell.igsearch("index", "--json")

    assert list(first.objects[-1]) == COUNTS
    assert len(first.lines) == 1
    assert (first.objects[0]["added"], first.objects[0]["unreadable"]) == (2, 1)
    assert (second.objects[0]["unchanged"], second.objects[0]["unreadable"]) == (2, 1)


def test_search_json_is_the_contract(indexed: Shell) -> None:
    """A search prints one object a query with the agreed keys, in the order of the queries."""
    for name, content in {"q/1.jpg": FIRST, "q/2.png": UNKNOWN, "q/3": b"no picture"}.items():
        indexed.put(name, content)

    ended = indexed.igsearch("search", "--json", "--query", "q", "--query", "images/bob/b.jpg")

    found, unknown, broken, other = ended.objects
    assert ended.code == 0
    assert [one["query"] for one in ended.objects] == ["q/1.jpg", "q/2.png", "q/3", "images/bob/b.jpg"]
    keys = ["query", "verdict", "matches", "similar", "searched", "milliseconds", "error"]
    assert all(list(one) == keys for one in ended.objects)
    assert found["verdict"] == "match"
    assert found["matches"] == [
        {
            "username": "anna",
            "confidence": 1.0,
            "how": ["identical"],
            "images": [{"path": "anna/a.jpg", "confidence": 1.0}],
        }
    ]
    assert found["searched"] == {"images": 2, "users": 2, "revision": found["searched"]["revision"]}
    assert (unknown["verdict"], unknown["matches"], unknown["error"]) == ("none", [], None)
    assert (broken["verdict"], broken["matches"]) == ("error", [])
    assert "not a picture of a supported type" in broken["error"]
    assert other["matches"][0]["username"] == "bob"


def test_standard_input_is_a_query(indexed: Shell) -> None:
    """`-` reads the photo from standard input."""
    assert indexed.igsearch("search", "--query", "-", stdin=SECOND, program=PROGRAM).out == "bob\n"


def test_verbose_tells_how(indexed: Shell) -> None:
    """`--verbose` adds how sure it is, how it matched, and the path."""
    ended = indexed.igsearch("search", "--verbose", "--query", "images/anna/a.jpg")

    assert ended.out == "anna\t100.0 % (same photo)\tidentical\tthe whole query\tanna/a.jpg\n"


def test_a_part_of_a_photo_is_found_and_shown(indexed: Shell) -> None:
    """A crop names its account; verbose says where it matched, and show-match draws it."""
    part = indexed.put("part.jpg", encode(photo(1, (400, 300)).crop((40, 30, 330, 280)), "JPEG"))

    found = indexed.igsearch("search", "--query", "part.jpg", "--verbose")
    shown = indexed.igsearch("show-match", "--query", str(part), "shown.png")
    nobody = indexed.igsearch("show-match", "--query", str(indexed.put("unknown.jpg", UNKNOWN)), "none.png")

    username, sureness, how, place, path = found.lines[0].split("\t")
    assert (username, path) == ("anna", "anna/a.jpg")
    assert re.fullmatch(r"\d+\.\d % \((same photo|likely|possible)\)", sureness)
    assert how.startswith("cropped to about 6")
    assert place == "at 0-100 % across, 0-100 % down of the query"
    assert (shown.code, shown.out) == (0, "anna: shown.png\n")
    with Image.open(indexed.folder / "shown.png") as picture:
        assert picture.format == "PNG"
    assert (nobody.code, (indexed.folder / "none.png").exists()) == (1, False)
    assert "nothing found" in nobody.err


def test_show_match_draws_the_thumbnail_where_the_file_is_gone(indexed: Shell) -> None:
    """A photo that was deleted since is still shown, from the store."""
    (indexed.folder / "images/anna/a.jpg").unlink()
    indexed.put("query.jpg", FIRST)

    shown = indexed.igsearch("show-match", "--query", "query.jpg", "shown.png")

    assert shown.code == 0
    assert (indexed.folder / "shown.png").exists()


def test_light_indexing_leaves_features_for_later(shell: Shell) -> None:
    """With --light every photo waits in the backlog; a plain run then makes what is missing, and changes no counts."""
    quick = shell.igsearch("index", "--light", "--json")
    waiting = shell.igsearch("stats", "--json").objects[0]["backlog"]
    whole = shell.igsearch("index", "--json")
    left = shell.igsearch("stats", "--json").objects[0]["backlog"]

    assert (quick.objects[-1]["added"], waiting) == (2, 2)
    assert (whole.objects[-1]["added"], whole.objects[-1]["unchanged"], left) == (0, 2, 0)
    assert list(whole.objects[-1]) == COUNTS


def test_audit_proves_the_index(indexed: Shell) -> None:
    """Every photo finds itself; one that is filed under another's fingerprint does not, and that is exit code 1."""
    proved = indexed.igsearch("audit", "--sample", "10")
    as_json = indexed.igsearch("audit", "--json", "--seed", "3")
    indexed.put("images/anna/a.jpg", UNKNOWN)
    failed = indexed.igsearch("audit")

    assert (proved.code, proved.lines[-1]) == (0, "2 of 2 found at rank 1, 0 missed")
    assert as_json.objects == [{"found": 2, "missed": 0, "too_little_detail": 0, "unreadable": 0}]
    assert failed.code == 1
    assert failed.lines[0] == "missed anna/a.jpg: nobody was found instead"


def test_a_link_to_a_query_is_followed(indexed: Shell) -> None:
    """A person may name a query by a symbolic link."""
    (indexed.folder / "link").symlink_to("images/anna/a.jpg")

    assert indexed.igsearch("search", "--query", "link").out == "anna\n"


def test_nothing_found_is_said_with_what_was_searched(indexed: Shell) -> None:
    """An unknown photo exits 1, prints no username, and says on standard error what was searched; quietly, nothing."""
    indexed.put("unknown.jpg", UNKNOWN)

    ended = indexed.igsearch("search", "--query", "unknown.jpg")
    quiet = indexed.igsearch("search", "--quiet", "--query", "unknown.jpg")

    assert (ended.code, ended.out) == (1, "")
    assert "nothing found among 2 photos of 2 accounts" in ended.err
    assert (quiet.code, quiet.out, quiet.err) == (1, "", "")


def test_a_blank_query_is_unsearchable(indexed: Shell) -> None:
    """A blank picture exits 1 and says that it shows too little."""
    indexed.put("white.png", encode(Image.new("RGB", (64, 64), "white"), "PNG"))

    ended = indexed.igsearch("search", "--query", "white.png")

    assert (ended.code, ended.out) == (1, "")
    assert "too little detail" in ended.err


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "words"),
    [
        ([], {}, 2, ""),
        (["nonsense"], {}, 2, "nonsense"),
        (["search"], {}, 2, "--query"),
        (["search", "--query", "missing.jpg"], {}, 66, "No such file"),
        (["search", "--query", "empty"], {}, 66, "holds no picture"),
        (["search", "--query", "images/notes.pdf"], {}, 65, "not a picture of a supported type"),
        (["index", "--dataset", "missing"], {}, 66, "missing"),
        (["index", "--dataset", "images/notes.pdf"], {}, 66, "is not a folder"),
        (["stats", "--dataset", "elsewhere"], {}, 66, "no dataset folder"),
        (["stats", "--dataset", "empty"], {}, 69, "igsearch index"),
        (["stats"], {"IGSEARCH_DATABASE_URL": "mysql://u:hush@127.0.0.1:1/x"}, 69, "unavailable"),
        (["stats"], {"IGSEARCH_DATABASE_URL": "oracle://u:hush@h/x"}, 78, "IGSEARCH_DATABASE_URL"),
        (["index"], {"IGSEARCH_WORKERS": "many", "IGSEARCH_RESCAN": "never"}, 78, "IGSEARCH_RESCAN"),
    ],
)
def test_a_fault_is_one_line_and_its_exit_code(
    indexed: Shell, arguments: list[str], variables: dict[str, str], code: int, words: str
) -> None:
    """Whatever is wrong: the agreed exit code, one line on standard error that says it, and no secret."""
    indexed.put("images/notes.pdf", b"%PDF-1.7")
    (indexed.folder / "empty").mkdir()

    ended = indexed.igsearch(*arguments, variables=variables)

    assert ended.code == code
    assert words in ended.err
    assert "hush" not in ended.err
    if arguments:
        assert len(ended.err.splitlines()) == 1


def test_any_found_query_makes_success(indexed: Shell) -> None:
    """Of several queries one that is found gives exit code 0, whatever became of the others."""
    ended = indexed.igsearch("search", "--query", "missing.jpg", "--query", "images/anna/a.jpg")

    assert (ended.code, ended.out) == (0, "anna\n")


def test_stats_and_failures_are_the_contract(indexed: Shell) -> None:
    """`stats --json` and `failures --json` have the agreed keys; names that are not UTF-8 are escaped."""
    bad = os.path.join(os.fsencode(indexed.folder), b"images/anna/\xff\n.jpg")
    with open(bad, "wb") as file:
        file.write(b"no picture")
    indexed.igsearch("index")

    stats, failures = indexed.igsearch("stats", "--json"), indexed.igsearch("failures", "--json")
    text = indexed.igsearch("failures")

    [figures], [failure] = stats.objects, failures.objects
    assert {"images", "users", "backlog", "unreadable", "revision", "last_scan"} <= figures.keys()
    assert (figures["images"], figures["users"], figures["unreadable"], figures["backlog"]) == (2, 2, 1, 0)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00", figures["last_scan"])
    assert os.fsencode(failure["path"]) == b"anna/\xff\n.jpg"
    assert (failure["kind"], failure["attempts"], failure["next_retry"]) == ("type", 1, None)
    assert len(text.lines) == 1
    assert text.lines[0].startswith(r"anna/\udcff\n.jpg: This is not a picture")


def test_another_indexer_is_refused(indexed: Shell) -> None:
    """While the writer's lock is held a second `index` exits 75, and searches go on."""
    with (indexed.folder / "images.igsearch.db.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = indexed.igsearch("index")
        search = indexed.igsearch("search", "--query", "images/anna/a.jpg")

    assert refused.code == 75
    assert "Another indexer" in refused.err
    assert search.out == "anna\n"


def test_an_interrupted_index_ends_well_and_is_continued(shell: Shell) -> None:
    """SIGINT amid indexing exits 0 within its time without a traceback; the next run adds exactly the rest."""
    for number in range(300):
        shell.put(f"images/carl/{number:03}.jpg", FIRST + bytes(number))
    command = [sys.executable, "-m", "igsearch", "index", "--json"]
    process = subprocess.Popen(
        command, cwd=shell.folder, env=shell.environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    database = shell.folder / "images.igsearch.db-wal"
    while process.poll() is None and not (database.exists() and database.stat().st_size > 200_000):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)

    first = json.loads(out)
    rest = shell.igsearch("index", "--json").objects[0]

    assert process.returncode == 0
    assert err.startswith(b"Interrupted")
    assert len(err.splitlines()) == 1
    assert first["added"] + rest["added"] == 302
    assert rest["unchanged"] == first["added"]


def test_sigterm_to_all_processes_blames_no_photo(shell: Shell) -> None:
    """When a service manager ends the whole process group, no photo is put in the ledger for it."""
    for number in range(300):
        shell.put(f"images/carl/{number:03}.jpg", FIRST + bytes(number))
    process = subprocess.Popen(
        [sys.executable, "-m", "igsearch", "index"],
        cwd=shell.folder,
        env=shell.environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    database = shell.folder / "images.igsearch.db-wal"
    while process.poll() is None and not (database.exists() and database.stat().st_size > 200_000):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
    os.killpg(process.pid, signal.SIGTERM)

    assert process.wait(10) == 0
    assert shell.igsearch("failures").out == ""


def test_a_reader_that_leaves_is_no_fault(indexed: Shell) -> None:
    """When the reader of the output goes away, as `head` does, nothing is complained about."""
    command = f"'{sys.executable}' -m igsearch search --query images | true; exit ${{PIPESTATUS[0]}}"

    ended = subprocess.run(
        ["bash", "-c", command], cwd=indexed.folder, env=indexed.environment({}), capture_output=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, b"")


def test_another_core_folder_in_the_way_is_harmless(indexed: Shell) -> None:
    """A folder named core/ in the current folder is never imported."""
    indexed.put("core/__init__.py", b"raise SystemExit('the wrong core')")
    indexed.put("core/errors.py", b"raise SystemExit('the wrong core')")

    assert indexed.igsearch("search", "--query", "images/anna/a.jpg", program=PROGRAM).out == "anna\n"


@pytest.mark.parametrize("name", ["with a space", "p?#%41 odd", "ü😀"])
def test_odd_folders_work(shell: Shell, name: str) -> None:
    """Dataset folders of any name can be indexed and searched."""
    (shell.folder / "images").rename(shell.folder / name)

    shell.igsearch("index", "--dataset", name)
    search = shell.igsearch("search", "--dataset", name, "--query", f"{name}/anna/a.jpg")

    assert search.out == "anna\n"
    assert (shell.folder / f"{name}.igsearch.db").exists()


def test_plain_lines_carry_no_colour(indexed: Shell) -> None:
    """What goes to a pipe or file has no terminal codes, also under FORCE_COLOR with NO_COLOR."""
    for command in (["index"], ["stats"], ["--help"]):
        ended = indexed.igsearch(*command, variables={"NO_COLOR": "1"}, program=PROGRAM)

        assert "\x1b" not in ended.out + ended.err


def with_heavy_imports_told(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; the last line of its output is the set of the large libraries that it imported."""
    code = f"import sys, igsearch; sys.argv = ['igsearch', *{arguments}]\n"
    code += "try: igsearch.main()\nexcept SystemExit: pass\n"
    code += "print({'numpy', 'sqlalchemy', 'PIL', 'cv2'} & set(sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_help_names_every_command_quickly() -> None:
    """`--help` lists the commands without importing numpy, SQLAlchemy, Pillow or OpenCV."""
    ended = with_heavy_imports_told("--help")

    assert all(name in ended.stdout for name in ("index", "search", "init-db", "stats", "failures"))
    assert ended.stdout.splitlines()[-1] == "set()"


def test_a_usage_error_is_told_quickly() -> None:
    """A mistyped option is named without importing numpy, SQLAlchemy, Pillow or OpenCV."""
    ended = with_heavy_imports_told("stats", "--datset", "x")

    assert ended.stderr.startswith("igsearch: No such option: --datset")
    assert ended.stdout == "set()\n"


@pytest.fixture
def urls(mariadb: MariaDB, tmp_path: Path) -> list[str]:
    return [f"sqlite:///{tmp_path / 'same.db'}", mariadb.create_database("cli")]


def test_both_databases_give_the_same_answers(shell: Shell, urls: list[str]) -> None:
    """SQLite and MariaDB answer the same queries alike."""
    shell.put("images/carl/a.jpg", encode(photo(1), "JPEG", quality=30))
    shell.put("q/unknown.jpg", UNKNOWN)
    answers = []
    for url in urls:
        there = {"IGSEARCH_DATABASE_URL": url}
        index = shell.igsearch("index", variables=there)
        ended = shell.igsearch("search", "--json", "--query", "images", "--query", "q", variables=there)
        answers.append([{**one, "milliseconds": 0} for one in ended.objects])
        assert (index.code, ended.code) == (0, 0)

    assert answers[0] == answers[1]
    assert [[match["username"] for match in one["matches"]] for one in answers[0]] == [
        ["anna", "carl"],
        ["bob"],
        ["carl", "anna"],
        [],
    ]


def test_a_forgotten_account_is_found_no_more(indexed: Shell) -> None:
    """It is in no answer, nor indexed again, until that is taken back; the list tells of it throughout."""
    forgotten = indexed.igsearch("forget", "@Anna")
    again = indexed.igsearch("index", "--json")
    searched = indexed.igsearch("search", "--query", "images/anna/a.jpg")
    undone = indexed.igsearch("forget", "--undo", "anna")
    listed = indexed.igsearch("forget", "--list", "--json")
    indexed.igsearch("index")
    found = indexed.igsearch("search", "--query", "images/anna/a.jpg")

    assert forgotten.lines == [
        "anna: 1 photo(s) forgotten. It is in no answer any more, and is not indexed again.",
        "Its folder images/anna is left alone: remove it yourself if the photos are to go, too.",
    ]
    assert (again.objects[0]["added"], again.objects[0]["ignored"]) == (0, 1)
    assert (searched.code, searched.out) == (1, "")
    assert undone.code == 0
    assert [(entry["username"], entry["images"]) for entry in listed.objects] == [("anna", 1)]
    assert listed.objects[0]["undone_at"] > listed.objects[0]["forgotten_at"]
    assert found.lines == ["anna"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name one account, or give --list"),
        (("a..b",), 2, "'a..b' is no username: a username neither starts"),
        (("anna", "--list"), 2, "name one account, or give --list"),
        (("--undo", "bob"), 1, "bob is not forgotten: `igsearch forget --list` shows who is."),
    ],
)
def test_who_is_to_be_forgotten_must_be_clear(indexed: Shell, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Whatever is no account, or not on the list, is said, and changes nothing."""
    ended = indexed.igsearch("forget", *arguments)

    assert ended.code == code
    assert said in ended.err
    assert indexed.igsearch("search", "--query", "images/anna/a.jpg").lines == ["anna"]


def test_health_without_a_daemon_is_1(indexed: Shell) -> None:
    """Where no service was ever heard of, or there is no database, the exit code is 1 and a line says what to do."""
    never, nothing = indexed.igsearch("health"), indexed.igsearch("health", "--dataset", "nowhere", "--json")

    assert (never.code, nothing.code) == (1, 1)
    assert never.lines[1] == "failing indexer   it never reported: start it with `igsearch watch`"
    assert "There is no dataset folder nowhere" in nothing.objects[0]["database"]["detail"]
