#!/usr/bin/python3
"""CloudEvents as protobuf against a real node, with Google's own runtime for Python and what protoc makes of api/cloudevents.proto on the other side: published, delivered
over a WebSocket and by pull, and held against the JSON stream byte for byte; the bill does not depend on the format; what is malformed or hostile is refused.
"""
import base64
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import ROOT, Context, case, equal, main  # noqa: E402
from licet_client import Problem, await_condition, data_bytes  # noqa: E402

PRODUCT = "newsroom"
EVENTS = 300
ONE, BATCH = "application/cloudevents+protobuf", "application/cloudevents-batch+protobuf"


def schema():
    """The generated module; it needs no file once it is loaded."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["protoc", f"--proto_path={ROOT / 'api'}", f"--python_out={out}", "cloudevents.proto"], check=True)
        sys.path.insert(0, out)
        import cloudevents_pb2
        sys.path.remove(out)
    return cloudevents_pb2


pb = schema()


class ProtobufContext(Context):
    def __init__(self):
        super().__init__()
        generator = self.generator
        body = "\n".join(generator.dump(c) for c in generator.newsroom_consents()) + "\n"
        self.client("dpo").post("/v1/admin/consents", body, content_type="application/x-ndjson")
        self.desk = self.client("newsroom-desk")
        start = generator.parse_start(generator.DEFAULT_START[PRODUCT])
        self.documents = [generator.newsroom_event("proto", n, start) for n in range(EVENTS)]

    def usage(self, contract):
        lines = self.client(contract).get("/v1/usage?period=" + time.strftime("%Y-%m", time.gmtime())).json()["lines"]
        return sum(line["events"] for line in lines), sum(line["bytes"] for line in lines)

    def publish(self, body, content_type, accept_status=()):
        return self.desk.publish(PRODUCT, body, content_type, accept_status=accept_status)


def message(document, **attributes):
    """A document of the newsroom as a CloudEvent, `id` and `type` from the document."""
    event = pb.CloudEvent(id=document["id"], source="https://courier.example.org/events", spec_version="1.0", type=document["kind"])
    event.attributes["time"].ce_timestamp.FromJsonString(document["time"])
    event.attributes["datacontenttype"].ce_string = "application/json"
    for name, value in attributes.items():
        kind = "ce_boolean" if isinstance(value, bool) else "ce_integer" if isinstance(value, int) else "ce_bytes" if isinstance(value, bytes) else "ce_string"
        setattr(event.attributes[name], kind, value)
    event.text_data = json.dumps(document, ensure_ascii=False)
    return event


def as_json(event):
    """What the event says, as the JSON stream would; its cursor left out."""
    out = {"specversion": event.spec_version, "id": event.id, "source": event.source, "type": event.type}
    for name, value in event.attributes.items():
        kind = value.WhichOneof("attr")
        out[name] = value.ce_timestamp.ToJsonString() if kind == "ce_timestamp" else getattr(value, kind)
    return out, event.text_data.encode()


def without(event, *names):
    return {k: v for k, v in event.items() if k not in names}


def read(raw):
    event = pb.CloudEvent()
    equal(event.ParseFromString(raw), len(raw), "bytes of the message read")
    if event.SerializeToString(deterministic=True) and event.ByteSize() != len(raw):
        raise AssertionError("a message longer than its fields")
    return event


def compare(protobuf, text, what):
    """One event of either stream: the same attributes of the same types, the same data to the byte."""
    attributes, data = as_json(protobuf)
    other = json.loads(text)
    equal(without(attributes, "cursor"), without(other, "cursor", "data"), f"{what}: attributes")
    equal(data, data_bytes(text), f"{what}: data")


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def entry(name, value):
    return field(5, field(1, name) + field(2, value))


@case
def published_as_protobuf_or_json_it_is_one_event(context):
    batch = pb.CloudEventBatch()
    for n, document in enumerate(context.documents):
        batch.events.append(message(document, number=n, even=n % 2 == 0, trace=b"\x00\xff", note="“é” 🙂"))
    answer = context.publish(batch.SerializeToString(), BATCH).json()
    equal((answer["received"], answer["accepted"], answer["rejected"]), (EVENTS, EVENTS, 0), "the batch")
    again = context.publish(batch.events[0].SerializeToString(), ONE).json()
    equal((again["accepted"], again["duplicates"]), (0, 1), "one of it again")
    document = context.documents[0]
    as_text = {"specversion": "1.0", "id": document["id"], "source": "https://courier.example.org/events", "type": document["kind"], "data": document}
    again = context.publish(json.dumps(as_text), "application/cloudevents+json").json()
    equal((again["accepted"], again["duplicates"]), (0, 1), "one of it as JSON")


@case
def protobuf_is_billed_like_json_and_redacted_to_the_byte_like_it(context):
    berlin = context.client("berlin-lab")
    live = berlin.websocket(PRODUCT, protocol="cloudevents.proto", from_="latest")
    with berlin.websocket(PRODUCT, protocol="cloudevents.proto", from_="earliest") as socket:
        first = read(next(iter(socket)))
    body, cursor = berlin.pull(PRODUCT, accept=BATCH, from_="earliest", limit=10000)
    page = pb.CloudEventBatch()
    page.ParseFromString(body)
    count = len(page.events)
    assert 50 < count < EVENTS, f"{count} events of {EVENTS}"
    equal(page.events[-1].attributes["cursor"].ce_string, cursor, "the last cursor")
    equal(page.events[0].SerializeToString(deterministic=True), first.SerializeToString(deterministic=True), "the first of the stream and of the page")
    with berlin.websocket(PRODUCT, protocol="cloudevents.proto", from_="earliest") as socket:
        stream = [read(raw) for raw in itertools.islice(socket, count)]
    equal([e.SerializeToString(deterministic=True) for e in stream], [e.SerializeToString(deterministic=True) for e in page.events], "stream and page")
    billed = (count, sum(len(e.text_data.encode()) for e in stream))
    await_condition("usage of protobuf", lambda: context.usage("berlin-lab") == billed, 20)

    lines, _ = berlin.pull(PRODUCT, from_="earliest", limit=10000)
    equal(len(lines), count, "events of the JSON page")
    for n, (protobuf, text) in enumerate(zip(stream, lines)):
        compare(protobuf, text, f"event {n}")
    with berlin.websocket(PRODUCT, from_="earliest") as socket:
        for n, (protobuf, text) in enumerate(zip(stream, itertools.islice(socket, count))):
            compare(protobuf, text, f"event {n} of the JSON stream")
    everything = b"".join(e.SerializeToString() for e in stream)
    for document in context.documents:
        for value in document.get("reader", {}).values():
            assert value.encode() not in everything, "a governed value got out"
    equal(context.usage("berlin-lab"), billed, "usage after the same as JSON")

    # By JSON first, another contract: the same bill of its own bytes.
    texas = context.client("texas-analytics")
    lines, _ = texas.pull(PRODUCT, from_="earliest", limit=10000)
    billed = (len(lines), sum(len(data_bytes(text)) for text in lines))
    await_condition("usage of JSON", lambda: context.usage("texas-analytics") == billed, 20)
    body, _ = texas.pull(PRODUCT, accept=BATCH, from_="earliest", limit=10000)
    page.ParseFromString(body)
    equal((len(page.events), sum(len(e.text_data.encode()) for e in page.events)), billed, "the protobuf page")
    equal(context.usage("texas-analytics"), billed, "usage after the same as protobuf")

    # And live: what is published now comes over the stream that waits.
    document = dict(context.documents[0], id="proto-live", reader=None, kind="org.example.courier.article.published")
    del document["reader"]
    document.update(country="DE", licence="CC-BY-4.0")
    context.publish(message(document).SerializeToString(), ONE)
    equal(read(next(iter(live))).id, "proto-live", "the live event")
    live.close()


@case
def a_page_of_one_is_a_cloud_event_or_no_content(context):
    berlin = context.client("berlin-lab")
    path = berlin.events_path(PRODUCT, from_="earliest", limit=7)
    answer = berlin.get(path, headers={"Accept": ONE})
    equal((answer.status, answer.headers["Content-Type"]), (200, ONE), "status and type")
    event = read(answer.body)
    equal(event.attributes["cursor"].ce_string, answer.headers["Licet-Cursor"], "its cursor")
    seen = 1
    while answer.status == 200:
        answer = berlin.get(berlin.events_path(PRODUCT, from_=answer.headers["Licet-Cursor"]), headers={"Accept": ONE})
        seen += answer.status == 200
    equal((answer.status, answer.body), (204, b""), "the end")
    lines, _ = berlin.pull(PRODUCT, from_="earliest", limit=10000)
    equal(seen, len(lines), "events one by one")
    body, _ = berlin.pull(PRODUCT, accept=BATCH, from_=answer.headers["Licet-Cursor"])
    equal(body, b"", "an empty batch")


@case
def the_first_subprotocol_offered_is_spoken_and_nothing_is_compressed(context):
    berlin = context.client("berlin-lab")
    offer = "permessage-deflate; client_max_window_bits"
    for offered, spoken, deflate in (("cloudevents.proto, cloudevents.json", "cloudevents.proto", False), ("cloudevents.json, cloudevents.proto", "cloudevents.json", True),
                                     ("cloudevents.avro, cloudevents.proto", "cloudevents.proto", False)):
        with berlin.websocket(PRODUCT, protocol=offered, extensions=offer, from_="earliest") as socket:
            equal((socket.protocol, socket.deflate), (spoken, deflate), offered)
            raw = next(iter(socket))
            equal(raw[:1] == b"{", spoken == "cloudevents.json", f"{offered}: form of the first event")
    try:
        berlin.websocket(PRODUCT, protocol="cloudevents.avro, CloudEvents.Proto")
        raise AssertionError("a subprotocol nobody speaks was answered")
    except Problem as problem:
        equal((problem.status, problem.slug), (400, "bad-request"), "no subprotocol")


@case
def acks_are_text_there_too(context):
    berlin = context.client("berlin-lab")
    with berlin.websocket(PRODUCT, protocol="cloudevents.proto", from_="earliest") as socket:
        events = iter(socket)
        cursor = read(next(events)).attributes["cursor"].ce_string
        socket.send(0x1, json.dumps({"ack": cursor}).encode())
        read(next(events))
        socket.send(0x2, json.dumps({"ack": cursor}).encode())
        for _ in events:
            pass
        equal(socket.close_code, 1003, "close code of a binary ack")


@case
def data_of_every_kind_goes_through(context):
    """Published in one format, delivered in the other, unchanged."""
    berlin = context.client("berlin-lab")
    _, cursor = berlin.pull(PRODUCT, from_="latest")
    kinds = []

    def add(identity, **data):
        content_type = data.pop("type", None)
        event = pb.CloudEvent(id=identity, source="https://courier.example.org/events", spec_version="1.0", type="t", **data)
        if content_type:
            event.attributes["datacontenttype"].ce_string = content_type
        kinds.append(event)

    add("kind-json", type="application/vnd.courier+json", text_data=' { "licence": "CC-BY-4.0", "country": "DE", "a" : 1e400 } ')
    add("kind-implied", text_data='{"licence":"CC-BY-4.0","country":"DE"}')
    add("kind-bytes", type="application/json", binary_data='{"licence":"CC-BY-4.0","country":"DE","é":"\\u00e9"}'.encode())
    for event in kinds:
        equal(context.publish(event.SerializeToString(), ONE).json()["accepted"], 1, event.id)
    page = pb.CloudEventBatch()
    page.ParseFromString(berlin.pull(PRODUCT, accept=BATCH, from_=cursor)[0])
    lines, _ = berlin.pull(PRODUCT, from_=cursor)
    equal([e.id for e in page.events], [e.id for e in kinds], "delivered")
    for sent, event, text in zip(kinds, page.events, lines):
        carried = sent.text_data.encode() or sent.binary_data
        equal(json.loads(event.text_data), json.loads(carried), f"{sent.id}: data")
        equal(event.text_data.encode(), data_bytes(text), f"{sent.id}: as JSON")
    equal(page.events[1].attributes["datacontenttype"].ce_string, "application/json", "what JSON implies is said")
    assert "datacontenttype" not in json.loads(lines[1]), "it was not published"
    equal(data_bytes(lines[0]), b'{"licence":"CC-BY-4.0","country":"DE","a":1e400}', "numbers are carried as written")


@case
def governed_fields_cannot_hide(context):
    """However JSON is carried, its governed fields are found: the reader's address leaves in none of them."""
    berlin = context.client("berlin-lab")
    _, cursor = berlin.pull(PRODUCT, from_="latest")
    document = next(d for d in context.documents if "reader" in d and d["licence"] == "CC-BY-4.0" and d["country"] in ("DE", "FR", "NL")
                    and any(d["reader"]["email"] == c["subject"] and "dpv:AcademicResearch" in c["purposes"] for c in context.generator.newsroom_consents()))
    sent = 0
    for n, carry in enumerate(("text", "bytes", "base64")):
        one = dict(document, id=f"hidden-{n}")
        if carry == "base64":
            text = {"specversion": "1.0", "id": one["id"], "source": "https://courier.example.org/events", "type": "t", "datacontenttype": "application/json",
                    "data_base64": base64.b64encode(json.dumps(one).encode()).decode()}
            sent += context.publish(json.dumps(text), "application/cloudevents+json").json()["accepted"]
            continue
        event = message(one)
        if carry == "bytes":
            event.binary_data = event.text_data.encode()
        sent += context.publish(event.SerializeToString(), ONE).json()["accepted"]
    equal(sent, 3, "accepted")
    lines, _ = berlin.pull(PRODUCT, from_=cursor)
    equal(len(lines), 3, "delivered")
    for line in lines:
        reader = json.loads(line)["data"]["reader"]
        assert len(reader["email"]) == 43 and "name" not in reader, "not redacted"


