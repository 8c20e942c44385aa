#!/usr/bin/python3
"""Replay by the hundred while live events go on: nothing is missed or sent twice, `until` ends each with the cursor behind its last event, the node's memory is
bounded, who does not read holds up nobody, and usage is what was received for the first time.

LICET_REPLAYS and LICET_REPLAY_EVENTS say how many; 100 and 20,000 when nothing is said."""
import datetime
import os
import pathlib
import re
import selectors
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

REPLAYS = int(os.environ.get("LICET_REPLAYS", "100"))
EVENTS = int(os.environ.get("LICET_REPLAY_EVENTS", "20000"))
PRODUCT = "replays"
MEMORY_MAX = 256 * 1024 * 1024  # beside what the node had before: 128 MiB of the log at one time, a slice in frames of each, the live tape
LIVE_SECONDS_MAX = 15


def line(number):
    return '{"id":"r-%07d","n":%d,"pad":"%s"}\n' % (number, number, "x" * 120)


POLICY = {
    "@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": f"urn:licet:policy:{PRODUCT}",
    "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
    "permission": [{"uid": "urn:licet:rule:replays:research", "target": f"urn:licet:product:{PRODUCT}", "action": "use",
                    "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:AcademicResearch"}]}]}


class ReplayContext(Context):
    """One product of its own, which the lab reads under a contract of its own."""

    def __init__(self):
        super().__init__()
        admin = self.client("admin")
        admin.put(f"/v1/admin/products/{PRODUCT}", {
            "title": "Events to be replayed", "owner": "daily-courier", "controller": "daily-courier", "residency": "eu",
            "mapping": {"attributes": {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://courier.example.org/replays"},
                                       "type": {"constant": "org.example.courier.replay"}, "license": {"constant": "CC0-1.0"}, "jurisdiction": {"constant": "DE"}},
                        "fields": []}})
        self.contract = {"party": "berlin-lab", "products": [PRODUCT], "purposes": ["dpv:AcademicResearch"], "price": {"currency": "EUR", "perEvent": "1", "perMb": "0"}}
        admin.put(f"/v1/admin/contracts/{PRODUCT}", self.contract)
        licet_demo.ensure_client(self.stack, admin, "replay-lab", {"party": "berlin-lab", "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]})
        licet_demo.ensure_client(self.stack, admin, "replay-feed", {"party": "daily-courier", "roles": ["producer"], "scopes": [f"write:{PRODUCT}"]})
        licet_demo.activate_policy(admin, PRODUCT, POLICY)


class Replay:
    """One stream, read raw: events are counted by their frames, numbers held against order. Who was cut off comes again, to the same end."""

    def __init__(self, client, until, room=None):
        self.client, self.until = client, until
        self.next, self.bytes, self.in_order = 0, 0, True
        self.cursor, self.ended, self.cut = None, None, 0
        self.open()
        if room is not None:
            self.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)

    def open(self):
        self.stream = self.client.sse(PRODUCT, last_event_id=self.cursor, timeout=120, from_=None if self.cursor else "earliest", until=self.until)
        self.fp, self.buffer = self.stream.response.fp, b""

    def take(self):
        """False when it has ended."""
        try:
            data = self.fp.read1(1 << 20)
        except (ConnectionResetError, ssl.SSLError):
            self.stream.close()
            self.cut += 1
            self.open()
            return True
        if not data:
            return False
        blocks = (self.buffer + data).split(b"\n\n")
        self.buffer = blocks.pop()
        last = None
        for block in blocks:
            if block.startswith(b"id: "):
                at = block.index(b',"data":') + 8
                number = int(block[block.index(b'"n":', at) + 4:block.index(b',"pad"', at)])
                self.in_order = self.in_order and number == self.next
                self.next += 1
                self.bytes += len(block) - at - 1
                last = block
            elif re.match(rb": [0-9]{4} ", block):
                self.ended = block
        if last is not None:
            self.cursor = last[4:last.index(b"\n")].decode()
        return True

    def check(self, what):
        equal((self.in_order, self.next), (True, EVENTS), f"{what}: events in order")
        said = re.fullmatch(rb": ([0-9]{4}) until\nid: (.+)", self.ended or b"")
        equal(said and said.groups(), (b"1000", self.cursor.encode()), f"{what}: its end, {self.ended!r}")


def read_all(replays):
    """As each has something, until all have ended."""
    with selectors.DefaultSelector() as selector:
        for replay in replays:
            selector.register(replay.stream.sock, selectors.EVENT_READ, replay)
        while selector.get_map():
            ready = selector.select(120)
            equal(bool(ready), True, "something to read within two minutes")
            for key, _ in ready:
                goes_on = key.data.take()
                if goes_on and key.data.stream.sock is key.fileobj:
                    continue
                selector.unregister(key.fileobj)
                if goes_on:
                    selector.register(key.data.stream.sock, selectors.EVENT_READ, key.data)


class Live:
    """One producer and one live subscriber beside the replays: the next event is sent when the one before has arrived."""

    def __init__(self, context):
        self.sent, self.got, self.slowest, self.bytes, self.failure = [], [], 0.0, 0, None
        self.arrived, self.enough = threading.Condition(), threading.Event()
        self.feed = context.client("replay-feed")
        self.stream = context.client("replay-lab").sse(PRODUCT, timeout=120)
        self.threads = [threading.Thread(target=self.guarded, args=(f,), daemon=True) for f in (self.listen, self.produce)]
        for t in self.threads:
            t.start()

    def guarded(self, body):
        try:
            body()
        except Exception as e:  # noqa: BLE001: told by who waits for it
            self.failure = self.failure or e

    def listen(self):
        for _, data in self.stream:
            at = data.index(b',"data":') + 8
            with self.arrived:
                self.got.append(int(data[data.index(b'"n":', at) + 4:data.index(b',"pad"', at)]))
                self.bytes += len(data) - at - 1
                self.arrived.notify_all()

    def produce(self):
        while not self.enough.is_set():
            number, started = EVENTS + len(self.sent), time.monotonic()
            self.sent.append(number)
            self.feed.publish(PRODUCT, line(number))
            with self.arrived:
                if not self.arrived.wait_for(lambda: len(self.got) >= len(self.sent), LIVE_SECONDS_MAX):
                    raise AssertionError(f"live event {number} had not arrived after {LIVE_SECONDS_MAX} s")
            self.slowest = max(self.slowest, time.monotonic() - started)

    def close(self):
        self.stream.sock.shutdown(socket.SHUT_RDWR)  # under the reader's feet
        self.threads[0].join(LIVE_SECONDS_MAX)
        self.stream.close()

    def finish(self):
        self.enough.set()
        self.threads[1].join(2 * LIVE_SECONDS_MAX)
        equal(self.failure, None, "live events while others replay")
        equal(self.got, self.sent, "live events")


def resident(context):
    status = pathlib.Path(f"/proc/{context.stack.nodes['eu'].pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


def usage(context):
    """Events and bytes."""
    report = context.client("replay-lab").get("/v1/usage?period=" + time.strftime("%Y-%m", time.gmtime())).json()
    lines = [x for x in report["lines"] if x["product"] == PRODUCT]
    return sum(x["events"] for x in lines), sum(x["bytes"] for x in lines)


@case
def replays_at_once_are_exact_while_live_goes_on(context):
    producer = context.client("replay-feed")
    equal(usage(context), (0, 0), "billed before")
    batch = 2000
    for first in range(0, EVENTS, batch):
        producer.publish(PRODUCT, "".join(line(n) for n in range(first, min(first + batch, EVENTS))))
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    at_rest = resident(context)
    reader = context.client("replay-lab")
    # A third does not read until the others are through: what they hold is taken back from them when others want it.
    idle = [Replay(reader, until, room=256 * 1024) for _ in range(REPLAYS // 3)]
    live = Live(context)
    replays = [Replay(reader, until) for _ in range(REPLAYS - len(idle))]
    started, before = time.monotonic(), len(live.got)
    read_all(replays)
    seconds, meanwhile = time.monotonic() - started, len(live.got) - before
    for i, replay in enumerate(replays):
        replay.check(f"replay {i}")
    read_all(idle)
    for i, replay in enumerate(idle):
        replay.check(f"late replay {i}")
    live.finish()
    equal(meanwhile > 0, True, "live events came while others replayed")
    high = resident(context)
    print(f"     {len(replays)} replays of {EVENTS} events in {seconds:.1f} s, {len(replays) * EVENTS / seconds:,.0f} events/s with this client; {len(idle)} that read "
          f"afterwards, {sum(r.cut for r in idle)} of them cut off on the way; {meanwhile} live events meanwhile, {live.slowest * 1000:.0f} ms from ingest to the "
          f"subscriber at most; resident {at_rest >> 20} MiB before, {high >> 20} MiB at most", flush=True)
    equal(sum(r.cut for r in replays), 0, "of those who read, cut off")
    equal(high - at_rest <= MEMORY_MAX, True, f"resident memory, {high - at_rest} bytes more than before")
    expected = (EVENTS + len(live.got), replays[0].bytes + live.bytes)
    await_condition("the ledger", lambda: usage(context)[0] >= expected[0], 30)
    live.close()
    equal(usage(context), expected, "billed: each event once, whoever read it how often")


@case
def a_contract_says_what_falling_behind_leads_to(context):
    admin = context.client("admin")
    equal(admin.get(f"/v1/admin/contracts/{PRODUCT}").json()["delivery"], None, "a contract that says nothing")
    admin.put(f"/v1/admin/contracts/{PRODUCT}", {**context.contract, "delivery": {"lag": {"maxEvents": 100, "maxAge": "PT10M", "then": "close"}}})
    equal(admin.get(f"/v1/admin/contracts/{PRODUCT}").json()["delivery"], {"lag": {"maxEvents": 100, "maxAge": "PT600S", "then": "close"}}, "what it says now")
    slow = context.client("replay-lab").sse(PRODUCT, timeout=120)
    producer = context.client("replay-feed")
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    producer.publish(PRODUCT, line(9_000_000))
    events = iter(slow)
    equal(b'"n":9000000' in next(events)[1], True, "the head")
    wide = '{"id":"w-%07d","n":%d,"pad":"' + "y" * 60_000 + '"}\n'
    received, published = [], 0
    # It reads one event for twenty that come: behind from the first round on, and ended when the node has looked.
    for _ in range(500):
        producer.publish(PRODUCT, "".join(wide % (n, n) for n in range(published, published + 20)))
        published += 20
        found = next(events, None)
        if found is None:
            break
        received.append(int(re.search(rb'"n":([0-9]+)', found[1]).group(1)))
    received += [int(re.search(rb'"n":([0-9]+)', data).group(1)) for _, data in events]
    equal(received, list(range(len(received))), "what came before its end")
    equal(len(received) < published, True, f"it was closed on the way, at {len(received)} of {published}")
    with context.client("replay-lab").sse(PRODUCT, last_event_id=slow.last_id, timeout=60) as rest:
        for expected, (_, data) in zip(range(len(received), published), rest):
            equal(int(re.search(rb'"n":([0-9]+)', data).group(1)), expected, "where it resumed")


if __name__ == "__main__":
    sys.exit(main(ReplayContext))
