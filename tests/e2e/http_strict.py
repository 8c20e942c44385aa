#!/usr/bin/python3
"""HTTP/1.1 against a real node, byte by byte over raw sockets, plain and over TLS: pipelining, 100-continue, HEAD, Range, limits, chunks, what smugglers send, and those who are slow. What
docs/edge.md promises is checked here on the node as it ships, with its real limits and times: the slow ones begin first and are awaited last."""
import json
import os
import pathlib
import random
import resource
import selectors
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, api_check, case, equal, main, short  # noqa: E402

PRODUCT = "newsroom"
EVENTS = f"/v1/products/{PRODUCT}/events"
USAGE = "/v1/usage?period=2026-03"
HEAD_S, BODY_S, IDLE_S = 10, 60, 60  # request_header_timeout_ms, request_body_timeout_ms, keep_alive_timeout_ms
LATE_S = 4  # a machine with other things to do
SLOW_HEADS = 1000
TARGET_MAX, HEAD_MAX, FIELDS_MAX, TOKEN_BODY_MAX = 2048, 16 * 1024, 100, 8 * 1024
EVENT_BODY_MAX, CONTROL_BODY_MAX = 16 * 1024 * 1024, 4 * 1024 * 1024


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def __getitem__(self, name):
        return self.fields.get(name.lower(), "")

    @property
    def what(self):
        """"401 unauthenticated" of a problem, "200" of anything else."""
        if self["Content-Type"] != "application/problem+json":
            return str(self.status)
        problem = json.loads(self.body)
        if problem["status"] != self.status or not problem["title"] or self["Licet-Request-Id"] != problem.get("instance"):
            raise AssertionError(f"not as a problem should be: {short(problem)}")
        return f"{self.status} {problem['type'].rsplit('/', 1)[-1]}"


class Wire:
    """A connection that sends the bytes it is given and reads answers strictly."""

    def __init__(self, context, tls=False, timeout=30):
        self.sock = context.client("berlin-lab", "tls" if tls else "eu").connect(timeout)
        self.buffer = b""

    def send(self, data):
        try:
            self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it had seen enough: what it said is read below
        return self

    def _more(self):
        try:
            got = self.sock.recv(256 * 1024)
        except ConnectionResetError:
            got = b""
        if not got:
            raise EOFError
        self.buffer += got

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _take(self, size):
        while len(self.buffer) < size:
            self._more()
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out

    def answer(self, head_only=False):
        version, status = self._line().split(" ", 2)[:2]
        equal(version, "HTTP/1.1", "version")
        fields = {}
        while line := self._line():
            name, _, value = line.partition(": ")
            fields[name.lower()] = value
        status, body = int(status), b""
        if status >= 200 and status != 204 and not head_only:
            if fields.get("transfer-encoding") == "chunked":
                while size := int(self._line(), 16):
                    body += self._take(size)
                    equal(self._line(), "", "end of a chunk")
                equal(self._line(), "", "end of the chunks")
            else:
                body = self._take(int(fields["content-length"]))
        return Answer(status, fields, body)

    def ask(self, data, head_only=False):
        return self.send(data).answer(head_only)

    def ended(self):
        """True once the other side has ended the connection without another byte."""
        if self.buffer:
            raise AssertionError(f"more than was asked for: {short(self.buffer)}")
        try:
            self._more()
        except EOFError:
            return True
        raise AssertionError(f"more than was asked for: {short(self.buffer)}")

    def close(self):
        self.sock.close()


def head(method, target, *lines, token=None, host="edge"):
    fields = [f"Host: {host}", *([f"Authorization: Bearer {token}"] if token else []), *lines]
    return f"{method} {target} HTTP/1.1\r\n" + "\r\n".join(fields) + "\r\n\r\n"


