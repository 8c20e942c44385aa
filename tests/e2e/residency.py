#!/usr/bin/python3
"""An event resident in eu offered to us is refused and leaves no byte there: not in its log, journal, log files or database. Subscribers are sent to eu."""
import json
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402

OPEN = "open-desk"  # a product without a residency: each event says its own


class ResidencyContext(Context):
    def __init__(self):
        super().__init__(regions=("eu", "us"))
        self.markers = []
        admin = self.client("admin")
        mapping = {"attributes": {"id": {"digest": True}, "source": {"constant": "urn:example:open-desk"}, "type": {"constant": "org.example.note"},
                                  "residency": {"pointer": "/region"}}, "fields": []}
        admin.put(f"/v1/admin/products/{OPEN}", {"title": "Notes", "owner": "operator", "controller": "operator", "residency": "", "mapping": mapping})
        await_condition("product known in us", lambda: self.client("loader", "us").get(f"/v1/products/{OPEN}/endpoints"), 30)

    def marker(self):
        text = "marker-" + secrets.token_hex(16)
        self.markers.append(text.encode())
        return text

    def files_holding(self, markers, folders):
        found = []
        for folder in folders:
            for path in [folder] if folder.is_file() else folder.rglob("*"):
                if path.is_file():
                    content = path.read_bytes()
                    found += [(marker, path) for marker in markers if marker in content]
        return found


def newsroom_line(context, marker):
    event = context.generator.newsroom_event("residency", 1, context.generator.parse_start("2026-01-05T06:00:00Z"))
    event["id"] = marker
    event["comment"] = marker
    event["reader"] = {"email": marker + "@example.org", "name": marker, "ip": "198.51.100.7"}
    return context.generator.dump(event)


def cloud_event(marker, **attributes):
    return {"specversion": "1.0", "id": marker, "source": "urn:example:" + marker, "type": "org.example.note", "data": {"text": marker}, **attributes}


def misdirected(context, answer):
    equal(answer.status, 421, "status")
    problem = answer.json()
    equal(problem["type"].rsplit("/", 1)[-1], "misdirected", "problem type")
    if not problem["endpoint"].startswith(context.stack.url("eu")):
        raise AssertionError(f"endpoint {problem['endpoint']}")


@case
def every_content_mode_is_refused(context):
    client = context.client("loader", "us")
    ways = [
        (newsroom_line(context, context.marker()) + "\n", "application/x-ndjson", {}),
        (newsroom_line(context, context.marker()), "application/json", {}),
        (json.dumps(cloud_event(context.marker())), "application/cloudevents+json", {}),
        (json.dumps([cloud_event(context.marker()) for _ in range(3)]), "application/cloudevents-batch+json", {}),
    ]
    marker = context.marker()
    ways.append((json.dumps({"text": marker}), "application/json", {"ce-specversion": "1.0", "ce-id": marker, "ce-source": "urn:example:" + marker, "ce-type": "org.example.note"}))
    for body, kind, headers in ways:
        misdirected(context, client.publish("newsroom", body, kind, headers, accept_status=(421,)))


@case
def an_event_says_its_own_residency(context):
    client = context.client("loader", "us")
    misdirected(context, client.publish(OPEN, json.dumps(cloud_event(context.marker(), residency="eu")), "application/cloudevents+json", accept_status=(421,)))
    misdirected(context, client.publish(OPEN, json.dumps({"region": "eu", "text": context.marker()}), "application/json", accept_status=(421,)))


@case
def a_neighbour_without_residency_is_taken(context):
    client = context.client("loader", "us")
    # Stays in us, so it may be found there: a marker of its own, the proof that the search below finds what is there.
    context.stays = b"stays-" + secrets.token_hex(16).encode()
    body = json.dumps({"region": "eu", "text": context.marker()}) + "\n" + json.dumps({"text": context.stays.decode()}) + "\n"
    counts = client.publish(OPEN, body).json()
    equal((counts["accepted"], counts["rejected"]), (1, 1), "counts")
    equal((counts["rejections"][0]["index"], counts["rejections"][0]["code"]), (0, "misdirected"), "rejection")


@case
def no_byte_is_left(context):
    stack = context.stack
    # Whatever a node would write, it has written once it stopped; the database is asked while it runs.
    dump = stack.dump(stack.database("us"))
    equal([m for m in context.markers if m in dump], [], "markers in the database of us")
    stack.psql(stack.database("us"), "CHECKPOINT")
    equal(stack.stop_node("us"), 0, "exit of us")
    here = [stack.node_dir("us"), *stack.dir.glob("us*.log*"), stack.dir / "us.out", stack.dir / "postgres.log", stack.dir / "redis", (stack.dir / "postgres").resolve()]
    here = [path for path in here if path.exists()]
    equal(context.files_holding(context.markers, here), [], "files holding a marker")
    if not context.files_holding([context.stays], [stack.node_dir("us")]):
        raise AssertionError("the search does not find what certainly is there")
    stack.start_node("us")


@case
def eu_takes_what_us_refused(context):
    counts = context.client("loader").publish("newsroom", newsroom_line(context, "accepted-in-eu") + "\n").json()
    equal(counts["accepted"], 1, "accepted")


@case
def subscribers_are_sent_to_eu(context):
    client = context.client("berlin-lab", "us")
    path = "/v1/products/newsroom/events?from=earliest"
    for accept in ("application/x-ndjson", "text/event-stream", "application/cloudevents-batch+json"):
        answer = client.get(path, headers={"Accept": accept}, accept_status=(307,))
        equal((answer.status, answer.headers["Location"]), (307, context.stack.url("eu") + path), f"answer to {accept}")
    try:
        client.websocket("newsroom", from_="earliest").close()
        raise AssertionError("a WebSocket was opened in the wrong region")
    except Problem as e:
        equal((e.status, e.headers["Location"]), (307, context.stack.url("eu") + "/v1/products/newsroom/events?from=earliest"), "WebSocket")
    found = client.get("/v1/products/newsroom/endpoints").json()
    equal((found["residency"], found["endpoints"]), ("eu", [{"region": "eu", "url": context.stack.url("eu") + "/v1/products/newsroom/events"}]), "endpoints")


@case
def configuration_is_written_where_it_is_authored(context):
    answer = context.client("admin", "us").put("/v1/admin/parties/elsewhere", {"title": "x", "country": "US"}, accept_status=(421,))
    misdirected(context, answer)


@case
def consents_stay_in_their_region(context):
    context.client("dpo").post("/v1/admin/consents", {"subject": "someone@example.org", "controller": "daily-courier", "purposes": ["dpv:Marketing"], "status": "given"})
    equal(context.stack.psql("licet_us", "SELECT count(*) FROM consents"), "0", "consents in us")
    equal(context.stack.psql("licet_eu", "SELECT count(*) > 0 FROM consents"), "t", "consents in eu")
    dump = context.stack.dump("licet_eu")
    equal(b"someone@example.org" in dump, False, "the raw subject is in the database")


if __name__ == "__main__":
    sys.exit(main(ResidencyContext))
