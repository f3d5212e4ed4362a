"""An hour of everything at once, as in a deployment: the daemon, both bots, churn, people who ask, accounts that go.

python -m benchmarks.soak.soak_hour
python -m benchmarks.soak.soak_hour --minutes 3 --forget-every 1 > enduring.txt 2>&1 &

On a private MariaDB run the real `igsearch watch`, `igsearch telegram` and `igsearch discord`, the bots against the
servers of the tests. The dataset has the real photos, which lie still, and small photos, which churn as in
benchmarks/soak/churn_hour.py, three changes a second. At each bot somebody new asks every two seconds, about a real
photo (a whole copy, or a crop, screenshot or captioned copy), about one that churns (a whole copy), about an unknown
one, or with a hostile file. Every five minutes an account of real photos is
forgotten, and that is undone a minute later.

An answer is judged by where the photo lay: it may name an account that had it within the last minute before it was
asked for, and must name one that had it all the time; it must not name one that is forgotten, from 5 s after the
command on. "nothing" means that an account is missing in the answer, "refused" that the bot did not search.

Every minute are printed, of each process with its children: memory (PSS) and open files; the answers since the
minute before; the photos that wait for their features, by `igsearch stats`; and the lag: how long a dropped
photo takes until its row is there. At the end the record must equal the disk.

Exits 1 when an answer names a wrong account, does not come, or tells of a fault in igsearch; when an account is named
while it is forgotten, or not named a minute after that was undone; when the memory of a process grows by 5 MiB or more
in 10 minutes (least squares over the second half, from 20 minutes on), or its open files grow; when a log tells of an
error; when the record does not equal the disk; when a lag is over a minute; or when SIGTERM does not end a process with
0 within 10 s.
"""

import argparse
import hashlib
import math
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Event, Lock
from typing import Any

from benchmarks.lab.bots import WARM_SECONDS, Asked, Bot
from benchmarks.lab.churn import PROBE, SAMPLE_SECONDS, catch_up, churn, drift, measured_lag
from benchmarks.lab.daemon import ERROR, Daemon, watching
from benchmarks.lab.databases import Ask, folder_and_target, photo_count, reading, wait_until_indexed
from benchmarks.lab.discord import discord_bot
from benchmarks.lab.edits import edited_copies
from benchmarks.lab.hostile_pictures import hostile_files
from benchmarks.lab.photos import files_of, fill, put
from benchmarks.lab.processes import MIB, Sample, rollup, sampling
from benchmarks.lab.queries import PART, UNKNOWN, WHOLE, Query, as_sent
from benchmarks.lab.script import parser, report
from benchmarks.lab.telegram import telegram_bot
from benchmarks.lab.timing import shown, sleep_until, wait_until
from tests.shell import Shell

LATE_SECONDS = 60.0
"""How long an answer may name an account that has the photo no more, and need not name one that has it only now."""
FORGET_SECONDS, FORGOTTEN_SECONDS = 5.0, 60.0
"""After which nobody may name an account that is forgotten; and until that is undone."""
HOSTILE, QUESTION_SECONDS = 300, 2.0
SLOPE_GOAL, JUDGED_MINUTES = 5.0, 20
"""MiB in 10 minutes; in a shorter run a worker more or less looks like a slope."""
KINDS = {"whole": 6, "part": 6, "churned": 5, "unknown": 2, "hostile": 1}
CHURNED = "churned"
VERDICTS = ("right", "wrong", "nothing", "refused", "lost")
UNEXPECTED = "unexpected"
SHOWN_EXAMPLES = 5


@dataclass(slots=True)
class Stay:
    """A photo in an account, from a moment on until another."""

    account: str
    begin: float
    end: float = math.inf


@dataclass(slots=True)
class Absence:
    """An account that is forgotten: when the command began and ended, and when it was begun to be undone."""

    account: str
    begin: float
    gone: float = math.inf
    undone: float = math.inf


