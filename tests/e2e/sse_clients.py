#!/usr/bin/python3
"""Server-sent events read by clients that others wrote: curl, and npm `eventsource` as it is published (tests/sdk). Browsers: browser.py."""
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import npm  # noqa: E402
from harness import Context, Skip, case, equal, main  # noqa: E402

PRODUCT = "newsroom"
EVENTS = f"/v1/products/{PRODUCT}/events"


class Output(threading.Thread):
    """A program whose lines are read as they come."""

    def __init__(self, command, **kw):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **kw)
        self.lines = queue.Queue()
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))
        self.lines.put(None)

    def line(self, timeout=30):
        return self.lines.get(timeout=timeout)

    def end(self):
        self.process.kill()
        self.process.wait()


class SseContext(Context):
    def __init__(self):
        super().__init__()
        self.client("dpo").post("/v1/admin/consents", {"subject": "ada@example.org", "controller": "daily-courier", "purposes": ["dpv:AcademicResearch"], "status": "given"})
        self.number = 0
        self.reader = self.client("berlin-lab")

    def publish(self, count=1):
        ids = []
        for _ in range(count):
            self.number += 1
            ids.append(f"s-{self.number}")
        lines = "".join(json.dumps({"id": i, "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE", "headline": "two\nlines",
                                    "reader": {"email": "ada@example.org"}}) + "\n" for i in ids)
        equal(self.client("newsroom-desk").publish(PRODUCT, lines).json()["accepted"], count, "accepted")
        return ids

    def ticket(self):
        return self.client("berlin-lab").post(f"/v1/products/{PRODUCT}/tickets").json()["ticket"]

    def curl(self, query, *headers, token=True):
        command = ["curl", "-sS", "-N", "-i", "--http1.1", "--cacert", str(self.stack.ca), self.stack.url("eu") + EVENTS + query, "-H", "Accept: text/event-stream"]
        for header in (*([f"Authorization: Bearer {self.client('berlin-lab').token()}"] if token else []), *headers):
            command += ["-H", header]
        return Output(command)

    def eventsource(self, query, token=None):
        folder, why = npm.install()
        if folder is None:
            raise Skip(why)
        env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(self.stack.ca), "LICET_TOKEN": token or ""}
        return Output(["node", "eventsource.mjs", self.stack.url("eu") + EVENTS + query], cwd=folder, env=env)


def setup():
    return SseContext()


def curl_head(output):
    head = []
    while line := output.line().rstrip("\r"):
        head.append(line)
    return head


def curl_events(output, count):
    """Exactly as the wire format says: `id:` and `data:`, one line each, then an empty one; `retry:` and comments between."""
    out, lines = [], []
    while len(out) < count:
        line = output.line()
        if line is None:
            raise AssertionError(f"the stream ended after {len(out)} of {count} events")
        if line:
            lines.append(line)
            continue
        frame, lines = "\n".join(lines), []
        if found := re.fullmatch(r"id: (\S+)\ndata: (\{.*\})", frame):
            event = json.loads(found[2])
            equal(event["cursor"], found[1], "the id is the cursor")
            out.append((event["id"], found[1]))
        elif not re.fullmatch(r"retry: \d+|:.*", frame):
            raise AssertionError(f"not a frame: {frame!r}")
    return out


@case
def curl_reads_and_resumes(context):
    ids = context.publish(10)
    stream = context.curl("?from=earliest")
    head = curl_head(stream)
    equal((head[0], "Content-Type: text/event-stream" in head), ("HTTP/1.1 200 OK", True), "head")
    got = curl_events(stream, 10)
    equal([i for i, _ in got], ids, "events so far")
    more = context.publish(5)
    equal([i for i, _ in curl_events(stream, 5)], more, "live")
    stream.end()
    resumed = context.curl("", f"Last-Event-ID: {got[6][1]}")
    curl_head(resumed)
    equal([i for i, _ in curl_events(resumed, 8)], ids[7:] + more, "from the seventh on")
    # Ends with the node, cleanly: curl is content.
    equal(context.stack.stop_node("eu"), 0, "the node's end")
    while resumed.line() is not None:
        pass
    equal(resumed.process.wait(20), 0, "curl's verdict")
    context.stack.start_node("eu")


@case
def curl_with_a_ticket(context):
    ids = context.publish(3)
    ticket = context.ticket()
    stream = context.curl(f"?from=earliest&ticket={ticket}", token=False)
    equal(curl_head(stream)[0], "HTTP/1.1 200 OK", "head")
    equal([i for i, _ in curl_events(stream, context.number)][-3:], ids, "events")
    stream.end()
    again = context.curl(f"?from=earliest&ticket={ticket}", token=False)
    equal(curl_head(again)[0], "HTTP/1.1 401 Unauthorized", "again")
    equal(json.loads(again.line())["type"].rsplit("/", 1)[-1], "invalid-ticket", "why")


def npm_events(output, count):
    """Ids of the next events, and what else was said on the way."""
    ids, said = [], []
    while len(ids) < count:
        line = json.loads(output.line(60))
        if "id" in line:
            ids.append(line["id"])
        else:
            said.append(line)
    return ids, said


@case
def npm_eventsource_comes_back_by_itself(context):
    cursor = context.reader.pull(PRODUCT, from_="latest")[1]
    stream = context.eventsource(f"?from={cursor}", context.client("berlin-lab").token())
    ids = context.publish(5)
    got, said = npm_events(stream, 5)
    equal((got, said), (ids, [{"asks": None}, {"open": True}]), "events")
    for end in (context.stack.stop_node, context.stack.kill_node):
        end("eu")
        context.stack.start_node("eu")
        ids = context.publish(5)
        got, said = npm_events(stream, 5)
        equal(got, ids, "events after the node came back")
        asked = [line["asks"] for line in said if "asks" in line]
        if not asked or None in asked:
            raise AssertionError(f"it did not say where it was: {said}")
    stream.end()


@case
def npm_eventsource_with_a_ticket_gives_up_with_it(context):
    ids = context.publish(2)
    stream = context.eventsource(f"?from=earliest&ticket={context.ticket()}")
    got, _ = npm_events(stream, context.number)
    equal(got[-2:], ids, "events")
    context.stack.stop_node("eu")
    context.stack.start_node("eu")
    while True:
        line = json.loads(stream.line(60))
        if line.get("closed"):
            equal(line["error"], 401, "why it gave up")
            break
    stream.end()


if __name__ == "__main__":
    sys.exit(main(setup))