class Slow(threading.Thread):
    """Connections that send a piece now and then, all in one thread; notes when each was ended, and what it was told."""

    def __init__(self, context):
        super().__init__(daemon=True)
        self.context, self.selector, self.all, self.done = context, selectors.DefaultSelector(), [], threading.Event()

    def add(self, kind, first, pieces=b"", every=0.5, node="eu"):
        sock = socket.create_connection(("127.0.0.1", self.context.stack.ports[node]))
        sock.sendall(first)
        sock.setblocking(False)
        one = {"kind": kind, "sock": sock, "pieces": pieces, "at": 0, "every": every, "began": time.monotonic(), "next": time.monotonic() + every, "got": b"", "ended": None}
        self.all.append(one)
        self.selector.register(sock, selectors.EVENT_READ, one)

    def run(self):
        while any(one["ended"] is None for one in self.all):
            for key, _ in self.selector.select(0.05):
                one = key.data
                try:
                    got = one["sock"].recv(65536)
                except (ConnectionResetError, BlockingIOError):
                    got = b""
                one["got"] += got
                if not got:
                    self._end(one)
            now = time.monotonic()
            for one in self.all:
                if one["ended"] is None and one["pieces"] and now >= one["next"]:
                    one["next"] += one["every"]
                    try:
                        one["sock"].send(one["pieces"][one["at"]:one["at"] + 1])
                    except (BrokenPipeError, ConnectionResetError):
                        pass  # it is read, then, that it has ended
                    one["at"] = (one["at"] + 1) % len(one["pieces"])
        self.done.set()

    def _end(self, one):
        one["ended"] = time.monotonic()
        self.selector.unregister(one["sock"])
        one["sock"].close()


