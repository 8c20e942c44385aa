#!/usr/bin/python3
"""The whole path against an oracle that knows the raw file alone: what each partner receives over SSE, WebSocket and pull, what is billed, across reconnects and
kill -9 of the node in the middle.

The file: the first argument, or the environment variable LICET_WIKITICKER (NDJSON of wiki edits, may be gzipped). Without one, a feed of the same shape is made.
"""
import decimal
import gzip
import http.client
import json
import os
import pathlib
import ssl
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main, same_list  # noqa: E402
from licet_client import Problem, await_condition, data_bytes  # noqa: E402
import wiki_oracle  # noqa: E402

SYNTHETIC_EVENTS = 12_000
PRODUCT = "wiki-edits"
CONNECTION_ERRORS = (OSError, http.client.HTTPException, ssl.SSLError)


def source_lines():
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LICET_WIKITICKER")
    if given:
        with (gzip.open(given, "rb") if given.endswith(".gz") else open(given, "rb")) as source:
            return [line.strip() for line in source if line.strip()]
    print(f"no file given (LICET_WIKITICKER): {SYNTHETIC_EVENTS} made edits instead")
    generator = licet_demo.load_generator()
    lines = [line.encode() for line in generator.lines("edits", "oracle", SYNTHETIC_EVENTS, 0, generator.parse_start(generator.DEFAULT_START["edits"]))]
    # White space outside strings is not data, and a line seen before is a duplicate.
    lines[7] = lines[7].replace(b'","', b'" ,\t"', 1).replace(b"{", b"{ ", 1)
    return lines + lines[100:110]


class Feeder(threading.Thread):
    """Publishes everything, repeating a batch whose acknowledgement was lost. accepted + duplicates of a batch must cover it."""

    def __init__(self, context, lines):
        super().__init__(daemon=True)
        self.context, self.lines, self.error = context, lines, None
        self.accepted = self.uncertain = 0

    def run(self):
        try:
            for batch in licet_demo.batches(self.lines):
                self.publish(batch)
        except BaseException as e:  # noqa: BLE001: told by join()
            self.error = e

    def publish(self, batch):
        lost = False

        def attempt():
            nonlocal lost
            try:
                client = self.context.client("wiki-feed")
                counts = client.publish(PRODUCT, b"\n".join(batch)).json()
                client.close()
            except CONNECTION_ERRORS:
                lost = True
                raise
            except Problem as e:
                if e.status == 503:
                    lost = True
                    raise
                raise RuntimeError(str(e)) from e
            return counts
        counts = await_condition("a batch accepted", attempt, 120)
        equal((counts["received"], counts["rejected"]), (len(batch), 0), "counts of a batch")
        equal(counts["accepted"] + counts["duplicates"], len(batch), "every event accepted or known")
        self.accepted += counts["accepted"]
        if lost:
            self.uncertain += counts["duplicates"]


class Subscriber:
    """Follows a product over one transport and can be cut anywhere: what it holds is what a careful client would hold."""

    def __init__(self, context, partner, transport):
        self.context, self.partner, self.transport = context, partner, transport
        self.events, self.cursor = [], None

    def read_until(self, count, cut=None):
        """Reads to `count` events; `cut` is called there with the connection open, and the connection is dropped without a goodbye."""
        while len(self.events) < count:
            def attempt():
                client = self.context.client(self.partner, timeout=30)
                if self.transport == "sse":
                    return client.sse(PRODUCT, last_event_id=self.cursor, from_=None if self.cursor else "earliest")
                return client.websocket(PRODUCT, from_=self.cursor or "earliest")
            stream = await_condition(f"{self.transport} of {self.partner}", attempt, 60)
            try:
                for item in stream:
                    identity, event = item if self.transport == "sse" else (None, item)
                    cursor = json.loads(event)["cursor"]
                    if self.transport == "sse":
                        equal(identity, cursor, "SSE id")
                    self.events.append(event)
                    self.cursor = cursor
                    if len(self.events) == count:
                        if cut:
                            cut()
                        break
                else:
                    continue  # the server ended it: go on from the cursor
            except CONNECTION_ERRORS:
                continue
            finally:
                stream.sock.close() if self.transport == "websocket" else stream.close()


