#!/usr/bin/python3
"""A stored policy version decided in the shadow of the active one, on live traffic: what it would change is counted, and partners notice nothing."""
import copy
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

PRODUCT = "newsroom"
EVENTS = 400


class ShadowContext(Context):
    def __init__(self):
        super().__init__()
        generator = self.generator
        body = "\n".join(generator.dump(c) for c in generator.newsroom_consents()) + "\n"
        self.client("dpo").post("/v1/admin/consents", body, content_type="application/x-ndjson")
        self.desk = self.client("policy-desk")
        self.published = 0
        draft = json.loads((licet_demo.DEMO / "policies" / "newsroom.json").read_text())
        duties = draft["permission"][0]["duty"]
        draft["permission"][0]["duty"] = [d for d in duties if d.get("licet:pointer") != "/reader/email"]
        draft["permission"][1]["constraint"].append({"leftOperand": "licet:licence", "operator": "eq", "rightOperand": "CC0-1.0"})
        self.draft = draft
        self.version = self.desk.put(f"/v1/admin/policies/{PRODUCT}", {"document": draft}).json()["version"]

    def publish(self):
        generator = self.generator
        start = generator.parse_start(generator.DEFAULT_START[PRODUCT])
        lines = [generator.dump(generator.newsroom_event("shadowed", n, start)) for n in range(self.published, self.published + EVENTS)]
        self.published += EVENTS
        equal(self.client("loader").publish(PRODUCT, "\n".join(lines) + "\n").json()["accepted"], EVENTS, "accepted")

    def pulled(self, contract, **query):
        events, _ = licet_demo.pull_all(self.client(contract), PRODUCT)
        return [json.loads(e) for e in events]

    def counts(self):
        return self.desk.get("/v1/admin/policies:shadow").json()

    def row(self, contract):
        return next(r for r in self.counts()["counts"] if contract in r["contracts"])


@case
def nothing_is_in_the_shadow_at_first(context):
    equal((context.counts()["policies"], context.counts()["counts"]), ([], []), "counts")


@case
def differences_are_counted_and_nobody_notices(context):
    berlin = context.client("berlin-lab").websocket(PRODUCT, from_="latest")
    texas = context.client("texas-analytics").sse(PRODUCT, from_="latest")
    context.desk.post(f"/v1/admin/policies/{PRODUCT}/versions/{context.version}/shadow")
    equal(context.counts()["policies"], [f"{PRODUCT}@{context.version}"], "in the shadow")
    context.publish()
    expected = {c: context.pulled(c) for c in ("berlin-lab", "texas-analytics")}
    # The streams that were open go on, and get what the active policy gives.
    streams = {"berlin-lab": iter(berlin), "texas-analytics": (data for _, data in texas)}
    for contract, stream in streams.items():
        for wanted in expected[contract]:
            found = json.loads(next(stream))
            equal((found["id"], found["data"]), (wanted["id"], wanted["data"]), f"live to {contract}")
    await_condition("all counted", lambda: all(context.row(c)["decided"] == EVENTS for c in expected), 20)
    row = context.row("berlin-lab")
    equal(row["changed"], sum("email" in e["data"].get("reader", {}) for e in expected["berlin-lab"]), "changed for berlin-lab")
    equal(row["differences"], [], "other reasons for berlin-lab")
    lost = sum(e["license"] != "CC0-1.0" for e in expected["texas-analytics"])
    away = sum(d["events"] for d in context.row("texas-analytics")["differences"] if d["now"] == "permitted")
    equal(away, lost, "events texas-analytics would lose")
    berlin.sock.close()
    texas.close()


@case
def activating_ends_the_shadow_and_does_what_was_counted(context):
    clear = [e for e in context.pulled("berlin-lab") if "@" in e["data"].get("reader", {}).get("email", "")]
    equal(clear, [], "addresses in the clear before")
    changed = context.row("berlin-lab")["changed"]
    context.desk.post(f"/v1/admin/policies/{PRODUCT}/versions/{context.version}/activate")
    clear = [e for e in context.pulled("berlin-lab") if "@" in e["data"].get("reader", {}).get("email", "")]
    equal(len(clear), changed, "addresses in the clear after")
    equal(context.counts()["policies"], [], "in the shadow")


@case
def a_shadow_can_be_ended(context):
    version = context.desk.put(f"/v1/admin/policies/{PRODUCT}", {"document": copy.deepcopy(context.draft)}).json()["version"]
    context.desk.post(f"/v1/admin/policies/{PRODUCT}/versions/{version}/shadow")
    states = {v["version"]: v["state"] for v in context.desk.get(f"/v1/admin/policies/{PRODUCT}").json()["versions"]}
    equal((states[version], states[context.version]), ("shadow", "active"), "states")
    context.desk.post(f"/v1/admin/policies/{PRODUCT}/end-shadow")
    equal(context.counts()["policies"], [], "in the shadow")
    for path in (f"{PRODUCT}/end-shadow", f"{PRODUCT}/versions/{context.version}/shadow", f"{PRODUCT}/versions/99/shadow", "nothing/end-shadow"):
        equal(context.desk.post(f"/v1/admin/policies/{path}", accept_status=(404,)).status, 404, path)


if __name__ == "__main__":
    sys.exit(main(ShadowContext))
