#!/usr/bin/python3
"""Personal values encrypted at rest and erased: what a partner gets is the same to the byte, the values are nowhere in the raw files, and once a subject is erased
nothing shows them any more, live, from old cursors, in explanations, after a crash in the middle of it."""
import base64
import ctypes
import ctypes.util
import html
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Problem, await_condition, data_bytes  # noqa: E402

SEALED, CLEAR = "clinic", "clinic-clear"
CONTROLLER = "clinic-trust"
MAPPING = {"attributes": {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://clinic.example.org"}, "type": {"constant": "org.example.visit"},
                          "time": {"pointer": "/time"}, "license": {"constant": "CC0-1.0"}, "jurisdiction": {"constant": "DE"},
                          "datasubject": {"pointer": "/patient/email"}},
           "fields": [{"pointer": "/patient", "category": "pd:Name"}, {"pointer": "/patient/email", "category": "pd:EmailAddress", "infoType": "EMAIL_ADDRESS"},
                      {"pointer": "/age", "category": "pd:Age"}, {"pointer": "/notes", "category": "pd:Opinion", "infoType": "FREE_TEXT", "scan": True}]}


def rule(uid, product, purpose, duties, consent=False):
    constraints = [{"leftOperand": "purpose", "operator": "isA", "rightOperand": purpose}]
    if consent:
        constraints.append({"leftOperand": "licet:consent", "operator": "eq", "rightOperand": "valid"})
    return {"uid": f"urn:licet:rule:{product}:{uid}", "target": f"urn:licet:product:{product}", "action": "use", "constraint": constraints,
            "duty": [{"action": "licet:transform", **d} for d in duties]}


def policy(product):
    # The university sees values; the board gets events of which nothing personal is left, with no key needed for it.
    research = [{"licet:transform": "cryptoHash", "licet:pointer": "/patient/email"}, {"licet:transform": "replaceWithInfoType", "licet:infoType": "EMAIL_ADDRESS"}]
    del research[1]
    board = [{"licet:transform": "redact", "licet:pointer": "/patient"}, {"licet:transform": "null", "licet:pointer": "/age"},
             {"licet:transform": "redact", "licet:pointer": "/notes"}]
    return {"@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": f"urn:licet:policy:{product}",
            "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
            "permission": [rule("research", product, "dpv:AcademicResearch", research, consent=True), rule("board", product, "dpv:ServiceOptimisation", board)]}


def unpacked(content):
    """What is compressed in a file of the log: every Zstandard frame there is, decompressed. A search of the raw bytes alone would see nothing of it."""
    zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
    for name in ("ZSTD_findFrameCompressedSize", "ZSTD_decompress", "ZSTD_decompressBound"):
        getattr(zstd, name).restype = ctypes.c_size_t if name != "ZSTD_decompressBound" else ctypes.c_ulonglong
    out, at = [], content.find(b"\x28\xb5\x2f\xfd")
    while at >= 0:
        rest = content[at:]
        size = zstd.ZSTD_findFrameCompressedSize(rest, ctypes.c_size_t(len(rest)))
        if not zstd.ZSTD_isError(ctypes.c_size_t(size)):
            room = min(zstd.ZSTD_decompressBound(rest, ctypes.c_size_t(size)), 64 << 20)
            into = ctypes.create_string_buffer(room)
            done = zstd.ZSTD_decompress(into, ctypes.c_size_t(room), rest, ctypes.c_size_t(size))
            if not zstd.ZSTD_isError(ctypes.c_size_t(done)):
                out.append(into.raw[:done])
        at = content.find(b"\x28\xb5\x2f\xfd", at + 4)
    return b"\n".join(out)


