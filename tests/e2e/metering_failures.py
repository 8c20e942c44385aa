#!/usr/bin/python3
"""What goes wrong around metering, one thing at a time on a real node: Redis that forgets, PostgreSQL that is killed, a journal with a bit turned, a disk that is full. In the end the
partners were billed what they received, to the event and byte, and the node said what was the matter. tests/crash does it at random and all at once."""
import os
import pathlib
import subprocess
import sys
import threading
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "crash"))
from harness import ROOT, Skip, case, equal, licet_stack, main  # noqa: E402
from crash import PARTNERS, PRODUCT, Publisher, Region, read_once_more  # noqa: E402
from ledger_check import LedgerCheck  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
from subscriber import Subscriber  # noqa: E402

RECORD = 128


class Failures:
    """One node, a WebSocket stream and a server-sent one of each partner."""

    def __init__(self):
        self.region = Region(ROOT / ".dev" / f"test-metering-failures-{os.getpid()}", 1)
        self.region.start()
        self.stack = self.region.stack
        self.ledger = LedgerCheck(self.stack, self.stack.database("eu"))
        self.press = self.stack.client("eu", "press")
        self.body = Publisher(None, 1, threading.Event())._body
        self.next = 0
        self.stopping = threading.Event()
        self.subscribers = [(partner, Subscriber(f"{partner} {kind}", self.stack.client("eu", partner), PRODUCT, permitted, kind, 1, self.stopping))
                            for partner, (_, permitted) in PARTNERS.items() for kind in ("sse", "websocket")]
        for _, subscriber in self.subscribers:
            subscriber.start()
        self.mounted = False

    def publish(self, count):
        equal(self.press.publish(PRODUCT, self.body(range(self.next, self.next + count))).json()["accepted"], count, "events accepted")
        self.next += count

    def await_received(self):
        def all_there():
            return all(s.highest == max(n for n in range(self.next) if PARTNERS[partner][1](n)) for partner, s in self.subscribers)
        await_condition("everyone to have received all", all_there, 60, 0.02)
        wrong = [w for _, s in self.subscribers for w in s.wrong]
        equal(wrong, [], "what the subscribers noticed")

    def await_billed(self):
        self.await_received()
        expected = {(partner, "eu-1"): (s.events, s.bytes) for partner, s in self.subscribers}
        found = []

        def agreed():
            try:
                found[:] = [self.ledger.billed(), self.ledger.suspense()]
            except licet_stack.StackError:
                return False  # PostgreSQL recovers
            return found == [expected, 0]
        try:
            await_condition("the ledger", agreed, 30, 0.05)
        except TimeoutError:
            equal(found, [expected, 0], "billed, and in suspense")
        equal(self.ledger.always(), [], "the ledger's tables")

    def journal(self):
        return self.stack.node_dir("eu") / "journal"

    def ready(self):
        try:
            with urllib.request.urlopen(self.stack.ops_url("eu") + "/readyz", timeout=5) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.read().decode()

    def metric(self, name):
        with urllib.request.urlopen(self.stack.ops_url("eu") + "/metrics", timeout=5) as answer:
            return [float(line.rsplit(" ", 1)[1]) for line in answer.read().decode().splitlines() if line.startswith(name + " ") or line.startswith(name + "{")]

    def close(self, keep):
        self.stopping.set()
        for _, subscriber in self.subscribers:
            subscriber.join(25)
        problems = self.stack.stop()
        if self.mounted:
            subprocess.run(["umount", str(self.journal())], check=False)
        if keep:
            print(f"kept for reading: {self.stack.dir}")
        else:
            licet_stack.remove(self.stack.dir)
        return problems


@case
def redis_that_forgets_everything_changes_no_bill(failures):
    for _ in range(10):
        failures.publish(20)
        failures.region.forget_in_redis()
        failures.publish(20)
    failures.await_billed()


