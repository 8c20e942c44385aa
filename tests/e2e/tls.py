#!/usr/bin/python3
"""TLS as partners and operators meet it: 1.3 alone, sessions resumed across a restart, client certificates and tokens bound to them, certificates read anew under a running
stream."""
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import re
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


class TlsContext(Context):
    """A stack whose edge takes client certificates, and partners who have some."""

    def __init__(self):
        super().__init__()
        self.tls = self.stack.dir / "tls"
        self.make_ca("partners")
        self.make_ca("others")
        for name, ca, days in (("lab", "partners", 30), ("lab2", "partners", 30), ("late", "partners", 0), ("stranger", "others", 30)):
            self.make_client(name, ca, days)
        self.configure('tls_client_ca = "tls/partners.pem"\ntls_client_auth = "optional"')

    def run(self, *command):
        subprocess.run([str(c) for c in command], capture_output=True, check=True)

    def make_ca(self, name):
        self.run("openssl", "req", "-x509", *KEY, "-keyout", self.tls / f"{name}.key", "-out", self.tls / f"{name}.pem", "-days", "30", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE")

    def make_client(self, name, ca, days):
        self.run("openssl", "req", "-new", *KEY, "-keyout", self.tls / f"{name}.key", "-out", self.tls / f"{name}.csr", "-subj", f"/CN={name}")
        # 0 days: it ends at once.
        self.run("openssl", "x509", "-req", "-in", self.tls / f"{name}.csr", "-CA", self.tls / f"{ca}.pem", "-CAkey", self.tls / f"{ca}.key", "-CAcreateserial",
                 "-days", days, "-out", self.tls / f"{name}.pem")

    def configure(self, lines):
        self.stack.stop_node("eu")
        self.stack.write_config("eu")
        path = self.stack.config("eu")
        path.write_text(path.read_text().replace("[edge]\n", f"[edge]\n{lines}\n", 1))
        self.stack.start_node("eu")

    def partner(self, client, certificate=None):
        out = self.client(client)
        if certificate:
            out.context.load_cert_chain(self.tls / f"{certificate}.pem", self.tls / f"{certificate}.key")
        return out

    def metric(self, line):
        with urllib.request.urlopen(self.stack.ops_url("eu") + "/metrics", timeout=5) as answer:
            for text in answer.read().decode().splitlines():
                if text.startswith(line):
                    return float(text.rsplit(" ", 1)[1])
        return 0.0

    def node_log(self):
        return (self.stack.dir / "eu.log").read_text()


def refused_by_handshake(client):
    """The server's no comes with the first read: the client's part of a TLS 1.3 handshake is over before."""
    try:
        client.get("/v1/openapi.json")
    except (ssl.SSLError, ConnectionError):
        return True
    return False


def refused_as(slug, call):
    try:
        call()
    except Problem as e:
        equal((e.status, e.slug), (401, slug), "the refusal")
        return
    raise AssertionError("it was answered")


def answer_over(sock):
    sock.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    out = b""
    while chunk := sock.recv(65536):
        out += chunk
    return int(out.split(b" ", 2)[1])


def connect(context, tls, session=None):
    raw = socket.create_connection(("127.0.0.1", context.stack.ports["eu"]), 10)
    return tls.wrap_socket(raw, server_hostname="127.0.0.1", session=session)


@case
def older_tls_is_refused(context):
    for version in (ssl.TLSVersion.TLSv1_2,):
        tls = ssl.create_default_context(cafile=str(context.stack.ca))
        tls.maximum_version = version
        try:
            connect(context, tls)
        except ssl.SSLError as e:
            equal("PROTOCOL_VERSION" in str(e).upper(), True, f"the reason: {e}")
            continue
        raise AssertionError(f"{version} was spoken")
    tls = ssl.create_default_context(cafile=str(context.stack.ca))
    with connect(context, tls) as sock:
        equal((sock.version(), answer_over(sock)), ("TLSv1.3", 200), "TLS 1.3")


@case
def a_session_is_resumed_even_after_a_restart(context):
    tls = ssl.create_default_context(cafile=str(context.stack.ca))
    with connect(context, tls) as sock:
        equal((answer_over(sock), sock.session_reused), (200, False), "the first connection")
        session = sock.session
    with connect(context, tls, session) as sock:
        equal((answer_over(sock), sock.session_reused), (200, True), "the second")
        session = sock.session
    equal(context.metric('licet_tls_handshakes_total{outcome="resumed"}'), 1.0, "resumptions counted")
    context.stack.stop_node("eu")
    context.stack.start_node("eu")
    with connect(context, tls, session) as sock:
        equal((answer_over(sock), sock.session_reused), (200, True), "after a restart of the node")
    # Opened, but of another context: the file of CAs is not the one it was made under.
    trusted = context.tls / "partners.pem"
    before = trusted.read_text()
    trusted.write_text(before + (context.tls / "others.pem").read_text())
    context.stack.nodes["eu"].popen.send_signal(signal.SIGHUP)
    await_condition("the CAs read anew", lambda: context.node_log().count("tls.certificate_loaded") >= 4, 10)
    with connect(context, tls, session) as sock:
        equal((answer_over(sock), sock.session_reused), (200, False), "under other CAs")
    trusted.write_text(before)
    context.stack.nodes["eu"].popen.send_signal(signal.SIGHUP)
    await_condition("and again", lambda: context.node_log().count("tls.certificate_loaded") >= 5, 10)


@case
def only_certificates_of_the_configured_ca_are_taken(context):
    equal(refused_by_handshake(context.partner("berlin-lab", "stranger")), True, "a certificate of another CA")
    equal(refused_by_handshake(context.partner("berlin-lab", "late")), True, "one that has ended")
    equal(refused_by_handshake(context.partner("berlin-lab", "lab")), False, "a good one")
    equal(refused_by_handshake(context.partner("berlin-lab")), False, "none, where they are optional")


@case
def a_token_fetched_with_a_certificate_is_good_with_it_alone(context):
    holder = context.partner("berlin-lab", "lab")
    token = holder.token()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    der = ssl.PEM_cert_to_DER_cert((context.tls / "lab.pem").read_text())
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    equal(claims.get("cnf"), {"x5t#S256": thumbprint}, "cnf")
    holder.pull("newsroom", limit=1)

    for other in (context.partner("berlin-lab"), context.partner("berlin-lab", "lab2")):
        other._token = token
        refused_as("invalid-token", lambda: other.pull("newsroom", limit=1))
        refused_as("invalid-token", lambda: other.sse("newsroom"))
        refused_as("invalid-token", lambda: other.websocket("newsroom"))
        refused_as("invalid-token", lambda: other.get("/v1/usage"))
        refused_as("invalid-token", lambda: other.get("/v1/admin/contracts"))
    desk = context.partner("newsroom-desk", "lab")
    bound = desk.token()
    bare = context.partner("newsroom-desk")
    bare._token = bound
    refused_as("invalid-token", lambda: bare.publish("newsroom", "{}"))
    try:
        holder.post("/v1/products/newsroom/tickets")
        raise AssertionError("a bound token got a ticket")
    except Problem as e:
        equal((e.status, e.slug), (403, "forbidden"), "a ticket for a bound token")
    # A resumed session is who the first one was.
    with holder.connect() as sock:
        equal(answer_over(sock), 200, "the first connection")
        session = sock.session
    resumed = connect(context, holder.context, session)
    resumed.sendall(f"GET /v1/products/newsroom/endpoints HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
    answer = resumed.recv(65536)
    equal((resumed.session_reused, answer[:12]), (True, b"HTTP/1.1 200"), f"the bound token on a resumed connection: {answer!r}")
    resumed.close()
    # And a token fetched without one is bound to nothing.
    free = context.partner("berlin-lab")
    equal("cnf" in json.loads(base64.urlsafe_b64decode(free.token().split(".")[1] + "==")), False, "cnf without a certificate")
    holder._token = free._token
    holder.pull("newsroom", limit=1)


@case
def certificates_are_read_anew_under_a_running_stream(context):
    generator = context.generator
    start = generator.parse_start(generator.DEFAULT_START["newsroom"])
    context.client("dpo").post("/v1/admin/consents", "\n".join(generator.dump(c) for c in generator.newsroom_consents()), content_type="application/x-ndjson")
    desk = context.client("newsroom-desk")
    socket_ = context.client("berlin-lab").websocket("newsroom")
    taken = []

    def each():
        for message in socket_:
            taken.append(message)
    reading = threading.Thread(target=each, daemon=True)
    reading.start()
    number = 0

    def feed_until_more():
        nonlocal number
        before = len(taken)

        def more():
            nonlocal number
            licet_demo.feed(desk, "newsroom", [generator.dump(generator.newsroom_event("reload", n, start)) for n in range(number, number + 20)])
            number += 20
            return len(taken) > before
        await_condition("events on the stream", more, 20)
    feed_until_more()

    def shown():
        with connect(context, ssl.create_default_context(cafile=str(context.stack.ca))) as sock:
            return sock.getpeercert()["serialNumber"]
    first = shown()
    tls = context.tls
    context.run("openssl", "x509", "-req", "-in", tls / "server.csr", "-CA", tls / "ca.pem", "-CAkey", tls / "ca.key", "-CAcreateserial", "-days", "90", "-extfile",
                tls / "server.ext", "-out", tls / "server.crt")
    (tls / "server.pem").write_text((tls / "server.crt").read_text() + (tls / "ca.pem").read_text())
    node = context.stack.nodes["eu"].popen
    node.send_signal(signal.SIGHUP)
    await_condition("the new certificate", lambda: shown() != first, 10)
    second = shown()
    ends = ssl.cert_time_to_seconds(subprocess.run(["openssl", "x509", "-in", tls / "server.pem", "-noout", "-enddate"], capture_output=True, text=True,
                                                   check=True).stdout.strip().partition("=")[2])
    equal(context.metric("licet_tls_certificate_not_after_seconds"), float(ends), "notAfter")
    feed_until_more()

    good = (tls / "server.pem").read_text()
    (tls / "server.pem").write_text("nothing")
    node.send_signal(signal.SIGHUP)
    await_condition("the failure counted", lambda: context.metric("licet_tls_reload_failures_total") == 1.0, 10)
    equal("tls.reload_failed" in context.node_log(), True, "the failure logged")
    equal(shown(), second, "the certificate in force")
    feed_until_more()
    (tls / "server.pem").write_text(good)
    socket_.close()


@case
def where_certificates_are_required_nobody_comes_without(context):
    context.configure('tls_client_ca = "tls/partners.pem"\ntls_client_auth = "required"')
    equal(refused_by_handshake(context.partner("berlin-lab")), True, "no certificate")
    equal(refused_by_handshake(context.partner("berlin-lab", "stranger")), True, "a certificate of another CA")
    context.partner("berlin-lab", "lab").pull("newsroom", limit=1)


SOCKETS, DRAIN_MS = 1000, 4000


@case
def a_thousand_sockets_are_drained_one_after_another(context):
    context.stack.stop_node("eu")
    context.stack.write_config("eu")
    path = context.stack.config("eu")
    path.write_text(path.read_text().replace("drain_ms = 0", f"drain_ms = {DRAIN_MS}", 1))
    context.stack.start_node("eu")
    clients = [context.client("berlin-lab") for _ in range(8)]
    token = clients[0].token()
    for client in clients:
        client._token = token
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        parts = pool.map(lambda client: [client.websocket("newsroom") for _ in range(SOCKETS // len(clients))], clients)
        sockets = [one for part in parts for one in part]
    selector = selectors.DefaultSelector()
    for one in sockets:
        one.sock.setblocking(False)
        selector.register(one.sock, selectors.EVENT_READ, one)
    node = context.stack.nodes["eu"].popen
    node.send_signal(signal.SIGTERM)
    began = time.monotonic()
    ended = {}
    while len(ended) < SOCKETS and time.monotonic() - began < 30:
        for key, _ in selector.select(0.2):
            one = key.data
            try:
                while chunk := one.sock.recv(65536):
                    one.buffer += chunk
            except (ssl.SSLWantReadError, BlockingIOError):
                continue
            ended[id(one)] = time.monotonic() - began
            selector.unregister(one.sock)
    equal(len(ended), SOCKETS, "sockets ended by the node")
    node.wait(30)
    equal(node.returncode, 0, "exit code")
    context.stack.nodes.pop("eu")
    retries = set()
    for one in sockets:
        one.sock.close()
        one.sock = Silent()
        for _ in one:
            pass
        equal(one.close_code, 1012, "close code")
        reason = one.close_reason.decode()
        retries.add(int(re.search(r"; retry=(\d+); cursor=\S+$", reason).group(1)))
    # Each tenth of the time ends about a tenth of them.
    tenths = [0] * 11
    for at in ended.values():
        tenths[min(10, int(at * 10_000 / DRAIN_MS))] += 1
    equal(max(tenths) <= SOCKETS // 4, True, f"evenly: {tenths}")
    equal(sum(tenths[5:]) >= SOCKETS // 3, True, f"half of them in the second half: {tenths}")
    equal((len(retries) > SOCKETS // 4, min(retries) >= 1000, max(retries) > DRAIN_MS), (True, True, True), "hints when to come back")
    context.stack.start_node("eu")


class Silent:
    """A socket that takes and gives nothing: what was received is read from the buffer."""

    def sendall(self, data):
        pass

    def recv(self, size):
        return b""

    def close(self):
        pass

    def shutdown(self, how):
        pass


if __name__ == "__main__":
    sys.exit(main(TlsContext))
