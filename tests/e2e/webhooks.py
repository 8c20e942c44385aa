#!/usr/bin/python3
"""Webhooks: thresholds of quotas told once over two nodes, a kill and a restart, to receivers that fail, redirect, are gone, or must not be posted to."""
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import ROOT, Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

PRODUCT = "told"
NODES = ("eu", "eu-b")
ATTEMPTS = 4
OPEN = f'\n[webhooks]\nallow_private = true\ntls_ca = "tls/ca.pem"\nattempts = {ATTEMPTS}\nretry_first_ms = 50\n'
POLICY = {
    "@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": f"urn:licet:policy:{PRODUCT}",
    "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
    "permission": [{"uid": "urn:licet:rule:told:research", "target": f"urn:licet:product:{PRODUCT}", "action": "use",
                    "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:AcademicResearch"}]}]}


class Receiver:
    """An HTTP server under the test's hand: what it got, and the statuses it answers with (the last one for ever)."""

    def __init__(self, statuses=(200,), tls=None, headers=None):
        self.got, self.statuses, self.connections = [], list(statuses), 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def verify_request(self, *_):
                outer.connections += 1
                return True

            def handle_error(self, *_):  # a client that does not trust it
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def documented_verify():
    """The script a receiver is given."""
    names = {}
    exec(re.search(r"```python\n(.*?)```", (ROOT / "docs" / "quotas.md").read_text(), re.S).group(1), names)  # noqa: S102
    return names["verify"]