class ErasureContext(Context):
    def __init__(self):
        super().__init__()
        try:
            self.prepare()
        except BaseException:
            self.stack.stop()
            raise

    def prepare(self):
        admin, stack = self.client("admin"), self.stack
        for party, country in ((CONTROLLER, "DE"), ("university", "DE"), ("board", "DE")):
            admin.put(f"/v1/admin/parties/{party}", {"title": party, "country": country, "collections": [], "adequacySchemes": []})
        for name in (SEALED, CLEAR):
            admin.put(f"/v1/admin/products/{name}", self.product(name == SEALED))
            licet_demo.activate_policy(admin, name, policy(name))
        for party, purpose in (("university", "dpv:AcademicResearch"), ("board", "dpv:ServiceOptimisation")):
            admin.put(f"/v1/admin/contracts/{party}", {"party": party, "products": [SEALED, CLEAR], "purposes": [purpose], "transferTools": [],
                                                      "pseudonymScope": "contract", "state": "active", "validFrom": None, "validUntil": None,
                                                      "price": {"currency": "EUR", "perEvent": "0.01", "perMb": "0.1"}})
            licet_demo.ensure_client(stack, admin, party, {"party": party, "roles": ["partner"], "scopes": [f"read:{SEALED}", f"read:{CLEAR}"]})
        self.numbers, self.published = {}, {}
        # All personal values there ever were, by subject: what the raw files are searched for.
        self.values = {}
        self.consent("ann", "bob", "cyd")

    @staticmethod
    def product(shreddable, **changed):
        return {"title": "Visits", "owner": CONTROLLER, "controller": CONTROLLER, "residency": "eu", "shreddable": shreddable, "mapping": MAPPING, **changed}

    def consent(self, *subjects):
        body = "\n".join(json.dumps({"subject": self.email(s), "controller": CONTROLLER, "purposes": ["dpv:AcademicResearch"], "status": "given"}) for s in subjects)
        self.client("dpo").post("/v1/admin/consents", body + "\n", content_type="application/x-ndjson")

    @staticmethod
    def email(subject):
        return f"{subject}.patient@secret-mail.example"

    def event(self, subject, label=""):
        n = self.numbers[subject] = self.numbers.get(subject, 0) + 1
        name, note = f"Name-of-{subject}-Müll{subject}{n}", f"complains of {subject}-itis{n}, write to other.{subject}{n}@second-mail.example"
        self.values.setdefault(subject, set()).update((self.email(subject), name, f"Müll{subject}{n}", f"{subject}-itis{n}", f"other.{subject}{n}@second-mail.example"))
        return {"id": f"{label or 'v'}-{subject[0]}{n}", "time": "2026-03-01T10:00:00Z", "patient": {"email": self.email(subject), "name": name}, "age": 40 + n,
                "notes": note, "ward": "west"}

    def publish(self, *events, products=(SEALED, CLEAR)):
        body = "\n".join(json.dumps(e, ensure_ascii=False) for e in events) + "\n"
        return [self.client("loader").publish(product, body).json() for product in products]

    def pulled(self, party, product, **query):
        return [json.loads(e) for e in licet_demo.pull_all(self.client(party), product)[0]]

    def erase(self, subject):
        return self.client("dpo").post("/v1/admin/subjects/erase", {"subject": self.email(subject), "controller": CONTROLLER}).json()

    def explain(self, party, event, product=SEALED):
        return self.client("dpo").get(f"/v1/admin/explain?product={product}&contract={party}&source=https://clinic.example.org&event={event}").json()

    def places(self):
        """Every file the node and its stores wrote, by a name for messages."""
        stack = self.stack
        roots = {"log and journal": stack.node_dir("eu"), "PostgreSQL's files": pathlib.Path(stack._postgres_dir())}
        for what, root in roots.items():
            for path in root.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    content = path.read_bytes()
                    yield f"{what}: {path.name}", content
                    if path.suffix == ".sst":
                        yield f"{what}: {path.name}, unpacked", unpacked(content)
        for name in ("eu.log", "eu.out", "postgres.log", "redis.log"):
            path = stack.dir / name
            if path.exists():
                yield name, path.read_bytes()
        yield "PostgreSQL dump", stack.dump(stack.database("eu"))

    def found(self, subjects, places):
        return sorted({(where, value) for where, content in places for s in subjects for value in self.values[s]
                       for form in (value.encode(), json.dumps(value)[1:-1].encode(), base64.b64encode(value.encode()).rstrip(b"=")[:-1], value.encode().hex().encode())
                       if form in content})


