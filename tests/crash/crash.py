#!/usr/bin/python3
"""The crash loop: kill -9 of nodes, PostgreSQL and connections at random instants, over and over, while partners stream; then the ledger must be what they received, to the byte.
README.md says what is held after every cycle. The last line is JSON."""
import argparse
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT, licet_stack  # noqa: E402
from ledger_check import LedgerCheck  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
from subscriber import Passer, Subscriber, Visitor  # noqa: E402

PRODUCT = "crash"
# Which events a partner may receive: all, or those of the type that its rule names.
PARTNERS = {"alpha": ("dpv:AcademicResearch", lambda number: True), "beta": ("dpv:ServiceOptimisation", lambda number: number % 3 == 0)}
# One reader of it takes a page of the past and never comes back, another one came in at the head, far in front: what lies between nobody receives.
APART = "gamma"
CONTRACTS = {**PARTNERS, APART: PARTNERS["alpha"]}
PAGE = 100
KINDS = ("sse", "websocket", "pull")
REST_EVERY = 10  # cycles


def catalogue(stack):
    admin = stack.client("eu", "admin")
    admin.put("/v1/admin/regions/eu", {"endpoint": stack.url("eu")})
    for party in ("press", *CONTRACTS):
        admin.put(f"/v1/admin/parties/{party}", {"title": party, "country": "DE", "collections": [], "adequacySchemes": []})
    admin.put(f"/v1/admin/products/{PRODUCT}", {
        "title": "Crash", "owner": "press", "controller": "press", "residency": "eu",
        "mapping": {"attributes": {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://crash.example.org"}, "type": {"pointer": "/kind", "required": True},
                                   "license": {"constant": "CC-BY-4.0"}, "jurisdiction": {"constant": "DE"}},
                    "fields": [{"pointer": "/user", "category": "pd:Name", "infoType": "PERSON_NAME"}]}})

    def rule(name, purpose, transform, *more):
        return {"uid": f"urn:licet:rule:crash:{name}", "target": f"urn:licet:product:{PRODUCT}", "action": "use",
                "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": purpose}, *more],
                "duty": [{"action": "licet:transform", "licet:transform": transform, "licet:pointer": "/user"}]}
    document = {"@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": "urn:licet:policy:crash",
                "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
                "permission": [rule("all", "dpv:AcademicResearch", "cryptoHash"),
                               rule("some", "dpv:ServiceOptimisation", "redact", {"leftOperand": "licet:eventType", "operator": "eq", "rightOperand": "open"})]}
    made = admin.put("/v1/admin/policies/crash", {"document": document}).json()
    admin.post(f"/v1/admin/policies/crash/versions/{made['version']}/activate")
    for name, (purpose, _) in CONTRACTS.items():
        admin.put(f"/v1/admin/contracts/{name}", {"party": name, "products": [PRODUCT], "purposes": [purpose], "transferTools": [], "pseudonymScope": "contract", "state": "active",
                                                  "validFrom": None, "validUntil": None, "price": {"currency": "EUR", "perEvent": "0.001", "perMb": "0.1"}})
    for name, party, roles, scopes in (("press", "press", ["producer"], ["write:*"]), *((p, p, ["partner"], [f"read:{PRODUCT}"]) for p in CONTRACTS)):
        stack.save_client_secret(name, admin.post("/v1/admin/clients", {"id": name, "party": party, "roles": roles, "scopes": scopes}).json()["secret"])
    admin.close()


