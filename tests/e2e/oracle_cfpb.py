#!/usr/bin/python3
"""Real consent through a running server: complaints of consumers with what each writer answered when asked whether the text may be published. The text leaves only
where consent was provided: never for "N/A", "Other", "Consent not provided" or no answer at all. A thousand writers withdraw in mid-stream: exactly their texts are
missing from what follows and from every replay. An oracle that knows the rows alone agrees to the byte.

The file: the first argument, or the environment variable LICET_CFPB (NDJSON, may be gzipped). Without one, rows of the same shape are made.
"""
import json
import os
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main, same_list  # noqa: E402
from licet_client import data_bytes  # noqa: E402
import cfpb_oracle  # noqa: E402

PRODUCT = "complaints"
CONTROLLER = "complaint-office"
PURPOSE = "dpv:ResearchAndDevelopment"
PARTNERS = ("complaint-lab", "complaint-press")
ANSWERS = ("Consent provided", "Consent provided", "Consent provided", "N/A", "Consent not provided", "Other", None)
MADE_ROWS = 5600
WITHDRAWING = 1000


def rows():
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LICET_CFPB")
    if given:
        return [json.loads(line) for line in licet_demo.file_lines(given)]
    print(f"no file given (LICET_CFPB): {MADE_ROWS} made rows instead")
    return [{"date_received": "2026-01-02", "product": f"Product {n % 9}", "issue": "Ärger “über” \\ alles", "company": f"Bank {n % 31}", "state": "MD",
             "submitted_via": "Web", "consumer_consent_provided": ANSWERS[n % len(ANSWERS)],
             **({"consumer_complaint_narrative": f"They closed account {n} \t and XXXX"} if ANSWERS[n % len(ANSWERS)] == "Consent provided" else {})}
            for n in range(MADE_ROWS)]


class ComplaintsContext(Context):
    def __init__(self):
        super().__init__()
        self.events, self.half = cfpb_oracle.events_of(rows())
        self.withdrawn = set()
        wanted = json.loads((licet_demo.DEMO / "complaints.json").read_text())
        admin = self.client("admin")
        for kind in ("parties", "products", "contracts"):
            for name, body in wanted[kind].items():
                admin.put(f"/v1/admin/{kind}/{name}", body)
        for name in wanted["policies"]:
            licet_demo.activate_policy(admin, name, json.loads((licet_demo.DEMO / "policies" / f"{name}.json").read_text()))
        for name, body in wanted["clients"].items():
            licet_demo.ensure_client(self.stack, admin, name, body)
        self.dpo = self.client("dpo")
        self.feed = self.client("complaint-feed")
        self.streams = {}

    def publish(self, events):
        total, rejections = licet_demo.feed(self.feed, PRODUCT, [cfpb_oracle.text(e) for e in events])
        equal((total["accepted"], rejections), (len(events), []), "accepted, rejections")

    def statements(self, principals, status):
        return "".join(json.dumps({"subject": p, "controller": CONTROLLER, "purposes": [PURPOSE], "status": status, "legalBasis": "eu-gdpr:A6-1-a",
                                   "jurisdiction": "US", "evidence": {"type": "reference", "value": "answer on the form"}}) + "\n" for p in principals)

    def check_replays(self):
        for partner in PARTNERS:
            found, _ = licet_demo.pull_all(self.client(partner), PRODUCT)
            same_list([data_bytes(e) for e in found], cfpb_oracle.expected(partner, self.published, self.withdrawn), f"{partner}: a replay")

    def take(self, partner, count):
        """The next so many events of the partner's stream, in progress since before the first event."""
        stream, out = self.streams[partner], []
        while len(out) < count:
            out.append(data_bytes(next(stream)[1]))
        return out