@case
def what_could_not_be_kept_is_refused(context):
    admin = context.client("admin")

    def refused(call, status, pointer):
        try:
            call()
        except Problem as e:
            equal((e.status, e.problem.get("pointer")), (status, pointer), "refusal")
            return
        raise AssertionError("was accepted")
    attributes = {**MAPPING["attributes"], "subject": {"pointer": "/patient/name"}}
    refused(lambda: admin.put("/v1/admin/products/other", context.product(True, mapping={**MAPPING, "attributes": attributes})), 422, "/mapping/attributes/subject")
    attributes = {**MAPPING["attributes"], "datasubject": {"pointer": "/who"}}
    refused(lambda: admin.put("/v1/admin/products/other", context.product(True, mapping={**MAPPING, "attributes": attributes})), 422, "/mapping/attributes/datasubject")
    refused(lambda: admin.put(f"/v1/admin/products/{CLEAR}", context.product(True)), 409, "/shreddable")
    refused(lambda: admin.put(f"/v1/admin/products/{SEALED}", context.product(False)), 409, "/shreddable")
    refused(lambda: admin.put(f"/v1/admin/products/{SEALED}", context.product(True, controller="board")), 409, "/controller")
    nobody = {"id": "n1", "notes": "whose?"}
    named = {**context.event("ann"), "id": context.email("ann")}
    counts, clear = context.publish(nobody, named, {"id": "n2", "ward": "west"})
    equal([(r["index"], r["pointer"]) for r in counts["rejections"]], [(0, "/datasubject"), (1, "/id")], "rejections")
    equal((counts["accepted"], clear["accepted"]), (1, 3), "accepted")
    context.values["ann"].discard(context.email("ann"))  # the other product keeps that id in clear, in files that are searched


@case
def partners_get_the_same_bytes(context):
    events = [context.event(s) for s in ("ann", "bob", "cyd") * 4]
    equal([c["accepted"] for c in context.publish(*events)], [12, 12], "accepted")
    equal([c["duplicates"] for c in context.publish(*events)], [12, 12], "duplicates")
    wanted = {e["id"] for e in events}
    for party in ("university", "board"):
        lines = {product: [e for e in licet_demo.pull_all(context.client(party), product)[0] if json.loads(e)["id"] in wanted] for product in (SEALED, CLEAR)}
        equal([data_bytes(e) for e in lines[SEALED]], [data_bytes(e) for e in lines[CLEAR]], f"data to {party}")
        equal(len(lines[SEALED]), 12, f"events to {party}")
        context.published[party] = {json.loads(e)["id"]: json.loads(e)["data"] for e in lines[SEALED]}
    seen = context.published["university"][events[0]["id"]]
    equal((seen["patient"]["name"], seen["notes"], seen["age"]), (events[0]["patient"]["name"], events[0]["notes"], events[0]["age"]), "values to the university")
    equal(context.published["board"][events[0]["id"]], {"id": events[0]["id"], "time": events[0]["time"], "age": None, "ward": "west"}, "to the board")


@case
def billed_are_the_bytes_delivered(context):
    def usage():
        report = context.client("board").get("/v1/usage?period=" + time.strftime("%Y-%m", time.gmtime())).json()
        return {line["product"]: (line["events"], line["bytes"]) for line in report["lines"]}
    expected = {p: (len(es), sum(len(data_bytes(e)) for e in es)) for p, es in
                ((p, licet_demo.pull_all(context.client("board"), p)[0]) for p in (SEALED, CLEAR))}
    await_condition("usage flushed", lambda: usage() == expected, 20)