@dataclass(slots=True)
class Whereabouts:
    """Which photo, by its SHA-256, lay in which account, and when; and which accounts were forgotten."""

    root: Path
    _places: dict[Path, str] = field(default_factory=dict)
    _stays: dict[str, list[Stay]] = field(default_factory=lambda: defaultdict(list))
    _digests: dict[tuple[int, int, int], str] = field(default_factory=dict)
    _absences: list[Absence] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def look(self, *, now: float | None = None) -> None:
        """Take note of what lies where; `now` is when it came there, the clock's time unless given."""
        moment = time.monotonic() if now is None else now
        folders = [folder for folder in self.root.iterdir() if folder.name != PROBE]
        places = {path: self._digest(path) for folder in folders for path in folder.iterdir()}
        accounts: dict[str, set[str]] = defaultdict(set)
        for path, photo in places.items():
            accounts[photo].add(path.parent.name)
        with self._lock:
            self._places = places
            for photo in self._stays.keys() | accounts.keys():
                _move(self._stays[photo], accounts[photo], moment)

    def any_place(self, chance: random.Random, *, is_churned: bool) -> tuple[Path, str]:
        """Return where a photo lies, and which it is."""
        with self._lock:
            fitting = [path for path in self._places if _is_churned(path.parent.name) == is_churned]
            path = chance.choice(fitting)
            return path, self._places[path]

    def allowed(self, photo: str, begin: float, end: float) -> set[str]:
        """Return the accounts that an answer may name, which was asked for and given at these moments."""
        with self._lock:
            stays = [one for one in self._stays[photo] if one.end >= begin - LATE_SECONDS and one.begin <= end]
            hidden = {one.account for one in self._absences if one.gone + FORGET_SECONDS <= begin and end < one.undone}
            return {one.account for one in stays} - hidden

    def required(self, photo: str, begin: float, end: float) -> set[str]:
        """Return the accounts that an answer must name."""
        with self._lock:
            stays = [one for one in self._stays[photo] if one.begin <= begin - LATE_SECONDS and one.end >= end]
            away = {one.account for one in self._absences if one.begin <= end and begin - LATE_SECONDS <= one.undone}
            return {one.account for one in stays} - away

    def absent(self, account: str) -> Absence:
        absence = Absence(account, time.monotonic())
        with self._lock:
            self._absences.append(absence)
        return absence

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if stamp not in self._digests:
            self._digests[stamp] = _sha256(path.read_bytes())
        return self._digests[stamp]


def _move(stays: list[Stay], accounts: set[str], now: float) -> None:
    """End the stays in accounts that a photo lies in no more, and begin those in others."""
    standing = [one for one in stays if one.end == math.inf]
    for one in standing:
        if one.account not in accounts:
            one.end = now
    stays += [Stay(account, now) for account in accounts - {one.account for one in standing}]


def _is_churned(account: str) -> bool:
    return account.startswith((CHURNED, "renamed."))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a kind of KINDS, the bytes that are sent, and the photo that they show, if it is one of ours."""

    kind: str
    data: bytes
    photo: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question: a verdict, and what there is to say of it."""

    kind: str
    verdict: str
    remark: str = ""


class Requester:
    """Thinks of questions, in the shares of KINDS."""

    def __init__(self, whereabouts: Whereabouts, unknown: Sequence[Path], hostile: Sequence[bytes], seed: str) -> None:
        self._whereabouts = whereabouts
        self._unknown = unknown
        self._chance = random.Random(seed)
        self._hostile = cycle(self._chance.sample(hostile, len(hostile)))

    def question(self) -> Question:
        [kind] = self._chance.choices(list(KINDS), list(KINDS.values()))
        if kind == "hostile":
            return Question(kind, next(self._hostile))
        if kind == "unknown":
            return Question(kind, as_sent(self._chance.choice(self._unknown)))
        return self._about_one_of_ours(kind)

    def _about_one_of_ours(self, kind: str) -> Question:
        """Ask about a photo that is still there and the same when it is copied."""
        while True:
            path, photo = self._whereabouts.any_place(self._chance, is_churned=kind == CHURNED)
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            if _sha256(data) == photo:
                return Question(kind, as_sent(data if kind == CHURNED else self._edited(path, kind)), photo)

    def _edited(self, path: Path, kind: str) -> bytes:
        edit = self._chance.choice(WHOLE if kind == "whole" else PART)
        return edited_copies([path], [edit], 1, self._unknown)[0]