@case
def streams_outlive_a_killed_postgres_and_are_billed_when_it_is_back(failures):
    failures.publish(30)
    failures.region.kill_postgres()
    failures.publish(200)
    failures.await_received()
    await_condition("a flush to fail", lambda: sum(failures.metric("licet_usage_flush_failures_total")) > 0)
    equal(failures.metric("licet_usage_backlog_records")[0] > 0, True, "records wait in the journal")
    failures.region.start_postgres()
    failures.await_billed()
    for _ in range(3):
        failures.region.kill_backend()
        failures.publish(50)
    failures.await_billed()


@case
def a_journal_with_a_bit_turned_stops_the_node_and_is_named(failures):
    failures.publish(30)
    failures.await_billed()
    failures.region.kill_postgres()
    for _ in range(20):
        failures.publish(20)
        failures.await_received()
    failures.stack.kill_node("eu")
    # What the ledger holds is in this segment, too; what it does not comes behind.
    segment = max((p for p in failures.journal().glob("*.usage")), key=lambda p: int(p.name.split("-")[0]))
    octets = bytearray(segment.read_bytes())
    hit = len(octets) // RECORD - 8
    octets[hit * RECORD + 60] ^= 4
    segment.write_bytes(octets)
    failures.region.start_postgres()
    named = f"{segment.name}: record {hit} fails its checksum"
    done = subprocess.run([failures.stack.binary, "verify", "--journal", failures.journal()], capture_output=True, text=True, check=False)
    equal((done.returncode != 0, named in done.stderr), (True, True), "licet verify --journal")
    node = failures.stack.launch("eu")
    await_condition("the node to refuse to start", lambda: not node.running())
    equal((node.popen.returncode != 0, named in node.tail()), (True, True), "licet serve")
    # docs/operations.md: keep what is whole; the rest is suspense, and settled by the subscribers' cursors.
    os.truncate(segment, hit * RECORD)
    failures.stack.start_node("eu")
    failures.publish(30)
    failures.await_received()
    # What was cut off may have said where streams began (ADR 37): what their cursors do not prove then is read once more.
    for partner in PARTNERS:
        read_once_more(failures.stack.client("eu", partner))
    failures.await_billed()


@case
def a_full_disk_stops_delivery_says_so_and_loses_nothing(failures):
    if os.geteuid() != 0:
        raise Skip("a file system of its own needs root")
    failures.publish(30)
    failures.await_billed()
    equal(failures.stack.stop_node("eu"), 0, "the stop")
    journal = failures.journal()
    kept = {p.name: p.read_bytes() for p in journal.iterdir()}
    room = sum(-(-len(content) // 4096) * 4096 for content in kept.values()) // 1024 + 24
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}k", "none", str(journal)], check=False, capture_output=True).returncode != 0:
        failures.stack.start_node("eu")
        raise Skip("no file system can be mounted here")
    failures.mounted = True
    for name, content in kept.items():
        (journal / name).write_bytes(content)
    failures.stack.start_node("eu")
    equal(failures.metric("licet_usage_journal_broken"), [0.0], "the metric before")
    watching = failures.stack.client("eu", "alpha").websocket(PRODUCT, from_="latest")
    ended = threading.Thread(target=lambda: [None for _ in watching], daemon=True)
    ended.start()

    def full():
        failures.publish(3)
        return "usage journal could not be written" in failures.ready()
    await_condition("the disk to be full", full, 120, 0.02)
    equal(failures.metric("licet_usage_journal_broken"), [1.0], "the metric")
    equal("journal.write_failed" in (failures.stack.dir / "eu.log").read_text(), True, "the log names it")
    failures.publish(50)
    try:
        failures.stack.client("eu", "beta").websocket(PRODUCT, from_="latest")
        raise AssertionError("a stream was begun")
    except Problem as e:
        equal((e.status, e.slug), (503, "journal-full"), "who comes is told")
    ended.join(60)
    equal(watching.close_code, 1013, "the close code of who was there")
    equal([s.name for _, s in failures.subscribers if s.highest >= failures.next - 50], [], "who was sent more")
    subprocess.run(["mount", "-o", "remount,size=4m", str(journal)], check=True)
    failures.stack.stop_node("eu")
    failures.stack.start_node("eu")
    failures.publish(30)
    failures.await_billed()


if __name__ == "__main__":
    sys.exit(main(Failures))