class Publisher(threading.Thread):
    """Numbers its events densely and sends a batch until it is taken. Rests on a number that every partner may receive."""

    def __init__(self, client, rate, stopping):
        super().__init__(daemon=True)
        self.client, self.stopping = client, stopping
        self.batch, self.pause = 12, 12 / rate
        self.next = 0
        self.due = 0  # sent and not answered: it may have been taken, so it is sent until it is known to be
        self.rest = threading.Event()
        self.resting = threading.Event()
        self.wrong = []

    def _body(self, numbers):
        return b"".join(b'{"id":"e%d","kind":"%s","user":"reader-%d","text":"%s"}\n' % (n, b"open" if n % 3 == 0 else b"closed", n % 50, b"x" * (n % 97)) for n in numbers)

    def run(self):
        while not self.stopping.is_set():
            if self.rest.is_set() and not self.due and (self.next - 1) % 3 == 0:
                self.resting.set()
                self.stopping.wait(0.02)
                continue
            self.resting.clear()
            self.due = size = self.due or (1 if self.rest.is_set() else self.batch)
            try:
                answered = self.client.publish(PRODUCT, self._body(range(self.next, self.next + size)), accept_status=range(400, 600))
                if answered.status == 401:
                    self.client._token = None
                answer = answered.json()
                if answer.get("rejected"):
                    self.wrong.append(f"events were refused: {answer['rejections'][:2]}")
                if answer.get("received") == size and not answer["rejected"]:
                    self.next += size
                    self.due = 0
                    self.stopping.wait(self.pause)
                else:
                    self.stopping.wait(0.05)
            except (OSError, http.client.HTTPException, Problem, ValueError):
                self.client.close()
                self.stopping.wait(0.02)


def read_once_more(client):
    """Every page from the beginning."""
    cursor = "earliest"
    while True:
        answer = client.get(client.events_path(PRODUCT, from_=cursor, limit=10000), headers={"Accept": "application/x-ndjson"})
        cursor = answer.headers["Licet-Cursor"]
        if not answer.body:
            return client.close()


class Region:
    """The stack, and the ways it is hurt."""

    def __init__(self, directory, nodes):
        self.names = ["eu", *(f"eu-{n}" for n in range(2, nodes + 1))]
        self.stack = licet_stack.Stack(directory, None, ["eu"], plain=self.names, log_level="warn")
        self.counts = {}

    def start(self):
        self.stack.start()
        for name in self.names[1:]:
            self.stack.add_node("eu", name)
        catalogue(self.stack)

    def note(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def ready(self, name):
        try:
            return licet_stack.http_status(self.stack.ops_url(name) + "/readyz") == 200
        except OSError:
            return False

    def launch(self, name):
        self.stack.launch(name)

    def await_ready(self, name):
        """A node that finds PostgreSQL recovering gives up and is started again, as a supervisor does."""
        deadline = time.monotonic() + 90
        while not self.ready(name):
            node = self.stack.nodes[name]
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} is not ready: {node.tail()}")
            if not node.running():
                self.note("starts given up")
                time.sleep(0.1)
                self.launch(name)
            time.sleep(0.01)

    def revive(self):
        """As a supervisor does: a node that the machine starved for a whole lease was ended by its fence."""
        for name in self.names:
            if not self.stack.nodes[name].running():
                self.note("revived")
                self.launch(name)
        return True

    def kill_postgres(self):
        at = next(i for i, service in enumerate(self.stack.services) if service.name == "postgres")
        self.stack.services.pop(at).kill()
        self.note("postgres killed")

    def start_postgres(self):
        for attempt in range(100):
            try:
                self.stack._start_postgres()
                return
            except licet_stack.StackError:
                # What the dead one's children still hold goes with them.
                self.stack.services = [s for s in self.stack.services if s.name != "postgres" or s.running()]
                time.sleep(0.05)
        raise AssertionError("PostgreSQL does not come back")

    def _as_owner(self, sql):
        try:
            return self.stack.psql("postgres", sql)
        except licet_stack.StackError:
            return ""

    def kill_backend(self):
        pid = self._as_owner("SELECT pid FROM pg_stat_activity WHERE usename = 'licet_node' ORDER BY random() LIMIT 1")
        if pid:
            try:
                os.kill(int(pid), signal.SIGKILL)
                self.note("backends killed")
            except ProcessLookupError:
                pass

    def end_connections(self):
        self._as_owner("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'licet_node'")
        self.note("connections ended")

    def forget_in_redis(self):
        subprocess.run(["redis-cli", "-p", str(self.stack.ports["redis"]), "FLUSHALL"], check=True, capture_output=True)
        self.note("redis flushed")

    def verify_journal(self, name):
        done = subprocess.run([self.stack.binary, "verify", "--journal", self.stack.node_dir(name) / "journal"], capture_output=True, text=True, check=False)
        return [] if done.returncode == 0 else [f"licet verify --journal of {name}: {done.stdout}{done.stderr}"]


