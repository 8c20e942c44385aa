#!/usr/bin/python3
"""Real licences through a running server: what a bookseller, a university group, a maker of models, a search engine, an editor who shortens and a press with two
purposes receive, against an oracle that knows what licences permit, require and prohibit and nothing else. Then a licence the organisation defines itself.

The file: the first argument, or the environment variable LICET_DOAJ (CSV of journals, may be gzipped). Without one, rows of the same shape are made.
"""
import json
import os
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main, same_list  # noqa: E402
from licet_client import Problem, data_bytes  # noqa: E402
import doaj_oracle  # noqa: E402

PRODUCT = "journals"
SOURCE = "https://journals.example.org/list"
PARTNERS = tuple(doaj_oracle.NEEDS)
OWN = "publishers-own"
MADE = ("CC BY", "CC BY-NC", "CC BY-NC-ND", "CC BY-NC-SA", "CC BY-SA", "CC BY-ND", "CC0", "Public domain", "Publisher's own license", "CC BY, CC BY-NC",
        "CC BY, CC0", "CC BY, CC BY-NC-ND", "CC BY, CC BY-SA", "CC BY-SA, CC BY-ND", "CC BY, CC BY-SA, CC BY-NC, CC BY-NC-SA", "CC BY, Publisher's own license",
        "CC BY-NC, Publisher's own license", "CC BY-NC-SA, CC BY-NC-ND", "CC BY, CC BY-NC-SA, Public domain", "CC BY, CC BY-NC-ND, CC0, Publisher's own license")
MADE_ROWS = 600


def texts():
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LICET_DOAJ")
    if given:
        return [doaj_oracle.event_of(json.loads(line)) for line in licet_demo.file_lines(given)]
    print(f"no file given (LICET_DOAJ): {MADE_ROWS} made rows instead")
    rows = [{"Journal title": f"Анналы “{n}” \\ of made rows", "Journal ISSN (print version)": "", "Publisher": f"Press {n % 17}",
             "Journal license": MADE[n % len(MADE)], "APC": "No"} for n in range(MADE_ROWS)]
    made = [doaj_oracle.event_of(row) for row in rows]
    return made + made[:20]  # and some of them twice


class JournalsContext(Context):
    def __init__(self):
        super().__init__()
        self.texts = texts()
        self.oracle = doaj_oracle.Oracle(self.texts)
        self.load_journals()
        self.desk = self.client("policy-desk")
        print(f"{len(self.texts)} rows, {len(self.oracle.rows)} events, {len(self.oracle.one_of_each_licence())} licence values; "
              + ", ".join(f"{p} {len(self.oracle.expected(p))}" for p in PARTNERS))

    def load_journals(self):
        wanted = json.loads((licet_demo.DEMO / "journals.json").read_text())
        admin = self.client("admin")
        for kind in ("parties", "products", "contracts"):
            for name, body in wanted[kind].items():
                admin.put(f"/v1/admin/{kind}/{name}", body)
        for name in wanted["policies"]:
            licet_demo.activate_policy(admin, name, json.loads((licet_demo.DEMO / "policies" / f"{name}.json").read_text()))
        for name, body in wanted["clients"].items():
            licet_demo.ensure_client(self.stack, admin, name, body)

    def reasons(self, partner):
        """licence expression -> reason, by asking about one row of each."""
        dpo, found = self.client("dpo"), {}
        for row in self.oracle.one_of_each_licence():
            query = urllib.parse.urlencode({"product": PRODUCT, "contract": partner, "source": SOURCE, "event": row.id})
            found[row.licence] = dpo.get("/v1/admin/explain?" + query).json()["reason"]
        return found

    def check_everyone(self, own=None):
        for partner in PARTNERS:
            events, _ = licet_demo.pull_all(self.client(partner), PRODUCT)
            expected = self.oracle.expected(partner, own)
            same_list([json.loads(e)["id"] for e in events], [r.id for r in expected], f"{partner}: ids")
            for event, row in zip(events, expected):
                equal(data_bytes(event), row.data, f"{partner}: data of {row.id}")
                equal(json.loads(event)["license"], row.licence, f"{partner}: licence of {row.id}")


