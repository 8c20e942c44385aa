#!/usr/bin/python3
"""JSON conformance at the door: what the grammar allows is accepted as plain data and delivered byte for byte (minified), what it forbids is refused with a
pointer, and nothing around is lost.

LICET_JSON_SUITE names a folder of files y_*.json, n_*.json, i_*.json (their first letter says what must happen; i: either, but no harm). Without it, the cases below.
"""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, licet_demo, main  # noqa: E402
from licet_client import data_bytes  # noqa: E402
from wiki_oracle import minify  # noqa: E402

PRODUCT = "json-suite"
OWN_YES = [b"null", b"true", b"0", b"-0", b"-1.5e+10", b"1E400", b'""', b'"a"', b"[]", b"{}", b"[[]   ]", b'{"a":1,"a":2}', b'{"":0}', b'"\\u0000"', b'"\\ud834\\udd1e"',
           b'"\\/\\b\\f\\n\\r\\t\\\\\\""', b' [1 , 2] ', b"\t{\r\n}\n", b"123456789012345678901234567890", b'"\x7f"', "\"ü€🙂\"".encode(), b"[" * 100 + b"]" * 100,
           b'["\\uDBFF\\uDFFF"]', b'{"a":{"b":[{"c":null}]}}', b"0.00000000000000000000000000000000000000000000000000000001"]
OWN_NO = [b"", b" ", b"nul", b"True", b"+1", b"01", b"-", b".5", b"1.", b"1e", b"0x1", b"NaN", b"-Infinity", b'"', b"'a'", b'"\n"', b'"\x00"', b'"\\x41"', b'"\\u12"', b"[1,]",
          b"[,1]", b"[1 2]", b"{a:1}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1 "b":2}', b"[1]]", b"[", b"{", b"1 2", b"/**/1", b'"\xff"', b'"\xed\xa0\x80"',
          b"[" * 100_000, b"\xef\xbb\xbf", b"[1]\x00", b"{}}"]


class JsonContext(Context):
    def __init__(self):
        super().__init__()
        folder = os.environ.get("LICET_JSON_SUITE")
        if folder:
            files = sorted(pathlib.Path(folder).rglob("*.json"))
            self.documents = [(f.name, f.name[0], f.read_bytes()) for f in files if f.name[:2] in ("y_", "n_", "i_")]
        else:
            print("no folder given (LICET_JSON_SUITE): own cases instead")
            self.documents = [(f"y {t[:30]!r}", "y", t) for t in OWN_YES] + [(f"n {t[:30]!r}", "n", t) for t in OWN_NO]
        print(f"{len(self.documents)} documents")
        admin = self.client("admin")
        mapping = {"attributes": {"id": {"digest": True}, "source": {"constant": "urn:example:json"}, "type": {"constant": "org.example.json"},
                                  "license": {"constant": "CC0-1.0"}}, "fields": []}
        admin.put(f"/v1/admin/products/{PRODUCT}", {"title": "JSON", "owner": "operator", "controller": "operator", "residency": "eu", "mapping": mapping})
        contract = licet_demo.catalogue()["contracts"]["berlin-lab"]
        contract["products"].append(PRODUCT)
        admin.put("/v1/admin/contracts/berlin-lab", contract)
        policy = json.loads((licet_demo.DEMO / "policies" / "wiki-edits.json").read_text())
        policy["uid"] = "urn:licet:policy:json-suite"
        policy["permission"] = [{"target": f"urn:licet:product:{PRODUCT}", "action": "use",
                                 "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:AcademicResearch"}]}]
        licet_demo.activate_policy(admin, PRODUCT, policy)
        made = admin.post("/v1/admin/clients", {"id": "json-reader", "party": "berlin-lab", "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]}).json()
        self.stack.save_client_secret("json-reader", made["secret"])
        self.expected = []
        self.optional = set()

    def expect(self, data, optional=False):
        if data not in self.expected:
            self.expected.append(data)
            if optional:
                self.optional.add(data)


@case
def each_document_by_itself(context):
    client = context.client("loader")
    wrong = []
    for number, (name, kind, document) in enumerate(context.documents):
        answer = client.publish(PRODUCT, document, "application/json", accept_status=range(400, 600))
        if kind == "y" and answer.status != 200:
            wrong.append(f"{name}: refused with {answer.status} {answer.body[:200]!r}")
        elif kind == "n":
            problem = answer.json() if answer.status >= 400 else {}
            where = problem.get("pointer", (problem.get("rejections") or [{}])[0].get("pointer"))
            if not 400 <= answer.status < 500 or where is None:
                wrong.append(f"{name}: {answer.status}, pointer {where!r}")
        elif answer.status >= 500:
            wrong.append(f"{name}: {answer.status}")
        if answer.status == 200:
            context.expect(minify(document))
        # Between any two of them a good event: it must be accepted and be delivered below.
        sentinel = json.dumps({"sentinel": number}, separators=(",", ":")).encode()
        counts = client.publish(PRODUCT, sentinel, "application/json").json()
        if counts["accepted"] != 1:
            wrong.append(f"{name}: the event after it was not accepted: {counts}")
        context.expect(sentinel)
    if wrong:
        raise AssertionError(f"{len(wrong)} wrong:\n  " + "\n  ".join(wrong[:40]))


@case
def among_neighbours_on_lines(context):
    client = context.client("loader")
    # Documents that are one line can travel as NDJSON; a line that is empty is none.
    lines = [(kind, d) for _, kind, d in context.documents if b"\n" not in d and b"\r" not in d and d.strip(b" \t") and kind in "yn" and b"\x00" not in d]
    body = []
    for number, (_, document) in enumerate(lines):
        sentinel = json.dumps({"neighbour": number}, separators=(",", ":")).encode()
        context.expect(sentinel)
        body += [document, sentinel]
    counts = client.publish(PRODUCT, b"\n".join(body) + b"\n").json()
    equal(counts["received"], len(body), "received")
    refused = {r["index"] for r in counts["rejections"]}
    equal(sorted(refused), [i for i in range(len(body)) if i % 2 == 0 and lines[i // 2][0] == "n"], "refused lines")
    equal([r for r in counts["rejections"] if "pointer" not in r], [], "rejections without a pointer")


@case
def everything_accepted_is_delivered(context):
    events, _ = licet_demo.pull_all(context.client("json-reader"), PRODUCT)
    found = [data_bytes_any(e) for e in events]
    for data in context.expected:
        if data not in found:
            raise AssertionError(f"not delivered as sent: {data[:120]!r}")
    equal(sorted(found) == sorted(context.expected), True, "nothing else is delivered, nothing twice")


def data_bytes_any(event):
    """Also for data that Python's reader would not take: the member's place is known from the cursor before it."""
    at = event.index(b',"data":')
    return event[at + 8:-1] if event.startswith(b'{"specversion"') else data_bytes(event)


@case
def the_node_is_well(context):
    equal(context.stack.nodes["eu"].running(), True, "running")


if __name__ == "__main__":
    sys.exit(main(JsonContext))
