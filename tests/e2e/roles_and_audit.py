#!/usr/bin/python3
"""Who may do what, and the proof afterwards: roles by route, the audit export and the usage journal verified offline, and every way to tamper with them caught."""
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import Client, Problem  # noqa: E402

CONSENT = {"subject": "role-test@example.org", "controller": "daily-courier", "purposes": ["dpv:Marketing"], "status": "given"}
PARTY = {"title": "Role test", "country": "DE", "collections": [], "adequacySchemes": []}
# (method, path, body) -> clients that may; every other client of WHO must be refused with 403.
WHO = ("admin", "policy-desk", "dpo", "finance", "auditor", "newsroom-desk", "berlin-lab")
RULES = [
    ("GET", "/v1/admin/regions", None, {"admin"}),
    ("PUT", "/v1/admin/parties/role-test", PARTY, {"admin"}),
    ("GET", "/v1/admin/parties", None, {"admin"}),
    ("GET", "/v1/admin/clients", None, {"admin"}),
    ("GET", "/v1/admin/contracts", None, {"admin", "finance"}),
    ("GET", "/v1/admin/products", None, {"admin", "newsroom-desk"}),
    ("GET", "/v1/admin/policies", None, {"admin", "policy-desk", "dpo"}),
    ("POST", "/v1/admin/consents", CONSENT, {"admin", "dpo"}),
    ("POST", "/v1/admin/consents/withdraw", {k: CONSENT[k] for k in ("subject", "controller")}, {"admin", "dpo"}),
    ("POST", "/v1/admin/consents/query", {k: CONSENT[k] for k in ("subject", "controller")}, {"admin", "dpo"}),
    ("GET", "/v1/finance/usage?period=2026-01&format=json", None, {"finance"}),
    ("GET", "/v1/admin/audit", None, {"auditor"}),
    ("GET", "/v1/finance/periods", None, {"finance", "auditor"}),
    ("GET", "/v1/finance/statements", None, {"finance", "auditor"}),
    ("GET", "/v1/statements", None, set(WHO)),
    ("GET", "/v1/statements/key", None, set(WHO)),
]


class RolesContext(Context):
    def __init__(self):
        super().__init__(with_redis=False)  # a node alone in its region needs none

    def licet(self, *arguments):
        return subprocess.run([self.stack.binary, *arguments], capture_output=True, text=True, timeout=60, check=False)


@case
def roles_decide_by_route(context):
    wrong = []
    clients = {name: context.client(name) for name in WHO}
    for method, path, body, allowed in RULES:
        for name, client in clients.items():
            answer = client.request(method, path, body, accept_status=range(400, 600))
            expected = 200 <= answer.status < 300 if name in allowed else answer.status == 403
            if not expected:
                wrong.append(f"{name} {method} {path}: {answer.status}")
        without = context.client(None).raw(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        if without.status != 401:
            wrong.append(f"nobody {method} {path}: {without.status}")
    equal(wrong, [], "answers")


@case
def scopes_decide_on_products(context):
    desk, berlin = context.client("newsroom-desk"), context.client("berlin-lab")
    for what in (lambda: desk.publish("wiki-edits", "{}\n"), lambda: desk.get("/v1/products/newsroom/events"), lambda: berlin.publish("newsroom", "{}\n")):
        try:
            what()
            raise AssertionError("went beyond its scopes")
        except Problem as e:
            equal((e.status, e.slug), (403, "insufficient-scope"), "refusal")
    narrow = Client(context.stack.url("eu"), str(context.stack.ca), "berlin-lab", context.stack.client_secret_file("berlin-lab").read_text().strip())
    narrow._token = narrow.token(scope="read:wiki-edits")
    narrow.get("/v1/products/wiki-edits/events?limit=1")
    try:
        narrow.get("/v1/products/newsroom/events?limit=1")
        raise AssertionError("a narrowed token reads more")
    except Problem as e:
        equal(e.status, 403, "narrowed token")


@case
def wrong_credentials(context):
    for client_id, secret in (("berlin-lab", "wrong"), ("nobody", "wrong"), ("berlin-lab", "")):
        try:
            Client(context.stack.url("eu"), str(context.stack.ca), client_id, secret).token()
            raise AssertionError("got a token")
        except Problem as e:
            equal(e.status, 401, "status")
    token = context.client("berlin-lab").token()
    for bad in (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), token.split(".")[0] + "." + token.split(".")[1] + ".", "eyJhbGciOiJub25lIn0.e30.", "x"):
        answer = context.client(None).raw("GET", "/v1/products/newsroom/events", None, {"Authorization": "Bearer " + bad})
        equal(answer.status, 401, "a forged token")


