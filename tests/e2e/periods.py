#!/usr/bin/python3
"""A month is closed for good: held up by a node that did not pass its end, corrected only by notes, and checked by `licet verify usage` and by the script of docs/receipts.md
against what the partners counted as they received it.

The month that is closed is the last one: what was delivered now is moved into it in the database, by its owner, as if it had been delivered a month ago.
"""
import datetime
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, ROOT, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition, data_bytes  # noqa: E402

PRODUCT, EVENTS = "wiki-edits", 600
PARTNERS = ("berlin-lab", "texas-analytics")
TABLES = ("usage_billed", "usage_delivered", "usage_minutes", "usage_unbilled", "usage_replayed")


def month(back):
    first = datetime.datetime.now(datetime.timezone.utc).date().replace(day=1)
    for _ in range(back):
        first = (first - datetime.timedelta(days=1)).replace(day=1)
    return first


class PeriodsContext(Context):
    def __init__(self):
        super().__init__()
        try:
            self.open, self.closing = month(0).strftime("%Y-%m"), month(1).strftime("%Y-%m")
            self.received = {}
            lines = self.generator.lines("edits", "periods", EVENTS, 0, self.generator.parse_start(self.generator.DEFAULT_START["edits"]))
            licet_demo.feed(self.client("wiki-feed"), PRODUCT, lines)
            for partner in PARTNERS:
                self.receive(partner)
            self.await_billed()
            self.move_back()
        except BaseException:
            self.stack.stop()
            raise

    def receive(self, partner):
        events, _ = licet_demo.pull_all(self.client(partner), PRODUCT, limit=250)
        self.received[partner] = [len(events), sum(len(data_bytes(event)) for event in events)]

    def billed(self, period):
        report = self.client("finance").get(f"/v1/finance/usage?period={period}&group=contract&format=json").json()
        return {book["contract"]: [book["billed"]["events"], book["billed"]["bytes"]] for book in report["books"] if book["billed"]["events"]}

    def await_billed(self):
        await_condition("usage in the ledger", lambda: self.billed(self.open) == self.received, 30)

    def sql(self, text):
        return self.stack.psql(self.stack.database("eu"), text)

    def move_back(self):
        day = month(1).replace(day=10)
        self.day = day.isoformat()
        for table in TABLES:
            self.sql(f"UPDATE {table} SET day = '{self.day}'")

    def finance(self, method, path, body=None, accept=()):
        return self.client("finance").request(method, "/v1/finance/" + path, body, accept_status=accept)

    def state(self, period):
        return next(p for p in self.finance("GET", "periods").json()["periods"] if p["period"] == period)

    def file(self, name, content):
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def key(self):
        return self.file("statements.key", self.client("berlin-lab").get("/v1/statements/key").json()["publicKey"] + "\n")

    def bundle(self, client, prefix, query=""):
        """Documents, each followed by its lines; read page by page."""
        out, documents = b"", client.get(f"{prefix}{query}").body.splitlines()
        for document in documents:
            number, after, lines = json.loads(document)["number"], 0, []
            while page := client.get(f"{prefix}/{number}/lines?limit=2&after={after}").body.splitlines():
                lines += page
                after += len(page)
            out += b"".join(text + b"\n" for text in [document, *lines])
        return out

    def verify(self, path):
        done = subprocess.run([self.stack.binary, "verify", "usage", "--statements", path, "--key", self.key()], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


@case
def a_month_is_held_up_by_a_node_that_did_not_pass_its_end_and_by_nothing_else(context):
    await_condition("the node passes the month", lambda: context.state(context.closing)["state"] == "closable", 15)
    equal(context.state(context.open)["state"], "current", "this month")
    early = context.finance("POST", f"periods/{context.open}/close", accept=(409,))
    equal((early.status, early.json()["type"]), (409, "https://licet.dev/problems/period-open"), "a month that is not over")
    # A second node breaks off; as if that had been in the middle of last month.
    context.stack.add_node("eu", "eu-2")
    await_condition("the second node is heard of", lambda: context.sql("SELECT flushed_until > 0 FROM usage_nodes WHERE node = 'eu-2'") == "t", 15)
    context.stack.kill_node("eu-2")
    context.sql(f"UPDATE usage_nodes SET flushed_until = extract(epoch FROM date '{context.day}') * 1000 WHERE node = 'eu-2'")
    problem = context.finance("POST", f"periods/{context.closing}/close", accept=(409,)).json()
    equal([gap["node"] for gap in problem["gaps"]], ["eu-2"], "gaps")
    equal(problem["gaps"][0]["flushedUntil"], f"{context.day}T00:00:00.000Z", "how far it is")
    equal("eu-2" in problem["detail"], True, "the detail names it")
    equal(context.state(context.closing)["state"], "open", "the month")
    equal(context.sql("SELECT count(*) FROM statements"), "0", "statements")
    # It starts again, and brings what it has.
    context.stack.start_node("eu-2")
    await_condition("the second node passes", lambda: context.state(context.closing)["state"] == "closable", 15)
    # Stopped in order, nobody waits for it; broken off for good, it is written off.
    context.stack.stop_node("eu-2")
    equal(context.sql("SELECT state FROM usage_nodes WHERE node = 'eu-2'"), "ended", "a node stopped in order")
    context.stack.start_node("eu-2")
    context.stack.kill_node("eu-2")
    refused = context.finance("POST", "nodes/eu-2/write-off", {"reason": "disk lost"}, accept=(409,))
    equal(refused.json()["type"], "https://licet.dev/problems/conflict", "a node heard of a moment ago")
    context.sql(f"UPDATE usage_nodes SET heard_at = heard_at - 120000, flushed_until = extract(epoch FROM date '{context.day}') * 1000 WHERE node = 'eu-2'")
    equal(context.finance("POST", "nodes/eu-2/write-off", {"reason": "disk lost"}).json()["state"], "written-off", "write-off")
    equal(context.state(context.closing)["state"], "closable", "without it")


@case
def it_is_closed_once_and_does_not_move(context):
    before = context.billed(context.closing)
    equal(before, context.received, "last month's draft")
    closed = context.finance("POST", f"periods/{context.closing}/close").json()
    equal((closed["statements"], closed["firstStatement"], closed["closedBy"]), (2, 1, "finance"), "closed")
    again = context.finance("POST", f"periods/{context.closing}/close", accept=(409,)).json()
    equal((again["type"], again["closedAt"]), ("https://licet.dev/problems/period-closed", closed["closedAt"]), "closed again")
    for sql in ("UPDATE usage_billed SET events = 0", "DELETE FROM statements", "UPDATE statement_lines SET line = '{}'"):
        try:
            context.sql(sql)
        except Exception as e:  # noqa: BLE001: of psql
            equal("PostgreSQL" in str(e), True, sql)
        else:
            raise AssertionError(f"the database took: {sql}")
    # What arrives for it now is booked into this month.
    context.sql(f"INSERT INTO usage_billed (contract, product, partition, stream_epoch, range, events, bytes, day, region, node, boot, sequence) "
                f"SELECT contract, product, partition, 999, '[0,5)', 5, 500, '{context.day}', region, 'eu-2', 1, 1 FROM usage_billed LIMIT 1")
    equal(context.sql("SELECT to_char(period, 'YYYY-MM') FROM usage_billed WHERE stream_epoch = 999"), context.open, "late usage")
    equal(context.billed(context.closing), before, "the closed month")
    for number in (1, 2):
        equal(context.finance("GET", f"statements/{number}/rerate").json(), {"number": number, "identical": True, "differences": []}, "rated again")
    actions = [json.loads(line) for line in context.client("auditor").get("/v1/admin/audit?limit=10000").body.splitlines()]
    equal([(a["actor"], a["target"]) for a in actions if a["action"] == "period.close"], [("finance", context.closing)], "audit")
    equal([a["detail"]["reason"] for a in actions if a["action"] == "node.write_off"], ["disk lost"], "audit")


@case
def statements_are_checked_offline_and_whatever_is_changed_in_them_is_found(context):
    whole = context.bundle(context.client("finance"), "/v1/finance/statements")
    status, text = context.verify(context.file("all.ndjson", whole))
    equal(status, 0, text)
    equal("2 statements, 0 notes, numbers 1 to 2" in text, True, text)
    lines = whole.splitlines(keepends=True)
    for what, changed in {"an amount": re.sub(rb'("amount":")\d', rb"\g<1>9", whole, count=1), "a total": re.sub(rb'("total":")\d', rb"\g<1>9", whole, count=1),
                          "its only line left out": b"".join(lines[:1] + lines[2:]), "a line twice": b"".join(lines[:2] + lines[1:]),
                          "a country": whole.replace(b'"country":"DE"', b'"country":"FR"', 1), "cut": whole[:-40], "spaces": whole.replace(b'":', b'": ', 1)}.items():
        equal(changed != whole, True, what)
        status, text = context.verify(context.file("changed.ndjson", changed))
        equal(status, 3 if what == "its only line left out" else 1, f"{what}: {text}")  # without any line, a total is signed but not summed
    other = context.file("other.key", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\n")
    done = subprocess.run([context.stack.binary, "verify", "usage", "--statements", context.directory / "all.ndjson", "--key", other], capture_output=True, check=False)
    equal(done.returncode, 1, "another key")


@case
def a_partner_checks_its_own_with_the_documented_script(context):
    script = context.file("check.py", re.search(r"```python\n(.*?)```", (ROOT / "docs" / "receipts.md").read_text(), re.S).group(1))
    key = context.key()

    def check(*arguments):
        done = subprocess.run(["/usr/bin/python3", script, key, *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    for number, partner in enumerate(PARTNERS, 1):
        client = context.client(partner)
        bundle = context.file(f"{partner}.ndjson", context.bundle(client, "/v1/statements", f"?period={context.closing}"))
        counted = context.file("counted.json", json.dumps({f"{PRODUCT} {context.day}": context.received[partner]}))
        status, text = check(bundle, counted)
        equal(status, 0, text)
        equal("billed is what was received" in text, True, text)
        wrong = context.file("counted.json", json.dumps({f"{PRODUCT} {context.day}": [context.received[partner][0] - 1, context.received[partner][1]]}))
        equal(check(bundle, wrong)[0], 1, "one event less")
        receipt = client.get(f"/v1/statements/{number}/proof?line=1").body
        status, text = check(context.file("receipt.json", receipt + b"\n"))
        equal(status, 0, text)
        events = json.loads(receipt)["line"]["events"]
        equal(check(context.file("receipt.json", receipt.replace(b'"events":%d' % events, b'"events":%d' % (events + 1), 1) + b"\n"))[0], 1, "a receipt of one event more")
        equal(context.verify(context.file("receipt.json", receipt + b"\n"))[0], 3, "a receipt alone")
        # Of others nothing is seen, and nothing is said.
        for path in ("", "/lines", "/proof?line=1"):
            equal(client.get(f"/v1/statements/{3 - number}{path}", accept_status=(404,)).status, 404, "another's statement")
        equal({json.loads(text)["party"]["name"] for text in client.get("/v1/statements").body.splitlines()}, {partner}, "the list")
        equal(client.get("/v1/finance/statements", accept_status=(403,)).status, 403, "finance's list")


@case
def a_statement_is_corrected_by_a_note_in_an_open_month(context):
    wanted = {"reference": "cn-1", "contract": "berlin-lab", "chargePeriod": context.closing, "reason": "outage on the 12th", "amount": "-0.07"}
    note = context.finance("POST", "corrections", wanted)
    equal(note.status, 201, "a note")
    note = note.json()
    statement = context.finance("GET", "statements/1").json()
    equal((note["kind"], note["number"], note["period"], note["total"]), ("licet/credit-note/1", 3, context.open, "-0.07"), "the note")
    equal(note["corrects"], {"number": 1, "hash": statement["hash"], "period": context.closing}, "what it corrects")
    equal(context.finance("POST", "corrections", wanted, accept=(409,)).status, 409, "the same reference again")
    into_closed = context.finance("POST", "corrections", {**wanted, "reference": "cn-2", "period": context.closing}, accept=(409,)).json()
    equal(into_closed["type"], "https://licet.dev/problems/period-closed", "into a closed month")
    equal(context.finance("GET", "statements/1").json(), statement, "the statement")
    status, text = context.verify(context.file("with-note.ndjson", context.bundle(context.client("finance"), "/v1/finance/statements")))
    equal(status, 0, text)
    equal("1 notes" in text, True, text)


@case
def what_was_agreed_for_days_that_passed_stays(context):
    admin, path = context.client("admin"), "/v1/admin/contracts/berlin-lab"
    held = admin.get(path).json()
    body = {key: value for key, value in held.items() if key != "name"}
    dearer = {"currency": held["price"]["currency"], "perEvent": "9", "perMb": "9"}
    day = datetime.datetime.now(datetime.timezone.utc).date()
    for what, change in {"/price": {"price": dearer}, "/price/currency": {"price": {**dearer, "currency": "USD"}}, "/validFrom": {"validFrom": f"{day}T00:00:00Z"},
                         "/validUntil": {"validUntil": f"{context.day}T00:00:00Z"}, "/party": {"party": "texas-analytics"},
                         "/priceChanges/0": {"priceChanges": [{**dearer, "from": day.isoformat()}]}}.items():
        problem = admin.request("PUT", path, {**body, **change}, accept_status=(409,)).json()
        equal((problem["type"], problem.get("pointer")), ("https://licet.dev/problems/conflict", what), what)
    later = [{**dearer, "from": (day + datetime.timedelta(days=2)).isoformat()}]  # two, should it be midnight
    equal(admin.put(path, {**body, "priceChanges": later}).json()["priceChanges"], later, "from a day to come")
    equal(admin.put(path, body).json().get("priceChanges"), None, "as it was")
    # What nobody configured, no statement and no invoice makes up.
    statement = context.finance("GET", "statements/1").json()
    equal((statement["issuer"]["name"], statement["tax"]), ("", [{"chargePeriod": context.closing}]), "who bills, and what tax")
    html = context.finance("GET", f"reports/invoice?period={context.closing}&contract=berlin-lab").body.decode()
    equal("this is not a tax invoice" in html and "seller's name: not configured" in html, True, "the invoice")


if __name__ == "__main__":
    sys.exit(main(PeriodsContext))
