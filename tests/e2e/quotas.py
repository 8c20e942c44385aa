#!/usr/bin/python3
"""Quotas and rates of contracts over two nodes of a region, to the event: many sessions at a time, cursors that go on, what subscribers are told, a node that dies,
a Redis that stops or forgets."""
import json
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
from licet_stack import http_status  # noqa: E402

PRODUCT = "counted"
NODES = ("eu", "eu-b")
POLICY = {
    "@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": f"urn:licet:policy:{PRODUCT}",
    "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
    "permission": [{"uid": "urn:licet:rule:counted:research", "target": f"urn:licet:product:{PRODUCT}", "action": "use",
                    "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:AcademicResearch"}]}]}


class QuotaContext(Context):
    def __init__(self):
        super().__init__(regions=("eu",))
        self.stack.add_node("eu", "eu-b")
        self.admin = self.client("admin")
        self.admin.put(f"/v1/admin/products/{PRODUCT}", {
            "title": "Events to be counted", "owner": "daily-courier", "controller": "daily-courier", "residency": "eu",
            "mapping": {"attributes": {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://courier.example.org/counted"},
                                       "type": {"constant": "org.example.courier.counted"}, "license": {"constant": "CC0-1.0"}, "jurisdiction": {"constant": "DE"}},
                        "fields": []}})
        self.count = 0
        licet_demo.ensure_client(self.stack, self.admin, "counted-feed", {"party": "daily-courier", "roles": ["producer"], "scopes": [f"write:{PRODUCT}"]})
        self.new_contract()
        licet_demo.activate_policy(self.admin, PRODUCT, POLICY)

    def new_contract(self, **limits):
        """A party, contract and client of its own for each case. Its events are all there are from then on."""
        self.count += 1
        name = f"counted-{self.count}"
        self.name = name
        self.admin.put(f"/v1/admin/parties/{name}", {"title": name, "country": "DE"})
        self.change_contract(**limits)
        licet_demo.ensure_client(self.stack, self.admin, name, {"party": name, "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]})

    def change_contract(self, **limits):
        self.admin.put(f"/v1/admin/contracts/{self.name}", {"party": self.name, "products": [PRODUCT], "purposes": ["dpv:AcademicResearch"],
                                                            "price": {"currency": "EUR", "perEvent": "1", "perMb": "0"}, **limits})

    def publish(self, node, first, count):
        lines = "".join(f'{{"id":"{self.name}-{node}-{n:06d}","n":{n}}}\n' for n in range(first, first + count))
        equal(self.client("counted-feed", node).publish(PRODUCT, lines).json()["accepted"], count, f"published on {node}")

    def reader(self, node):
        return self.client(self.name, node)

    def usage(self, node="eu"):
        return self.reader(node).get("/v1/usage?period=" + licet_demo.current_period(self.stack)).json()

    def billed(self):
        return sum(line["events"] for line in self.usage()["lines"])


class Reader(threading.Thread):
    """An SSE stream read to its end, raw: events, warnings, and why it ended."""

    def __init__(self, context, node, from_="latest", last_event_id=None):
        super().__init__(daemon=True)
        self.node = node
        self.stream = context.reader(node).sse(PRODUCT, timeout=90, from_=None if last_event_id else from_, last_event_id=last_event_id)
        self.headers = self.stream.response.headers
        self.events, self.warnings, self.code, self.cursor = [], [], None, last_event_id
        self.start()

    def run(self):
        buffer = b""
        while True:
            try:
                data = self.stream.response.fp.read1(1 << 20)
            except (OSError, ValueError):
                return
            if not data:
                return
            blocks = (buffer + data).split(b"\n\n")
            buffer = blocks.pop()
            for block in blocks:
                if block.startswith(b"event: quota\n"):
                    self.warnings.append(json.loads(block.split(b"data: ", 1)[1]))
                elif block.startswith(b"id: "):
                    self.cursor = block[4:block.index(b"\n")].decode()
                    self.events.append(json.loads(block.split(b"data: ", 1)[1])["id"])
                elif end := re.match(rb": ([0-9]{4}) ", block):
                    self.code = int(end[1])
                    if b"\nid: " in block:
                        self.cursor = block.split(b"\nid: ", 1)[1].decode()

    def close(self):
        try:
            self.stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(10)
        self.stream.close()


def hard(limit, metric="events"):
    return {"metric": metric, "period": "month", "kind": "hard", "limit": limit}


def all_over(readers):
    return lambda: not any(r.is_alive() for r in readers)


@case
def many_streams_on_two_nodes_meet_exactly_at_the_limit(context):
    limit = 500
    context.new_contract(quotas=[hard(limit)])
    readers = [Reader(context, node) for node in NODES for _ in range(20)]
    policy = readers[0].headers["RateLimit-Policy"]
    equal(bool(re.fullmatch(r'"events-month";q=500;qu="events";w=2[0-9]{6}', policy)), True, f"the policy {policy!r}")
    equal(bool(re.match(r'"events-month";r=[0-9]+;t=[0-9]+$', readers[0].headers["RateLimit"])), True, "what is left")
    for first in range(0, 400, 50):
        for node in NODES:
            context.publish(node, first, 50)
    await_condition("all streams to end", all_over(readers), 90)
    equal({r.code for r in readers}, {4429}, "the codes")
    distinct = {event for r in readers for event in r.events}
    equal(len(distinct), limit, "events delivered")
    for node in NODES:
        lengths = {tuple(r.events) for r in readers if r.node == node}
        equal(len(lengths), 1, f"streams of {node} alike")
    for r in readers:
        equal(r.warnings[-1]["percent"] >= 80 and r.warnings[-1]["limit"] == limit and len(r.warnings) in (1, 2), True, f"warnings {r.warnings}")
    await_condition("the ledger", lambda: context.billed() == limit, 20)
    # Nothing new opens, on either node.
    for node in NODES:
        try:
            context.reader(node).pull(PRODUCT)
            raise AssertionError("a page of an exhausted contract")
        except Problem as e:
            equal((e.status, e.slug), (429, "quota-exhausted"), "a page")
            equal(int(e.headers["Retry-After"]) == e.problem["retryAfter"] >= 1, True, "when to come again")
            equal(e.problem["quotas"][0]["remaining"], 0, "what is left")
            equal(e.headers["RateLimit-Policy"], policy, "the policy of a refusal")
            equal(e.headers["RateLimit"], f'"events-month";r=0;t={e.problem["retryAfter"]}', "what is left, of a refusal")
    state = context.usage()["quotas"]
    equal([(q["contract"], q["used"], q["remaining"], q["percent"]) for q in state], [(context.name, limit, 0, 100)], "the state of the quota")
    # More is allowed: every stream goes on from its cursor, and nothing is missed or repeated.
    context.change_contract(quotas=[hard(100_000)])
    last = {node: next(r for r in readers if r.node == node) for node in NODES}
    more = {node: Reader(context, node, last_event_id=r.cursor) for node, r in last.items()}
    for node, r in more.items():
        await_condition(f"the rest on {node}", lambda node=node, r=r: len(last[node].events) + len(r.events) == 400, 30)
        equal(last[node].events + r.events, [f"{context.name}-{node}-{n:06d}" for n in range(400)], "the whole, in order")
        r.close()
    for r in readers:
        r.stream.close()


@case
def pages_are_cut_and_replays_cost_nothing(context):
    context.new_contract(quotas=[hard(30)])
    client = context.reader("eu")
    start = client.pull(PRODUCT, from_="latest")[1]
    context.publish("eu", 0, 40)
    had, cursor = [], start
    while len(had) < 30:
        lines, cursor = client.pull(PRODUCT, from_=cursor, limit=20)
        had += lines
    equal(len(had), 30, "events of pages")
    context.change_contract(quotas=[hard(31)])
    again, _ = client.pull(PRODUCT, from_=start, limit=30)
    equal([json.loads(e)["id"] for e in again], [json.loads(e)["id"] for e in had], "the same again")
    await_condition("the ledger", lambda: context.billed() == 30, 20)


@case
def a_rate_holds_over_all_streams_of_both_nodes(context):
    rate, each = 100, 250
    context.new_contract(rates={"eventsPerSecond": rate})
    readers = [Reader(context, node) for node in NODES]
    began = time.monotonic()
    for node in NODES:
        context.publish(node, 0, each)
    await_condition("all events", lambda: all(len(r.events) == each for r in readers), 60)
    seconds = time.monotonic() - began
    # A second's worth at once, a portion on each node; then as it grows.
    equal(seconds >= (2 * each - rate - 2 * rate / 10) / rate, True, f"{2 * each} events at {rate} a second in {seconds:.1f} s")
    for r in readers:
        equal(r.events, [f"{context.name}-{r.node}-{n:06d}" for n in range(each)], "nothing dropped, in order")
        r.close()


@case
def a_soft_quota_goes_on_and_says_so(context):
    context.new_contract(quotas=[{"metric": "bytes", "period": "day", "kind": "soft", "limit": 100}])
    reader = Reader(context, "eu")
    context.publish("eu", 0, 100)
    await_condition("all events and a warning", lambda: len(reader.events) == 100 and reader.warnings and reader.warnings[-1]["percent"] >= 100, 30)
    equal((reader.code, reader.warnings[-1]["kind"]), (None, "soft"), "it goes on")
    reader.close()


@case
def usage_is_current_while_the_ledger_lags(context):
    context.new_contract()
    reader = Reader(context, "eu")
    context.publish("eu", 0, 25)
    await_condition("all events", lambda: len(reader.events) == 25, 20)

    def total():
        usage = context.usage()
        return sum(line["events"] for line in usage["lines"]) + sum(p["events"] for p in usage["pending"])
    await_condition("billed and pending", lambda: total() == 25, 5)
    await_condition("all billed", lambda: context.billed() == 25 and context.usage()["pending"] == [], 20)
    reader.close()


@case
def a_node_that_is_killed_lets_nobody_pass_the_limit(context):
    limit = 300
    context.new_contract(quotas=[hard(limit)])
    readers = [Reader(context, node) for node in NODES]
    for node in NODES:
        context.publish(node, 0, 100)
    await_condition("a first part", lambda: all(len(r.events) == 100 for r in readers), 30)
    await_condition("the ledger", lambda: context.billed() == 200, 20)
    context.stack.kill_node("eu-b")
    context.publish("eu", 100, 300)
    survivor = readers[0]
    context.stack.start_node("eu-b")
    def over():
        """What the dead node held is free when it has started again; a stream that was ended before goes on from its cursor."""
        if not parts[-1].is_alive():
            try:
                parts.append(Reader(context, "eu", last_event_id=parts[-1].cursor))
            except Problem as e:
                equal(e.slug, "quota-exhausted", "why it does not open")
        return sum(len(r.events) for r in parts) >= limit
    parts = [readers[1], survivor]
    await_condition("all that is left", over, 60)
    equal(sum(len(r.events) for r in parts), limit, "events delivered")
    for r in parts:
        r.close()


@case
def a_redis_that_forgot_everything_is_told_again(context):
    limit = 400
    context.new_contract(quotas=[hard(limit)])
    readers = [Reader(context, node) for node in NODES]
    for node in NODES:
        context.publish(node, 0, 100)
    await_condition("a first part", lambda: all(len(r.events) == 100 for r in readers), 30)
    with socket.create_connection(("127.0.0.1", context.stack.ports["redis"])) as redis:
        redis.sendall(b"FLUSHALL\r\n")
        equal(redis.recv(16), b"+OK\r\n", "FLUSHALL")
    for node in NODES:
        context.publish(node, 100, 300)
    parts = list(readers)

    def over():
        """Streams that a lost cluster lease ended are opened again."""
        for r in list(parts):
            if not r.is_alive() and r.code != 4429 and not any(x.node == r.node and x is not r and x.is_alive() for x in parts):
                try:
                    parts.append(Reader(context, r.node, last_event_id=r.cursor))
                except Problem as e:
                    if e.slug == "quota-exhausted":
                        return True
        return sum(len(r.events) for r in parts) >= limit
    await_condition("the limit", over, 90)
    equal(sum(len(r.events) for r in parts), limit, "events delivered")
    for r in parts:
        r.close()


@case
def without_redis_nothing_passes_the_limit(context):
    limit = 1000
    context.new_contract(quotas=[hard(limit)])
    reader = Reader(context, "eu")
    context.publish("eu", 0, 10)
    await_condition("a first part", lambda: len(reader.events) == 10, 30)
    redis = next(s for s in context.stack.services if s.name == "redis")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        context.publish("eu", 10, 1500)
        # It uses up what it holds, then its lease ends.
        await_condition("delivery to stop", lambda: http_status(context.stack.ops_url("eu") + "/readyz") == 503, 20)
        equal(len(reader.events) < limit, True, f"{len(reader.events)} events without Redis")
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    parts = [reader]

    def over():
        last = parts[-1]
        if not last.is_alive() and last.code != 4429:
            try:
                parts.append(Reader(context, "eu", last_event_id=last.cursor))
            except Problem as e:
                if e.slug == "quota-exhausted":
                    return True
        return sum(len(r.events) for r in parts) >= limit
    await_condition("the limit", over, 90)
    equal(sum(len(r.events) for r in parts), limit, "events delivered")
    for r in parts:
        r.close()


if __name__ == "__main__":
    sys.exit(main(QuotaContext))