@case
def answers_become_consents(context):
    said = {}
    for event in context.events:
        said[event["principal"]] = event["answer"]
    given = [p for p, answer in said.items() if answer == cfpb_oracle.PROVIDED]
    refused = [p for p, answer in said.items() if answer == cfpb_oracle.NOT_PROVIDED]
    if min(len(given), len(refused)) < 10 or len(given) <= WITHDRAWING:
        raise AssertionError("too few answers: the script shows nothing")
    done = context.dpo.put("/v1/admin/consents/imports/answers", context.statements(given, "given") + context.statements(refused, "withdrawn"),
                           content_type="application/x-ndjson").json()
    equal((done["state"], done["records"]), ("complete", len(given) + len(refused)), "the import")
    context.given = given
    print(f"{len(context.events)} rows, {len(said)} principals, {len(given)} with consent")


@case
def the_first_half_leaves_as_consented(context):
    for partner in PARTNERS:
        context.connections = getattr(context, "connections", []) + [context.client(partner).sse(PRODUCT, from_="earliest")]
        context.streams[partner] = iter(context.connections[-1])
    context.published = context.events[:context.half]
    context.publish(context.published)
    for partner in PARTNERS:
        expected = cfpb_oracle.expected(partner, context.published, set())
        same_list(context.take(partner, len(expected)), expected, f"{partner}: live")
    context.check_replays()


@case
def no_text_leaves_without_consent(context):
    texts = {e["narrative"]: e["answer"] for e in context.published}
    for partner in PARTNERS:
        found, _ = licet_demo.pull_all(context.client(partner), PRODUCT)
        shown = [json.loads(data_bytes(e)) for e in found]
        equal({texts[d["narrative"]] for d in shown if "narrative" in d}, {cfpb_oracle.PROVIDED}, f"{partner}: answers of whom a text is shown")
        equal([d for d in shown if "principal" in d], [], f"{partner}: events that name the principal")


@case
def what_was_withdrawn_in_mid_stream_is_missing_from_what_follows_and_from_every_replay(context):
    leaving = context.given[:: max(1, len(context.given) // WITHDRAWING)][:WITHDRAWING]
    equal(len(leaving), WITHDRAWING, "withdrawing")
    context.dpo.post("/v1/admin/consents", context.statements(leaving, "withdrawn"), content_type="application/x-ndjson")
    context.withdrawn = set(leaving)
    second = context.events[context.half:]
    context.publish(second)
    context.published = context.events
    for partner in PARTNERS:
        expected = cfpb_oracle.expected(partner, second, context.withdrawn)
        if expected == cfpb_oracle.expected(partner, second, set()):
            raise AssertionError("nobody who withdrew has a row in the second half: the case shows nothing")
        same_list(context.take(partner, len(expected)), expected, f"{partner}: what follows")
    context.check_replays()
    for connection in context.connections:
        connection.close()


@case
def each_is_withheld_for_its_reason(context):
    found = {}
    for event in context.events[:: max(1, len(context.events) // 60)]:
        told = event["answer"] == cfpb_oracle.PROVIDED and event["principal"] not in context.withdrawn
        found[(event["answer"], told)] = event
    for (answer, told), event in found.items():
        query = urllib.parse.urlencode({"product": PRODUCT, "contract": "complaint-press", "offset": event["row"]})
        reason = context.dpo.get("/v1/admin/explain?" + query).json()["reason"]
        equal(reason, "permitted" if told else "consent_missing", f"reason of row {event['row']}, {answer}")


@case
def who_comes_back_is_told_of_again(context):
    back = sorted(context.withdrawn)[0]
    token = context.client("complaint-app").post("/v1/admin/subject-tokens", {"subject": back, "controller": CONTROLLER}).json()["access_token"]
    answer = context.client("complaint-app").raw("POST", "/v1/me/consents", json.dumps({"purposes": [PURPOSE], "status": "given"}),
                                                 {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    equal(answer.status, 200, "giving consent again")
    context.withdrawn.discard(back)
    context.check_replays()


if __name__ == "__main__":
    sys.exit(main(ComplaintsContext))