class HttpContext(Context):
    def __init__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().__init__(plain=("eu",))
        self.stack.add_node("eu", "tls")
        self.desk = self.client("newsroom-desk")
        self.client("dpo").post("/v1/admin/consents", {"subject": "ada@example.org", "controller": "daily-courier", "purposes": ["dpv:AcademicResearch"], "status": "given"})
        self.number = 0
        self.events(20)
        self.tokens = {name: self.client(name).token() for name in ("berlin-lab", "newsroom-desk", "admin", "auditor", "finance", "dpo", "policy-desk")}
        self.read, self.write = self.tokens["berlin-lab"], self.tokens["newsroom-desk"]
        _, self.cursor = self.client("berlin-lab").pull(PRODUCT, limit=5)
        self.slow = Slow(self)
        self._begin_slow()

    def event(self):
        self.number += 1
        return json.dumps({"id": f"h-{self.number}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE",
                           "reader": {"email": "ada@example.org"}})

    def events(self, count):
        equal(self.desk.publish(PRODUCT, "".join(self.event() + "\n" for _ in range(count))).json()["accepted"], count, "accepted")

    def stored(self):
        """How many events the log holds that the reader may see."""
        return len(self.client("berlin-lab").pull(PRODUCT, limit=10_000)[0])

    def _begin_slow(self):
        whole = head("GET", "/v1/usage", "X: " + "x" * 4000).encode()
        slow = self.slow
        slow.add("head, a byte at a time", b"", whole)
        slow.add("head that stops", whole[:100])
        slow.add("head that stops, behind a request that was answered", head("GET", "/nowhere").encode() + whole[:100])
        post = head("POST", EVENTS, "Content-Type: application/json", "Content-Length: 1000", token=self.write).encode()
        chunked = head("POST", EVENTS, "Content-Type: application/json", "Transfer-Encoding: chunked", token=self.write).encode()
        slow.add("body, a byte at a time", post, b" ")
        slow.add("body that stops", post + b" " * 500)
        slow.add("chunks, a byte at a time", chunked, b"1\r\n \r\n")
        slow.add("chunk extension, a byte at a time", chunked + b"1;", b"x")
        slow.add("nothing at all", b"")
        slow.add("nothing more, behind a request that was answered", head("GET", "/nowhere").encode())
        slow.add("no handshake", b"", node="tls")
        slow.add("handshake that stops", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", node="tls")
        for _ in range(SLOW_HEADS):
            slow.add("one of many", b"GET /v1/usage HTTP/1.1\r\n", b"X: y\r\n", every=2)
        self.slow_began = time.monotonic()
        slow.start()


def setup():
    return HttpContext()


@case
def many_slow_ones_hurt_nobody(context):
    worst = 0.0
    wire = Wire(context)
    for number in range(200):
        began = time.monotonic()
        if number % 10 == 0:  # a new connection must get through, too
            wire.close()
            wire = Wire(context)
        equal(wire.ask(head("GET", EVENTS + "?limit=5", token=context.read)).status, 200, "a page meanwhile")
        worst = max(worst, time.monotonic() - began)
    if time.monotonic() - context.slow_began > HEAD_S:
        raise AssertionError("too late: the slow ones were ended before this was measured")
    if worst > 1:
        raise AssertionError(f"the slowest of 200 pages took {worst:.2f} s beside {SLOW_HEADS} slow heads")


@case
def pipelined_requests_are_answered_in_order(context):
    body = context.event()
    requests = [
        (head("GET", USAGE, token=context.read), "200"), (head("GET", EVENTS + "?limit=5", token=context.read), "200"), (head("GET", "/nowhere"), "404 not-found"),
        (head("POST", EVENTS, "Content-Type: application/json", f"Content-Length: {len(body)}", token=context.write) + body, "200"),
        (head("HEAD", EVENTS + "?limit=2", token=context.read), "200"), (head("GET", EVENTS + "?limit=1", "Accept: application/cloudevents-batch+json", token=context.read), "200"),
        (head("GET", f"{EVENTS}?from=latest&wait=100", token=context.read), "200"), (head("GET", EVENTS + "?from=nonsense", token=context.read), "400 invalid-cursor"),
        (head("GET", "/v1/openapi.json"), "200"), (head("GET", "/v1/admin/regions", token=context.tokens["admin"]), "200"), (head("DELETE", "/v1/usage"), "405 method-not-allowed"),
        (head("OPTIONS", "/v1/usage"), "204"), (head("GET", EVENTS), "401 unauthenticated"), (head("GET", EVENTS, "Accept: text/html", token=context.read), "406 not-acceptable"),
        (head("POST", EVENTS, "Content-Type: application/json", "Transfer-Encoding: chunked", token=context.write) + f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", "200")]
    for tls in (False, True):
        dice = random.Random(7)
        sent = list(requests) + [dice.choice(requests) for _ in range(150)]
        wire = Wire(context, tls)
        threading.Thread(target=wire.send, args=("".join(request for request, _ in sent),), daemon=True).start()
        ids = set()
        for number, (request, wanted) in enumerate(sent):
            answer = wire.answer(request.startswith("HEAD"))
            equal(str(answer.status) if request.startswith("HEAD") else answer.what, wanted, f"answer {number}, to {request.splitlines()[0]}")
            ids.add(answer["Licet-Request-Id"])
        equal(len(ids), len(sent), "request ids")
        equal(wire.ask(head("GET", "/nowhere", "Connection: close")).what, "404 not-found", "the last")
        wire.ended()


@case
def an_expectation_is_met_when_the_head_is_good(context):
    body = context.event()
    post = ("POST", EVENTS, "Content-Type: application/json")
    sized = f"Content-Length: {len(body)}"
    for tls in (False, True):
        wire = Wire(context, tls)
        equal(wire.ask(head(*post, sized, "Expect: 100-continue", token=context.write)).status, 100, "told to go on")
        equal(wire.ask(body).status, 200, "published")
        # Chunked, and with the case of a letter.
        equal(wire.ask(head(*post, "Transfer-Encoding: chunked", "Expect: 100-Continue", token=context.write)).status, 100, "told to go on, chunked")
        equal(wire.ask(f"{len(body):x}\r\n{body}\r\n0\r\n\r\n").status, 200, "published, chunked")
        # Sent without waiting: no word of going on.
        equal(wire.ask(head(*post, sized, "Expect: 100-continue", token=context.write) + body).status, 200, "published at once")
        # Nothing to go on with.
        equal(wire.ask(head("GET", USAGE, "Expect: 100-continue", token=context.read)).status, 200, "no body")
        # The control plane's.
        region = json.dumps({"endpoint": context.stack.url("eu")})
        equal(wire.ask(head("PUT", "/v1/admin/regions/eu", "Content-Type: application/json", f"Content-Length: {len(region)}", "Expect: 100-continue",
                            token=context.tokens["admin"])).status, 100, "told to go on, control")
        equal(wire.ask(region).status, 200, "configured")
        wire.close()
        for lines, token, wanted in ((["Expect: 100-continue", sized], None, "401 unauthenticated"), (["Expect: 100-continue", sized], context.read, "403 insufficient-scope"),
                                     (["Expect: 100-continue", f"Content-Length: {EVENT_BODY_MAX + 1}"], context.write, "413 body-too-large"),
                                     (["Expect: 100-continue", sized, "Content-Encoding: gzip"], context.write, "415 unsupported-media-type"),
                                     (["Expect: 200-ok", sized], context.write, "417 expectation-failed"),
                                     (["Expect: 100-continue, gold", sized], context.write, "417 expectation-failed"),
                                     (["Expect: 100-continue", "Expect: 100-continue", sized], context.write, "400 bad-request")):
            wire = Wire(context, tls)
            answer = wire.ask(head(*post, *lines, token=token))
            equal(answer.what, wanted, f"{lines}")
            equal(answer["Connection"], "close", "a body that was not read ends the connection")
            wire.ended()
        # Without a body an expectation that cannot be met costs nobody the connection.
        wire = Wire(context, tls)
        equal(wire.ask(head("GET", USAGE, "Expect: gold", token=context.read)).what, "417 expectation-failed", "no body")
        equal(wire.ask(head("GET", USAGE, token=context.read)).status, 200, "goes on")
        wire.close()


def get_targets():
    """Every GET of the API, filled in, with who may."""
    clients = {"admin": "admin", "auditor": "auditor", "finance": "finance", "dpo": "dpo", "policy": "policy-desk", "producer": "newsroom-desk"}
    values = {"product": PRODUCT, "name": "newsroom", "part": "1", "epoch": "1", "version": "1", "number": "1"}
    queries = {"/v1/admin/explain": f"?product={PRODUCT}&contract=berlin-lab&offset=0", "/v1/finance/usage": "?period=2026-03", "/v1/usage": "?period=2026-03",
               "/v1/admin/audit/proof": "?entry=1", EVENTS: "?limit=3"}
    names = {"/v1/admin/regions/{name}": "eu", "/v1/admin/parties/{name}": "berlin-lab", "/v1/admin/contracts/{name}": "berlin-lab", "/v1/admin/clients/{name}": "berlin-lab"}
    for path, item in api_check.DOCUMENT["paths"].items():
        if "get" not in item:
            continue
        target = path
        for key, value in {**values, **({"name": names[path]} if path in names else {})}.items():
            target = target.replace("{" + key + "}", value)
        roles = item["get"]["x-licet-roles"]
        yield target + queries.get(target, ""), next((clients[r] for r in roles if r in clients), "berlin-lab")


@case
def head_is_get_without_the_body(context):
    seen, good = 0, 0
    wire = Wire(context)
    for target, who in get_targets():
        token = context.tokens[who]
        got = wire.ask(head("GET", target, token=token))
        without = wire.ask(head("HEAD", target, token=token), head_only=True)
        # Where it goes on is the same, but who asked for the head alone has received nothing: that cursor proves nothing (docs/metering.md).
        drop, differs = {"date", "licet-request-id"}, {"licet-cursor"}
        if got["Content-Type"] == "application/problem+json":
            drop.add("content-length")
        same = [{k: v != "" if k in differs else v for k, v in a.fields.items() if k not in drop} for a in (got, without)]
        equal((without.status, same[1]), (got.status, same[0]), f"HEAD {target}")
        seen, good = seen + 1, good + (got.status == 200)
    equal(wire.ask(head("GET", "/nowhere")).status, 404, "goes on")
    if good < 20:
        raise AssertionError(f"only {good} of {seen} were answered 200")
    # A stream's head alone; the connection ends with it, as it does with the stream.
    wire = Wire(context)
    stream = wire.ask(head("HEAD", EVENTS, "Accept: text/event-stream", token=context.read), head_only=True)
    equal((stream.status, stream["Content-Type"], stream["Connection"]), (200, "text/event-stream", "close"), "HEAD of a stream")
    wire.ended()
    tls = Wire(context, tls=True)
    equal(tls.ask(head("HEAD", EVENTS + "?limit=3", token=context.read), head_only=True)["Licet-Cursor"] != "", True, "cursor over TLS")
    equal(tls.ask(head("GET", EVENTS + "?limit=3", token=context.read)).status, 200, "goes on")


@case
def ranges_are_not_looked_at(context):
    wire = Wire(context)
    for target, token in (("/v1/openapi.json", None), (EVENTS + "?limit=5", context.read)):
        whole = wire.ask(head("GET", target, token=token))
        for value in ("bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=0-0,2-3", "bytes=999999999-", "lines=1-2", "x"):
            part = wire.ask(head("GET", target, f"Range: {value}", 'If-Range: "x"', token=token))
            equal((part.status, part["Content-Range"], part.body == whole.body), (200, "", True), f"Range: {value}")
        equal(whole["Accept-Ranges"], "", "no promise")


@case
def oversized_anything_is_a_problem(context):
    for tls in (False, True):
        def one(request, wanted, ends=True, closed=True):
            wire = Wire(context, tls)
            answer = wire.ask(request)
            equal(answer.what, wanted, short(request[:60]))
            if ends:
                equal(answer["Connection"], "close", "ends")
                wire.ended()
            else:
                equal(wire.ask(head("GET", "/nowhere")).status, 404, "goes on")
            wire.close()
        one(head("GET", "/" + "a" * (TARGET_MAX - 1)), "404 not-found", ends=False)
        one(head("GET", "/" + "a" * TARGET_MAX), "414 uri-too-long", ends=False)
        room = HEAD_MAX - len(head("GET", "/nowhere", "X: "))
        one(head("GET", "/nowhere", "X: " + "x" * room), "404 not-found", ends=False)
        one(head("GET", "/nowhere", "X: " + "x" * (room + 1)), "431 header-too-large")
        one("GET /" + "a" * 100_000, "431 header-too-large")
        one(head("GET", "/nowhere", *["x:"] * (FIELDS_MAX - 1)), "404 not-found", ends=False)
        one(head("GET", "/nowhere", *["x:"] * FIELDS_MAX), "431 header-too-large")
        one(head("POST", EVENTS, f"Content-Length: {EVENT_BODY_MAX + 1}", token=context.write), "413 body-too-large")
        one(head("POST", EVENTS, "Content-Length: 999999999999999", token=context.write), "413 body-too-large")
        one(head("PUT", "/v1/admin/regions/eu", f"Content-Length: {CONTROL_BODY_MAX + 1}", token=context.tokens["admin"]), "413 body-too-large")
        form = "Content-Type: application/x-www-form-urlencoded"
        one(head("POST", "/oauth/token", form, f"Content-Length: {TOKEN_BODY_MAX + 1}"), "413 body-too-large")
        chunk = f"{4096:x}\r\n" + "x" * 4096 + "\r\n"
        one(head("POST", "/oauth/token", form, "Transfer-Encoding: chunked") + chunk * 3, "413 body-too-large")
        one(head("POST", f"/v1/products/{PRODUCT}/tickets", "Content-Length: 1025", token=context.read), "413 body-too-large")


@case
def chunks_are_read_strictly(context):
    body = context.event()
    size = f"{len(body):x}"
    post = head("POST", EVENTS, "Content-Type: application/json", "Transfer-Encoding: chunked", token=context.write)
    for tls in (False, True):
        for name, chunks in (("plain", f"{size}\r\n{body}\r\n0\r\n\r\n"), ("upper case", f"{size.upper()}\r\n{body}\r\n0\r\n\r\n"),
                             ("extensions", f'{size};a;b=c;d="e;\\"f"\r\n{body}\r\n0;last\r\n\r\n'), ("zeros", f"000{size}\r\n{body}\r\n000\r\n\r\n"),
                             ("a byte each", "".join(f"1\r\n{c}\r\n" for c in body) + "0\r\n\r\n"),
                             ("trailer", f"{size}\r\n{body}\r\n0\r\nAuthorization: Bearer x\r\nHost: elsewhere\r\nConnection: close\r\n\r\n")):
            wire = Wire(context, tls)
            answer = wire.ask(post + chunks)
            equal(answer.what, "200", name)
            equal(json.loads(answer.body)["received"], 1, name)
            equal(wire.ask(head("GET", "/nowhere")).status, 404, f"{name}: goes on")
            wire.close()
    before = context.stored()
    smuggled = head("GET", "/nowhere")
    for name, chunks in (("no CR in the size", f"{size}\n{body}\r\n0\r\n\r\n"), ("no CR at the end of a chunk", f"{size}\r\n{body}\n0\r\n\r\n"), ("longer than it says", f"1\r\n{body}\r\n0\r\n\r\n"),
                         ("minus", f"-{size}\r\n{body}\r\n0\r\n\r\n"), ("plus", f"+{size}\r\n{body}\r\n0\r\n\r\n"), ("0x", f"0x{size}\r\n{body}\r\n0\r\n\r\n"), ("too large a number", "1" + "0" * 16 + "\r\n" + body),
                         ("wraps round", "1000000000000000" + size + f"\r\n{body}\r\n0\r\n\r\n"), ("no number", f"\r\n{body}\r\n0\r\n\r\n"), ("a space before", f" {size}\r\n{body}\r\n0\r\n\r\n"),
                         ("a letter", f"{size}g\r\n{body}\r\n0\r\n\r\n"), ("a long extension", f"{size};" + "x" * 1_000_000 + f"\r\n{body}\r\n0\r\n\r\n"), ("spaces", f"{size}" + " " * 200_000 + "\r\n"),
                         ("a huge trailer", f"{size}\r\n{body}\r\n0\r\n" + "x: y\r\n" * 40_000 + "\r\n"), ("a long line in the trailer", f"{size}\r\n{body}\r\n0\r\nx: " + "y" * 200_000 + "\r\n\r\n"),
                         ("a length in the trailer", f"{size}\r\n{body}\r\n0\r\nContent-Length: 5\r\n\r\n"), ("an encoding in the trailer", f"{size}\r\n{body}\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n"),
                         ("NUL in the size", f"{size}\0\r\n{body}\r\n0\r\n\r\n")):
        wire = Wire(context)
        equal(wire.ask(post + chunks + smuggled).what, "400 bad-request", name)
        wire.ended()
    equal(context.stored(), before, "events stored")


@case
def what_two_readers_could_read_differently_is_refused(context):
    before = context.stored()
    body = context.event()
    smuggled = head("GET", "/nowhere")
    start = f"POST {EVENTS} HTTP/1.1\r\n"
    rest = f"Authorization: Bearer {context.write}\r\nContent-Type: application/json\r\n"
    host, length = "Host: edge\r\n", f"Content-Length: {len(body)}\r\n"
    shapes = {
        "CL.TE": start + host + rest + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
        "TE.CL": start + host + rest + f"Transfer-Encoding: chunked\r\n{length}\r\n{body}" + smuggled,
        "two lengths": start + host + rest + length + length + "\r\n" + body,
        "two different lengths": start + host + rest + length + "Content-Length: 3\r\n\r\n" + body,
        "a list of lengths": start + host + rest + f"Content-Length: {len(body)}, {len(body)}\r\n\r\n{body}",
        "a length with a sign": start + host + rest + f"Content-Length: +{len(body)}\r\n\r\n{body}",
        "a length in hex": start + host + rest + f"Content-Length: 0x{len(body):x}\r\n\r\n{body}",
        "a length with a space": start + host + rest + "Content-Length: 1 0\r\n\r\n" + body,
        "an empty length": start + host + rest + "Content-Length:\r\n\r\n" + body,
        "two encodings": start + host + rest + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "chunked, not last": start + host + rest + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "almost chunked": start + host + rest + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a vertical tab": start + host + rest + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "a space before the colon": start + host + rest + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "a folded line": start + host + rest + "X: a\r\n Transfer-Encoding: chunked\r\n" + length + "\r\n" + body,
        "a folded first line": start + " Host: edge\r\n" + rest + length + "\r\n" + body,
        "bare LF": (start + host + rest + length + "\r\n").replace("\r\n", "\n") + body,
        "one bare LF": start + host + rest + "X: y\n" + length + "\r\n" + body,
        "bare CR": start + host + rest + "X: a\rContent-Length: 3\r\n" + length + "\r\n" + body,
        "NUL in a value": start + host + rest + "X: a\0b\r\n" + length + "\r\n" + body,
        "NUL in a name": start + host + rest + "X\0: b\r\n" + length + "\r\n" + body,
        "no colon": start + host + rest + "X\r\n" + length + "\r\n" + body,
        "no host": start + rest + length + "\r\n" + body,
        "two hosts": start + host + host + rest + length + "\r\n" + body,
        "an empty line first": "\r\n" + start + host + rest + length + "\r\n" + body,
        "two spaces": start.replace(" ", "  ", 1) + host + rest + length + "\r\n" + body,
        "a tab": start.replace(" ", "\t", 1) + host + rest + length + "\r\n" + body,
        "HTTP/1.0": start.replace("1.1", "1.0") + host + rest + length + "\r\n" + body,
        "HTTP/1.2": start.replace("1.1", "1.2") + host + rest + length + "\r\n" + body,
        "HTTP/0.9": "GET /\r\n\r\n",
        "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "two tokens": start + host + rest + f"Authorization: Bearer {context.read}\r\n" + length + "\r\n" + body,
        "two types": start + host + rest + "Content-Type: text/plain\r\n" + length + "\r\n" + body,
        "two origins": start + host + rest + "Origin: https://a.example\r\nOrigin: https://b.example\r\n" + length + "\r\n" + body,
    }
    for tls in (False, True):
        for name, shape in shapes.items():
            wire = Wire(context, tls)
            answer = wire.ask(shape + smuggled)
            equal(answer.what, "400 bad-request", name)
            equal(answer["Connection"], "close", name)
            wire.ended()  # nothing behind it was read as a request
    equal(context.stored(), before, "events stored")


@case
def targets_have_one_spelling(context):
    wire = Wire(context)
    here = f"127.0.0.1:{context.stack.ports['eu']}"
    for target in (f"http://{here}{USAGE}", f"HTTP://{here}{USAGE}", f"https://{here}{USAGE}"):
        equal(wire.ask(head("GET", target, token=context.read, host=here)).status, 200, target)
    for target in ("http://elsewhere/v1/usage", f"http://{here}", f"http://{here}?x", f"http://{here}:1/v1/usage", f"http://u@{here}/v1/usage", "ftp://edge/v1/usage", "*", "edge:443", "v1/usage", "//v1/usage",
                   "/v1//usage", "/v1/usage/", "/v1/./usage", "/v1/x/../usage", "/v1/%2e%2e/v1/usage", "/v1%2fusage", "/v1/usage%00", "/v1/usage#x", "/v1\\usage", "/v1/usage?a=1&a=2", "/v1/%zz"):
        equal(wire.ask(head("GET", target, token=context.read, host=here)).what, "400 bad-request", target)
    for method in ("CONNECT", "TRACE", "get", "FROBNICATE"):
        equal(wire.ask(head(method, USAGE, token=context.read)).what, "405 method-not-allowed", method)


@case
def close_is_honoured(context):
    for tls in (False, True):
        for target, token in (("/nowhere", None), (USAGE, context.read), (EVENTS + "?limit=2", context.read), ("/v1/openapi.json", None)):
            wire = Wire(context, tls)
            # What comes behind it is not read.
            answer = wire.ask(head("GET", target, "Connection: keep-alive, Close", token=token) + head("GET", "/nowhere"))
            equal(answer["Connection"], "close", target)
            wire.ended()


@case
def slow_ones_are_ended_in_time(context):
    if not context.slow.done.wait(BODY_S + 2 * LATE_S):
        raise AssertionError(f"still there: {sorted({one['kind'] for one in context.slow.all if one['ended'] is None})}")
    wanted = {"head, a byte at a time": (HEAD_S, "408"), "head that stops": (HEAD_S, "408"), "head that stops, behind a request that was answered": (HEAD_S, "404 408"),
              "body, a byte at a time": (BODY_S, "408"), "body that stops": (BODY_S, "408"), "chunks, a byte at a time": (BODY_S, "408"), "chunk extension, a byte at a time": (BODY_S, "408"),
              "nothing at all": (IDLE_S, ""), "nothing more, behind a request that was answered": (IDLE_S, "404"), "no handshake": (HEAD_S, ""), "handshake that stops": (HEAD_S, ""),
              "one of many": (HEAD_S, "408")}
    for one in context.slow.all:
        after, told = wanted[one["kind"]]
        lasted = one["ended"] - one["began"]
        statuses = " ".join(part.split(b" ", 1)[0].decode() for part in one["got"].split(b"HTTP/1.1 ")[1:])
        equal(statuses, told, f"{one['kind']}: told")
        if not after - 0.5 <= lasted <= after + LATE_S:
            raise AssertionError(f"{one['kind']}: lasted {lasted:.1f} s, expected {after} s")
        if told.endswith("408") and b"/request-timeout" not in one["got"]:
            raise AssertionError(f"{one['kind']}: not told why: {short(one['got'])}")
    # Nothing is left of them.
    for node in ("eu", "tls"):
        pid = context.stack.nodes[node].pid
        left = len(os.listdir(f"/proc/{pid}/fd"))
        if left > 300:
            raise AssertionError(f"{left} descriptors are open at {node}")


if __name__ == "__main__":
    sys.exit(main(setup))