@case
def the_internal_listener_is_not_reachable_with_a_made_up_secret(context):
    """Headers by which the edge speaks to the control plane are the edge's own: a caller's are dropped."""
    answer = context.client(None).raw("GET", "/v1/admin/regions", None, {"Licet-Client": "admin", "Licet-Boot-Secret": "x"})
    equal(answer.status, 401, "made-up internal headers")
    berlin = context.client("berlin-lab")
    answer = berlin.get("/v1/admin/regions", headers={"Licet-Client": "admin"}, accept_status=(403,))
    equal(answer.status, 403, "another client's name")


def export(context):
    auditor = context.client("auditor")
    lines, after = [], 0
    while True:
        answer = auditor.get(f"/v1/admin/audit?after={after}&limit=50")
        page = [line for line in answer.body.decode().split("\n") if line]
        if not page:
            return lines, auditor.get("/v1/admin/audit/key").json()["publicKey"]
        lines += page
        after = json.loads(page[-1])["seq"]


@case
def the_audit_verifies_offline_and_tampering_does_not(context):
    lines, key = export(context)
    equal([json.loads(l)["seq"] for l in lines], list(range(1, len(lines) + 1)), "sequence")
    folder = context.stack.dir
    key_file, file = folder / "audit.key", folder / "audit.ndjson"
    key_file.write_text(key + "\n")

    def verify(changed):
        file.write_text("".join(l + "\n" for l in changed))
        return context.licet("verify", file, "--key", key_file)
    done = verify(lines)
    equal(done.returncode, 3, "pages, to which no checkpoint attests: " + done.stderr)
    middle = len(lines) // 2
    actor = json.loads(lines[middle])["actor"]
    tampered = {
        "a changed line": lines[:middle] + [lines[middle].replace(f'"{actor}"', '"nobody-else"', 1)] + lines[middle + 1:],
        "a removed line": lines[:middle] + lines[middle + 1:],
        "two lines swapped": lines[:middle] + [lines[middle + 1], lines[middle]] + lines[middle + 2:],
        "a line twice": lines[:middle] + [lines[middle]] + lines[middle:],
        "text that is no audit": lines[:middle] + ["{}"],
    }
    for what, changed in tampered.items():
        done = verify(changed)
        equal(done.returncode, 1, f"{what} was found")
    other = "0" * 64
    key_file.write_text(other + "\n")
    equal(verify(lines).returncode, 1, "another key was refused")
    text = "\n".join(lines)
    equal("role-test@example.org" in text, False, "a subject is in the audit")
    actions = {json.loads(l)["action"] for l in lines}
    for action in ("party.put", "product.put", "contract.put", "client.create", "policy.put", "policy.activate", "consent.record", "consent.withdraw"):
        equal(action in actions, True, f"{action} is audited")


@case
def the_journal_verifies_and_tampering_does_not(context):
    generator = context.generator
    start = generator.parse_start(generator.DEFAULT_START["newsroom"])
    context.client("dpo").post("/v1/admin/consents", "\n".join(generator.dump(c) for c in generator.newsroom_consents()), content_type="application/x-ndjson")
    licet_demo.feed(context.client("newsroom-desk"), "newsroom", [generator.dump(generator.newsroom_event("journal", n, start)) for n in range(500)])
    events, _ = licet_demo.pull_all(context.client("berlin-lab"), "newsroom", limit=20)
    equal(len(events) > 50, True, "something was delivered")
    equal(context.stack.stop_node("eu"), 0, "exit")
    journal = context.stack.node_dir("eu") / "journal"
    done = context.licet("verify", "--journal", journal)
    equal(done.returncode, 0, "licet verify --journal: " + done.stdout + done.stderr)
    copy = context.stack.dir / "journal-copy"
    shutil.copytree(journal, copy)
    segment = max((p for p in copy.iterdir() if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(segment.read_bytes())
    # A byte within the records at the start: the end of a segment may be preallocated.
    at = min(len(content) // 4, 200)
    content[at] ^= 0x01
    segment.write_bytes(content)
    equal(context.licet("verify", "--journal", copy).returncode != 0, True, "a changed byte was found")
    context.stack.start_node("eu")


@case
def openapi_is_served(context):
    document = context.client(None).raw("GET", "/v1/openapi.json").json()
    equal(document["openapi"].startswith("3.1"), True, "OpenAPI 3.1")
    equal("/v1/products/{product}/events" in document["paths"], True, "the events are described")


if __name__ == "__main__":
    sys.exit(main(RolesContext))
