"""A campaign: runs go on while a cluster and its S3 go wrong, and every promise of the design is checked on what they leave.

    python -m tests.e2e.chaos --seed 1 --minutes 60

needs what the end-to-end tests need (conftest.py), and a machine whose ports the cluster's pods can reach: S3 is spoilt by a proxy
here. The node is lost where E2E_LOSE_NODE and E2E_RETURN_NODE are commands, Argo restarted where E2E_RESTART_CONTROLLER and
E2E_RESTART_SERVER are. The seed draws what goes wrong, when, and what is submitted; what it hits depends on the cluster's pace,
which no seed repeats. All that it makes is gone afterwards. Exit code 1: a promise was broken, or the campaign itself failed.
"""

import argparse
import json
import os
import random
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from embedder.grid import Tile, Window, format_columns
from tests.e2e.bucket import Bucket, Output
from tests.e2e.cluster import OPERATOR, Cluster, Completed
from tests.e2e.promises import DISHONEST, INCOMPLETE, NEVER, PROMISES, Broken, Reference, Witness, check_names, check_rows, published, read
from tests.e2e.settings import Settings
from tests.e2e.storm import (
    BURST,
    CLUSTER,
    CONTROLLER,
    LONGEST_PAUSE_S,
    NODE,
    POD,
    REQUESTS,
    S3,
    SERVER,
    TERMINATED,
    WEBHOOK,
    Kinds,
    StormyProxy,
    Trouble,
    troubles,
)
from tests.e2e.workflow import Workflow
from tests.tiles import write_tile
from workflows.watch import result, snapshot

YEARS = (2020, 2021)
LANES = ((2020, "clay-v0.1"), (2021, "clay-v0.1"), (2020, "clay-v0.1-published"))
"""Year and recipe: runs of one year and recipe take turns, and those of different ones do not."""
TILES = {"N49W125": (3072, 1024), "N49W124": (1024, 512)}
"""Width and height of the pixels in each, from its north-west corner."""
COLUMNS = (0, 1, 2, 3, 4, 5, 24, 10, 500)
"""With two chips each or one; the last two have a tile without pixels, and no tile."""
CONFIGURATION = ("--weights", "random:0", "--precision", "fp32")
TWICE, FORCED = "a year is submitted twice at once", "a published run is forced"
KINDS = (*REQUESTS, *S3, *CLUSTER, TWICE, FORCED)
"""What a campaign can leave out."""
AGAIN = "by submit.py"
BUTTONS = {"resubmit": "by Resubmit through the API", "retry": "by Retry through the API"}
PHASES = ("Succeeded", "Failed", "Error")
CALM_AFTER = 6
"""Attempts at one submission, before it gets one that nothing disturbs, which must complete it."""
PAUSE_S = 5
"""Before another attempt, where nothing could be submitted."""
RUN_LIMIT_S = 1800
"""Argo looks at everything every 20 minutes."""
LINE_EVERY_S = 30
HONEST = {0, 1, 75}
"""Exit codes of `submit.py --wait` that can be true here: nothing is wrong with configuration and input, so that 78 is not."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a lane asks for, and repeats until it is published."""

    columns: tuple[int, ...]
    times: int
    """At once."""
    options: tuple[str, ...]

    @property
    def is_forced(self) -> bool:
        return "--force" in self.options


@dataclass(frozen=True, kw_only=True)
class Round:
    """Of a lane, in an output of its own: some columns, then more, then perhaps all of them by force."""

    has_weights: bool
    """Whether an earlier plan's slim weights lie there already."""
    submissions: tuple[Submission, ...]


def rounds(seed: str, kinds: set[str]) -> Iterator[Round]:
    """Without end, the same for the same seed."""
    draw = random.Random(seed)  # noqa: S311 - to be drawn again
    while True:
        columns = draw.sample(COLUMNS, draw.randint(3, 7))
        parts, made = [columns[: draw.randint(1, 3)], columns], []
        if draw.random() < 0.3 and FORCED in kinds:
            parts.append(columns)
        for number, part in enumerate(parts):
            options = [("--force",), ("--missing-only",), ()][0 if number == 2 else draw.choice((1, 2, 2))]
            times = 2 if draw.random() < 0.2 and TWICE in kinds else 1
            together = ("--columns-per-pod", str(draw.choice((1, 1, 2, 3))))
            made.append(Submission(columns=tuple(sorted(part)), times=times, options=(*options, *together)))
        yield Round(has_weights=draw.random() < 0.8, submissions=tuple(made))


