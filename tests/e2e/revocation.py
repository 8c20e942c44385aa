#!/usr/bin/python3
"""The revocation barrier from outside: once a withdrawal, a token revocation or a policy change is acknowledged, nothing it forbids is written any more: not live,
not from a buffer, not on replay."""
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Client, Problem, Sse, WebSocket, await_condition  # noqa: E402

PRODUCT = "newsroom"
CONTROLLER = "daily-courier"
RESEARCH = ["dpv:AcademicResearch"]


class RevocationContext(Context):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.dpo = self.client("dpo")
        self.desk = self.client("newsroom-desk")

    def event(self, subject, padding=0):
        self.number += 1
        return json.dumps({"id": f"e{self.number}-{subject}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0",
                           "country": "DE", "reader": {"email": f"{subject}@example.org", "name": subject, "ip": "198.51.100.9"}, "headline": "x" * padding})

    def publish(self, *events):
        counts = self.desk.publish(PRODUCT, "\n".join(events) + "\n").json()
        equal(counts["accepted"], len(events), "accepted")

    def consent(self, *subjects):
        body = "\n".join(json.dumps({"subject": f"{s}@example.org", "controller": CONTROLLER, "purposes": RESEARCH, "status": "given"}) for s in subjects)
        self.dpo.post("/v1/admin/consents", body + "\n", content_type="application/x-ndjson")

    def withdraw(self, subject):
        return self.dpo.post("/v1/admin/consents/withdraw", {"subject": f"{subject}@example.org", "controller": CONTROLLER}).json()


def subject_of(event):
    return json.loads(event)["id"].split("-", 1)[1]


