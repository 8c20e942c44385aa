#!/usr/bin/python3
"""The audit log as an auditor meets it: exported, checked by `licet verify` and by a script that shares nothing with it; every barrier in it; tampering and cutting off found."""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Context, case, equal, main  # noqa: E402

CHANGES = 12
EXPORT = "/v1/admin/audit/export"


class AuditContext(Context):
    def __init__(self):
        super().__init__(with_redis=False)  # a node alone in its region needs none

    def licet(self, *arguments):
        return subprocess.run([self.stack.binary, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)

    def export(self, after=0):
        return self.client("auditor").get(f"{EXPORT}?after={after}").body

    def file(self, name, content):
        path = self.stack.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def key_file(self):
        return self.file("audit.vkey", self.client("auditor").get("/v1/admin/audit/key").json()["verifierKey"] + "\n")


def party(number):
    return {"title": f"Audit test {number}", "country": "DE", "collections": [], "adequacySchemes": []}


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(root_of(leaves[:split]), root_of(leaves[split:]))


def signed_by(context, key, message, signature):
    """Asks the openssl command, which knows nothing of Licet."""
    der = bytes.fromhex("302a300506032b6570032100") + key
    done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", context.file("key.der", der), "-rawin",
                           "-in", context.file("message", message), "-sigfile", context.file("signature", signature)], capture_output=True, check=False)
    return done.returncode == 0


def read_note(context, note, vkey):
    """A C2SP signed note with a checkpoint: (size, root)."""
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key)
    equal(key[0], 1, "Ed25519")
    equal(hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8], key_id, "key id")
    text, signatures = note.rsplit("\n\n", 1)
    origin, size, root = (text + "\n").splitlines()
    equal(origin, name, "origin")
    dash, signer, signature = signatures.rstrip("\n").split(" ")
    equal((dash, signer), ("\u2014", name), "signature line")
    raw = base64.b64decode(signature)
    equal(raw[:4].hex(), key_id, "key id of the signature")
    equal(signed_by(context, key[1:], text + "\n", raw[4:]), True, "the note's signature")
    return int(size), base64.b64decode(root)


@case
def an_export_is_checked_by_a_script_that_shares_nothing_with_the_server(context):
    admin = context.client("admin")
    for number in range(CHANGES):
        admin.put("/v1/admin/parties/audit-test", party(number))
    vkey = context.key_file().read_text().strip()
    leaves, previous, checkpoints, signed = [], "0" * 64, 0, []
    for line in context.export().decode().split("\n")[:-1]:
        if line.startswith('{"checkpoint":'):
            size, root = read_note(context, json.loads(line)["checkpoint"], vkey)
            equal((size, root), (len(leaves), root_of(leaves)), "checkpoint")
            checkpoints += 1
            continue
        entry = json.loads(line)
        equal((entry["seq"], entry["prev"]), (len(leaves) + 1, previous), "chain")
        content = line
        for member in ("signature", "hash"):
            at = content.rindex(f',"{member}":"')
            content = content[:at] + content[content.index('"', at + len(member) + 5) + 1:]
        equal(hashlib.sha256(content.encode()).hexdigest(), entry["hash"], "hash")
        previous = entry["hash"]
        leaves.append(hashlib.sha256(b"\x00" + line.encode()).digest())
        signed.append(entry)
    equal(checkpoints >= 1, True, "a checkpoint at the end")
    key = base64.b64decode(vkey.split("+", 2)[2])[1:]
    for entry in signed[:3] + signed[-3:]:
        signature = base64.urlsafe_b64decode(entry["signature"] + "==")
        equal(signed_by(context, key, bytes.fromhex(entry["hash"]), signature), True, "an entry's signature")


