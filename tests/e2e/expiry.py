#!/usr/bin/python3
"""What ends by itself, from outside: events, consents, contracts and tokens. The clock is this machine's, which the node shares. Orders are compared, never durations; how late an
end came is printed."""
import base64
import datetime
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Client, Problem, Sse, WebSocket, await_condition  # noqa: E402

PRODUCT = "newsroom"
CONTROLLER = "daily-courier"


class ExpiryContext(Context):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.dpo = self.client("dpo")
        self.desk = self.client("newsroom-desk")

    def event(self, subject, padding=0, expires=None):
        """A CloudEvent: the product's mapping leaves `expirytime` to the producer."""
        self.number += 1
        data = {"id": f"x{self.number}-{subject}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE",
                "reader": {"email": f"{subject}@example.org", "name": subject, "ip": "198.51.100.9"}, "headline": "x" * padding}
        event = {"specversion": "1.0", "id": data["id"], "source": "/desk", "type": data["kind"], "datacontenttype": "application/json", "data": data}
        if expires is not None:
            event["expirytime"] = rfc3339(expires)
        return event

    def publish(self, *events):
        counts = self.desk.publish(PRODUCT, json.dumps(events), "application/cloudevents-batch+json").json()
        equal(counts["accepted"], len(events), "accepted")

    def consent(self, subject, until=None):
        record = {"subject": f"{subject}@example.org", "controller": CONTROLLER, "purposes": ["dpv:AcademicResearch"], "status": "given"}
        if until is not None:
            record["validUntil"] = rfc3339(until)
        self.dpo.post("/v1/admin/consents", record)

    def stuffed(self, subject):
        """A subscriber that does not read, with more waiting for it than sockets hold: what is published now waits on the tape."""
        stream = self.client("berlin-lab").websocket(PRODUCT, from_="latest")
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        for _ in range(4):
            self.publish(*[self.event(subject, 20_000) for _ in range(200)])
        return stream


def rfc3339(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def subject_of(event):
    return json.loads(event)["id"].split("-", 1)[1]


def until_witness(stream, witness):
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)  # reads fast from here on
    seen = []
    for event in stream:
        seen.append(subject_of(event))
        if seen[-1] == witness:
            return seen
    raise AssertionError(f"the stream ended with {stream.close_code} before {witness}")


def await_time(moment):
    await_condition("the moment", lambda: time.time() >= moment, 60, 0.005)


@case
def an_event_is_not_read_after_its_expirytime(context):
    context.consent("filler")
    context.consent("brief")
    context.consent("witness")
    stream = context.stuffed("filler")
    end = time.time() + 0.3
    context.publish(context.event("brief", expires=end), context.event("brief", expires=end), context.event("witness"))
    await_time(end)
    equal([s for s in until_witness(stream, "witness") if s == "brief"], [], "expired events to a subscriber that began to read after them")
    stream.sock.close()
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal([subject_of(e) for e in events if subject_of(e) != "filler"], ["witness"], "pulled afterwards")
    context.publish(context.event("brief", expires=time.time() + 3600))
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal([subject_of(e) for e in events if subject_of(e) == "brief"], ["brief"], "one that has not expired")


@case
def a_consent_ends_by_itself(context):
    stream = context.stuffed("filler")
    end = time.time() + 3
    context.consent("guest", until=end)
    context.publish(context.event("guest"), context.event("guest"), context.event("witness"))
    reader = context.client("berlin-lab").sse(PRODUCT, from_="latest")
    seen = []

    def follow():
        for _, event in reader:
            seen.append((time.time(), subject_of(event)))
    following = threading.Thread(target=follow, daemon=True)
    following.start()
    number = 0
    while time.time() < end + 0.5:
        context.publish(context.event("guest"), context.event("witness"))
        number += 1
    context.publish(context.event("last"), context.event("witness"))
    await_condition("the stream goes on", lambda: sum(s == "witness" for _, s in list(seen)) > number, 30)
    guests = [at for at, s in seen if s == "guest"]
    equal(bool(guests), True, "events while the consent was valid")
    # The reader's own clock runs behind the node's write: only a bound that a busy machine keeps, and the figure for people.
    print(f"     the last event of the person was read {1000 * (max(guests) - end):+.1f} ms from the end of the consent")
    after = [s for at, s in seen if at > end + 0.3 and s == "guest"]
    equal(after, [], "events of the person well after the consent's end")
    equal([s for s in until_witness(stream, "witness") if s == "guest"], [], "to the subscriber that read later")
    stream.sock.close()
    reader.sock.shutdown(socket.SHUT_RDWR)
    following.join(20)
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), PRODUCT)
    equal([e for e in events if subject_of(e) == "guest"], [], "pulled afterwards")