@case
def values_are_in_no_file(context):
    places = list(context.places())
    # The same values in a product that is not shreddable are found: this search can find.
    control = context.event("dora")
    context.publish(control, products=(CLEAR,))
    assert any("log and journal" in where for where, _ in context.found(["dora"], context.places())), "the control value is not found: the search proves nothing"
    # Of the others every value was also published to the other product; these go to the encrypted one alone.
    only = [context.event(s, "only") for s in ("eve", "fay")]
    equal(context.publish(*only, products=(SEALED,))[0]["accepted"], 2, "accepted")
    equal(context.found(["eve", "fay"], context.places()), [], "values in files")
    assert len(places) > 20, "hardly any file was searched"
    # What is in PostgreSQL can be found there, too: the name of a party.
    assert any("PostgreSQL's files" in where and CONTROLLER.encode() in content for where, content in places), "the search sees nothing of PostgreSQL's"


@case
def erasure_takes_effect_when_it_is_acknowledged(context):
    stream = context.client("university").sse(SEALED, from_="latest")
    board = context.client("board").sse(SEALED, from_="latest")
    context.consent("gus")
    first = [context.event("gus") for _ in range(3)] + [context.event("bob")]
    context.publish(*first, products=(SEALED,))
    it, board_it = iter(stream), iter(board)
    equal([json.loads(next(it)[1])["id"] for _ in first], [e["id"] for e in first], "live before")
    stalled = context.client("university").sse(SEALED, from_="earliest")
    certificate = context.erase("gus")
    equal((certificate["controller"], len(certificate["keys"]), certificate["keysDestroyedNow"]), (CONTROLLER, 1, 1), "certificate")
    equal(certificate["products"], {"encrypted": [SEALED], "notEncrypted": [CLEAR]}, "products named")
    assert context.email("gus") not in json.dumps(certificate)
    context.certificate = certificate
    later = [context.event("gus"), context.event("bob")]
    context.publish(*later, products=(SEALED,))
    # Who was reading goes on; what comes in later is under another key.
    equal([json.loads(next(it)[1])["id"] for _ in later], [e["id"] for e in later], "live after")
    equal([json.loads(next(board_it)[1])["id"] for _ in first + later], [e["id"] for e in first + later], "to the board, without values")
    for s in (stream, board, stalled):
        s.close()
    gone = {e["id"] for e in first[:3]}
    ids = [e["id"] for e in context.pulled("university", SEALED)]
    equal(gone & set(ids), set(), "events of the erased subject")
    equal([i for i in ids if i in {e["id"] for e in first + later}], [first[3]["id"]] + [e["id"] for e in later], "the others")
    # Without any value a policy lets them through as before.
    equal({e["id"] for e in context.pulled("board", SEALED)} >= gone, True, "to the board")
    context.gone = gone


@case
def the_certificate_is_checked_without_the_server(context):
    stack, text = context.stack, json.dumps(context.certificate)
    key = context.client("auditor").get("/v1/admin/audit/key").json()["publicKey"]
    equal(context.certificate["signedBy"], key, "key")
    (stack.dir / "certificate.json").write_text(json.dumps(context.certificate, indent=2, sort_keys=True))
    (stack.dir / "key").write_text(key + "\n")
    verify = [str(stack.binary), "verify", "--erasure", str(stack.dir / "certificate.json"), "--key", str(stack.dir / "key")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    equal((done.returncode, "certificate verifies" in done.stdout), (0, True), done.stderr)
    (stack.dir / "certificate.json").write_text(text.replace('"keysDestroyedNow": 1', '"keysDestroyedNow": 2'))
    equal(subprocess.run(verify, capture_output=True, check=False).returncode, 1, "a changed certificate")
    # And with OpenSSL alone.
    raw = base64.urlsafe_b64decode(key + "=")
    bare = {k: v for k, v in context.certificate.items() if k != "signature"}
    (stack.dir / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)
    (stack.dir / "signed").write_bytes(json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    (stack.dir / "signature").write_bytes(base64.urlsafe_b64decode(context.certificate["signature"] + "=="))
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", stack.dir / "key.der", "-rawin", "-in", stack.dir / "signed", "-sigfile",
                           stack.dir / "signature"], capture_output=True, text=True, check=False)
    equal(done.returncode, 0, done.stdout + done.stderr)