@case
def every_change_has_its_barrier(context):
    admin, auditor = context.client("admin"), context.client("auditor")
    epoch = admin.put("/v1/admin/parties/audit-test", party("barrier")).json()["epoch"]
    deadline = time.monotonic() + 30
    while True:
        entries = [json.loads(line) for line in auditor.get("/v1/admin/audit?limit=10000").body.decode().splitlines()]
        barriers = [e for e in entries if e["action"] == "barrier.complete" and e["detail"]["epoch"] == epoch]
        if barriers:
            break
        equal(time.monotonic() < deadline, True, "the barrier is in the audit log")
    change = [e for e in entries if e.get("epoch") == epoch]
    equal([e["action"] for e in change], ["party.put"], "the change of this epoch")
    equal(len(barriers), 1, "barriers of this epoch")
    equal(barriers[0]["actor"].startswith("node/"), True, "actor")
    equal(barriers[0]["detail"]["outstanding"], [], "outstanding")
    equal(barriers[0]["detail"]["waitedMs"] >= 0, True, "how long")


@case
def verify_says_what_it_found_by_its_exit_code(context):
    key, good = context.key_file(), context.export()
    kept = context.file("kept.note", context.client("auditor").get("/v1/admin/audit/checkpoint").body)
    lines = good.decode().splitlines(keepends=True)

    def verify(content, *more):
        return context.licet("verify", context.file("export.ndjson", content), "--key", key, *more)
    done = verify(good)
    equal(done.returncode, 0, "a good export: " + done.stderr)
    equal(verify(context.export(), "--checkpoint", kept).returncode, 0, "a later export and a checkpoint from before")
    entries = [at for at, line in enumerate(lines) if not line.startswith('{"checkpoint":')]
    middle = entries[len(entries) // 2]
    number = json.loads(lines[middle])["seq"]
    flipped = lines[middle].replace('"actor":"', '"actor":"x', 1)
    for what, changed in {"changed": lines[:middle] + [flipped] + lines[middle + 1:], "removed": lines[:middle] + lines[middle + 1:]}.items():
        done = verify("".join(changed))
        equal(done.returncode, 1, what)
        equal(f"entry {number} (line {middle + 1}): " in done.stderr, True, f"{what}: {done.stderr}")
    cut = "".join(lines[:middle])
    equal(verify(cut).returncode in (0, 3), True, "cut off, and nothing to compare with")
    done = verify(cut, "--checkpoint", kept)
    equal((done.returncode, "it is missing" in done.stderr), (1, True), "cut off, against a checkpoint")
    equal(verify("".join(lines[at] for at in entries)).returncode, 3, "entries without a checkpoint")
    equal(verify(context.export(after=number)).returncode, 0, "a part of the log")
    for arguments in (("verify",), ("verify", "nowhere", "--key", key), ("verify", context.file("e", good), "--key", "nowhere"), ("verify", "--colour")):
        equal(context.licet(*arguments).returncode, 2, f"{arguments}")
    key.write_text("0" * 64)
    equal(verify(good).returncode, 1, "another key")


@case
def proofs_lead_to_the_checkpoint(context):
    auditor = context.client("auditor")
    vkey = auditor.get("/v1/admin/audit/key").json()["verifierKey"]
    lines = auditor.get("/v1/admin/audit?limit=10").body.decode().splitlines()
    for number in (1, 2, 5):
        proof = auditor.get(f"/v1/admin/audit/proof?entry={number}").json()
        size, root = read_note(context, proof["checkpoint"], vkey)
        equal(size, proof["size"], "size")
        index, last = number - 1, size - 1
        reached = hashlib.sha256(b"\x00" + lines[number - 1].encode()).digest()
        for text in proof["hashes"]:
            sibling = base64.b64decode(text)
            if index % 2 == 1 or index == last:
                reached = node(sibling, reached)
                while index % 2 == 0 and index:
                    index, last = index >> 1, last >> 1
            else:
                reached = node(reached, sibling)
            index, last = index >> 1, last >> 1
        equal((last, reached), (0, root), f"entry {number}")
    equal(auditor.request("GET", "/v1/admin/audit/proof", accept_status=(400,)).status, 400, "nothing to prove")


@case
def only_an_auditor_reads_it(context):
    for path in (EXPORT, "/v1/admin/audit/checkpoint", "/v1/admin/audit/proof?entry=1"):
        equal(context.client("admin").request("GET", path, accept_status=(403,)).status, 403, path)
        equal(context.client(None).raw("GET", path, None, {}).status, 401, path)
    equal(context.client("auditor").request("GET", EXPORT + "?after=1000000", accept_status=(400,)).status, 400, "after the end")


if __name__ == "__main__":
    sys.exit(main(AuditContext))