def refused(call, status):
    try:
        call()
    except Problem as e:
        equal(e.status, status, "status of the refusal")
        return json.loads(e.body)
    raise AssertionError(f"expected a refusal with {status}")


@case
def every_row_is_accepted_once(context):
    total, rejections = licet_demo.feed(context.client("journal-feed"), PRODUCT, context.texts)
    equal(rejections, [], "rejections")
    equal((total["received"], total["accepted"]), (len(context.texts), len(context.oracle.rows)), "received, accepted")


@case
def each_partner_receives_what_the_licences_allow(context):
    context.check_everyone()
    for partner in PARTNERS:
        if not 0 < len(context.oracle.expected(partner)) < len(context.oracle.rows):
            raise AssertionError(f"nothing is shown by {partner}, who gets all or nothing")


@case
def what_is_withheld_is_withheld_for_the_right_reason(context):
    for partner in PARTNERS:
        expected = {r.licence: doaj_oracle.decide(partner, r.licence, {}) for r in context.oracle.one_of_each_licence()}
        equal(context.reasons(partner), expected, f"reasons of {partner}")
    unknown = [r.licence for r in context.oracle.one_of_each_licence() if "LicenseRef-" in r.licence]
    if not unknown or {doaj_oracle.decide(p, u, {}) for p in PARTNERS for u in unknown} != {doaj_oracle.UNKNOWN}:
        raise AssertionError("the publishers' own licences are not shown to be unknown")


@case
def the_other_transports_agree(context):
    expected = context.oracle.expected("journal-models")
    for transport in ("sse", "websocket"):
        found = []
        with getattr(context.client("journal-models"), transport)(PRODUCT, from_="earliest") as stream:
            for item in stream:
                found.append(item[1] if transport == "sse" else item)
                if len(found) == len(expected):
                    break
        same_list([data_bytes(e) for e in found], [r.data for r in expected], f"journal-models by {transport}")


LICENCE = {"title": "What our publishers allow", "permits": ["Reproduction", "Distribution", "DerivativeWorks"], "requires": ["Attribution"],
           "prohibits": ["CommercialUse", "TrainAI"]}


def own_terms(body):
    return {f"LicenseRef-{OWN}": doaj_oracle.Terms(frozenset(body["permits"]), frozenset(body["requires"]), frozenset(body["prohibits"]))}


@case
def a_licence_must_make_sense(context):
    path = f"/v1/admin/licences/{OWN}"
    for change, pointer in (({"permits": ["Reproduction", "Juggling"]}, "/permits/1"), ({"permits": ["Attribution"]}, "/permits/0"),
                            ({"requires": ["Distribution"]}, "/requires/0"), ({"prohibits": ["Distribution"]}, "/prohibits/0"),
                            ({"prohibits": ["TrainAI", "TrainAI"]}, "/prohibits/1"), ({"title": ""}, "/title"), ({"colour": "red"}, "/colour")):
        problem = refused(lambda change=change: context.desk.put(path, {**LICENCE, **change}), 422)
        equal(problem["pointer"], pointer, f"pointer of {change}")
    missing = {k: v for k, v in LICENCE.items() if k != "prohibits"}
    equal(refused(lambda: context.desk.put(path, missing), 422)["pointer"], "/prohibits", "pointer of what is missing")
    refused(lambda: context.desk.put("/v1/admin/licences/Not_a_name", LICENCE), 400)
    refused(lambda: context.desk.get(path), 404)
    equal(context.desk.get("/v1/admin/licences").json(), {"licences": []}, "licences")


@case
def a_policy_cannot_name_a_licence_nobody_defined(context):
    refused(lambda: context.desk.put("/v1/admin/policies/own-only", {"document": own_only()}), 422)