@case
def nothing_shows_what_was_erased(context):
    one = sorted(context.gone)[0]
    told = context.explain("university", one)
    equal((told["deliver"], told["reason"]), (False, "subject_erased"), "explained for the university")
    told = context.explain("board", one)
    equal((told["deliver"], told["reason"]), (True, "permitted"), "explained for the board")
    draft = policy(SEALED)
    draft["permission"][0]["duty"] = []
    body = {"name": SEALED, "document": draft, "product": SEALED}
    report = context.client("dpo").post("/v1/admin/policies:simulate", body).json()
    reasons = {c["contract"]: c["then"]["reasons"] for c in report["contracts"]}
    equal(reasons["university"].get("subject_erased"), 3, "simulated for the university")
    equal("subject_erased" in reasons["board"], False, "simulated for the board")
    assert not any(v in json.dumps([told, report]) for v in context.values["gus"])
    for query in ({"from_": "earliest"}, {"since": "2020-01-01T00:00:00Z"}):
        with context.client("university").sse(SEALED, timeout=20, until="2999-01-01T00:00:00Z", **query) as stream:
            ids, last = [], context.pulled("university", SEALED)[-1]["id"]
            for _, event in stream:
                ids.append(json.loads(event)["id"])
                if ids[-1] == last:
                    break
        equal(set(ids) & context.gone, set(), f"replayed with {query}")
    again = context.erase("gus")
    equal((len(again["keys"]), again["keysDestroyedNow"]), (2, 1), "erased again, with the key that came after")


@case
def replays_of_the_board_have_them_without_values(context):
    last = context.pulled("board", SEALED)[-1]["id"]
    replayed = {}
    with context.client("board").sse(SEALED, timeout=20, from_="earliest") as stream:
        for _, event in stream:
            replayed[json.loads(event)["id"]] = json.loads(event)["data"]
            if json.loads(event)["id"] == last:
                break
    for event in context.gone:
        equal((replayed[event]["age"], "patient" in replayed[event], "notes" in replayed[event]), (None, False, False), event)


@case
def a_report_tells_what_is_held_and_who_received_it(context):
    dpo = context.client("dpo")

    def pages(subject, **begin):
        while begin is not None:
            report = dpo.post("/v1/admin/subjects/report", {"subject": context.email(subject), "controller": CONTROLLER, **begin}).json()
            yield report
            begin = report["next"]

    def everything(subject):
        return [event for report in pages(subject) for event in report["events"]]

    # What was delivered is on record once the journal is in the ledger.
    await_condition("deliveries on record", lambda: all({r["contract"] for r in e["recipients"]} == {"university", "board"} for e in everything("gus")), 20)
    first = next(pages("gus"))
    equal([(h["product"], h["shreddable"], h["events"], h["encrypted"]) for h in first["held"]], [(SEALED, True, 4, 4), (CLEAR, False, 0, 0)], "held")
    equal((first["held"][0]["categories"], first["held"][0]["infoTypes"]), (["pd:Age", "pd:EmailAddress", "pd:Name", "pd:Opinion"], ["EMAIL_ADDRESS", "FREE_TEXT"]),
          "kinds")
    equal([(c["purpose"], c["status"]) for c in first["consents"]], [("dpv:AcademicResearch", "given")], "consents")
    equal(({e["id"] for e in first["events"]} >= context.gone, {e["values"] for e in first["events"]}), (True, {"erased"}), "events")
    for event in first["events"]:
        by = {r["contract"]: r for r in event["recipients"]}
        equal({c: (r["party"], r["delivery"], r["reason"], r["purposes"], r["policies"]) for c, r in by.items()},
              {"university": ("university", "delivered", "permitted", ["dpv:AcademicResearch"], [{"name": SEALED, "version": 1}]),
               "board": ("board", "delivered", "permitted", ["dpv:ServiceOptimisation"], [{"name": SEALED, "version": 1}])}, event["id"])
        equal(by["university"]["consentRevision"] > 0, True, "under a consent")
        equal({t["pointer"] for t in by["board"]["transforms"]} >= {"/patient", "/age", "/notes"}, True, "what the board did not get")
    # Without consent nothing was delivered; who is not shreddable is held in clear.
    withheld = [r for e in everything("eve") for r in e["recipients"] if r["contract"] == "university"]
    equal({(r["delivery"], r["reason"] == "permitted") for r in withheld}, {("withheld", False)}, "without consent")
    equal({(e["product"], e["values"]) for e in everything("ann")}, {(SEALED, "encrypted"), (CLEAR, "clear")}, "values of another")
    report = next(pages("nobody"))
    equal((report["events"], report["consents"], [h["events"] for h in report["held"]], report["next"]), ([], [], [0, 0], None), "nobody")
    # Values are in none of it, nor the subject's id in the audit.
    told = json.dumps([everything(s) for s in ("bob", "gus", "eve")]) + context.client("auditor").get("/v1/admin/audit?limit=10000").body.decode()
    equal([v for s in ("bob", "gus", "eve") for v in context.values[s] if v in told], [], "values told")
    assert '"subject.report"' in told