@dataclass(kw_only=True)
class Campaign:
    """Under way."""

    seed: int
    kinds: set[str]
    cluster: Cluster
    proxy: StormyProxy
    bucket: Bucket
    references: dict[tuple[int, str], Reference]
    witness: Witness
    broken: Broken
    began: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)
    """Nothing more goes wrong, and no new submission begins."""
    counts: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    """How submissions and runs ended."""
    retries: dict[str, int] = field(default_factory=dict)
    """Pods that Argo tried again, by the workflow."""
    failures: list[BaseException] = field(default_factory=list)
    """Of the campaign itself."""
    columns: int = 0
    """That were published and compared."""
    outputs: int = 0
    troubled: dict[str, threading.Lock] = field(default_factory=lambda: {"S3": threading.Lock(), "cluster": threading.Lock()})
    """Held while something goes wrong there."""

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:6.0f} s] {text}", flush=True)  # noqa: T201

    # What goes wrong

    def make_trouble(self, where: str, kinds: Kinds) -> None:
        """Until it is over."""
        draw = random.Random(f"{self.seed} {where} victims")  # noqa: S311 - to be drawn again
        drawn = {kind: kinds[kind] for kind in kinds if kind in self.kinds}
        for trouble in troubles(f"{self.seed} {where}", drawn, LONGEST_PAUSE_S[where]):
            if self.over.wait(trouble.pause_s):
                return
            with self.troubled[where]:
                if not self.over.is_set():
                    self.inject(trouble, draw)

    def inject(self, trouble: Trouble, draw: random.Random) -> None:
        """One thing goes wrong, and is mended."""
        victims = {POD: self.delete_pod, TERMINATED: self.terminate}
        if trouble.kind in victims and not victims[trouble.kind](draw):
            return
        self.say(f"{trouble.kind}{f', {trouble.lasts_s:.0f} s' if trouble.lasts_s > 1 else ''}")
        if trouble.kind in S3:
            with self.proxy.spoilt(trouble):
                self.over.wait(trouble.lasts_s)
        elif trouble.kind == WEBHOOK:
            with self.cluster.silent_webhook():
                self.over.wait(trouble.lasts_s)
        elif trouble.kind == NODE:
            self.lose_node(trouble.lasts_s)
        elif trouble.kind in {CONTROLLER, SERVER}:
            settings = self.cluster.settings
            self.command(settings.restart_controller if trouble.kind == CONTROLLER else settings.restart_server)
        if trouble.kind != BURST:  # the proxy counts those
            self.counts[trouble.kind] += 1

    def delete_pod(self, draw: random.Random) -> bool:
        """Whether there was one."""
        pods = [pod["metadata"]["name"] for pod in self.cluster.get("pods")["items"] if pod["status"]["phase"] in {"Pending", "Running"}]
        if not pods:
            return False
        grace = draw.choice(((), ("--grace-period=0", "--force")))
        return not self.cluster.run(
            "kubectl", "--namespace", self.cluster.namespace, "delete", "pod", draw.choice(sorted(pods)), "--wait=false", *grace
        ).returncode

    def lose_node(self, seconds: float) -> None:
        try:
            self.command(self.cluster.settings.lose_node)
            self.over.wait(seconds)
        finally:
            self.command(self.cluster.settings.return_node)
        self.cluster.until("the node to be ready", self.cluster.ready_nodes)

    def command(self, line: str | None) -> None:
        done = self.cluster.run(*shlex.split(line or "false"))
        assert done.returncode == 0, f"{line}: {done.stderr}"

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Nothing goes wrong while it lasts."""
        with self.troubled["S3"], self.troubled["cluster"]:
            yield

    def terminate(self, draw: random.Random) -> bool:
        """What `argo terminate` does, to one that runs; whether there was one."""
        found = map(Workflow, self.cluster.get("workflows")["items"])
        running = [each.name for each in found if not each.is_finished and "shutdown" not in each.object["spec"]]
        if not running:
            return False
        patch = ("--type", "merge", "--patch", json.dumps({"spec": {"shutdown": "Terminate"}}))
        self.cluster.kubectl("patch", "workflow", draw.choice(sorted(running)), *patch)
        return True

    # What runs

    def run_lane(self, year: int, recipe: str) -> None:
        """One round after the other, until it is over."""
        for drawn in rounds(f"{self.seed} {year} {recipe}", self.kinds):
            if self.over.is_set():
                return
            output = self.bucket.new_output(year, recipe)
            if drawn.has_weights:
                self.copy_weights(output)
            self.witness.watch(output)
            asked: set[int] = set()
            for submission in drawn.submissions:
                if asked and self.over.is_set():
                    break
                asked |= set(submission.columns)
                self.complete(output, submission)
            self.check(output, asked, is_forced=any(each.is_forced for each in drawn.submissions))

    def copy_weights(self, output: Output) -> None:
        reference = self.references[output.year, output.recipe]
        name = f"{output.recipe}/_weights/{reference.manifest['weights_sha256']}.safetensors"
        source = f"weights/{name}"
        if not list(self.bucket.keys(source)):
            self.bucket.client.upload_file(str(reference.folder.parents[1] / name), self.bucket.name, source)
        copied = {"Bucket": self.bucket.name, "Key": source}
        self.bucket.client.copy_object(Bucket=self.bucket.name, Key=f"{output.prefix}/{name}", CopySource=copied)  # type: ignore[arg-type]

    def complete(self, output: Output, submission: Submission) -> None:
        """Submit until all of it is published; what ends unsuccessfully must be completed by another attempt."""
        draw = random.Random(f"{self.seed} {output.folder.removeprefix(output.prefix)} {submission}")  # noqa: S311 - to be drawn again
        if submission.is_forced:
            self.counts[FORCED] += 1
        if submission.times > 1:
            self.counts[TWICE] += 1
        attempts, last = 0, None
        while attempts <= CALM_AFTER:
            with self.calm() if attempts == CALM_AFTER else nullcontext():
                if last is None or not (way := draw.choice((None, None, *BUTTONS))):
                    self.counts[AGAIN] += last is not None
                    with ThreadPoolExecutor(submission.times) as pool:
                        ended = list(pool.map(lambda _: self.submit(output, submission), range(submission.times)))
                else:
                    ended = [self.press(output, submission, way, last)]
            if all(is_done for is_done, _ in ended):
                return
            last = next((name for is_done, name in ended if name and not is_done), last)
            attempts += any(name for _, name in ended) or self.over.wait(PAUSE_S)
        self.broken.add(NEVER, f"{output.url}: columns {submission.columns} are not published by an undisturbed resubmission")

    def submit(self, output: Output, submission: Submission) -> tuple[bool, str | None]:
        """Whether a submission by submit.py was successful, and its workflow."""
        options = ("--recipe", output.recipe, "--columns", format_columns(list(submission.columns)), *submission.options)
        done = self.cluster.submit(output, *CONFIGURATION, *options, "--wait", limit_s=RUN_LIMIT_S)
        name = next((line.removeprefix("submitted ") for line in done.stdout.splitlines() if line.startswith("submitted ")), None)
        self.check_words(done)
        if name is None:
            return self.is_published(output, submission, done.returncode == 0, "submit.py ended with 0"), None
        workflow = self.cluster.finished(name, RUN_LIMIT_S)
        unwatched = "goes on without being watched" in done.stderr
        if (done.returncode == 0) != succeeded(workflow) and not unwatched:
            self.broken.add(DISHONEST, f"{name} ended {workflow.phase}, submit.py with {done.returncode}: {last_line(done.stderr)}")
        return self.ended(output, submission, workflow), name

    def press(self, output: Output, submission: Submission, button: str, workflow: str) -> tuple[bool, str | None]:
        """The same by a button of the Argo UI."""
        try:
            name = self.cluster.press(button, workflow, OPERATOR)
        except (AssertionError, requests.RequestException) as error:  # its server is away, or the workflow is not yet as it must be
            self.say(f"{button} of {workflow}: {' '.join(str(error).split())[:200]}")
            return False, workflow
        self.counts[BUTTONS[button]] += 1
        return self.ended(output, submission, self.cluster.finished(name, RUN_LIMIT_S)), name

    def ended(self, output: Output, submission: Submission, workflow: Workflow) -> bool:
        """Whether it succeeded, and published what it says."""
        found = snapshot(workflow.object)
        self.retries[workflow.name] = max(self.retries.get(workflow.name, 0), found.retries)
        self.endings[workflow.phase] += 1
        self.say(f"{workflow.name}, columns {format_columns(list(submission.columns))}: {workflow.phase}, {found}")
        for step, message in found.failures.items():
            self.say(f"  {step}: {message}")
            if "exit code 1)" in message:
                self.broken.add(DISHONEST, f"{workflow.name}: {step}: {message}")
        if (error := result(found)) and error.exit_code not in HONEST:
            self.broken.add(DISHONEST, f"{workflow.name} ended with {error.exit_code}: {error}")
        return self.is_published(output, submission, succeeded(workflow), f"{workflow.name} succeeded")

    def is_published(self, output: Output, submission: Submission, is_done: bool, what: str) -> bool:  # noqa: FBT001
        """Whether something succeeded, of which the manifest must then tell."""
        if is_done and (lacks := set(submission.columns) - {int(column) for column in (published(output) or {"columns": ()})["columns"]}):
            self.broken.add(INCOMPLETE, f"{output.url}: {what}, but the manifest lacks {sorted(lacks)}")
        return is_done

    def check_words(self, done: Completed) -> None:
        """That submit.py ends in its own words: one line, and a code that can be true."""
        word = last_line(done.stderr)
        self.endings[f"submit.py ends with {done.returncode}"] += 1
        if done.returncode:
            self.say(f"submit.py ends with {done.returncode}: {word}")
        lines = done.stderr.splitlines()
        is_one_line = done.returncode == 0 or (word.startswith("error: ") and sum(line.startswith("error") for line in lines) == 1)
        if "Traceback" in done.stderr or "error: unexpected" in done.stderr or not is_one_line or done.returncode not in HONEST:
            self.broken.add(DISHONEST, f"submit.py ends with {done.returncode}: {done.stderr[-2000:]}")

    def check(self, output: Output, columns: set[int], *, is_forced: bool) -> None:
        """What a round has left, which goes then."""
        self.witness.release(output)
        manifest = published(output)
        if manifest is None:
            self.broken.add(INCOMPLETE, f"{output.url}: there is no manifest")
            return
        check_rows(self.broken, output.url, columns, manifest, lambda name: read(output, name), self.references[output.year, output.recipe])
        check_names(self.broken, output, is_forced=is_forced)
        self.columns += len(columns)
        self.outputs += 1
        if not self.broken:
            output.bucket.remove_below(output.prefix)

    # All of it

    def run(self, minutes: float) -> None:
        """Let things go wrong for so long, and all that was begun come to its end."""
        streams = [threading.Thread(target=self.guarded, args=(self.make_trouble, *each)) for each in (("S3", S3), ("cluster", CLUSTER))]
        lanes = [threading.Thread(target=self.guarded, args=(self.run_lane, *lane), daemon=True) for lane in LANES]
        for thread in (*streams, *lanes):
            thread.start()
        try:
            ends_at = self.began + minutes * 60
            while time.monotonic() < ends_at and not self.over.wait(min(LINE_EVERY_S, max(ends_at - time.monotonic(), 0))):
                self.say(self.progress())
        finally:
            self.over.set()
            for thread in streams:
                thread.join()
        self.say("nothing more goes wrong")
        draw = random.Random(self.seed)  # noqa: S311 - to be drawn again
        while self.terminate(draw):  # one that waits minutes for its next attempt need not be waited for
            self.counts[TERMINATED] += 1
        while any(lane.is_alive() for lane in lanes):
            time.sleep(LINE_EVERY_S / 3)
            self.say(self.progress())
        if self.failures:
            raise self.failures[0]

    def guarded(self, work: Callable[..., None], *arguments: object) -> None:
        """What goes wrong with the campaign itself ends it."""
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised by `run` once all that was begun has ended
            self.say(f"the campaign itself failed: {' '.join(str(error).split())[:300] or type(error).__name__}")
            self.failures.append(error)
            self.over.set()

    @property
    def faults(self) -> Counter[str]:
        """By their kind."""
        return self.proxy.counts + Counter({kind: count for kind, count in self.counts.items() if kind in KINDS})

    def progress(self) -> str:
        """In a line."""
        broken = sum(map(len, self.broken.seen.values()))
        done = f"{sum(self.endings[phase] for phase in PHASES)} runs, {self.columns} columns of {self.outputs} outputs compared"
        return f"{self.faults.total()} faults, {done}, {sum(self.retries.values())} pods tried again, {broken} promises broken"

    def table(self) -> str:
        """For docs/verification.md."""
        minutes = (time.monotonic() - self.began) / 60
        rows = [
            ("seed, minutes", f"{self.seed}, {minutes:.0f}"),
            ("**faults**", f"**{self.faults.total()}**"),
            *((f"- {kind}", count) for kind, count in self.faults.most_common()),
            ("runs", ", ".join(f"{self.endings[phase]} {phase}" for phase in PHASES)),
            ("`submit.py --wait`", ", ".join(f"{count} ended with {words[-2:].strip()}" for words, count in self.submissions())),
            ("repeated", ", ".join(f"{self.counts[way]} {way}" for way in (AGAIN, *BUTTONS.values()))),
            ("pods tried again by Argo", sum(self.retries.values())),
            ("requests to S3", self.proxy.requests),
            ("outputs, columns in them, compared row by row", f"{self.outputs}, {self.columns}"),
            ("looks at what is published", self.witness.looks),
            *((promise, len(self.broken.seen[promise])) for promise in PROMISES),
        ]
        return "\n".join(f"| {name} | {value} |" for name, value in (("", ""), ("---", "---"), *rows))

    def submissions(self) -> list[tuple[str, int]]:
        return sorted((words, count) for words, count in self.endings.items() if words not in PHASES)


def succeeded(workflow: Workflow) -> bool:
    """Argo calls one succeeded, too, that was terminated while it waited for its turn."""
    return workflow.phase == "Succeeded" and snapshot(workflow.object).is_published


def last_line(text: str) -> str:
    return (text.splitlines() or [""])[-1]


def reached_by_pods(endpoint: str) -> str:
    """This machine's own address on the way to S3, which the pods go too."""
    url = urlsplit(endpoint)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((url.hostname, url.port or 80))
        address: str = way.getsockname()[0]
        return address


