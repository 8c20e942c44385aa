#!/usr/bin/python3
"""A policy simulated before it is active: what it announces is what partners then receive; what would be seen more of is named; nothing changes by asking."""
import copy
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402

PRODUCT = "newsroom"
EVENTS = 800


class SimulationContext(Context):
    def __init__(self):
        super().__init__()
        generator = self.generator
        body = "\n".join(generator.dump(c) for c in generator.newsroom_consents()) + "\n"
        self.client("dpo").post("/v1/admin/consents", body, content_type="application/x-ndjson")
        start = generator.parse_start(generator.DEFAULT_START[PRODUCT])
        lines = [generator.dump(generator.newsroom_event("simulated", n, start)) for n in range(EVENTS)]
        equal(self.client("loader").publish(PRODUCT, "\n".join(lines) + "\n").json()["accepted"], EVENTS, "accepted")
        self.policy = json.loads((licet_demo.DEMO / "policies" / "newsroom.json").read_text())

    def simulate(self, **what):
        return self.client("policy-desk").post("/v1/admin/policies:simulate", {"name": PRODUCT, "product": PRODUCT, "limit": EVENTS, **what}).json()

    def received(self, contract):
        events, _ = licet_demo.pull_all(self.client(contract), PRODUCT)
        return [json.loads(e) for e in events]

    def draft_without(self, pointer):
        """The active policy, but research partners get the value of one field as it is."""
        draft = copy.deepcopy(self.policy)
        duties = draft["permission"][0]["duty"]
        draft["permission"][0]["duty"] = [d for d in duties if d.get("licet:pointer") != pointer]
        equal(len(draft["permission"][0]["duty"]), len(duties) - 1, "duties")
        return draft


def of(result, contract):
    return next(c for c in result["contracts"] if c["contract"] == contract)


@case
def nothing_in_nothing_out(context):
    result = context.simulate(document=context.policy)
    equal((result["events"], result["from"], result["to"]), (EVENTS, 0, EVENTS), "stretch")
    equal(sorted(c["contract"] for c in result["contracts"]), ["berlin-lab", "ohio-ads", "texas-analytics"], "every contract on the product")
    for c in result["contracts"]:
        equal(c["now"], c["then"], "the same policy")
        equal((c["newlyDelivered"], c["newlyWithheld"], c["changed"], c["newlyVisible"], c["samples"]), (0, 0, 0, [], []), "differences")


@case
def what_is_announced_is_what_happens(context):
    before = context.received("berlin-lab")
    draft = context.draft_without("/reader/email")
    told = of(context.simulate(document=draft), "berlin-lab")
    equal(told["now"]["delivered"], len(before), "delivered now")
    equal(len(context.received("berlin-lab")), len(before), "delivered after asking")
    with_email = [e for e in before if "email" in e["data"].get("reader", {})]
    equal([(v["pointer"], v["now"], v["then"], v["events"]) for v in told["newlyVisible"]], [("/reader/email", "cryptoHash", "clear", len(with_email))], "newly visible")
    equal(told["changed"], len(with_email), "changed")
    equal(all(f["newlyVisible"] for s in told["samples"] for f in s["fields"]), True, "every difference in the samples is marked")
    licet_demo.activate_policy(context.client("admin"), PRODUCT, draft)
    after = context.received("berlin-lab")
    equal(len(after), told["then"]["delivered"], "delivered then")
    equal(sum("@" in e["data"].get("reader", {}).get("email", "") for e in after), len(with_email), "addresses in the clear")
    # And back: the stored version, by its number.
    back = of(context.simulate(version=1), "berlin-lab")
    equal((back["changed"], back["newlyVisible"]), (len(with_email), []), "the way back hides again")
    context.client("policy-desk").post(f"/v1/admin/policies/{PRODUCT}/versions/1/activate")


@case
def without_the_policy(context):
    result = context.simulate(retire=True)
    for c in result["contracts"]:
        equal(c["then"], {"delivered": 0, "reasons": {"no_permission": EVENTS}}, f"{c['contract']} without any policy")
        equal(c["newlyWithheld"], c["now"]["delivered"], "newly withheld")


@case
def no_payload_is_answered(context):
    text = json.dumps(context.simulate(document=context.draft_without("/reader/email")))
    for n in range(context.generator.READERS):
        reader = context.generator.reader(n)
        if reader["email"] in text or reader["ip"] in text:
            raise AssertionError("a value of an event is in the answer")


@case
def mistakes_are_told(context):
    desk = context.client("policy-desk")

    def refused(status, pointer, **body):
        answer = desk.post("/v1/admin/policies:simulate", {"name": PRODUCT, "product": PRODUCT, **body}, accept_status=(404, 422))
        equal((answer.status, answer.json()["pointer"]), (status, pointer), f"answer to {body}")
    refused(422, "/document")
    refused(422, "/document", document=context.policy, version=1)
    refused(422, "/limit", retire=True, limit=0)
    refused(404, "/contracts/1", retire=True, contracts=["berlin-lab", "nobody"])
    refused(404, "/version", version=999)
    refused(404, "/product", retire=True, product="nothing")
    draft = copy.deepcopy(context.policy)
    draft["permission"][0]["constraint"][0]["leftOperand"] = "licet:weather"
    refused(422, "/document/permission/0/constraint/0/leftOperand", document=draft)


if __name__ == "__main__":
    sys.exit(main(SimulationContext))