@case
def a_long_report_has_pages(context):
    events = [context.event("kim") for _ in range(130)]
    context.publish(*events)
    found, count, begin = [], 0, {}
    while begin is not None:
        report = context.client("dpo").post("/v1/admin/subjects/report", {"subject": context.email("kim"), "controller": CONTROLLER, **begin}).json()
        found += [(e["product"], e["id"]) for e in report["events"]]
        count, begin = count + 1, report["next"]
        assert len(report["events"]) <= 100
    equal(found, [(p, e["id"]) for p in (SEALED, CLEAR) for e in events], "events, over pages")
    equal(count >= 3, True, "pages")
    for wrong, pointer in (({"offset": 3}, "/offset"), ({"product": SEALED, "offset": -1}, "/offset"), ({"more": 1}, "/more"), ({"controller": "nobody"}, "/controller")):
        try:
            context.client("dpo").post("/v1/admin/subjects/report", {"subject": "x", "controller": CONTROLLER, **wrong})
        except Problem as e:
            equal((e.status, e.problem.get("pointer")), (422, pointer), str(wrong))
        else:
            raise AssertionError(f"{wrong} was accepted")
    try:
        context.client("university").post("/v1/admin/subjects/report", {"subject": "x", "controller": CONTROLLER})
    except Problem as e:
        equal(e.status, 403, "a partner")
    else:
        raise AssertionError("a partner may ask")


@case
def a_report_can_be_read_by_people(context):
    hostile = {**context.event("lea"), "id": "<script>alert('x')</script>&\"<b>"}
    context.publish(hostile, products=(SEALED,))
    answer = context.client("dpo").post("/v1/admin/subjects/report?format=html", {"subject": context.email("lea"), "controller": CONTROLLER})
    page = answer.body.decode()
    equal((answer.headers["Content-Type"], page.startswith("<!DOCTYPE html>")), ("text/html; charset=utf-8", True), "what it is")
    equal(("<script" in page, html.escape(hostile["id"]).replace("&#x27;", "&#39;") in page, SEALED in page), (False, True, True), "its text")


@case
def values_are_in_no_file_after_erasure(context):
    # Restarted, the node has moved what was in its write-ahead log into sorted, compressed files.
    context.stack.stop_node("eu")
    context.stack.start_node("eu")
    assert any("unpacked" in where for where, _ in context.found(["dora"], context.places())), "the control value is not found in compressed files"
    equal(context.found(["eve", "fay", "gus"], context.places()), [], "values in files")
    dump = context.stack.dump(context.stack.database("eu")).decode()
    rows = context.stack.psql(context.stack.database("eu"), "SELECT count(*), count(wrapped) FROM subject_keys WHERE destroyed <> 0")
    equal(rows, "2|0", "destroyed keys and what is left of them")
    assert "subject_keys" in dump