def run_undisturbed(cluster: Cluster, source: str, folder: Path) -> dict[tuple[int, str], Reference]:
    """All the columns of each lane, on this machine."""
    for year, recipe in LANES:
        lane = ("--year", str(year), "--recipe", recipe, "--source", source, "--output", str(folder))
        command = ("workflows/submit.py", "--local", "--device", "cpu", *lane)
        done = cluster.run(sys.executable, *command, *CONFIGURATION, "--columns", format_columns(COLUMNS), environment=cluster.environment)
        assert done.returncode == 0, done.stderr
    return {lane: Reference.of(folder, *lane) for lane in LANES}


@contextmanager
def campaign(settings: Settings, seed: int, without: Sequence[str] = ()) -> Iterator[Campaign]:
    """All that one needs, in a namespace and a bucket of its own, gone afterwards."""
    kinds = set(KINDS) - set(without)
    if not (settings.lose_node and settings.return_node):
        kinds -= {NODE}
    kinds -= {kind for kind, command in ((CONTROLLER, settings.restart_controller), (SERVER, settings.restart_server)) if not command}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        proxy = stack.enter_context(
            StormyProxy(settings.s3_endpoint, reached_by_pods(settings.s3_endpoint), f"{seed} requests", kinds & REQUESTS.keys())
        )
        bucket = Bucket.create(f"chaos-{uuid4().hex[:8]}", settings)
        stack.callback(bucket.remove)
        for (name, (width, height)), year in product(TILES.items(), YEARS):
            write_tile(folder / "source", Tile.from_name(name), Window(x=0, y=0, width=width, height=height), year=year, seed=year)
        source = bucket.upload_source(folder / "source").replace(settings.s3_endpoint, proxy.url)
        spoilt = replace(settings, s3_endpoint=proxy.url)
        cluster = stack.enter_context(Cluster.installed(spoilt, bucket, source, folder, parallelism=2))
        references = run_undisturbed(cluster, source, folder / "undisturbed")
        broken = Broken()
        witness = stack.enter_context(Witness(broken))
        yield Campaign(
            seed=seed, kinds=kinds, cluster=cluster, proxy=proxy, bucket=bucket, references=references, witness=witness, broken=broken
        )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="for which things go wrong; what was begun then ends")
    parser.add_argument(
        "--without", action="append", default=[], choices=KINDS, metavar="KIND", help=f"leave out one of: {', '.join(KINDS)}"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with campaign(Settings.from_environment(os.environ), options.seed, options.without) as under_way:
        under_way.run(options.minutes)
        print(under_way.table())  # noqa: T201
    if under_way.broken:
        print(f"seed {options.seed} broke: " + json.dumps(under_way.broken.seen, indent=1))  # noqa: T201
    return int(bool(under_way.broken))


if __name__ == "__main__":
    sys.exit(main())