def own_only():
    document = json.loads((licet_demo.DEMO / "policies" / "no-marketing.json").read_text())
    document["uid"] = "urn:licet:policy:own-only"
    rule = document["prohibition"][0]
    rule.update({"uid": "urn:licet:rule:own-only", "target": f"urn:licet:product:{PRODUCT}", "assignee": "urn:licet:party:journal-lab"})
    rule["constraint"] = [{"leftOperand": "licet:licence", "operator": "eq", "rightOperand": f"LicenseRef-{OWN}"}]
    return document


@case
def a_licence_of_ones_own_is_decided_by(context):
    made = context.desk.put(f"/v1/admin/licences/{OWN}", LICENCE).json()
    equal((made["version"], made["id"]), (1, f"LicenseRef-{OWN}"), "version and id")
    if not made["epoch"] > 0:
        raise AssertionError("no epoch")
    own = own_terms(LICENCE)
    if len(context.oracle.expected("journal-lab", own)) <= len(context.oracle.expected("journal-lab")):
        raise AssertionError("the licence changes nothing: the case shows nothing")
    context.check_everyone(own)
    for partner in ("journal-lab", "journal-shop", "journal-models"):
        expected = {r.licence: doaj_oracle.decide(partner, r.licence, own) for r in context.oracle.one_of_each_licence()}
        equal(context.reasons(partner), expected, f"reasons of {partner}")


@case
def a_changed_licence_is_decided_by_at_once(context):
    before = context.desk.get(f"/v1/admin/licences/{OWN}").json()
    again = context.desk.put(f"/v1/admin/licences/{OWN}", LICENCE).json()
    equal((again["version"], {k: v for k, v in again.items() if k != "epoch"}), (1, before), "the same licence again is no new version")
    stricter = {**LICENCE, "permits": ["Reproduction"]}
    changed = context.desk.put(f"/v1/admin/licences/{OWN}", stricter).json()
    equal(changed["version"], 2, "version")
    if not changed["epoch"] > again["epoch"]:
        raise AssertionError("the change is no governance epoch")
    context.check_everyone(own_terms(stricter))
    equal({v for k, v in context.reasons("journal-lab").items() if k == f"LicenseRef-{OWN}"}, {doaj_oracle.FORBID}, "reason")
    context.desk.put(f"/v1/admin/licences/{OWN}", LICENCE)
    context.check_everyone(own_terms(LICENCE))


@case
def a_policy_may_name_it(context):
    licet_demo.activate_policy(context.desk, "own-only", own_only())
    events, _ = licet_demo.pull_all(context.client("journal-lab"), PRODUCT)
    own = own_terms(LICENCE)
    expected = [r for r in context.oracle.expected("journal-lab", own) if f"LicenseRef-{OWN}" not in r.licence]
    same_list([json.loads(e)["id"] for e in events], [r.id for r in expected], "ids")
    context.desk.post("/v1/admin/policies/own-only/retire")
    context.check_everyone(own)


@case
def who_may_and_what_is_written_down(context):
    for reader in ("dpo", "auditor"):
        found = context.client(reader).get("/v1/admin/licences").json()["licences"]
        equal([(l["name"], l["version"]) for l in found], [(OWN, 3)], f"licences as {reader} sees them")
        refused(lambda reader=reader: context.client(reader).put(f"/v1/admin/licences/{OWN}", LICENCE), 403)
    for other in ("journal-lab", "finance"):
        refused(lambda other=other: context.client(other).get("/v1/admin/licences"), 403)
    lines = [json.loads(line) for line in context.client("auditor").get("/v1/admin/audit?limit=1000").body.splitlines()]
    puts = [l for l in lines if l["action"] == "licence.put"]
    equal([(l["actor"], l["target"]) for l in puts], [("policy-desk", OWN)] * 4, "audit")
    equal(puts[0]["detail"], LICENCE, "what was asked for")


if __name__ == "__main__":
    sys.exit(main(JournalsContext))
