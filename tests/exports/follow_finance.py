#!/usr/bin/python3
"""docs/finance.md, followed as an accountant would: its price is put, its seller configured, and every command of it is run as it stands there, in its order, against a real server.

    LICET_BINARY=build/release/licet tests/exports/follow_finance.py

Only names are changed: the months, the server, its certificate. What is there at first is admin.secret alone: every other secret and every variable is made by the page, before it is used.
A command that ends with an error, or that curl is answered with one, fails.
"""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import books  # noqa: E402
from harness import Context, Skip, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

PRODUCT = "wiki-edits"
# What a shell of a finance department has set: errors are errors, and the server's certificate is trusted.
SHELL = """set -euo pipefail
curl() { command curl --fail-with-body --cacert "$CA" "$@"; }
licet() { if [ "$1" = report ]; then "$LICET_BINARY" "$@" --ca "$CA"; else "$LICET_BINARY" "$@"; fi; }
"""


def blocks(text):
    """Indented code, block by block, without the indentation."""
    out, block = [], []
    for line in [*text.splitlines(), "end"]:
        if re.match(r" {4,}", line):
            block.append(line)
        elif line.strip():
            if block:
                least = min(len(entry) - len(entry.lstrip()) for entry in block)
                out.append("\n".join(entry[least:] for entry in block))
            block = []
    return out


def page():
    return blocks((ROOT / "docs" / "finance.md").read_text())


def is_document(block):
    """What is no command: the prices, and the configuration."""
    return block.startswith(('"price"', "seller_name"))


class Finance(Context):
    def __init__(self):
        if shutil.which("jq") is None or shutil.which("curl") is None:
            raise Skip("jq or curl is not installed")
        super().__init__(with_redis=False)
        try:
            self.month, self.variables = books.month(1).strftime("%Y-%m"), {}
            self.stack.stop_node("eu")
            self.stack.write_config("eu", extra="\n[finance]\n" + next(block for block in page() if block.startswith("seller_name")) + "\n")
            self.stack.start_node("eu")
            lines = self.generator.lines("edits", "finance", 300, 0, self.generator.parse_start(self.generator.DEFAULT_START["edits"]))
            licet_demo.feed(self.client("wiki-feed"), PRODUCT, lines)
            got, _ = licet_demo.pull_all(self.client("berlin-lab"), PRODUCT)
            await_condition("usage in the ledger", lambda: self.sql("SELECT coalesce(sum(events), 0) FROM usage_billed") == str(len(got)), 60)
            books.move(self.sql, f"{self.month}-12")
            # A node that will not come back.
            self.stack.add_node("eu", "eu-2")
            self.stack.kill_node("eu-2")
            self.sql("UPDATE usage_nodes SET heard_at = heard_at - 120000, flushed_until = extract(epoch FROM date '%s-12') * 1000 WHERE node = 'eu-2'" % self.month)
            self.here = self.directory / "accountant"
            self.here.mkdir()
            (self.here / "admin.secret").write_text(self.stack.secret_file("bootstrap_admin_secret").read_text())
        except BaseException:
            self.stack.stop()
            raise

    def sql(self, text):
        return self.stack.psql(self.stack.database("eu"), text)

    def run(self, command):
        """With those variables only that the command names, and of the page as far as it was followed: what it does not set is an error."""
        next_year = datetime.date.today().year + 1
        for there, here in (("https://eu.licet.example", self.stack.url("eu")), ("2027-01", self.month), ("2027-08", f"{next_year}-08"), ('"newsroom"', f'"{PRODUCT}"')):
            command = command.replace(there, here)
        assert not ("$ADMIN" in command and "$FINANCE" in command), f"who is to run this? {command}"
        named = [name for name in self.variables if name == "LICET" or re.search(rf"\$\{{?{name}\b", command)]
        before = "".join(self.variables[name] + "\n" for name in named)
        done = subprocess.run(["bash", "-c", SHELL + before + command], cwd=self.here, capture_output=True, text=True, check=False, timeout=300,
                              env={**os.environ, "CA": str(self.stack.ca), "LICET_BINARY": str(pathlib.Path(self.stack.binary).resolve())})
        assert done.returncode == 0, f"{command}\n  ended with {done.returncode}: {done.stdout[-1000:]} {done.stderr[-1000:]}"
        if name := re.match(r"([A-Z]+)=", command):
            self.variables[name[1]] = command
        return done.stdout


@case
def the_price_of_the_page_is_taken(context):
    text = next(block for block in page() if '"priceChanges"' in block)
    price = json.loads("{" + text + "}")
    admin = context.client("admin")
    like = admin.get("/v1/admin/contracts/berlin-lab").json()
    wanted = {**{k: like[k] for k in ("party", "products", "purposes", "transferTools", "pseudonymScope")}, "state": "active", "validFrom": "2027-01-16T00:00:00Z", **price}
    admin.put("/v1/admin/contracts/finance-md", wanted)
    said = context.client("finance").get("/v1/admin/contracts/finance-md").json()
    equal((said["price"]["minimum"], [change["from"] for change in said["priceChanges"]]), ("150", ["2027-07-01"]), "the contract")


@case
def every_command_runs_as_it_stands(context):
    commands = [block for block in page() if not is_document(block)]
    said = {command: context.run(command) for command in commands}
    text = "\n".join(said.values())
    assert len(said) >= 13, f"only {len(said)} commands"
    assert '"state":"written-off"' in text.replace(" ", ""), text[-2000:]
    assert '"state":"closed"' in text.replace(" ", ""), text[-2000:]
    assert re.search(r"\d+ statements", text), "nothing was verified"
    assert '"licet/credit-note/1"' in text, "no credit note"
    assert re.search(r'"identical": ?true', text), "not rated again"
    left = {path.name for path in context.here.iterdir()}
    equal(left >= {"january.csv", f"{context.month}.ndjson", "statements.key", "treasurer.secret"}, True, f"files: {left}")
    equal((context.here / "treasurer.secret").stat().st_mode & 0o077, 0, "who else may read the secret")
    # What the page shows of answers is what they are, but for numbers and times.
    for command, answer in said.items():
        for shown in re.findall(r"^ *#  (\{.*\})$", command, re.M):
            shown, found = json.loads(shown), json.loads(answer)
            equal([(key, type(found[key])) for key in found], [(key, type(shown[key])) for key in shown], command)
            equal(found["closedBy"], shown["closedBy"], command)


@case
def the_contract_has_the_price_that_was_added(context):
    changes = context.client("finance").get("/v1/admin/contracts/berlin-lab").json()["priceChanges"]
    equal([(change["from"][4:], change["perEvent"]) for change in changes], [("-08-01", "0.0004")], "price changes")
    # Written back once more from what was read before, it is refused, and nothing is undone.
    again = next(block for block in page() if "-X PUT" in block)
    try:
        context.run(again)
    except AssertionError as refused:
        equal("precondition" in str(refused) or "412" in str(refused), True, str(refused))
    else:
        raise AssertionError("what was read before somebody's change was written over it")


@case
def the_seller_of_the_page_bills_with_its_tax(context):
    html = context.client("finance").get(f"/v1/finance/reports/invoice?period={context.month}&contract=berlin-lab").body.decode()
    equal(("Example Data GmbH" in html, "DE123456789" in html, "S 19%" in html, "not a tax invoice" in html), (True, True, True, False), "the invoice")


if __name__ == "__main__":
    sys.exit(main(Finance))
