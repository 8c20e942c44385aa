#!/usr/bin/python3
"""Any decision of the past, explained: at moments between a consent and its withdrawal, between one policy version and the next, what explain says of each is what the
partner received then; and it goes on saying so, whatever has changed since."""
import copy
import datetime
import json
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

PRODUCT = "newsroom"
CONTROLLER = "daily-courier"
SOURCE = "https://courier.example.org/events"
SUBJECTS = ("leaver", "stayer")
CONTRACT = "berlin-lab"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def rfc3339(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


class History(Context):
    """A life of a policy, a consent and a contract; after each step a moment, and what the partner receives then."""

    def __init__(self):
        super().__init__()
        self.dpo, self.admin, self.desk = self.client("dpo"), self.client("admin"), self.client("policy-desk")
        events = [{"id": s, "time": "2026-03-01T10:00:00Z", "kind": "org.example.courier.article.read", "licence": "CC-BY-4.0", "country": "DE",
                   "reader": {"email": f"{s}@example.org", "name": s, "ip": "198.51.100.9"}} for s in SUBJECTS]
        equal(self.client("newsroom-desk").publish(PRODUCT, "\n".join(map(json.dumps, events)) + "\n").json()["accepted"], len(SUBJECTS), "accepted")
        self.policy = json.loads((licet_demo.DEMO / "policies" / f"{PRODUCT}.json").read_text())
        clear = copy.deepcopy(self.policy)
        clear["permission"][0]["duty"] = [d for d in clear["permission"][0]["duty"] if d.get("licet:pointer") != "/reader/email"]
        contract = {k: v for k, v in self.admin.get(f"/v1/admin/contracts/{CONTRACT}").json().items() if k != "name"}
        party = {k: v for k, v in self.admin.get(f"/v1/admin/parties/{CONTRACT}").json().items() if k != "name"}
        self.steps = {}
        self.step("before any consent", lambda: None)
        self.step("consented", lambda: self.consent("given", *SUBJECTS))
        self.step("e-mail in the clear", lambda: licet_demo.activate_policy(self.admin, PRODUCT, clear))
        self.step("withdrawn", lambda: self.dpo.post("/v1/admin/consents/withdraw", {"subject": "leaver@example.org", "controller": CONTROLLER}))
        self.step("first version again", lambda: self.desk.post(f"/v1/admin/policies/{PRODUCT}/versions/1/activate"))
        self.step("consented again", lambda: self.consent("renewed", "leaver"))
        self.step("another purpose", lambda: self.admin.put(f"/v1/admin/contracts/{CONTRACT}", {**contract, "purposes": ["dpv:PersonnelMonitoring"]}))
        self.step("elsewhere", lambda: (self.admin.put(f"/v1/admin/contracts/{CONTRACT}", contract),
                                        self.admin.put(f"/v1/admin/parties/{CONTRACT}", {**party, "country": "IN"})))
        self.step("retired", lambda: (self.admin.put(f"/v1/admin/parties/{CONTRACT}", party), self.desk.post(f"/v1/admin/policies/{PRODUCT}/retire")))
        self.step("back", lambda: self.desk.post(f"/v1/admin/policies/{PRODUCT}/versions/1/activate"))

    def consent(self, status, *subjects):
        for s in subjects:
            self.dpo.post("/v1/admin/consents", {"subject": f"{s}@example.org", "controller": CONTROLLER, "purposes": ["dpv:AcademicResearch"], "status": status})

    def step(self, name, change):
        change()
        first = now()
        received = {e["id"]: e["data"]["reader"].get("email") for e in map(json.loads, licet_demo.pull_all(self.client(CONTRACT), PRODUCT)[0])}
        policies = self.desk.get(f"/v1/admin/policies/{PRODUCT}").json()["versions"]
        active = [v["version"] for v in policies if v["state"] == "active"]
        revision = self.dpo.post("/v1/admin/consents/query", {"subject": "stayer@example.org", "controller": CONTROLLER}).json()["revision"]
        last = now()  # it is still so
        self.steps[name] = {"at": (rfc3339(first), rfc3339(last)), "received": received, "version": active, "revision": revision}
        await_condition("the next millisecond", lambda: now() > last + datetime.timedelta(milliseconds=1), 5)

    def ask(self, event, at=None, client="dpo", accept_status=None):
        query = {"product": PRODUCT, "contract": CONTRACT, "source": SOURCE, "event": event, **({"at": at} if at else {})}
        return self.client(client).get("/v1/admin/explain?" + urllib.parse.urlencode(query), accept_status=accept_status)

    def agree(self):
        for name, step in self.steps.items():
            for at in step["at"]:
                for subject in SUBJECTS:
                    told = self.ask(subject, at).json()
                    what = f"{name}, {subject}"
                    equal(told["at"], at, f"{what}: moment")
                    equal(told["deliver"], subject in step["received"], f"{what}: delivered ({told['reason']})")
                    equal([p["version"] for p in told["policies"] if p["name"] == PRODUCT], step["version"], f"{what}: policy version")
                    equal(told["consentRevision"], step["revision"], f"{what}: consent revision")
                    if told["deliver"]:
                        hashed = any((t["pointer"], t["transform"]) == ("/reader/email", "cryptoHash") for t in told["transforms"])
                        equal(hashed, step["received"][subject] != f"{subject}@example.org", f"{what}: e-mail address hashed")
                        equal(told["decidedBy"]["version"], step["version"][0], f"{what}: the version that decided")


@case
def the_story_is_worth_telling(context):
    """Were every answer alike, agreement would prove nothing."""
    seen = {name: (sorted(s["received"]), "stayer@example.org" in s["received"].values()) for name, s in context.steps.items()}
    equal(seen, {"before any consent": ([], False), "consented": (["leaver", "stayer"], False), "e-mail in the clear": (["leaver", "stayer"], True),
                 "withdrawn": (["stayer"], True), "first version again": (["stayer"], False), "consented again": (["leaver", "stayer"], False),
                 "another purpose": ([], False), "elsewhere": ([], False), "retired": ([], False), "back": (["leaver", "stayer"], False)}, "received at each step")


@case
def each_moment_is_explained_as_it_was(context):
    context.agree()


@case
def reasons_are_those_of_the_moment(context):
    def reason(name, subject):
        return context.ask(subject, context.steps[name]["at"][0]).json()["reason"]
    equal(reason("before any consent", "leaver"), "consent_missing", "before any consent")
    equal(reason("withdrawn", "leaver"), "consent_missing", "withdrawn")
    equal(reason("withdrawn", "stayer"), "permitted", "who stayed")
    equal(reason("another purpose", "stayer"), "prohibited", "another purpose")
    equal(reason("elsewhere", "stayer"), "transfer_not_permitted", "elsewhere")
    equal(reason("retired", "stayer"), "no_permission", "retired")


@case
def the_present_is_the_last_moment(context):
    for subject in SUBJECTS:
        is_now, last = context.ask(subject).json(), context.ask(subject, rfc3339(now())).json()
        for answer in (is_now, last):
            answer.pop("at")
        equal(is_now, last, f"{subject} now")


@case
def a_contract_not_in_force_then(context):
    admin = context.admin
    contract = {k: v for k, v in admin.get(f"/v1/admin/contracts/{CONTRACT}").json().items() if k != "name"}
    admin.put(f"/v1/admin/contracts/{CONTRACT}", {**contract, "state": "suspended"})
    suspended = rfc3339(now() + datetime.timedelta(milliseconds=1))
    await_condition("the next millisecond", lambda: rfc3339(now()) > suspended, 5)
    admin.put(f"/v1/admin/contracts/{CONTRACT}", contract)
    equal(context.ask("stayer", suspended).json()["inForce"], False, "in force while suspended")
    equal(context.ask("stayer", context.steps["consented"]["at"][0]).json()["inForce"], True, "in force before")
    equal(context.ask("stayer").json()["inForce"], True, "in force again")


@case
def restarts_change_nothing(context):
    context.stack.stop_node("eu")
    context.stack.start_node("eu")
    context.agree()


@case
def what_cannot_be_answered(context):
    def refused(status, at, pointer="query:at"):
        answer = context.ask("stayer", at, accept_status=(status,))
        equal((answer.status, answer.json()["pointer"]), (status, pointer), f"answer to {at}")
        return answer.json()
    gone = refused(410, "2020-01-01T00:00:00Z")
    known = gone["detail"].split(" from ")[1].split(" on")[0]
    refused(404, known, "query:product")  # known, and empty
    for at in (rfc3339(now() + datetime.timedelta(hours=1)), "yesterday", "2026-11-18", "1795000000"):
        refused(400, at)
    equal(context.ask("stayer", known, client="finance", accept_status=(403,)).status, 403, "finance asks")


@case
def the_question_is_audited_with_its_moment(context):
    at = context.steps["withdrawn"]["at"][0]
    context.ask("leaver", at, client="policy-desk")
    lines = context.client("auditor").request("GET", "/v1/admin/audit?limit=10000").body.decode().splitlines()
    last = json.loads(lines[-1])
    equal((last["actor"], last["action"], last["detail"]["at"]), ("policy-desk", "explain", at), "audit line")
    equal("@example.org" in "\n".join(lines), False, "a data subject in the audit")


if __name__ == "__main__":
    sys.exit(main(History))