@case
def a_contract_ends_its_streams_at_its_moment(context):
    admin = context.client("admin")
    contract = admin.get("/v1/admin/contracts/berlin-lab").json()
    body = {key: value for key, value in contract.items() if key not in ("name", "no", "epoch") and value is not None}
    stream = context.client("berlin-lab").websocket(PRODUCT, from_="latest")
    end = round(time.time() + 1.5, 3)
    admin.put("/v1/admin/contracts/berlin-lab", {**body, "validUntil": rfc3339(end)})
    try:
        equal([subject_of(e) for e in stream], [], "events")
        print(f"     the contract's stream was closed {1000 * (time.time() - end):+.1f} ms from its end")
        equal(stream.close_code, 1008, "close code")
        equal(time.time() >= end, True, "closed before the end")
        try:
            context.client("berlin-lab").get(f"/v1/products/{PRODUCT}/events?limit=1")
            raise AssertionError("a contract that ended is served")
        except Problem as e:
            equal((e.status, e.slug), (403, "no-contract"), "after the end")
    finally:
        admin.put("/v1/admin/contracts/berlin-lab", body)


def signed_token(context, client, seconds):
    """A token of this server's own key with an end of our choice: those it issues live for an hour."""
    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    end = int(time.time()) + seconds
    claims = {"iss": "https://licet.dev/issuer", "aud": "licet", "sub": client, "client_id": client, "iat": time.time(), "exp": end, "jti": "expiry-test",
              "scope": f"read:{PRODUCT}"}
    text = part(json.dumps({"typ": "at+jwt", "alg": "EdDSA"}).encode()) + "." + part(json.dumps(claims).encode())
    message = context.stack.dir / "token.txt"
    message.write_text(text)
    signature = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(context.stack.secret_file("token_signing_key.pem")), "-in", str(message)],
                               capture_output=True, check=True).stdout
    return text + "." + part(signature), end


@case
def a_token_ends_its_streams_at_its_moment(context):
    client = Client(context.stack.url("eu"), str(context.stack.ca), "berlin-lab", "", 30)
    client._token, end = signed_token(context, "berlin-lab", 3)
    path = client.events_path(PRODUCT, from_="latest")
    streams = {"websocket": WebSocket(client, path, 30), "sse": Sse(client, path, None, 30)}
    ended = {}

    def follow(name, stream):
        for _ in stream:
            pass
        ended[name] = time.time()
    threads = [threading.Thread(target=follow, args=item, daemon=True) for item in streams.items()]
    for t in threads:
        t.start()
    context.publish(context.event("witness"))
    for t in threads:
        t.join(30)
    equal(set(ended), set(streams), "streams that ended")
    for name, at in ended.items():
        print(f"     the token's {name} stream was closed {1000 * (at - end):+.1f} ms from its end")
        equal(at >= end, True, f"{name} closed before the end")
    equal(streams["websocket"].close_code, 4401, "close code")
    try:
        client.get(f"/v1/products/{PRODUCT}/events?limit=1")
        raise AssertionError("an expired token reads")
    except Problem as e:
        equal((e.status, e.slug), (401, "invalid-token"), "after the end")


if __name__ == "__main__":
    sys.exit(main(ExpiryContext))