class Loop:
    def __init__(self, region, arguments):
        self.region, self.stack = region, region.stack
        self.random = random.Random(arguments.seed)
        self.cycles = arguments.cycles
        self.check_every = max(1, self.cycles // 500)
        self.ledger = LedgerCheck(self.stack, self.stack.database("eu"))
        self.stopping = threading.Event()
        self.publishers = {name: Publisher(self.stack.client(name, "press"), arguments.rate, self.stopping) for name in region.names}
        self.subscribers, self.visitors = [], []
        for name in region.names:
            for partner, (_, permitted) in PARTNERS.items():
                for kind in KINDS:
                    self.subscribers.append((name, partner, Subscriber(f"{partner} {kind} at {name}", self.stack.client(name, partner), PRODUCT, permitted, kind,
                                                                       self.random.random(), self.stopping)))
                self.visitors.append(Visitor(f"{partner} visiting {name}", self.stack.client(name, partner), PRODUCT, self.random.random(), self.stopping))
        self.passers = {}
        self.wrong = []
        self.rests = 0
        self.expected, self.left, self.most_left = {}, {}, 0

    def part(self):
        """The two readers that are far apart, on every node: before anything is killed."""
        for name in self.region.names:
            await_condition("a past", lambda name=name: self.publishers[name].next > 10 * PAGE, 120, 0.05)
            self.passers[name] = Passer(self.stack.client(name, APART), PRODUCT, PAGE)
            if len(self.passers[name].received()) != PAGE:
                self.wrong.append(f"{APART} at {name}: a page of {len(self.passers[name].received())}")
            kind = KINDS[len(self.passers) % 2]
            front = Subscriber(f"{APART} {kind} at {name}", self.stack.client(name, APART), PRODUCT, CONTRACTS[APART][1], kind, self.random.random(), self.stopping, "latest")
            front.start()
            await_condition("the reader in front", lambda front=front: front.highest >= 0, 60, 0.02)
            self.subscribers.append((name, APART, front))

    def threads(self):
        return [*self.publishers.values(), *(s for _, _, s in self.subscribers), *self.visitors]

    def run(self):
        for thread in self.threads():
            thread.start()
        try:
            self.part()
            for cycle in range(1, self.cycles + 1):
                self.cycle(cycle)
                if cycle % REST_EVERY == 0 or cycle == self.cycles:
                    self.come_to_rest(cycle)
                if self.wrong:
                    return
        finally:
            self.stopping.set()
            for thread in self.threads():
                thread.join(25)

    def cycle(self, number):
        """One death: somewhere in the middle of delivery, or of the recovery from the one before."""
        name = self.random.choice(self.region.names)
        dice = self.random.random()
        if not self.region.ready(name) and self.random.random() < 0.7:
            self.region.await_ready(name)
        time.sleep(self.random.uniform(0, 0.45))
        if number % self.check_every == 0:
            self.ledger.look_at_suspense()
        if dice < 0.06:
            self.region.kill_postgres()
            time.sleep(self.random.uniform(0, 0.3))
        elif dice < 0.12:
            self.region.kill_backend()
        elif dice < 0.22:
            self.region.end_connections()
        elif dice < 0.30:
            self.region.forget_in_redis()
        if self.random.random() < 0.1 and dice >= 0.06:
            ready = self.region.ready(name)
            code = self.stack.stop_node(name)
            self.region.note("rollouts")
            if ready and code != 0:
                self.wrong.append(f"{name} stopped with {code}")
        else:
            ready = self.region.ready(name)
            self.stack.kill_node(name)
            self.region.note("killed while delivering" if ready else "killed while starting")
        self.wrong += self.region.verify_journal(name)
        if dice < 0.06:
            self.region.start_postgres()
        self.region.launch(name)
        if number % self.check_every == 0:
            def answers():
                try:
                    self.wrong += self.ledger.always()
                    return True
                except licet_stack.StackError:
                    return False  # it recovers from a killed backend
            await_condition("PostgreSQL", answers, 60)
        self.wrong += [w for thread in self.threads() for w in getattr(thread, "wrong", [])]

    def come_to_rest(self, cycle):
        for name in self.region.names:
            self.region.await_ready(name)
        for publisher in self.publishers.values():
            publisher.rest.set()
        await_condition("the publishers to rest", lambda: self.region.revive() and all(p.resting.is_set() for p in self.publishers.values()), 120, 0.02)
        last = {name: p.next - 1 for name, p in self.publishers.items()}
        try:
            await_condition("everyone to have received all", lambda: self.region.revive() and all(s.highest == last[name] for name, _, s in self.subscribers), 120, 0.02)
        except TimeoutError as e:
            self.wrong.append(f"cycle {cycle}: {e}: " + ", ".join(f"{s.name} has {s.highest} of {last[name]}" for name, _, s in self.subscribers if s.highest != last[name]))
        received = {}
        for name, partner, subscriber in self.subscribers:
            key = (partner, "eu-1" if name == "eu" else name)
            events = subscriber.received()
            if len(events) != subscriber.events or (partner != APART and received.setdefault(key, events) != events):
                self.wrong.append(f"cycle {cycle}: {subscriber.name} received other events than another of {partner}")
            if partner == APART:
                received[key] = {**events, **self.passers[name].received()}
        expected = {}

        def agreed():
            """Billed is what was received; what is not is in suspense. An event nobody received is in neither sum."""
            suspended = self.ledger.suspended()
            self.left = {key: sum(n in events for begin, end in suspended.get(key, []) for n in range(begin, end)) for key, events in received.items()}
            for key, events in received.items():
                open_ranges = suspended.get(key, [])
                settled = [size for n, size in events.items() if not any(begin <= n < end for begin, end in open_ranges)] if self.left[key] else events.values()
                expected[key] = (len(settled), sum(settled))
            return self.ledger.billed() == expected
        try:
            await_condition("the ledger", agreed, 30, 0.2)
        except TimeoutError:
            self.wrong.append(f"cycle {cycle}: billed {self.ledger.billed()}, received less what is in suspense {expected}, in suspense {self.left}, {self.ledger.suspended()}")
        self.wrong += self.ledger.always()
        self.wrong += [w for thread in self.threads() for w in getattr(thread, "wrong", [])]
        self.expected = expected
        self.rests += 1
        for publisher in self.publishers.values() if cycle < self.cycles else ():
            publisher.rest.clear()
        self.most_left = max(self.most_left, sum(self.left.values()))
        print(f"cycle {cycle}: {sum(e for e, _ in expected.values())} events received and billed, {sum(self.left.values())} received and in suspense, {json.dumps(self.region.counts)}", flush=True)

    def read_all(self):
        """Everything once more, for whoever received it all: what is still in suspense is sent again, and billed then. Costs nothing otherwise."""
        for name in self.region.names:
            for partner in PARTNERS:
                read_once_more(self.stack.client(name, partner))

        def nothing_left():
            return not [key for key in self.ledger.suspended() if key[0] != APART]
        try:
            await_condition("suspense to be settled", nothing_left, 30, 0.2)
        except TimeoutError:
            self.wrong.append(f"suspense is left after everything was read: {self.ledger.suspended()}")
        for name, partner, subscriber in self.subscribers:
            if partner != APART:
                self.expected[(partner, "eu-1" if name == "eu" else name)] = (subscriber.events, subscriber.bytes)

    def figures(self):
        subscribers = [s for _, _, s in self.subscribers]
        return {"cycles": self.cycles, "nodes": len(self.region.names), "deaths": self.region.counts, "rests": self.rests, "published": sum(p.next for p in self.publishers.values()),
                "received_events": sum(e for e, _ in self.expected.values()), "received_bytes": sum(b for _, b in self.expected.values()),
                "billed_events": sum(e for e, _ in self.ledger.billed().values()), "billed_bytes": sum(b for _, b in self.ledger.billed().values()),
                "most_received_in_suspense_at_rest": self.most_left, "unbilled_records": self.ledger.unbilled(), "suspense_offsets": self.ledger.suspense(), "most_suspense_offsets": self.ledger.most_suspense, "checks_with_suspense": self.ledger.times_suspended,
                "connections": sum(s.connections for s in subscribers), "refused": sum(s.refused for s in subscribers), "replayed_events": sum(s.replayed for s in subscribers),
                "acks": sum(s.acks for s in subscribers), "visits": sum(v.visits for v in self.visitors), "starts": len(self.ledger.watermarks)}


def at_the_end(loop):
    """A stop in order leaves nothing open, and what finance is told is what was received."""
    finance = {}
    stack = loop.stack
    for name in loop.region.names:
        loop.region.await_ready(name)
    loop.read_all()
    wrong = loop.wrong + [f"{name} stopped with {code}" for name in loop.region.names for code in [stack.stop_node(name)] if code != 0]
    for name in loop.region.names:
        wrong += loop.region.verify_journal(name)
    wrong += loop.ledger.always()
    if [key for key in loop.ledger.suspended() if key[0] != APART]:
        wrong.append("suspense is left after a stop in order")
    if loop.ledger.billed() != loop.expected:
        wrong.append(f"billed {loop.ledger.billed()} at the end, received {loop.expected}")
    for (partner, _), (events, octets) in loop.expected.items():
        sums = finance.setdefault(partner, [0, 0])
        sums[0] += events
        sums[1] += octets
    lines = loop.ledger._ask("SELECT c.name, sum(events), sum(bytes) FROM usage_lines l JOIN contracts c ON c.no = l.contract GROUP BY 1")
    if {name: [int(e), int(b)] for name, e, b in lines} != finance:
        wrong.append(f"lines {lines}, received {finance}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=30)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--rate", type=float, default=400, help="events per second and node")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--keep", action="store_true", help="keep the stack's directory")
    arguments = parser.parse_args()
    directory = ROOT / ".dev" / f"crash-{os.getpid()}"
    region = Region(directory, arguments.nodes)
    began = time.monotonic()
    wrong, figures = [], {}
    print(f"seed {arguments.seed}", flush=True)
    try:
        region.start()
        loop = Loop(region, arguments)
        began = time.monotonic()
        try:
            loop.run()
        finally:
            wrong += loop.wrong
        figures = loop.figures()
        if not wrong:
            wrong += at_the_end(loop)
    except (Problem, OSError, licet_stack.StackError, AssertionError, TimeoutError) as e:
        wrong.append(f"{type(e).__name__}: {e}")
    finally:
        bad = region.stack.stop()
    if not wrong:
        wrong += [f"at the end: {b}" for b in bad]
    for text in sorted(set(wrong))[:40]:
        print("FAIL " + text)
    if wrong or arguments.keep:
        print(f"kept for reading: {directory}")
    else:
        licet_stack.remove(directory)
    seconds = round(time.monotonic() - began, 1)
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed")
    print(json.dumps({**figures, "seed": arguments.seed, "seconds": seconds, "ok": not wrong}), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