@dataclass(frozen=True, slots=True)
class Process:
    """One of the processes, its samples, and the MiB that it had itself at first, without its children."""

    name: str
    daemon: Daemon
    samples: list[Sample]
    first: float

    @property
    def figures(self) -> str:
        """Say memory and open files."""
        return f"{self.samples[-1].pss / MIB:12.1f} {self.samples[-1].open_files:5}"

    def faults(self, *, is_long: bool) -> list[str]:
        """Print how memory and open files went, and end it; return what is wrong."""
        last = own_memory(self.daemon)
        print(f"{self.name}, without its children: {self.first:.1f} MiB at first, {last:.1f} at last")
        print(f"{self.name}: ", end="")
        faults = drift(self.samples, goal=SLOPE_GOAL if is_long else math.inf)
        ended = self.daemon.terminate()
        print(f"{self.name}: at SIGTERM exit code {ended.code} after {ended.seconds:.1f} s", flush=True)
        errors = [f"{times} x in the log: {error}" for error, times in self.daemon.complaints(ERROR).items()]
        return [f"{self.name}: {fault}" for fault in faults + ended.faults + errors]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs, the dataset, and what is known of it."""

    folder: Path
    url: str
    whereabouts: Whereabouts
    bots: Mapping[str, Bot[Any]]
    processes: Sequence[Process]
    answers: list[Answer] = field(default_factory=list)
    is_over: Event = field(default_factory=Event)

    @property
    def dataset(self) -> Path:
        return self.folder / "images"

    @property
    def variables(self) -> dict[str, str]:
        return {"IGSEARCH_DATABASE_URL": self.url}


def main() -> int:
    arguments = parse()
    with ExitStack() as stack:
        folder, target = stack.enter_context(folder_and_target(is_sqlite=arguments.sqlite))
        unknown = lay_out(folder / "images", arguments)
        url = target.create("soak_hour")
        ask = stack.enter_context(reading(url))
        stage = stack.enter_context(running_all(folder, url, ask, arguments.settle))
        print(f"{photo_count(ask):,} photos, {target.name}, {arguments.rate:g} changes a second", flush=True)
        for bot in stage.bots.values():
            bot.warm_up(unknown[0])
        faults = live_through(stage, ask, unknown, arguments)
        faults += catch_up(ask, stage.dataset, arguments.settle) + judge_answers(stage)
        for process in stage.processes:
            faults += process.faults(is_long=arguments.minutes >= JUDGED_MINUTES)
        return report(faults)


def parse() -> argparse.Namespace:
    options = parser(__doc__, has_photos=True, has_daemon=True)
    options.add_argument("--minutes", type=int, default=60)
    options.add_argument("--files", type=int, default=1_000, help="small photos, which churn")
    options.add_argument("--folders", type=int, default=25, help="their accounts")
    options.add_argument("--rate", type=float, default=3, help="changes a second")
    options.add_argument("--forget-every", type=float, default=5, help="minutes until the next account is forgotten")
    return options.parse_args()


# What runs


def lay_out(dataset: Path, arguments: argparse.Namespace) -> list[Path]:
    """Fill a dataset with photos that lie still and others that will churn; return the photos that are left out."""
    chance = random.Random(arguments.seed)
    paths = files_of(arguments.photos)
    unknown = chance.sample(paths, UNKNOWN)
    for path in sorted(set(paths) - set(unknown)):
        put(path, dataset / path.parent.name / path.name)
    fill(dataset, files=arguments.files, folders=arguments.folders, chance=chance, prefix=CHURNED)
    return unknown


@contextmanager
def running_all(folder: Path, url: str, ask: Ask, settle: float) -> Iterator[Stage]:
    """Run the daemon until all is indexed, then the bots too, and sample all three."""
    whereabouts = Whereabouts(folder / "images")
    whereabouts.look(now=-math.inf)
    with ExitStack() as stack:
        daemon = stack.enter_context(watching(folder / "images", url, folder / "watch.log", settle_seconds=settle))
        wait_until_indexed(ask, len(files_of(folder / "images")))
        bots: dict[str, Bot[Any]] = {
            "telegram": stack.enter_context(telegram_bot(folder, url)),
            "discord": stack.enter_context(discord_bot(folder, url)),
        }
        daemons = {"watch": daemon} | {name: bot.process for name, bot in bots.items()}
        processes = [
            Process(name, one, stack.enter_context(sampling(one.session, every=SAMPLE_SECONDS)), own_memory(one))
            for name, one in daemons.items()
        ]
        yield Stage(folder, url, whereabouts, bots, processes)


def own_memory(daemon: Daemon) -> float:
    """Return the memory of a process alone, in MiB: its workers keep what their largest picture took."""
    return rollup(Path(f"/proc/{daemon.session}")).get("Pss", 0) / MIB


# The hour


def live_through(stage: Stage, ask: Ask, unknown: Sequence[Path], arguments: argparse.Namespace) -> list[str]:
    """Let everything happen, print a line a minute, and return the faults."""
    hostile = hostile_files(arguments.photos, HOSTILE)
    with ThreadPoolExecutor(len(stage.bots) + 2) as pool:
        started = time.monotonic()
        works: list[Future[Any]] = [pool.submit(churning, stage, arguments)]
        for name, bot in stage.bots.items():
            asker = Requester(stage.whereabouts, unknown, hostile, f"{name} {arguments.seed}")
            works.append(pool.submit(inquire, stage, bot, asker))
        forgotten = pool.submit(forget_now_and_then, stage, arguments.forget_every, random.Random(arguments.seed))
        try:
            faults = print_minutes(stage, ask, [*works, forgotten], started, arguments.minutes)
        finally:
            stage.is_over.set()
        changes = works[0].result()
    print(", ".join(f"{kind}: {times:,}" for kind, times in changes.most_common()))
    for work in works:
        work.result()
    return faults + forgotten.result()


def churning(stage: Stage, arguments: argparse.Namespace) -> Counter[str]:
    return churn(
        stage.dataset,
        seconds=math.inf,
        rate=arguments.rate,
        chance=random.Random(arguments.seed + 1),
        is_cancelled=stage.is_over,
        only=f"{CHURNED}*",
        changed=stage.whereabouts.look,
    )


def print_minutes(stage: Stage, ask: Ask, works: Sequence[Future[Any]], started: float, minutes: int) -> list[str]:
    faults: list[str] = []
    names = " ".join(f"{process.name + ' MiB':>12} files" for process in stage.processes)
    print(f"minute {names} {' '.join(VERDICTS)} backlog {'lag':>5}", flush=True)
    seen = 0
    for minute in range(1, minutes + 1):
        sleep_until(started + 60 * minute)
        for work in works:
            if work.done():
                work.result()
        now = len(stage.answers)
        faults += print_minute(minute, stage, ask, stage.answers[seen:now])
        seen = now
    return faults


def print_minute(minute: int, stage: Stage, ask: Ask, answers: Sequence[Answer]) -> list[str]:
    for process in stage.processes:
        assert process.daemon.process.poll() is None, f"{process.name} ended: {process.daemon.end_of_log()}"
    verdicts = Counter(one.verdict for one in answers)
    waiting = Shell(stage.folder).figures(stage.variables)["backlog"]
    lag, faults = measured_lag(ask, stage.dataset, minute)
    figures = " ".join(process.figures for process in stage.processes)
    counts = " ".join(f"{verdicts[name]:{len(name)}}" for name in VERDICTS)
    print(f"{minute:6} {figures} {counts} {waiting:7} {shown(lag):>5}", flush=True)
    return faults


# People who ask


def inquire(stage: Stage, bot: Bot[Any], asker: Requester) -> None:
    """Ask one question after the other, one each two seconds, until it is over."""
    due = time.monotonic()
    while not stage.is_over.wait(max(0.0, due - time.monotonic())):
        due = max(due + QUESTION_SECONDS, time.monotonic())
        question = asker.question()
        asked = asked_about(bot, question)
        stage.answers.append(judged(question, asked, stage.whereabouts))


def asked_about(bot: Bot[Any], question: Question) -> Asked:
    """Ask, and wait for the answer; hostile pictures are sent as files."""
    asked: Asked
    if question.kind != "hostile":
        asked = bot.ask(Query(question.data, None))
    else:
        asked = bot.send_file(question.data)
        bot.wait([asked], seconds=WARM_SECONDS)
    return asked


def judged(question: Question, asked: Asked, whereabouts: Whereabouts) -> Answer:
    refusal = asked.refusal
    if refusal == "silent":
        return Answer(question.kind, "lost", "no answer")
    if question.kind == "hostile" and refusal != UNEXPECTED:
        return Answer(question.kind, "right", refusal or "searched")
    if refusal:
        return Answer(question.kind, "refused", refusal)
    begin, end, named = asked.at, asked.at + asked.seconds, set(asked.named)
    photo = question.photo or ""
    if wrong := named - whereabouts.allowed(photo, begin, end):
        return Answer(question.kind, "wrong", f"it named {', '.join(sorted(wrong))}")
    if missing := whereabouts.required(photo, begin, end) - named:
        return Answer(question.kind, "nothing", f"it did not name {', '.join(sorted(missing))}")
    return Answer(question.kind, "right")


def judge_answers(stage: Stage) -> list[str]:
    """Print what became of all questions, by kind, and return the faults."""
    print(f"{'':8} {' '.join(f'{name:>8}' for name in VERDICTS)}")
    for kind in KINDS:
        counts = Counter(one.verdict for one in stage.answers if one.kind == kind)
        print(f"{kind:8} {' '.join(f'{counts[name]:8,}' for name in VERDICTS)}")
    for verdict in VERDICTS[1:]:
        remarks = Counter(f"{one.kind}: {one.remark}" for one in stage.answers if one.verdict == verdict)
        for remark, times in remarks.most_common(SHOWN_EXAMPLES):
            print(f"    {verdict}, {times} x {remark}")
    bad = Counter(one.verdict for one in stage.answers if one.verdict in {"wrong", "lost"})
    bad[UNEXPECTED] = sum(one.remark == UNEXPECTED for one in stage.answers)
    return [f"{times} answers are {kind}" for kind, times in bad.items() if times]


# Accounts that are forgotten


def forget_now_and_then(stage: Stage, minutes: float, chance: random.Random) -> list[str]:
    """Forget an account each so many minutes, until it is over, and return the faults."""
    faults: list[str] = []
    accounts = sorted(path.name for path in stage.dataset.iterdir() if not _is_churned(path.name))
    due = time.monotonic() + 60 * minutes
    while not stage.is_over.wait(max(0.0, due - time.monotonic())):
        faults += forget_for_a_minute(stage, chance.choice(accounts), chance)
        due += 60 * minutes
    return faults


def forget_for_a_minute(stage: Stage, account: str, chance: random.Random) -> list[str]:
    """Forget an account, undo that, and ask for one of its photos meanwhile and afterwards."""
    path = chance.choice(sorted((stage.dataset / account).iterdir()))
    query = Query(as_sent(path), account)
    absence = stage.whereabouts.absent(account)
    faults = commanded(stage, "forget", account)
    absence.gone = time.monotonic()
    time.sleep(FORGET_SECONDS)
    faults += [f"{name} names {account}" for name, bot in stage.bots.items() if account in bot.ask(query).words]
    stage.is_over.wait(max(0.0, absence.gone + FORGOTTEN_SECONDS - time.monotonic()))
    absence.undone = time.monotonic()
    faults += commanded(stage, "forget", "--undo", account)
    for name, bot in stage.bots.items():
        if wait_until(partial(is_named, bot, query), seconds=LATE_SECONDS, every=1.0) is None:
            faults.append(f"{name} does not name {account} {LATE_SECONDS:g} s after that was undone")
    back = time.monotonic() - absence.undone
    print(f"{account} forgotten in {absence.gone - absence.begin:.1f} s, named again after {back:.1f} s", flush=True)
    return faults


def is_named(bot: Bot[Any], query: Query) -> bool:
    return query.owner in bot.ask(query).named


def commanded(stage: Stage, *command: str) -> list[str]:
    ended = Shell(stage.folder).igsearch(*command, variables=stage.variables)
    return [f"igsearch {' '.join(command)}: exit code {ended.code}, {ended.err.strip()}"] if ended.code else []


if __name__ == "__main__":
    sys.exit(main())