@case
def keys_that_cannot_be_reached_withhold(context):
    stack = context.stack
    stack.stop_node("eu")
    stack.start_node("eu")
    database = stack.database("eu")
    stack.psql(database, "REVOKE SELECT ON subject_keys FROM licet_serving")
    try:
        for call in (lambda: context.client("university").pull(SEALED, from_="earliest"), lambda: context.publish(context.event("bob"), products=(SEALED,))):
            try:
                call()
            except Problem as e:
                equal((e.status, e.slug), (503, "unavailable"), "refusal")
            else:
                raise AssertionError("went on without keys")
        equal(len(context.client("board").pull(CLEAR, from_="earliest")[0]) > 0, True, "products that are not shreddable go on")
        stream = context.client("university").sse(SEALED, from_="earliest")
        equal(list(stream), [], "a stream that starts ends without an event")
        stream.close()
    finally:
        stack.psql(database, "GRANT SELECT ON subject_keys TO licet_serving")
    ids = [e["id"] for e in context.pulled("university", SEALED)]
    equal((len(ids) > 10, set(ids) & context.gone), (True, set()), "afterwards")
    context.ids = ids


@case
def the_key_encryption_key_is_rotated(context):
    stack = context.stack
    config, old = stack.config("eu").read_text(), stack.secret_file("key_encryption_key").read_text()
    stack._write_secret("next_key", "ab" * 32 + "\n")
    both = config.replace('key_encryption_key = "secrets/key_encryption_key"',
                          'key_encryption_key = "secrets/next_key"\nkey_encryption_key_other = "secrets/key_encryption_key"')
    only = config.replace('"secrets/key_encryption_key"', '"secrets/next_key"')

    def restart(text):
        stack.stop_node("eu")
        stack.config("eu").write_text(text)
        stack.start_node("eu")
    restart(both)
    context.publish(context.event("hal"), products=(SEALED,))
    keys = stack.psql(stack.database("eu"), "SELECT count(*) FROM subject_keys WHERE wrapped IS NOT NULL AND wrapped_under <> (SELECT wrapped_under FROM subject_keys "
                      "WHERE wrapped IS NOT NULL ORDER BY created DESC LIMIT 1)")
    command = [str(stack.binary), "keys", "rotate", "--config", str(stack.config("eu"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    equal((done.returncode, done.stdout.split()[1]), (0, keys), done.stderr)
    restart(only)
    equal([e["id"] for e in context.pulled("university", SEALED)], context.ids, "events under the next key")
    restart(config)
    try:
        context.client("university").pull(SEALED, from_="earliest")
    except Problem as e:
        equal(e.status, 503, "under the old key")
    else:
        raise AssertionError("the old key still opens: " + old[:4])
    restart(only)
    actions = [json.loads(line)["action"] for line in context.client("auditor").get("/v1/admin/audit?limit=10000").body.splitlines()]
    equal(actions.count("keys.rotate"), 1, "in the audit")


@case
def a_crash_leaves_an_erasure_undone_or_done(context):
    outcomes = set()
    dice = random.Random(7)
    for n in range(6):
        subject = f"ivy{n}"
        context.consent(subject)
        events = [context.event(subject) for _ in range(3)]
        context.publish(*events, products=(SEALED,))
        answered = []

        def erase():
            try:
                answered.append(context.erase(subject))
            except Exception:  # noqa: BLE001: the node goes away under it
                pass
        thread = threading.Thread(target=erase)
        context.client("dpo")
        thread.start()
        time.sleep(dice.uniform(0.0, 0.12))
        context.stack.kill_node("eu")
        thread.join()
        context.stack.start_node("eu")
        left = {e["id"] for e in context.pulled("university", SEALED)} & {e["id"] for e in events}
        assert left in (set(), {e["id"] for e in events}), f"half erased: {left}"
        if answered:
            equal(left, set(), "after the certificate")
        outcomes.add(bool(left))
        equal(len(context.erase(subject)["keys"]), 1, "repeated")
        left = {e["id"] for e in context.pulled("university", SEALED)} & {e["id"] for e in events}
        equal(left, set(), "once repeated")
    print(f"     crashes left it undone and done: {sorted(outcomes)}")


if __name__ == "__main__":
    sys.exit(main(ErasureContext))
