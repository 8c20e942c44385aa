#!/usr/bin/python3
"""What an operator relies on: configuration mistakes are told, a drain is graceful, health and metrics are on their own listener, logs hold no payload and no person."""
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402
from licet_stack import http_status  # noqa: E402


def serve_fails(context, text, *needed):
    path = context.stack.dir / "broken.toml"
    path.write_text(text)
    os.chmod(path, 0o600)
    for command in ("serve", "migrate"):
        done = subprocess.run([context.stack.binary, command, "--config", path], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0:
            raise AssertionError(f"licet {command} took it")
        for part in needed:
            if part not in done.stderr:
                raise AssertionError(f"licet {command}: {part!r} is not in: {done.stderr}")


@case
def mistakes_in_the_configuration_are_told(context):
    good = context.stack.config("eu").read_text()
    serve_fails(context, good.replace("[edge]", "[edge]\ntls_certificat = \"x\"", 1), "edge.tls_certificat", "not a known key")
    serve_fails(context, good + "\n[egde]\nlisten = \"127.0.0.1:1\"\n", "egde")
    serve_fails(context, good.replace('region = "eu"\n', "", 1), "node.region", "required")
    serve_fails(context, good.replace('durability = "fsync"', 'durability = "never"'), "journal.durability")
    serve_fails(context, good.replace("[node]", "[node", 1), "broken.toml")
    serve_fails(context, re.sub(r'listen = "127.0.0.1:(\d+)"\n\n\[catalog\]', r'listen = "0.0.0.0:\1"\n\n[catalog]', good), "ops.listen", "loopback")
    done = subprocess.run([context.stack.binary, "serve", "--config", context.stack.dir / "absent.toml"], capture_output=True, text=True, timeout=30, check=False)
    equal(done.returncode != 0 and "absent.toml" in done.stderr, True, "an absent file")


@case
def a_secret_everyone_may_read_is_refused(context):
    loose = context.stack.dir / "loose_key"
    loose.write_text(context.stack.secret_file("pseudonym_key").read_text())
    os.chmod(loose, 0o644)
    serve_fails(context, context.stack.config("eu").read_text().replace('"secrets/pseudonym_key"', '"loose_key"'), "secrets.pseudonym_key")


@case
def version_and_usage(context):
    done = subprocess.run([context.stack.binary, "version"], capture_output=True, text=True, timeout=30, check=False)
    equal((done.returncode, "0.1.0" in done.stdout), (0, True), "licet version")
    done = subprocess.run([context.stack.binary, "dance"], capture_output=True, text=True, timeout=30, check=False)
    equal(done.returncode != 0, True, "an unknown command")


@case
def health_and_metrics_have_their_own_listener(context):
    ops = context.stack.ops_url("eu")
    for path in ("/healthz", "/readyz"):
        with urllib.request.urlopen(ops + path, timeout=5) as answer:
            equal(answer.status, 200, path)
    with urllib.request.urlopen(ops + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    equal("# TYPE" in text and "licet_" in text, True, "Prometheus text")
    for path in ("/metrics", "/healthz"):
        answer = context.client("finance").get(path, accept_status=(404, 401, 403))
        equal(answer.status >= 400, True, f"{path} at the edge")


@case
def problems_are_problem_json(context):
    client = context.client("berlin-lab")
    for path, status in (("/v1/products/unheard-of/events", None), ("/v1/products/newsroom/events?from=nonsense", 400), ("/v1/nowhere", 404),
                         ("/v1/products/newsroom/events?limit=-1", 400), ("/v1/products/newsroom/events?since=yesterday", 400)):
        try:
            client.get(path)
            raise AssertionError(f"{path} was answered")
        except Problem as e:
            equal(e.headers.get_content_type(), "application/problem+json", path)
            equal(e.problem["type"].startswith("https://licet.dev/problems/"), True, f"type for {path}")
            equal(e.problem["status"], e.status, f"status for {path}")
            if status:
                equal(e.status, status, path)
            equal(400 <= e.status < 500, True, f"{path}: {e.status}")
    answer = context.client(None).raw("GET", "/v1/products/newsroom/events")
    equal((answer.status, answer.headers.get("WWW-Authenticate", "").startswith("Bearer")), (401, True), "no token")


@case
def sigterm_drains(context):
    client = context.client("berlin-lab")
    generator = context.generator
    start = generator.parse_start(generator.DEFAULT_START["newsroom"])
    desk = context.client("newsroom-desk")
    licet_demo.feed(desk, "newsroom", [generator.dump(generator.newsroom_event("drain", n, start)) for n in range(2000)])
    dpo = context.client("dpo")
    dpo.post("/v1/admin/consents", "\n".join(generator.dump(c) for c in generator.newsroom_consents()), content_type="application/x-ndjson")
    stream = client.sse("newsroom", from_="earliest")
    socket = client.websocket("newsroom", from_="earliest")
    ends = {}

    def follow(name, items):
        ends[name] = [item for item in items]
    threads = [threading.Thread(target=follow, args=("sse", stream), daemon=True), threading.Thread(target=follow, args=("ws", socket), daemon=True)]
    for t in threads:
        t.start()
    accepted = []
    stop = threading.Event()

    def produce():
        producer = context.client("newsroom-desk")
        number = 10_000
        while not stop.is_set():
            line = generator.dump(generator.newsroom_event("drain", number, start))
            try:
                producer.publish("newsroom", line + "\n")
                accepted.append(f"drain-{number:08d}")
            except (OSError, Problem):
                return
            number += 1
    producing = threading.Thread(target=produce, daemon=True)
    producing.start()
    await_condition("publishing under way", lambda: len(accepted) > 20, 20)
    node = context.stack.nodes["eu"]
    node.popen.send_signal(signal.SIGTERM)
    node.popen.wait(30)
    equal(node.popen.returncode, 0, "exit code after SIGTERM")
    stop.set()
    producing.join(10)
    for t in threads:
        t.join(10)
    equal(set(ends), {"sse", "ws"}, "streams ended")
    equal(socket.close_code, 1012, "WebSocket close code (service restart)")
    context.stack.nodes.pop("eu")
    context.stack.start_node("eu")
    # Every acknowledged event is there: the auditor of the log is explain, which finds it by id.
    for identity in accepted[-20:]:
        dpo.get("/v1/admin/explain?" + licet_demo.explain_query(identity, "berlin-lab"))
    # The resumed stream continues without loss or repetition.
    seen = [json.loads(e)["id"] for _, e in ends["sse"]]
    everything, _ = licet_demo.pull_all(client, "newsroom")
    ids = [json.loads(e)["id"] for e in everything]
    equal(seen, ids[:len(seen)], "events before the drain")
    rest, _ = licet_demo.pull_all(client, "newsroom", from_=stream.last_id)
    equal(seen + [json.loads(e)["id"] for e in rest], ids, "the stream and what follows its last id")


@case
def logs_hold_no_person(context):
    generator = context.generator
    text = "".join(path.read_text(errors="replace") for path in [*context.stack.dir.glob("eu*.log*"), context.stack.dir / "eu.out"] if path.exists())
    equal(len(text) > 0, True, "something is logged")
    for number in range(generator.READERS):
        reader = generator.reader(number)
        for value in (reader["email"], reader["name"]):
            equal(value in text, False, "a person in the log")
    for name in ("bootstrap_admin_secret", "pseudonym_key", "subject_key", "cursor_key", "clients/berlin-lab", "postgres_node"):
        equal(context.stack.secret_file(name).read_text().strip() in text, False, f"{name} in the log")
    equal("eyJ" in text, False, "something like a token in the log")


@case
def readiness_follows_the_lease(context):
    """Readiness follows what delivery needs: while Redis is away the node must not deliver, and says so."""
    redis = next(s for s in context.stack.services if s.name == "redis")
    redis.stop()
    context.stack.services.remove(redis)
    client = context.client("berlin-lab")

    await_condition("not ready without its lease", lambda: http_status(context.stack.ops_url("eu") + "/readyz") == 503, 20)
    context.stack._start_redis()
    await_condition("ready again", lambda: http_status(context.stack.ops_url("eu") + "/readyz") == 200, 30)
    events = await_condition("delivery again", lambda: client.pull("newsroom", from_="earliest", limit=10)[0], 20)
    equal(len(events), 10, "events")


@case
def many_clients_at_once(context):
    expected = len(licet_demo.pull_all(context.client("berlin-lab"), "newsroom")[0])

    def one(number):
        client = context.client("berlin-lab")
        if number % 2:
            with client.sse("newsroom", from_="earliest") as stream:
                return sum(1 for _ in zip(range(expected), stream))
        with client.websocket("newsroom", from_="earliest") as socket:
            return sum(1 for _ in zip(range(expected), socket))
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        equal(set(pool.map(one, range(40))), {expected}, "events each of 40 subscribers took")


if __name__ == "__main__":
    sys.exit(main(Context))
