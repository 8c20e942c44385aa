#!/usr/bin/python3
"""A real browser on pages of other origins than the node's: CORS, tickets with EventSource and WebSocket, the snippet of docs/browsers.md across a restart of the node."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import chromium  # noqa: E402
from harness import ROOT, Context, Skip, case, equal, main  # noqa: E402
from licet_client import Client, Problem, await_condition  # noqa: E402

PRODUCT = "newsroom"
EVENTS = f"/v1/products/{PRODUCT}/events"
TICKETS = f"/v1/products/{PRODUCT}/tickets"
HELPERS = """
const read = async (answer) => ({ status: answer.status, body: await answer.text(), cursor: answer.headers.get("Licet-Cursor"), id: answer.headers.get("Licet-Request-Id"),
                                  retry: answer.headers.get("Retry-After"), date: answer.headers.get("Date") });
const attempt = async (url, options) => { try { return await read(await fetch(url, options)); } catch (error) { return { failed: error.name }; } };
// Reads `count` events of an EventSource or until it gives up.
const gather = (source, count) => new Promise((done) => {
  const seen = [];
  source.onmessage = (m) => { seen.push({ id: JSON.parse(m.data).id, cursor: m.lastEventId }); if (seen.length >= count) { source.close(); done({ seen }); } };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) done({ seen, closed: true }); };
});
const streams = {};
"""


def snippet():
    """The page of docs/browsers.md says how to write it: this is it."""
    return re.search(r"```js\n(.*?function follow.*?)```", (ROOT / "docs" / "browsers.md").read_text(), re.S)[1]


class BrowserContext(Context):
    def __init__(self):
        self.foreign = chromium.Site(HELPERS)
        self.page = chromium.Site(HELPERS + snippet(), frames=[self.foreign])
        super().__init__(plain=("eu", "eu2"), allowed_origins=[self.page.origin], log_level="debug")
        self.stack.add_node("eu", "eu2")
        self.base, self.other = self.stack.url("eu"), self.stack.url("eu2")
        self.client("dpo").post("/v1/admin/consents", {"subject": "ada@example.org", "controller": "daily-courier", "purposes": ["dpv:AcademicResearch"], "status": "given"})
        self.number = 0
        self.reader = self.client("berlin-lab")
        self.token = self.reader.token()
        self.browser = chromium.Browser(self.page)
        for site in (self.page, self.foreign):
            site.run("return location.origin", timeout=60)

    def publish(self, count=1, node="eu"):
        ids = []
        for _ in range(count):
            self.number += 1
            ids.append(f"b-{self.number}")
        lines = "".join(json.dumps({"id": i, "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE",
                                    "reader": {"email": "ada@example.org"}}) + "\n" for i in ids)
        equal(self.client("newsroom-desk", node).publish(PRODUCT, lines).json()["accepted"], count, "accepted")
        return ids

    def ticket(self, node="eu", **asked):
        answer = self.client("berlin-lab", node).post(TICKETS, asked or None)
        equal(answer.status, 201, "ticket")
        return answer.json()["ticket"]

    def head(self):
        return self.reader.pull(PRODUCT, from_="latest")[1]

    def close(self, keep):
        self.browser.close()
        for site in (self.page, self.foreign):
            site.close()
        return super().close(keep)


def setup():
    if chromium.find() is None:
        raise Skip("no chromium on this machine (./dev installs it)")
    return BrowserContext()


@case
def a_page_reads_events_and_why_it_was_refused(context):
    ids = context.publish(3)
    ask = "return await attempt(given.url, { method: given.method ?? 'GET', headers: given.headers, body: given.body })"
    bearer = {"Authorization": f"Bearer {context.token}"}
    page = context.page.run(ask, url=f"{context.base}{EVENTS}?limit=1000", headers=bearer)
    equal([json.loads(line)["id"] for line in page["body"].splitlines()][-3:], ids, "events")
    if not page["cursor"] or not page["id"]:
        raise AssertionError(f"the page cannot read the cursor or the request's id: {page}")
    equal(page["date"], None, "a header that is not exposed")
    for url, headers, status, slug in ((EVENTS, {"Authorization": "Bearer nonsense"}, 401, "invalid-token"), (EVENTS, {}, 401, "unauthenticated"),
                                       (EVENTS + "?from=nonsense", bearer, 400, "invalid-cursor"), ("/v1/usage?x=y", bearer, 400, "invalid-parameter"),
                                       ("/v1/products/nothing/endpoints", bearer, 403, "insufficient-scope")):
        refused = context.page.run(ask, url=context.base + url, headers=headers)
        equal((refused["status"], json.loads(refused["body"])["type"].rsplit("/", 1)[-1]), (status, slug), url)
        equal(refused["id"], json.loads(refused["body"])["instance"], "request id")
    # A producer's page, in binary mode: each attribute is a header the preflight must grant.
    desk = context.client("newsroom-desk").token()
    sent = context.page.run(ask, url=context.base + EVENTS, method="POST", body=json.dumps({"headline": "from a page"}),
                            headers={"Authorization": f"Bearer {desk}", "Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "page-1", "ce-source": "https://courier.example.org/page",
                                     "ce-type": "org.example.courier.article.read", "ce-license": "CC-BY-4.0", "ce-jurisdiction": "DE", "ce-datasubject": "ada@example.org"})
    equal((sent["status"], json.loads(sent["body"])["accepted"]), (200, 1), "published by a page")
    # What pages have no business with cannot be read, and what needs a preflight is not even sent.
    equal(context.page.run(ask, url=context.base + "/v1/admin/regions", headers=bearer), {"failed": "TypeError"}, "the configuration")
    equal(context.page.run(ask, url=context.base + "/oauth/token", method="POST", body="grant_type=client_credentials", headers={"Content-Type": "application/x-www-form-urlencoded"}),
          {"failed": "TypeError"}, "the token endpoint")


@case
def a_page_of_another_origin_reads_nothing(context):
    context.publish(1)
    bearer = {"Authorization": f"Bearer {context.token}"}
    ask = "return await attempt(given.url, { headers: given.headers })"
    for url, headers in ((EVENTS, bearer), (EVENTS, {}), ("/v1/usage?period=2026-03", bearer)):
        equal(context.foreign.run(ask, url=context.base + url, headers=headers), {"failed": "TypeError"}, url)
    # A ticket it came by is no use to it, and stays good.
    ticket = context.ticket()
    url = f"{context.base}{EVENTS}?from=earliest&ticket={ticket}"
    equal(context.foreign.run(ask, url=url), {"failed": "TypeError"}, "fetch with a ticket")
    equal(context.foreign.run("return await gather(new EventSource(given.url), 1)", url=url), {"seen": [], "closed": True}, "EventSource with a ticket")
    socket = "return await new Promise((done) => { const s = new WebSocket(given.url.replace('http', 'ws'), 'cloudevents.json'); s.onopen = () => done('open'); s.onclose = (e) => done(e.code); })"
    equal(context.foreign.run(socket, url=url), 1006, "WebSocket with a ticket")
    equal(len(context.page.run("return await gather(new EventSource(given.url), 1)", url=url)["seen"]), 1, "the page it was for")


@case
def an_event_source_with_a_ticket(context):
    gather = "return await gather(new EventSource(given.url), given.count)"
    before = context.head()
    ids = context.publish(5)
    url = f"{context.base}{EVENTS}?from={before}&ticket={context.ticket(origin=context.page.origin)}"
    got = context.page.run(gather, url=url, count=5)
    equal([e["id"] for e in got["seen"]], ids, "events")
    # Used: by the standard it gives up for good.
    equal(context.page.run(gather, url=url, count=1), {"seen": [], "closed": True}, "the same ticket again")
    # The page asks for its own; on another node of the region it is as good, once.
    made = context.page.run("return await attempt(given.url, { method: 'POST', headers: { Authorization: given.bearer } })", url=context.base + TICKETS, bearer=f"Bearer {context.token}")
    equal(made["status"], 201, "ticket")
    ticket = json.loads(made["body"])["ticket"]
    ids = context.publish(2, "eu2")
    got = context.page.run(gather, url=f"{context.other}{EVENTS}?from=earliest&ticket={ticket}", count=2)
    equal([e["id"] for e in got["seen"]], ids, "events of the other node's log")
    for base in (context.base, context.other):
        equal(context.page.run(gather, url=f"{base}{EVENTS}?from=earliest&ticket={ticket}", count=1), {"seen": [], "closed": True}, "used on one node is used on all")
    # For one origin: who is no page has none.
    try:
        Client(context.base).get(f"{EVENTS}?ticket={context.ticket(origin=context.page.origin)}")
        raise AssertionError("a ticket for a page was taken from who is none")
    except Problem as problem:
        equal(problem.slug, "invalid-ticket", "no page")


@case
def a_web_socket_with_a_ticket(context):
    code = """return await new Promise((done) => {
      const socket = new WebSocket(given.url.replace("http", "ws"), "cloudevents.json"), seen = [];
      socket.onmessage = (m) => { seen.push(JSON.parse(m.data)); if (seen.length === given.count) { socket.send(JSON.stringify({ ack: seen.at(-1).cursor })); socket.close(1000); } };
      socket.onclose = (e) => done({ ids: seen.map((e) => e.id), code: e.code, protocol: socket.protocol, extensions: socket.extensions });
    })"""
    before = context.head()
    ids = context.publish(5)
    url = f"{context.base}{EVENTS}?from={before}&ticket={context.ticket()}"
    got = context.page.run(code, url=url, count=5)
    equal((got["ids"], got["code"], got["protocol"]), (ids, 1000, "cloudevents.json"), "events")
    if "permessage-deflate" not in got["extensions"]:
        raise AssertionError(f"not compressed: {got}")
    equal(context.page.run(code, url=url, count=5)["code"], 1006, "the same ticket again")


@case
def the_documented_page_misses_nothing_and_repeats_nothing(context):
    context.page.run("""
      streams.seen = [];
      streams.problems = [];
      streams.stop = follow(given.base, given.product, async () => given.token, (event) => streams.seen.push(event.id), (problem) => streams.problems.push(problem), given.from);
    """, base=context.base, product=PRODUCT, token=context.token, **{"from": context.head()})
    # An EventSource alone beside it: its ticket is used, and it gives up when the node has gone.
    alone = context.page.begin("return await gather(new EventSource(given.url), 1000)", url=f"{context.base}{EVENTS}?from=latest&ticket={context.ticket()}")
    wanted = []

    def seen():
        return context.page.run("return streams.seen")
    for round_ in range(3):
        for _ in range(5):
            wanted += context.publish(4)
        if round_ < 2:
            await_condition("some of it", lambda: len(seen()) > 20 * round_, 30)
            stopped = context.stack.stop_node("eu") if round_ == 0 else context.stack.kill_node("eu")
            equal(stopped or 0, 0, "the node's end")
            context.stack.start_node("eu")
    await_condition("all events", lambda: len(seen()) >= len(wanted), 60)
    equal(seen(), wanted, "events")
    ended = context.page.result(alone, 60)
    equal(ended.get("closed"), True, "an EventSource with a used ticket gives up")
    # A token that is no good any more is told, not tried for ever.
    context.client("admin").post("/v1/admin/clients/berlin-lab/revoke-tokens")
    problems = await_condition("the problem", lambda: context.page.run("return streams.problems"), 60)
    equal(problems[0]["type"].rsplit("/", 1)[-1], "invalid-token", "why")
    context.page.run("streams.stop()")
    # What the stream opened by a ticket received is billed like any other, each event once.
    context.reader = context.client("berlin-lab")
    await_condition("usage", lambda: (u := context.reader.get(f"/v1/usage?period={time.strftime('%Y-%m', time.gmtime())}").json()) and sum(b["delivered"]["events"] for b in u["books"]) >= len(wanted), 30)


@case
def no_log_holds_a_ticket(context):
    """Nor a token: what was shown in an address in this run is in no log of the nodes."""
    ticket = context.ticket()
    equal(Client(context.base).get(f"{EVENTS}?limit=1&ticket={ticket}").status, 200, "used")
    if "edge.request" not in (context.stack.dir / "eu.log").read_text(errors="replace"):
        raise AssertionError("requests are not logged: this would find nothing")
    for path in context.stack.dir.glob("*.log"):
        text = path.read_text(errors="replace")
        if ticket in text or "ticket=" in text or context.token in text:
            raise AssertionError(f"{path.name} holds a ticket or a token")


if __name__ == "__main__":
    sys.exit(main(setup))