class Reader(threading.Thread):
    """Reads a stream in the background and notes when each event came."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.seen, self.ended = stream, [], threading.Event()

    def run(self):
        try:
            for item in self.stream:
                event = item[1] if isinstance(item, tuple) else item
                self.seen.append((time.monotonic(), subject_of(event), event))
        except (OSError, ValueError, AttributeError):
            pass
        self.ended.set()

    def stop(self):
        """Ends the reading before the socket is closed: its number would be taken by the next connection, and this thread would read from that."""
        try:
            self.stream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.join(20)
        equal(self.is_alive(), False, "reading goes on after the end of the connection")
        self.stream.sock.close() if isinstance(self.stream, WebSocket) else self.stream.close()

    def await_subject(self, subject, count=1):
        await_condition(f"{count} events of {subject}", lambda: sum(s == subject for _, s, _ in list(self.seen)) >= count, 20)


@case
def withdrawal_while_streaming(context):
    context.consent("leaver", "stayer")
    for transport in ("sse", "websocket"):
        context.consent("leaver")
        client = context.client("berlin-lab")
        stream = client.sse(PRODUCT, from_="latest") if transport == "sse" else client.websocket(PRODUCT, from_="latest")
        reader = Reader(stream)
        reader.start()
        stopped, failures = threading.Event(), []

        def produce():
            desk = context.client("newsroom-desk")
            while not stopped.is_set():
                lines = [context.event("leaver"), context.event("stayer")]
                try:
                    desk.publish(PRODUCT, "\n".join(lines) + "\n")
                except Exception as e:  # noqa: BLE001
                    failures.append(e)
                    return
        producer = threading.Thread(target=produce)
        producer.start()
        try:
            reader.await_subject("leaver", 20)
            context.withdraw("leaver")
            acknowledged = time.monotonic()
            # What the kernel held at that moment is out of reach; a round of later events shows that the stream went on.
            last = f"last-{transport}"
            context.consent(last)
            reader.await_subject("stayer", sum(s == "stayer" for _, s, _ in list(reader.seen)) + 20)
        finally:
            stopped.set()
            producer.join()
        equal(failures, [], "publishing")
        context.publish(context.event("leaver"), context.event(last))
        reader.await_subject(last)
        seen = list(reader.seen)
        # The reader reads without pause, so the kernel's buffers are empty well within this margin.
        late = [s for at, s, _ in seen if s == "leaver" and at > acknowledged + 0.25]
        equal(late, [], f"{transport}: events of the person who withdrew, after the acknowledgement")
        reader.stop()


@case
def nothing_from_a_slow_subscribers_buffers(context):
    """A subscriber that does not read while megabytes about a person pile up for it: after the withdrawal only what the kernel took may come."""
    context.consent("slow")
    client = context.client("berlin-lab")
    stream = client.websocket(PRODUCT, from_="latest")
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    size, count = 20_000, 1500  # 30 MB, far beyond what sockets hold
    for first in range(0, count, 250):
        context.publish(*[context.event("slow", size) for _ in range(250)])
    context.withdraw("slow")
    context.publish(*[context.event("slow", size) for _ in range(50)])
    context.consent("witness")
    context.publish(context.event("witness"))
    received = 0
    client_deadline = time.monotonic() + 60
    cursor = None
    while time.monotonic() < client_deadline:
        done = False
        for event in stream:
            cursor = json.loads(event)["cursor"]
            subject = subject_of(event)
            received += subject == "slow"
            if subject == "witness":
                done = True
                break
        if done:
            break
        # Closed inside a frame that became forbidden: resumes by cursor.
        stream.sock.close()
        equal(stream.close_code in (None, 1005, 1006, 1008, 1012, 1013) or 4000 <= stream.close_code < 5000, True, f"close code {stream.close_code}")
        stream = client.websocket(PRODUCT, from_=cursor or "earliest")
    else:
        raise AssertionError("the witness did not come")
    stream.sock.close()
    if received * size > 12 * 1024 * 1024:
        raise AssertionError(f"{received} events of {size} bytes came after the withdrawal: more than kernel buffers hold")


@case
def replay_and_pull_know_no_past(context):
    for subject in ("leaver", "slow"):
        events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
        equal([e for e in events if subject_of(e) == subject], [], f"pulled events of {subject}")
    client = context.client("berlin-lab")
    context.consent("replay-end")
    context.publish(context.event("replay-end"))
    with client.sse(PRODUCT, from_="earliest") as stream:
        for _, event in stream:
            equal(subject_of(event) in ("leaver", "slow"), False, "replayed")
            if subject_of(event) == "replay-end":
                break


@case
def consent_given_again_opens_again(context):
    context.consent("slow")
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal(sum(subject_of(e) == "slow" for e in events), 1550, "events after a renewed consent")
    context.withdraw("slow")


@case
def revoked_tokens_end_their_streams(context):
    admin = context.client("admin")
    client = context.client("texas-analytics")
    for transport in ("sse", "websocket"):
        client.token(fresh=True)
        stream = Sse(client, client.events_path(PRODUCT, from_="latest"), None, 30) if transport == "sse" else WebSocket(client, client.events_path(PRODUCT, from_="latest"), 30)
        reader = Reader(stream)
        reader.start()
        admin.post("/v1/admin/clients/texas-analytics/revoke-tokens")
        if not reader.ended.wait(15):
            raise AssertionError(f"the {transport} stream of a revoked token goes on")
        try:
            client.get("/v1/products/newsroom/events")
            raise AssertionError("a revoked token still reads")
        except Problem as e:
            equal((e.status, e.slug), (401, "invalid-token"), "a revoked token")


@case
def a_revoked_client_gets_no_token(context):
    admin = context.client("admin")
    made = admin.post("/v1/admin/clients", {"id": "short-lived", "party": "berlin-lab", "roles": ["partner"], "scopes": ["read:newsroom"]}).json()
    client = Client(context.stack.url("eu"), str(context.stack.ca), "short-lived", made["secret"])
    client.get("/v1/products/newsroom/events?limit=1")
    admin.post("/v1/admin/clients/short-lived/revoke")
    try:
        client.get("/v1/products/newsroom/events?limit=1")
        raise AssertionError("the token of a revoked client still reads")
    except Problem as e:
        equal(e.status, 401, "status")
    try:
        client.token(fresh=True)
        raise AssertionError("a revoked client got a token")
    except Problem as e:
        equal(e.status, 401, "status at the token endpoint")


@case
def a_retired_policy_permits_nothing(context):
    client = context.client("berlin-lab")
    stream = client.sse(PRODUCT, from_="latest")
    reader = Reader(stream)
    reader.start()
    context.consent("policy-before", "policy-after")
    context.publish(context.event("policy-before"))
    reader.await_subject("policy-before")
    admin = context.client("admin")
    admin.post("/v1/admin/policies/newsroom/retire")
    context.publish(context.event("policy-after"))
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal(events, [], "pulled without any policy")
    licet_demo.activate_policy(admin, "newsroom", json.loads((licet_demo.DEMO / "policies" / "newsroom.json").read_text()))
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal(any(subject_of(e) == "policy-after" for e in events), True, "available again under the new activation")
    equal(any(s == "policy-after" for _, s, _ in list(reader.seen)), False, "the event published while nothing was permitted came live")
    reader.stop()


if __name__ == "__main__":
    sys.exit(main(RevocationContext))