class HookContext(Context):
    def __init__(self):
        super().__init__(regions=("eu",))
        self.stack.add_node("eu", "eu-b")
        self.configure(OPEN)
        self.admin = self.client("admin")
        self.admin.put(f"/v1/admin/products/{PRODUCT}", {
            "title": "Events to be told of", "owner": "daily-courier", "controller": "daily-courier", "residency": "eu",
            "mapping": {"attributes": {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://courier.example.org/told"},
                                       "type": {"constant": "org.example.courier.told"}, "license": {"constant": "CC0-1.0"}, "jurisdiction": {"constant": "DE"}},
                        "fields": []}})
        licet_demo.ensure_client(self.stack, self.admin, "told-feed", {"party": "daily-courier", "roles": ["producer"], "scopes": [f"write:{PRODUCT}"]})
        self.count = 0
        self.new_contract(1000)
        licet_demo.activate_policy(self.admin, PRODUCT, POLICY)
        for node in NODES:  # each has a log of its own
            lines = "".join(f'{{"id":"{node}-{n:06d}","n":{n}}}\n' for n in range(200))
            equal(self.client("told-feed", node).publish(PRODUCT, lines).json()["accepted"], 200, f"published on {node}")
        self.verify = documented_verify()

    def configure(self, extra):
        for node in NODES:
            self.stack.stop_node(node)
            self.stack.write_config(node, extra)
            self.stack.start_node(node)

    def new_contract(self, limit):
        self.count += 1
        self.name = f"told-{self.count}"
        self.admin.put(f"/v1/admin/parties/{self.name}", {"title": self.name, "country": "DE"})
        self.limit(limit)
        licet_demo.ensure_client(self.stack, self.admin, self.name, {"party": self.name, "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]})
        self.cursors = {node: None for node in NODES}

    def limit(self, limit):
        self.admin.put(f"/v1/admin/contracts/{self.name}", {
            "party": self.name, "products": [PRODUCT], "purposes": ["dpv:AcademicResearch"], "price": {"currency": "EUR", "perEvent": "1", "perMb": "0"},
            "quotas": [{"metric": "events", "period": "month", "kind": "soft", "limit": limit}]})

    def read(self, count, node="eu"):
        events, self.cursors[node] = self.client(self.name, node).pull(PRODUCT, limit=count, from_=self.cursors[node])
        equal(len(events), count, f"a page of {node}")

    def path(self, rest=""):
        return f"/v1/admin/contracts/{self.name}/{rest}"

    def hook(self, receiver, name="desk", path="/quota"):
        answer = self.admin.put(self.path(f"webhooks/{name}"), {"url": receiver.url + path})
        equal(answer.status, 201, "a webhook")
        return answer.json()["secret"]

    def deliveries(self, state=""):
        return self.admin.get(self.path("deliveries" + (f"?state={state}" if state else ""))).json()["deliveries"]

    def passed(self, node):
        """How often the node's log says that 80 % of this contract's quota are passed."""
        number = int(self.stack.psql("licet_eu", f"SELECT no FROM contracts WHERE name = '{self.name}'"))
        count = 0
        for line in (self.directory / f"{node}.log").read_text().splitlines():
            if '"quota.passed"' in line:
                entry = json.loads(line)
                count += entry["contract"] == number and entry["percent"] == 80
        return count

    def messages(self, receiver, secret):
        """What was posted, each verified by the documented script: (webhook-id, event)."""
        return [(headers["webhook-id"], self.verify(secret, headers, body)) for _, headers, body in list(receiver.got)]


@case
def a_threshold_is_told_once_by_two_nodes_a_kill_and_a_restart(context):
    receiver = Receiver()
    context.new_contract(100)
    secret = context.hook(receiver)
    context.read(50, "eu-b")
    context.read(35, "eu")
    await_condition("the message", lambda: receiver.got, 60)
    context.read(1, "eu-b")
    await_condition("both nodes to have noticed", lambda: all(context.passed(node) == 1 for node in NODES), 60)
    await_condition("the delivery to be noted", lambda: [d["state"] for d in context.deliveries()] == ["delivered"], 30)
    path, headers, body = receiver.got[0]
    equal((path, headers["content-type"]), ("/quota", "application/cloudevents+json"), "what was posted")
    event = context.verify(secret, headers, body)
    equal((event["type"], event["subject"], event["id"]), ("dev.licet.quota.passed", context.name, headers["webhook-id"]), "the event")
    equal({k: event["data"][k] for k in ("threshold", "metric", "period", "kind", "limit", "contract", "region")},
          {"threshold": 80, "metric": "events", "period": "month", "kind": "soft", "limit": 100, "contract": context.name, "region": "eu"}, "its data")
    for what, secret_, headers_, body_ in (("another secret", "whsec_" + "A" * 43 + "=", headers, body), ("another body", secret, headers, body + b" "),
                                           ("another time", secret, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body)):
        try:
            context.verify(secret_, headers_, body_)
        except ValueError:
            continue
        raise AssertionError(what + " verifies")
    context.stack.kill_node("eu")
    context.stack.start_node("eu")
    context.stack.stop_node("eu-b")
    context.stack.start_node("eu-b")
    for node in NODES:
        context.read(1, node)
    await_condition("both nodes to notice again", lambda: all(context.passed(node) == 2 for node in NODES), 60)
    # What comes next shows that nothing is under way.
    context.read(20, "eu-b")
    await_condition("the other threshold", lambda: len(receiver.got) >= 2, 60)
    equal([e["data"]["threshold"] for _, e in context.messages(receiver, secret)], [80, 100], "thresholds told")
    # A limit that was raised is another.
    context.limit(110)
    context.read(1, "eu")
    await_condition("the raised limit's threshold", lambda: len(receiver.got) >= 3, 60)
    equal(context.messages(receiver, secret)[2][1]["data"]["limit"], 110, "its limit")
    receiver.close()


@case
def a_receiver_that_fails_twice_is_posted_to_again_under_the_same_id(context):
    receiver = Receiver([500, 503, 200], headers={"Retry-After": "0"})
    context.new_contract(100)
    secret = context.hook(receiver)
    context.read(80)
    await_condition("three attempts", lambda: len(receiver.got) == 3, 60)
    equal(len({message for message, _ in context.messages(receiver, secret)}), 1, "ids")
    equal(len({body for _, _, body in receiver.got}), 1, "bodies")
    await_condition("it to be noted", lambda: context.deliveries("delivered"), 30)
    delivery = context.deliveries()[0]
    equal((delivery["attempts"], delivery["lastStatus"], delivery["lastError"], delivery["nextAttemptAt"]), (3, 200, None, None), "the delivery")
    receiver.close()


@case
def a_dead_letter_is_delivered_anew(context):
    receiver = Receiver([302, 500], headers={"Location": "/elsewhere"})
    context.new_contract(100)
    secret = context.hook(receiver)
    context.read(80)
    await_condition("it to be dead", lambda: context.deliveries("dead"), 60)
    dead = context.deliveries()[0]
    equal((dead["attempts"], len(receiver.got), dead["lastStatus"]), (ATTEMPTS, ATTEMPTS, 500), "the dead letter")
    equal({path for path, _, _ in receiver.got}, {"/quota"}, "redirects followed")
    receiver.statuses = [204]
    equal(context.admin.post(context.path(f"deliveries/{dead['id']}/redeliver")).status, 202, "redelivery")
    await_condition("it to be delivered", lambda: context.deliveries("delivered"), 30)
    equal(len({message for message, _ in context.messages(receiver, secret)}), 1, "ids")
    equal(context.admin.post(context.path(f"deliveries/{dead['id']}/redeliver"), accept_status=(409,)).status, 409, "what is not dead")
    equal(context.admin.post(context.path("deliveries/999999/redeliver"), accept_status=(404,)).status, 404, "what is not there")
    receiver.close()


@case
def who_is_gone_is_left_alone_until_it_is_set_anew(context):
    receiver = Receiver([410, 200])
    context.new_contract(100)
    context.hook(receiver)
    context.read(80)
    await_condition("it to be disabled", lambda: context.admin.get(context.path("webhooks/desk")).json()["state"] == "disabled", 60)
    context.read(20)
    await_condition("the next to be dead", lambda: len(context.deliveries("dead")) == 2, 60)
    equal(len(receiver.got), 1, "posts")
    dead = context.deliveries()
    equal(context.admin.post(context.path(f"deliveries/{dead[1]['id']}/redeliver"), accept_status=(409,)).status, 409, "to a disabled endpoint")
    equal(context.admin.put(context.path("webhooks/desk"), {"url": receiver.url + "/quota"}).status, 200, "set anew")
    for delivery in dead:
        context.admin.post(context.path(f"deliveries/{delivery['id']}/redeliver"))
    await_condition("both to be delivered", lambda: len(context.deliveries("delivered")) == 2, 60)
    receiver.close()


@case
def secrets_are_rotated_with_an_overlap_and_never_shown_again(context):
    receiver = Receiver()
    context.new_contract(100)
    first = context.hook(receiver)
    rotated = context.admin.post(context.path("webhooks/desk/rotate")).json()
    context.read(80)
    await_condition("the message", lambda: receiver.got, 60)
    _, headers, body = receiver.got[0]
    for secret in (first, rotated["secret"]):
        equal(context.verify(secret, headers, body)["type"], "dev.licet.quota.passed", "signed by both")
    shown = context.admin.get(context.path("webhooks")).json()
    equal("whsec_" in json.dumps(shown) or "secret" in shown["webhooks"][0], False, "a secret shown")
    equal(context.stack.psql("licet_eu", "SELECT count(*) FROM webhook_endpoints WHERE length(secret) = 60"), context.stack.psql("licet_eu", "SELECT count(*) FROM webhook_endpoints"),
          "secrets wrapped: nonce, 32 bytes, tag")
    actions = context.stack.psql("licet_eu", f"SELECT string_agg(line::json ->> 'action', ' ' ORDER BY seq) FROM audit WHERE line::json ->> 'target' = '{context.name}/desk'")
    equal(actions, "webhook.put webhook.rotate", "the audit")
    equal(context.admin.request("DELETE", context.path("webhooks/desk")).json(), {"name": "desk", "deleted": True}, "removed")
    equal(context.deliveries(), [], "and its deliveries")
    equal(context.client(context.name).get(context.path("webhooks"), accept_status=(403,)).status, 403, "a partner")
    receiver.close()


@case
def over_tls_only_who_is_trusted_is_posted_to(context):
    stack = context.stack
    trusted = Receiver(tls=(stack.dir / "tls" / "server.pem", stack.dir / "tls" / "server.key"))
    key, certificate = context.directory / "stranger.key", context.directory / "stranger.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    stranger = Receiver(tls=(certificate, key))
    context.new_contract(100)
    secret = context.hook(trusted, "trusted")
    context.hook(stranger, "stranger")
    context.read(80)
    await_condition("the one", lambda: trusted.got, 60)
    await_condition("the other to be dead", lambda: context.deliveries("dead"), 60)
    equal(len(context.messages(trusted, secret)), 1, "messages")
    equal((stranger.got, context.deliveries("dead")[0]["webhook"]), ([], "stranger"), "what the stranger got")
    equal(stranger.connections >= 1, True, "it was asked")
    trusted.close()
    stranger.close()


@case
def addresses_inside_are_posted_to_only_where_that_is_allowed(context):
    context.configure(OPEN.replace("allow_private = true\n", ""))
    stack = context.stack
    receiver = Receiver(tls=(stack.dir / "tls" / "server.pem", stack.dir / "tls" / "server.key"))
    context.new_contract(100)
    context.hook(receiver)
    for path, url in (("plain", "http://127.0.0.1:1/"), ("user", "https://me@127.0.0.1/"), ("scheme", "file:///etc/passwd")):
        equal(context.admin.put(context.path("webhooks/" + path), {"url": url}, accept_status=(422,)).status, 422, url)
    context.admin.put(context.path("webhooks/name"), {"url": receiver.url.replace("127.0.0.1", "localhost")})
    context.admin.put(context.path("webhooks/mapped"), {"url": receiver.url.replace("127.0.0.1", "[::ffff:127.0.0.1]")})
    context.read(80)
    await_condition("all to be dead", lambda: len(context.deliveries("dead")) == 3, 60)
    equal({d["lastError"] for d in context.deliveries()}, {"the address may not be posted to"}, "why")
    equal((receiver.connections, receiver.got), (0, []), "connections made")
    receiver.close()


if __name__ == "__main__":
    sys.exit(main(HookContext))
