#!/usr/bin/python3
"""Consent records from outside: their fields and history, recipients, evidence, bulk imports that break off and go on, and people who act for themselves."""
import base64
import json
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition  # noqa: E402

PRODUCT = "newsroom"
CONTROLLER = "daily-courier"
RESEARCH = "dpv:AcademicResearch"
TCF = "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA"  # a published example: TCF's purposes 1, 2 and 3


class ConsentsContext(Context):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.dpo = self.client("dpo")
        self.admin = self.client("admin")
        self.desk = self.client("newsroom-desk")
        # A second reader for research, of another party.
        self.admin.put("/v1/admin/parties/paris-lab", {"title": "Paris Lab", "country": "FR", "collections": [], "adequacySchemes": []})
        self.admin.put("/v1/admin/contracts/paris-lab", {"party": "paris-lab", "products": [PRODUCT], "purposes": [RESEARCH],
                                                         "price": {"currency": "EUR", "perEvent": "0", "perMb": "0"}})
        for name, body in (("paris-lab", {"party": "paris-lab", "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]}),
                           ("courier-app", {"party": CONTROLLER, "roles": ["app"], "scopes": []}),
                           ("lab-app", {"party": "berlin-lab", "roles": ["app"], "scopes": []})):
            licet_demo.ensure_client(self.stack, self.admin, name, body)

    def publish(self, *subjects):
        lines = []
        for subject in subjects:
            self.number += 1
            lines.append(json.dumps({"id": f"c{self.number}-{subject}", "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read",
                                     "licence": "CC-BY-4.0", "country": "DE", "reader": {"email": mail(subject), "name": subject, "ip": "198.51.100.9"}}))
        equal(self.desk.publish(PRODUCT, "\n".join(lines) + "\n").json()["accepted"], len(lines), "accepted")

    def seen(self, partner):
        events, _ = licet_demo.pull_all(self.client(partner), PRODUCT)
        return {json.loads(e)["id"].split("-", 1)[1] for e in events}

    def record(self, subject, purposes=(RESEARCH,), status="given", **more):
        body = {"subject": mail(subject), "controller": CONTROLLER, "status": status, **more}
        if purposes:
            body["purposes"] = list(purposes)
        return self.dpo.post("/v1/admin/consents", body).json()

    def history(self, subject, **more):
        return self.dpo.post("/v1/admin/consents/history", {"subject": mail(subject), "controller": CONTROLLER, **more}).json()

    def query(self, subject):
        return self.dpo.post("/v1/admin/consents/query", {"subject": mail(subject), "controller": CONTROLLER}).json()

    def as_person(self, token, method, path, body=None):
        client = self.client("courier-app")
        headers = {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return client.raw(method, path, json.dumps(body) if body is not None else None, headers)


def mail(subject):
    return f"{subject}@example.org"


def line(n, **more):
    return json.dumps({"subject": f"reader-{n}@example.org", "controller": CONTROLLER, "purposes": [RESEARCH], "status": "given", **more}) + "\n"


def refused(call, status):
    try:
        call()
    except Problem as e:
        equal(e.status, status, f"status of the refusal ({e.body[:200]})")
        return json.loads(e.body)
    raise AssertionError(f"expected a refusal with {status}")


@case
def a_record_is_kept_with_all_its_fields(context):
    papers = {"recordId": "form-2026-17", "notice": "https://courier.example.org/privacy/7", "legalBasis": "eu-gdpr:A6-1-a", "jurisdiction": "DE-BE",
              "occurredAt": "2026-01-02T03:04:05Z", "evidence": {"type": "reference", "value": "box 2 „ja“ \\"}}
    equal(context.record("ada", **papers)["recordId"], "form-2026-17", "recordId")
    context.record("ada", status="renewed", recordId="form-2026-17", validUntil="2090-01-01T00:00:00Z")
    context.dpo.post("/v1/admin/consents/withdraw", {"subject": mail("ada"), "controller": CONTROLLER, "recordId": "form-2026-17"})
    events = context.history("ada")["events"]
    equal([(e["status"], e["recordId"]) for e in events], [(s, "form-2026-17") for s in ("given", "renewed", "withdrawn")], "events")
    for key, value in papers.items():
        found = events[0][key]
        equal(found if key != "occurredAt" else found[:19], value if key != "occurredAt" else value[:19], key)
    equal(events[0]["recordedBy"], "dpo", "recordedBy")
    page = context.history("ada", limit=2)
    equal(len(page["events"]), 2, "events of a page")
    equal([e["status"] for e in context.history("ada", after=page["next"])["events"]], ["withdrawn"], "the next page")
    problem = refused(lambda: context.record("eve", recordId="form-2026-17"), 409)
    equal(problem["pointer"], "/recordId", "pointer of another's record")
    equal(context.history("eve")["events"], [], "what was recorded of eve")


@case
def mistakes_are_pointed_at(context):
    for more, pointer in (({"notice": "of ada@example.org"}, "/notice"), ({"legalBasis": "because"}, "/legalBasis"), ({"jurisdiction": "QQ"}, "/jurisdiction"),
                          ({"occurredAt": "2099-01-01T00:00:00Z"}, "/occurredAt"), ({"recipients": [{"party": "nobody"}]}, "/recipients/0/party"),
                          ({"recipients": [{"party": "berlin-lab", "category": "universities"}]}, "/recipients/0"), ({"recipients": []}, "/recipients"),
                          ({"evidence": {"type": "tcf", "value": TCF[:-9]}}, "/evidence/value"), ({"evidence": {"type": "gpp", "value": "DBABMA"}}, "/evidence/value"),
                          ({"evidence": {"type": "gpc", "value": "0"}}, "/evidence/value"), ({"evidence": {"type": "oath", "value": "x"}}, "/evidence/type"),
                          ({"colour": "red"}, "/colour")):
        equal(refused(lambda more=more: context.record("ada", **more), 422)["pointer"], pointer, f"pointer of {more}")


@case
def a_consent_for_one_recipient_reaches_no_other(context):
    context.publish("bea", "cleo", "dora")
    context.record("bea", recipients=[{"party": "paris-lab"}])
    context.record("cleo", recipients=[{"category": "universities"}])  # berlin-lab is one
    context.record("dora")
    equal(context.seen("paris-lab"), {"bea", "dora"}, "paris-lab")
    equal(context.seen("berlin-lab"), {"cleo", "dora"}, "berlin-lab")
    context.dpo.post("/v1/admin/consents/withdraw", {"subject": mail("dora"), "controller": CONTROLLER, "recipients": [{"party": "paris-lab"}]})
    equal(context.seen("paris-lab"), {"bea"}, "paris-lab after a withdrawal from it")
    equal(context.seen("berlin-lab"), {"cleo", "dora"}, "berlin-lab after it")
    found = context.query("bea")
    equal(found["validPurposes"], [], "for everybody")
    equal([(v["recipient"], v["purposes"]) for v in found["validFor"]], [({"party": "paris-lab"}, [RESEARCH])], "for paris-lab")
    for subject in ("bea", "cleo", "dora"):
        context.dpo.post("/v1/admin/consents/withdraw", {"subject": mail(subject), "controller": CONTROLLER})
    equal(context.seen("paris-lab") | context.seen("berlin-lab"), set(), "after all withdrew from everybody")


@case
def evidence_is_read_and_must_bear_the_record(context):
    ads = ["dpv:PersonalisedAdvertising", "dpv:SellDataToThirdParties"]
    context.record("finn", purposes=ads)
    problem = refused(lambda: context.record("finn", purposes=["dpv:PersonalisedAdvertising"], evidence={"type": "tcf", "value": TCF}), 422)
    equal(problem["pointer"], "/evidence/value", "a string that consents to none of DPV's purposes")
    context.record("finn", purposes=None, status="withdrawn", evidence={"type": "gpc", "value": "1"})
    equal(set(context.query("finn")["validPurposes"]) & {"dpv:TargetedAdvertising", "dpv:PersonalisedAdvertising", "dpv:SellDataToThirdParties"}, set(), "after the signal")
    context.record("finn", purposes=None, status="withdrawn", evidence={"type": "gpp", "value": "DBABTA~1YYN"})
    events = context.history("finn")["events"]
    equal([e["evidence"] and e["evidence"]["type"] for e in events], [None, "gpc", "gpp"], "evidence kept")
    equal(events[2]["evidence"]["optedOut"]["sale"], True, "what the GPP string says")


@case
def a_file_is_imported_in_parts(context):
    count = 25_000
    lines = [line(n) for n in range(count)]
    began = time.monotonic()
    done = context.dpo.put("/v1/admin/consents/imports/big", "".join(lines), content_type="application/x-ndjson").json()
    print(f"{count} records in {time.monotonic() - began:.1f} s, {count / (time.monotonic() - began):.0f} a second")
    equal((done["state"], done["parts"], done["records"]), ("complete", 3, count), "the import")
    context.publish(f"reader-{count - 1}", "reader-0")
    equal(context.seen("berlin-lab"), {f"reader-{count - 1}", "reader-0"}, "seen")
    again = context.dpo.put("/v1/admin/consents/imports/big", "".join(lines), content_type="application/x-ndjson").json()
    equal((again["parts"], again["records"], again["revision"]), (3, count, done["revision"]), "the same file again changes nothing")
    other = [line(0, status="withdrawn")] + lines[1:]
    refused(lambda: context.dpo.put("/v1/admin/consents/imports/big", "".join(other), content_type="application/x-ndjson"), 409)


@case
def a_file_with_a_mistake_goes_on_when_it_is_mended(context):
    lines = [line(n, status="withdrawn") for n in range(12_000)]
    wrong = lines[:11_000] + [line(11_000, status="perhaps")] + lines[11_001:]
    problem = refused(lambda: context.dpo.put("/v1/admin/consents/imports/mended", "".join(wrong), content_type="application/x-ndjson"), 422)
    equal(problem["pointer"], "/11000/status", "pointer into the file")
    progress = context.dpo.get("/v1/admin/consents/imports/mended").json()
    equal((progress["state"], progress["parts"], progress["records"], progress["refused"]["pointer"]), ("open", 1, 10_000, "/11000/status"), "progress")
    equal(context.query("reader-9999")["validPurposes"], [], "of a record that was applied")
    equal(context.query("reader-10000")["validPurposes"], [RESEARCH], "of one that was not")
    done = context.dpo.put("/v1/admin/consents/imports/mended", "".join(lines), content_type="application/x-ndjson").json()
    equal((done["state"], done["parts"], done["records"], done["refused"]), ("complete", 2, 12_000, None), "mended")
    equal(context.query("reader-10000")["validPurposes"], [], "of the rest")


def import_head(client, name, length):
    return (f"PUT /v1/admin/consents/imports/{name} HTTP/1.1\r\nHost: {client.base.netloc}\r\nAuthorization: Bearer {client.token()}\r\n"
            f"Content-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n").encode()


def memory(context, key):
    """Of the node, in bytes: VmRSS is now, VmHWM the most since it started."""
    status = pathlib.Path(f"/proc/{context.stack.nodes['eu'].pid}/status").read_text()
    return int(next(l for l in status.splitlines() if l.startswith(key)).split()[1]) * 1024


@case
def a_hundred_thousand_lines_break_off_and_go_on_without_being_held(context):
    count = 100_000

    def notice(n):
        return f"https://courier.example.org/privacy/{n}/" + "n" * 900

    lines = "".join(line(n % 20_000, status="renewed", notice=notice(n)) for n in range(count)).encode()
    client = context.client("dpo")

    def progress():
        return context.dpo.get("/v1/admin/consents/imports/broken").json()

    connection = client.connect()
    connection.sendall(import_head(client, "broken", len(lines)) + lines[: len(lines) // 4])
    await_condition("some parts are applied", lambda: progress()["parts"] >= 5, 60)
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
    context.stack.kill_node("eu")
    context.stack.start_node("eu")
    for name in ("dpo", "admin", "desk"):
        getattr(context, name).close()
    broken = progress()
    equal(broken["state"], "open", "state after it broke off")
    applied = broken["records"]
    if not 0 < applied <= count // 4:
        raise AssertionError(f"{applied} records applied of a quarter of the file")
    equal([notice(n) in [e["notice"] for e in context.history(f"reader-{n % 20_000}")["events"]] for n in (0, applied - 1, applied, count - 1)],
          [True, True, False, False], "which records are there: exactly the first of them")

    before, seen = memory(context, "VmRSS"), []
    done = threading.Event()

    def watch():
        watcher = context.client("dpo")
        while not done.wait(0.2):
            seen.append(watcher.get("/v1/admin/consents/imports/broken").json()["records"])

    watching = threading.Thread(target=watch)
    watching.start()
    began = time.monotonic()
    try:
        answer = client.put("/v1/admin/consents/imports/broken", lines.decode(), content_type="application/x-ndjson").json()
    finally:
        done.set()
        watching.join()
    took, grown = time.monotonic() - began, memory(context, "VmHWM") - before
    equal((answer["state"], answer["records"]), ("complete", count), "sent again")
    equal(seen, sorted(seen), "progress never goes back")
    if len(set(seen)) < 4:
        raise AssertionError(f"no progress was to be seen: {seen}")
    print(f"{count - applied} records of {len(lines) // count} bytes in {took:.1f} s, {(count - applied) / took:.0f} a second; memory +{grown >> 20} MiB of {len(lines) >> 20} MiB sent")
    if grown > len(lines) * 3 // 4:  # these people were known: what grows is what is held of the file
        raise AssertionError(f"the node grew by {grown >> 20} MiB")
    refused(lambda: context.client("newsroom-desk").put("/v1/admin/consents/imports/theirs", "{}", content_type="application/x-ndjson"), 403)


@case
def a_person_acts_for_themselves_and_for_nobody_else(context):
    app = context.client("courier-app")
    token = app.post("/v1/admin/subject-tokens", {"subject": mail("gil"), "controller": CONTROLLER, "expiresIn": 600}).json()["access_token"]
    if mail("gil") in token or "gil" in json.dumps(claims(token)):
        raise AssertionError("the token names the person")
    context.publish("gil")
    given = context.as_person(token, "POST", "/v1/me/consents", {"purposes": [RESEARCH], "status": "given", "recipients": [{"party": "berlin-lab"}]})
    equal(given.status, 200, "giving")
    equal("gil" in context.seen("berlin-lab"), True, "delivered to berlin-lab")
    equal("gil" in context.seen("paris-lab"), False, "delivered to paris-lab")
    mine = context.as_person(token, "GET", "/v1/me/consents").json()
    equal([(r["purpose"], r["recipient"]) for r in mine["records"]], [(RESEARCH, {"party": "berlin-lab"})], "my consents")
    equal(context.as_person(token, "POST", "/v1/me/consents", {"subject": mail("ada"), "purposes": [RESEARCH], "status": "given"}).status, 422, "for another")
    equal(context.as_person(token, "POST", "/v1/me/consents/withdraw", {}).status, 200, "withdrawing")
    equal("gil" in context.seen("berlin-lab"), False, "delivered after the withdrawal")
    equal([e["status"] for e in context.as_person(token, "GET", "/v1/me/consents/history").json()["events"]], ["given", "withdrawn"], "my history")
    for method, path in (("GET", "/v1/admin/parties"), ("POST", "/v1/admin/consents/query"), ("GET", "/v1/usage"), ("GET", f"/v1/products/{PRODUCT}/events"),
                         ("GET", "/v1/admin/consents/imports")):
        equal(context.as_person(token, method, path, {} if method == "POST" else None).status, 401, f"{method} {path} with the token of a person")
    for other in ("dpo", "admin", "courier-app"):
        refused(lambda other=other: context.client(other).get("/v1/me/consents"), 401)
    refused(lambda: context.client("lab-app").post("/v1/admin/subject-tokens", {"subject": mail("gil"), "controller": CONTROLLER}), 403)
    refused(lambda: context.client("paris-lab").post("/v1/admin/subject-tokens", {"subject": mail("gil"), "controller": CONTROLLER}), 403)
    app.post("/v1/admin/subject-tokens/revoke", {"subject": mail("gil"), "controller": CONTROLLER})
    equal(context.as_person(token, "GET", "/v1/me/consents").status, 401, "after it was revoked")
    token = app.post("/v1/admin/subject-tokens", {"subject": mail("gil"), "controller": CONTROLLER}).json()["access_token"]
    equal(context.as_person(token, "GET", "/v1/me/consents").status, 200, "with a new one")
    context.admin.post("/v1/admin/clients/courier-app/revoke")
    equal(context.as_person(token, "GET", "/v1/me/consents").status, 401, "after its client was revoked")


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@case
def all_of_it_is_in_the_audit_and_nobody_is_named(context):
    body = context.client("auditor").get("/v1/admin/audit?limit=1000").body
    actions = {json.loads(l)["action"] for l in body.splitlines()}
    missing = {"consent.record", "consent.withdraw", "consent.query", "consent.history", "consent.import_begin", "consent.import", "consent.import_complete",
               "subject_token.issue", "subject_token.revoke"} - actions
    equal(missing, set(), "actions missing in the audit")
    for subject in ("ada", "bea", "gil", "reader-7"):
        if mail(subject).encode() in body:
            raise AssertionError(f"the audit names {subject}")


if __name__ == "__main__":
    sys.exit(main(ConsentsContext))
