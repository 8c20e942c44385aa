#!/usr/bin/python3
"""The revocation barrier of a region of three nodes when something is wrong: a node stopped in the middle of a write, Redis gone, PostgreSQL gone for one node. What is
acknowledged holds on every node; what is not says which node is outstanding, and comes true by itself."""
import json
import pathlib
import signal
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
from licet_stack import http_status  # noqa: E402

PRODUCT = "newsroom"
CONTROLLER = "daily-courier"
NODES = ("eu", "eu-2", "eu-3")
LEASE_MS = 3000
LONG_LEASE_MS = 40_000  # longer than a call waits


class Proxy(threading.Thread):
    """A way to PostgreSQL that can be cut."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.open, self.pairs, self.lock = target, True, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.open:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.target))
                self.pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while chunk := source.recv(65536):
                sink.sendall(chunk)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            self.open = False
            for pair in self.pairs:
                for s in pair:
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
            self.pairs = []

    def mend(self):
        with self.lock:
            self.open = True


class BarrierContext(Context):
    def __init__(self):
        super().__init__()
        self.number = 0
        try:
            self.proxy = Proxy(self.stack.ports["postgres"])
            self.stack.add_node("eu", "eu-2", lease_ms=LEASE_MS)
            self.stack.add_node("eu", "eu-3", self.proxy.port, LEASE_MS)
        except BaseException:
            self.stack.stop()
            raise
        self.dpo = self.client("dpo")
        self.desks = {node: self.client("newsroom-desk", node) for node in NODES}

    def event(self, subject, padding=0):
        self.number += 1
        return json.dumps({"id": f"e{self.number}-{subject}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0",
                           "country": "DE", "reader": {"email": f"{subject}@example.org", "name": subject, "ip": "198.51.100.9"}, "headline": "x" * padding})

    def publish(self, node, *events):
        counts = self.desks[node].publish(PRODUCT, "\n".join(events) + "\n").json()
        equal(counts["accepted"], len(events), f"accepted by {node}")

    def consent(self, *subjects):
        body = "\n".join(json.dumps({"subject": f"{s}@example.org", "controller": CONTROLLER, "purposes": ["dpv:AcademicResearch"], "status": "given"}) for s in subjects)
        self.dpo.post("/v1/admin/consents", body + "\n", content_type="application/x-ndjson")

    def withdraw(self, subject):
        return self.dpo.post("/v1/admin/consents/withdraw", {"subject": f"{subject}@example.org", "controller": CONTROLLER}).json()

    def pulled(self, node):
        events, _ = licet_demo.pull_all(self.client("berlin-lab", node), PRODUCT)
        return [subject_of(e) for e in events]

    def ready(self, node):
        try:
            return http_status(self.stack.ops_url(node) + "/readyz") == 200
        except OSError:
            return False

    def await_ready(self, *nodes):
        for node in nodes or NODES:
            await_condition(f"{node} ready", lambda n=node: self.ready(n), 60)

    def barrier(self, epoch, node="eu", wait=0):
        return self.client("dpo", node).get(f"/v1/admin/barriers/{epoch}?wait={wait}").json()

    def await_complete(self, epoch):
        await_condition(f"epoch {epoch} held everywhere", lambda: self.barrier(epoch, wait=2000)["complete"], 60)

    def redis(self):
        return next(s for s in self.stack.services if s.name == "redis")


def subject_of(event):
    return json.loads(event)["id"].split("-", 1)[1]


def refused(call, status, slug):
    try:
        call()
    except Problem as e:
        equal((e.status, e.slug), (status, slug), "refusal")
        return e
    raise AssertionError(f"not refused: expected {status} {slug}")


def stuffed_reader(context, node, subject):
    """A WebSocket whose subscriber does not read while far more about `subject` piles up for it than sockets hold."""
    stream = context.client("berlin-lab", node).websocket(PRODUCT, from_="latest")
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    for _ in range(6):
        context.publish(node, *[context.event(subject, 20_000) for _ in range(200)])
    return stream


def drain(stream):
    """All that the kernel holds of a connection whose node does not write: until nothing has come for a while, twice, or it has ended."""
    stream.sock.settimeout(1.0)
    quiet = 0
    while quiet < 2:
        try:
            stream._fill()
            quiet = 0
        except TimeoutError:
            quiet += 1
        except OSError:
            break
    stream.sock.settimeout(30)


@case
def a_change_holds_on_every_node_when_it_is_answered(context):
    context.consent("leaver", "stayer")
    for node in NODES:
        context.publish(node, context.event("leaver"), context.event("stayer"))
    for node in NODES:
        equal(context.pulled(node), ["leaver", "stayer"], f"before, from {node}")
    epoch = context.withdraw("leaver")["epoch"]
    for node in NODES[::-1]:
        equal(context.pulled(node), ["stayer"], f"after the withdrawal, from {node}")
        equal(context.barrier(epoch, node), {"epoch": epoch, "complete": True, "outstanding": []}, f"the barrier as {node} sees it")
    refused(lambda: context.barrier(epoch + 1000), 404, "not-found")

    admin = context.client("admin")
    lab = {node: context.client("berlin-lab", node) for node in NODES}
    for client in lab.values():
        client.token()
    streams = {node: lab[node].sse(PRODUCT, from_="latest") for node in NODES[1:]}
    admin.post("/v1/admin/clients/berlin-lab/revoke-tokens")
    for node in NODES:
        refused(lambda n=node: lab[n].get(f"/v1/products/{PRODUCT}/events?limit=1"), 401, "invalid-token")
    for node, stream in streams.items():
        equal(list(stream), [], f"events on the revoked stream of {node}")

    contract = admin.get("/v1/admin/contracts/berlin-lab").json()
    body = {key: value for key, value in contract.items() if key not in ("name", "no", "epoch") and value is not None}
    admin.put("/v1/admin/contracts/berlin-lab", {**body, "state": "suspended"})
    for node in NODES:
        refused(lambda n=node: context.client("berlin-lab", n).get(f"/v1/products/{PRODUCT}/events?limit=1"), 403, "no-contract")
    admin.put("/v1/admin/contracts/berlin-lab", {**body, "state": "active"})
    admin.post("/v1/admin/policies/newsroom/retire")
    for node in NODES:
        equal(context.pulled(node), [], f"without a policy, from {node}")
    licet_demo.activate_policy(admin, "newsroom", json.loads((licet_demo.DEMO / "policies" / "newsroom.json").read_text()))
    for node in NODES:
        equal(context.pulled(node), ["stayer"], f"with the policy again, from {node}")


@case
def a_node_stopped_in_the_middle_delivers_nothing_it_had(context):
    context.consent("paused")
    stream = stuffed_reader(context, "eu-2", "paused")
    node = context.stack.nodes["eu-2"].popen
    node.send_signal(signal.SIGSTOP)
    # Nobody waits for it longer than its lease, because it does not outlive that.
    epoch = context.withdraw("paused")["epoch"]
    equal(node.poll(), -signal.SIGKILL, "how the stopped node ended")
    equal(context.barrier(epoch)["complete"], True, "the barrier without the stopped node")
    drain(stream)
    stream.sock.close()
    context.stack.nodes.pop("eu-2")
    context.stack.start_node("eu-2")
    context.consent("witness")
    context.publish("eu-2", context.event("witness"))
    equal(context.pulled("eu-2"), ["stayer", "witness"], "pulled from the node that was stopped")


@case
def without_redis_nothing_is_confirmed_and_nothing_delivered(context):
    context.consent("redis-leaver")
    for node in NODES:
        context.publish(node, context.event("redis-leaver"))
    server = context.redis()
    server.kill()
    context.stack.services.remove(server)
    problem = refused(lambda: context.withdraw("redis-leaver"), 503, "barrier-incomplete")
    epoch = problem.problem["epoch"]
    equal(problem.problem["barrier"], f"/v1/admin/barriers/{epoch}", "where to ask")
    equal(problem.problem["result"]["epoch"], epoch, "what the call would have said")
    equal(context.barrier(epoch)["complete"], False, "the barrier without Redis")
    for node in NODES:
        await_condition(f"{node} stops delivering", lambda n=node: not context.ready(n), 30)
        refused(lambda n=node: context.client("berlin-lab", n).get(f"/v1/products/{PRODUCT}/events?limit=1"), 503, "unavailable")
    context.stack._start_redis()
    context.await_ready()
    context.await_complete(epoch)
    for node in NODES:
        equal([s for s in context.pulled(node) if s == "redis-leaver"], [], f"after Redis came back, from {node}")


@case
def a_node_that_lost_postgresql_stops_and_keeps_nobody_waiting(context):
    context.consent("cut-off")
    context.publish("eu-3", context.event("cut-off"))
    equal(context.pulled("eu-3").count("cut-off"), 1, "before")
    context.proxy.cut()
    try:
        try:
            epoch = context.withdraw("cut-off")["epoch"]
        except Problem as e:  # a slow machine: longer than a call waits
            equal((e.slug, e.problem["outstanding"]), ("barrier-incomplete", ["eu-3"]), "outstanding")
            epoch = e.problem["epoch"]
        context.await_complete(epoch)
        # Whoever asks it is refused: it does not know what holds.
        equal(context.ready("eu-3"), False, "eu-3 ready without the catalog")
        problem = None
        try:
            context.pulled("eu-3")
        except Problem as e:
            problem = e
        equal(problem and problem.status, 503, "a page from eu-3 meanwhile")
    finally:
        context.proxy.mend()
    context.await_ready("eu-3")
    equal(context.pulled("eu-3").count("cut-off"), 0, "from eu-3, when it is back")


@case
def a_call_that_cannot_wait_names_who_is_outstanding(context):
    for node in NODES:
        equal(context.stack.stop_node(node), 0, f"exit of {node}")
    for node in NODES:
        context.stack.write_config(node, lease_ms=LONG_LEASE_MS)
        context.stack.start_node(node, 90)
    context.dpo = context.client("dpo")
    context.desks = {node: context.client("newsroom-desk", node) for node in NODES}
    # With another lease Redis is not trusted to know every node for a whole one, which is longer than a call waits.
    try:
        context.consent("outstanding")
    except Problem as e:
        equal((e.slug, e.problem["outstanding"]), ("barrier-incomplete", ["*"]), "outstanding")
        context.await_complete(e.problem["epoch"])
    stream = stuffed_reader(context, "eu-2", "outstanding")
    node = context.stack.nodes["eu-2"].popen
    node.send_signal(signal.SIGSTOP)
    try:
        problem = refused(lambda: context.withdraw("outstanding"), 503, "barrier-incomplete")
        epoch = problem.problem["epoch"]
        equal(problem.problem["outstanding"], ["eu-2"], "outstanding")
        for other in ("eu", "eu-3"):
            equal(context.barrier(epoch, other)["outstanding"], ["eu-2"], f"outstanding as {other} sees it")
            equal(context.pulled(other).count("outstanding"), 0, f"from {other}, which confirmed it")
    finally:
        node.send_signal(signal.SIGCONT)
    context.await_complete(epoch)
    # From here on nothing more of it is written; what was written before is with the kernel.
    drain(stream)
    whole = len(stream.buffer)
    context.consent("witness-2")
    context.publish("eu-2", context.event("witness-2"))
    await_condition("the end of the stream, or the witness", lambda: grown(stream) or len(stream.buffer) > whole, 30)
    equal(b"-outstanding\"" in bytes(stream.buffer[whole:]), False, "bytes about the person who withdrew, after the barrier was complete")
    stream.sock.close()
    equal(context.pulled("eu-2").count("outstanding"), 0, "pulled from eu-2")
    lines = context.client("auditor").get("/v1/admin/audit?limit=10000").body.decode().splitlines()
    ends = [(json.loads(line)["action"], json.loads(line)["detail"].get("late", False)) for line in lines if json.loads(line).get("target") == str(epoch)]
    equal(ends, [("barrier.incomplete", False), ("barrier.complete", True)], "the barrier in the audit log")


def grown(stream):
    """Reads once; whether the connection has ended."""
    stream.sock.settimeout(0.5)
    try:
        stream._fill()
    except TimeoutError:
        return False
    except (OSError, ConnectionError):
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(BarrierContext))