@case
def what_is_hostile_is_refused_and_spoils_nothing(context):
    good = message(dict(context.documents[0], id="hostile-neighbour"))
    head = pb.CloudEvent(id="hostile", source="/s", spec_version="1.0", type="t").SerializeToString()
    deep = b""
    for _ in range(20000):
        deep = field(2, deep) if len(deep) < 50000 else deep
    any_data = pb.CloudEvent(id="any", source="/s", spec_version="1.0", type="t")
    any_data.proto_data.type_url = "type.example.org/x"
    cases = [
        ("truncated", head[:-1], "invalid-protobuf", 400),
        ("a length past the end", head + b"\x3a\xff\xff\xff\xff\x07", "invalid-protobuf", 400),
        ("a length of 64 bits", head + b"\x3a" + b"\xff" * 9 + b"\x01", "invalid-protobuf", 400),
        ("a varint that does not end", head + b"\xff" * 11, "invalid-protobuf", 400),
        ("field number 0", head + b"\x00\x00", "invalid-protobuf", 400),
        ("groups", head + b"\x2b" * 5000, "invalid-protobuf", 400),
        ("deep nesting", head + field(5, deep), "invalid-protobuf", 400),
        ("a number where text is due", head + b"\x38\x01", "invalid-protobuf", 400),
        ("a fixed number", head + b"\x3d1234", "invalid-protobuf", 400),
        ("an unknown field", head + field(9, b"x"), "invalid-event", 422),
        ("a field twice", head + field(1, b"other"), "invalid-event", 422),
        ("data twice", head + field(7, b"1") + field(7, b"2"), "invalid-event", 422),
        ("an attribute twice", head + entry(b"license", field(3, b"CC-BY-4.0")) + entry(b"license", field(3, b"CC0-1.0")), "invalid-event", 422),
        ("an attribute of no type", head + entry(b"a", b""), "invalid-event", 422),
        ("an attribute with two values", head + entry(b"a", field(3, b"1") + field(3, b"2")), "invalid-event", 422),
        ("a name in capitals", head + entry(b"Subject", field(3, b"x")), "invalid-event", 422),
        ("a name that is no text", head + entry(b"a\xff", field(3, b"x")), "invalid-protobuf", 400),
        ("the name of a field", head + entry(b"id", field(3, b"x")), "invalid-event", 422),
        ("text that is not UTF-8", head + field(7, b"\"\xff\""), "invalid-protobuf", 400),
        ("proto_data", any_data.SerializeToString(), "opaque-data", 422),
        ("nothing at all", b"", "invalid-event", 422),
        ("JSON", b'{"specversion":"1.0"}', "invalid-protobuf", 400),
    ]
    for name, raw, slug, status in cases:
        answer = context.publish(raw, ONE, accept_status=(400, 422))
        problem = answer.json()
        equal((answer.status, problem["type"].rsplit("/", 1)[1], problem["rejected"]), (status, slug, 1), name)
        equal(answer.headers["Content-Type"].split(";")[0], "application/problem+json", name)
    body = b"".join(field(1, raw) for _, raw, _, _ in cases) + field(1, good.SerializeToString())
    answer = context.publish(body, BATCH).json()
    equal((answer["received"], answer["accepted"] + answer["duplicates"], [r["code"] for r in answer["rejections"]]), (len(cases) + 1, 1, [slug for _, _, slug, _ in cases]), "in one batch")
    for broken in (body[:-1], body + b"\xff", field(2, b""), b"\x08\x01"):
        answer = context.publish(broken, BATCH, accept_status=(400,))
        equal(answer.json()["type"].rsplit("/", 1)[1], "invalid-protobuf", "a broken batch")
    equal(context.publish(b"", BATCH).json()["received"], 0, "a batch of nothing")


@case
def the_bill_is_of_what_was_received_however_often_and_in_whatever_form(context):
    for contract in ("berlin-lab", "texas-analytics"):
        lines, _ = context.client(contract).pull(PRODUCT, from_="earliest", limit=10000)
        billed = (len(lines), sum(len(data_bytes(text)) for text in lines))
        await_condition(f"usage of {contract}", lambda: context.usage(contract) == billed, 20)


if __name__ == "__main__":
    sys.exit(main(ProtobufContext))