def compare(events, expected, what):
    ids = [json.loads(e)["id"] for e in events]
    same_list(ids, [e.id for e in expected], what + ": ids")
    for event, wanted in zip(events, expected):
        equal(data_bytes(event), wanted.data, f"{what}: data of {wanted.id}")
        attributes = json.loads(event)
        found = {k: v for k, v in attributes.items() if k not in ("data", "cursor")}
        must = {"specversion": "1.0", "id": wanted.id, "source": wiki_oracle.SOURCE, "type": wiki_oracle.TYPE, "time": wanted.time, "license": wiki_oracle.LICENCE}
        if wanted.jurisdiction:
            must["jurisdiction"] = wanted.jurisdiction
        found.pop("datacontenttype", None)
        found.pop("residency", None)
        equal(found, must, f"{what}: attributes of {wanted.id}")


class OracleContext(Context):
    def __init__(self):
        super().__init__()
        self.lines = source_lines()
        self.oracle = wiki_oracle.Oracle(self.lines, self.stack.secret_file("pseudonym_key").read_text())
        print(f"{len(self.lines)} lines, {len(self.oracle.ids)} events; berlin-lab {len(self.oracle.berlin)}, texas-analytics {len(self.oracle.texas)}, "
              f"hashed although flagged not anonymous: {self.oracle.hashed_despite_flag}")

    def kill_and_restart(self):
        self.stack.kill_node("eu")
        self.stack.start_node("eu")


@case
def sse_while_publishing_with_reconnect_and_kill(context):
    feeder = Feeder(context, context.lines)
    feeder.start()
    expected = context.oracle.berlin
    subscriber = Subscriber(context, "berlin-lab", "sse")
    subscriber.read_until(len(expected) // 3)
    subscriber.read_until(2 * len(expected) // 3, cut=context.kill_and_restart)
    subscriber.read_until(len(expected))
    feeder.join(300)
    if feeder.error or feeder.is_alive():
        raise AssertionError(f"publishing: {feeder.error or 'not finished'}")
    # What was accepted twice is only what a lost acknowledgement left open.
    if not 0 <= len(context.oracle.ids) - feeder.accepted <= feeder.uncertain:
        raise AssertionError(f"{feeder.accepted} accepted, {feeder.uncertain} in batches whose answer was lost, of {len(context.oracle.ids)} events")
    compare(subscriber.events, expected, "berlin-lab by SSE")
    context.berlin_cursor = subscriber.cursor


@case
def websocket_with_reconnect_and_kill(context):
    expected = context.oracle.texas
    subscriber = Subscriber(context, "texas-analytics", "websocket")
    subscriber.read_until(len(expected) // 3)
    subscriber.read_until(2 * len(expected) // 3, cut=context.kill_and_restart)
    subscriber.read_until(len(expected))
    compare(subscriber.events, expected, "texas-analytics by WebSocket")


@case
def pull_with_kill(context):
    for partner in ("berlin-lab", "texas-analytics"):
        expected, killed = context.oracle.of(partner), []

        def between(events, expected=expected, killed=killed):
            client.close()
            if not killed and len(events) > len(expected) // 2:
                context.kill_and_restart()
                killed.append(True)
        client = context.client(partner)
        events, _ = licet_demo.pull_all(client, PRODUCT, limit=1500, between_pages=between)
        equal(bool(killed), True, "killed in the middle")
        compare(events, expected, f"{partner} by pull")


@case
def the_other_transports_agree(context):
    for partner, transport in (("texas-analytics", "sse"), ("berlin-lab", "websocket")):
        subscriber = Subscriber(context, partner, transport)
        subscriber.read_until(len(context.oracle.of(partner)))
        compare(subscriber.events, context.oracle.of(partner), f"{partner} by {transport}")


@case
def batch_json_agrees(context):
    client = context.client("berlin-lab")
    body, _ = client.pull(PRODUCT, accept="application/cloudevents-batch+json", from_="earliest", limit=1000)
    found = json.loads(body)
    expected = context.oracle.berlin[:1000]
    same_list([e["id"] for e in found], [e.id for e in expected], "ids")
    same_list([e["data"] for e in found], [json.loads(e.data) for e in expected], "data")


@case
def the_end_is_the_end(context):
    client = context.client("berlin-lab")
    page, _ = client.pull(PRODUCT, from_=context.berlin_cursor)
    equal(page, [], "after the last cursor")


@case
def loading_again_adds_nothing(context):
    client = context.client("wiki-feed")
    total, _ = licet_demo.feed(client, PRODUCT, context.lines[:3000])
    equal((total["accepted"], total["duplicates"], total["rejected"]), (0, 3000, 0), "a second load")


@case
def ohio_gets_nothing_and_is_told_why(context):
    events, _ = licet_demo.pull_all(context.client("ohio-ads"), PRODUCT, limit=10_000)
    equal(events, [], "ohio-ads by pull")
    dpo = context.client("dpo")
    for identity in (context.oracle.ids[0], context.oracle.ids[-1]):
        query = urllib.parse.urlencode({"product": PRODUCT, "contract": "ohio-ads", "source": wiki_oracle.SOURCE, "event": identity})
        found = dpo.get("/v1/admin/explain?" + query).json()
        equal((found["reason"], found["decidedBy"]["policy"], found["decidedBy"]["rule"]), ("prohibited", "no-marketing", "urn:licet:rule:no-marketing"), "explain")


@case
def usage_equals_what_was_received(context):
    contracts = licet_demo.catalogue()["contracts"]
    finance = context.client("finance")
    period = licet_demo.current_period(context.stack)
    expected = {p: (len(context.oracle.of(p)), sum(len(e.data) for e in context.oracle.of(p))) for p in ("berlin-lab", "texas-analytics")}

    def settled():
        report = finance.get(f"/v1/finance/usage?period={period}&group=contract,product,day,region&format=json").json()
        sums = {}
        for line in report["lines"]:
            if line["product"] == PRODUCT:
                events, octets = sums.get(line["contract"], (0, 0))
                sums[line["contract"]] = (events + line["events"], octets + line["bytes"])
        context.last_sums = (sums, report.get("suspenseOffsets"))
        return report if sums == expected and report.get("suspenseOffsets") == 0 else None
    try:
        report = await_condition("usage", settled, 30)
    except TimeoutError as e:
        raise AssertionError(f"usage: expected {expected} and nothing in suspense, found {context.last_sums}") from e
    # A line's amount is its share of what its contract owes, which is rounded once.
    owed = {}
    for line in report["lines"]:
        equal((line["kind"], line["region"], line["currency"]), ("usage", "eu", contracts[line["contract"]]["price"]["currency"]), "kind, region and currency")
        events, octets, amount = owed.get(line["contract"], (0, 0, 0))
        owed[line["contract"]] = (events + line["events"], octets + line["bytes"], amount + decimal.Decimal(line["amount"]))
    totals = {}
    for name, (events, octets, amount) in owed.items():
        price = contracts[name]["price"]
        equal(str(amount), str(wiki_oracle.amount(price, events, octets)), f"amount of {name}")
        totals[price["currency"]] = totals.get(price["currency"], 0) + amount
    equal([book for book in report["books"] if not book["balanced"]], [], "books: delivered = billed + unbilled")
    equal({t["currency"]: t["amount"] for t in report["totals"]}, {c: str(v) for c, v in totals.items()}, "totals")
    # The export says the same, and so does each partner's own view.
    table = finance.get(f"/v1/finance/usage?period={period}&group=contract,product&format=csv").body.decode().split("\r\n")
    for partner, (events, octets) in expected.items():
        row = next(r for r in table if r.startswith(f"{period},{partner},{PRODUCT},"))
        price = contracts[partner]["price"]
        minutes = row.split(",")[6]  # how many the run took is no matter of the oracle's
        equal(row, f"{period},{partner},{PRODUCT},usage,{events},{octets},{minutes},{price['currency']},{wiki_oracle.amount(price, events, octets)},,", "CSV line")
        equal(int(minutes) > 0, True, "active minutes")
        own = context.client(partner).get(f"/v1/usage?period={period}").json()
        equal(sum(l["events"] for l in own["lines"]), events, f"events of {partner} as it sees them")
        equal(sum(l["bytes"] for l in own["lines"]), octets, f"bytes of {partner} as it sees them")
        equal({l["contract"] for l in own["lines"]}, {partner}, "a partner sees its own lines only")


if __name__ == "__main__":
    sys.exit(main(OracleContext))
