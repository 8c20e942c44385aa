#!/usr/bin/python3
"""What finance takes away: every report in every form, read by programs that are not ours (Python's csv, zip and XML, Chromium, LibreOffice where it is), and the totals of all of
them compared; exports in the background across a kill of the node; `licet report`."""
import csv
import decimal
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import chromium  # noqa: E402
from harness import Context, Skip, case, equal, licet_demo, main  # noqa: E402
from licet_client import await_condition  # noqa: E402

EVENTS = 600
FORMULA = '=HYPERLINK("http://example.org","click")'
SHEETS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships"}


class ExportsContext(Context):
    def __init__(self):
        super().__init__(with_redis=False)
        self.finance = self.client("finance")
        admin = self.client("admin")
        party = admin.get("/v1/admin/parties/berlin-lab").json()
        admin.put("/v1/admin/parties/berlin-lab", {**{k: party[k] for k in ("country", "collections", "adequacySchemes")}, "title": FORMULA})
        start = self.generator.parse_start(self.generator.DEFAULT_START["newsroom"])
        lines = [self.generator.dump(self.generator.newsroom_event("exports", number, start)) for number in range(EVENTS)]
        self.client("dpo").post("/v1/admin/consents", "\n".join(self.generator.dump(c) for c in self.generator.newsroom_consents()), content_type="application/x-ndjson")
        licet_demo.feed(self.client("newsroom-desk"), "newsroom", lines)
        self.received, _ = licet_demo.pull_all(self.client("berlin-lab"), "newsroom")
        self.period = licet_demo.current_period(self.stack)

        def counted():
            usage = self.finance.get(f"/v1/finance/usage?period={self.period}&group=contract&format=json").json()
            return next((line for line in usage["lines"] if line["contract"] == "berlin-lab" and line["events"] == len(self.received)), None)
        self.usage = await_condition("the usage of what was received", counted)
        self.total = decimal.Decimal(self.usage["amount"])

    def report(self, name, **query):
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return self.finance.get(f"/v1/finance/reports/{name}?period={self.period}&{text}")

    def rows(self, name, **query):
        return strict_csv(self.report(name, **query).body)

    def cli(self, out, *arguments):
        return subprocess.run([self.stack.binary, "report", "--server", self.stack.url("eu"), "--ca", str(self.stack.ca), "--client", "finance", "--secret-file",
                               str(self.stack.client_secret_file("finance")), "--period", self.period, "--out", str(out), *arguments],
                              capture_output=True, text=True, timeout=300, check=False)

    def ended(self, export):
        def done():
            said = self.finance.get(f"/v1/finance/exports/{export}").json()
            return said if said["state"] in ("done", "failed") else None
        return await_condition("the end of the export", done, 120)


def strict_csv(body):
    text = body.decode("utf-8")
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", ""), "a line does not end in CRLF"
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1, "rows of different widths"
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def total_of(rows, contract=None, column="amount"):
    return sum((decimal.Decimal(row[column]) for row in rows if contract is None or row["contract"] == contract), decimal.Decimal(0))


def workbook(body):
    """name -> rows of (kind, value) as they are in the file: s text, n number, d date, f formula with its value."""
    archive = zipfile.ZipFile(io.BytesIO(body))
    equal(archive.testzip(), None, "the archive")
    read = lambda name: xml.etree.ElementTree.fromstring(archive.read(name))  # noqa: E731
    targets = {r.get("Id"): r.get("Target") for r in read("xl/_rels/workbook.xml.rels")}
    dates = [i for i, x in enumerate(read("xl/styles.xml").find("m:cellXfs", SHEETS)) if int(x.get("numFmtId")) >= 164]
    formats = {f.get("numFmtId"): f.get("formatCode") for f in read("xl/styles.xml").iterfind("m:numFmts/m:numFmt", SHEETS)}
    styles = [formats.get(x.get("numFmtId"), "") for x in read("xl/styles.xml").find("m:cellXfs", SHEETS)]
    assert dates, "no cell has a format of its own"
    out, views = {}, {}
    for sheet in read("xl/workbook.xml").iterfind("m:sheets/m:sheet", SHEETS):
        document = read("xl/" + targets[sheet.get("{%s}id" % SHEETS["r"])])
        views[sheet.get("name")] = (document.find(".//m:pane[@state='frozen']", SHEETS) is not None, document.find("m:autoFilter", SHEETS) is not None)
        rows = []
        for row in document.iterfind("m:sheetData/m:row", SHEETS):
            cells = {}
            for cell in row:
                column = re.match("[A-Z]+", cell.get("r")).group()
                value = cell.find("m:v", SHEETS)
                if cell.get("t") == "inlineStr":
                    cells[column] = ("s", "".join(cell.find("m:is", SHEETS).itertext()))
                elif cell.find("m:f", SHEETS) is not None:
                    cells[column] = ("f", value.text, cell.find("m:f", SHEETS).text)
                else:
                    cells[column] = ("d" if "yyyy" in styles[int(cell.get("s", 0))] else "n", value.text)
            rows.append(cells)
        out[sheet.get("name")] = rows
    return out, views


@case
def lines_say_what_was_received(context):
    rows = context.rows("lines")
    mine = [row for row in rows if row["contract"] == "berlin-lab"]
    equal(sum(int(row["events"]) for row in mine if row["kind"] == "usage"), len(context.received), "events")
    equal(total_of(mine), context.total, "the total")
    equal({row["status"] for row in rows}, {"open"}, "status")
    assert all(re.fullmatch(r"-?\d+\.\d\d", row["amount"]) for row in mine), "an amount is not plain"


@case
def every_grouping_has_the_same_total(context):
    expected = total_of(context.rows("lines"))
    for group in ("contract", "product", "view", "purpose", "jurisdiction", "region", "day", "contract,day", "product,region,day", "contract,product,view,purpose,jurisdiction,region,day"):
        equal(total_of(context.rows("lines", group=group)), expected, f"total by {group}")
        document = context.report("lines", group=group, format="json").json()
        equal(sum(decimal.Decimal(t["amount"]) for t in document["totals"]), expected, f"JSON total by {group}")


@case
def focus_is_complete(context):
    rows = context.rows("cost-and-usage")
    mine = [row for row in rows if row["SubAccountId"] == "berlin-lab"]
    equal(total_of(mine, column="BilledCost"), context.total, "BilledCost")
    equal({row["BillingAccountName"] for row in mine}, {"'" + FORMULA}, "a title that is a formula")
    assert not any("E" in row["BilledCost"] or "e" in row["BilledCost"] for row in rows), "exponent notation"
    details = context.rows("invoice-detail")
    equal(total_of([row for row in details if row["x_Contract"] == "berlin-lab"], column="BilledCost"), context.total, "InvoiceDetail")
    period = context.rows("billing-period")
    equal([row["BillingPeriodStatus"] for row in period], ["Open"], "BillingPeriod")


@case
def the_workbook_holds_typed_cells_and_totals_that_agree(context):
    body = context.report("lines", format="xlsx").body
    sheets, views = workbook(body)
    equal(list(sheets), ["Summary", "Lines", "Usage by day", "Corrections", "Reconciliation", "Signature"], "sheets")
    equal(set(views.values()), {(True, True)}, "frozen headers and filters")
    lines = [row for row in sheets["Lines"][1:] if row["A"] == ("s", "berlin-lab")]
    equal(sum(int(row["K"][1]) for row in lines if row["D"][1] == "usage"), len(context.received), "events")
    assert all(row["O"][0] == "n" and row["N"][0] == "s" for row in lines), "amounts are not numbers"
    assert all(row["G"][0] == "d" for row in lines if "G" in row), "days are not dates"
    equal(sum(decimal.Decimal(row["O"][1]) for row in lines).quantize(decimal.Decimal("0.01")), context.total, "the sum of the lines")
    summary = next(row for row in sheets["Summary"] if row["A"] == ("s", "berlin-lab"))
    equal((summary["C"], decimal.Decimal(summary["K"][1]).quantize(decimal.Decimal("0.01"))), (("s", FORMULA), context.total), "the summary")
    totals = [row for row in sheets["Summary"] if row["A"][1].startswith("Total of lines")]
    everything = total_of(context.rows("lines"))
    for row in totals:
        equal((row["K"][0], row["L"][0], row["K"][1]), ("f", "f", row["L"][1]), "totals are formulas that agree")
    equal(sum(decimal.Decimal(row["L"][1]) for row in totals), everything, "the totals")


@case
def libreoffice_comes_to_the_same(context):
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        raise Skip("LibreOffice is not installed")
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory) / "lines.xlsx"
        file.write_bytes(context.report("lines", format="xlsx").body)
        # Every sheet, calculated anew, as the numbers are shown.
        subprocess.run([office, f"-env:UserInstallation=file://{directory}/profile", "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1",
                        "--outdir", directory, str(file)], check=True, capture_output=True, timeout=180)
        read = lambda name: list(csv.reader((pathlib.Path(directory) / f"lines-{name}.csv").open(encoding="utf-8", newline=""), strict=True))  # noqa: E731
        everything = total_of(context.rows("lines"))
        totals = [row for row in read("Summary") if row[0].startswith("Total of lines")]
        number = lambda text: decimal.Decimal(text.replace(",", ""))  # noqa: E731
        equal((sum(number(row[10]) for row in totals), sum(number(row[11]) for row in totals)), (everything, everything), "totals as LibreOffice has them")
        assert any(row[2] == FORMULA for row in read("Summary")), "the title became something else"


@case
def an_invoice_can_be_printed(context):
    html = context.report("invoice", contract="berlin-lab").body.decode()
    assert "DRAFT" in html and "not a tax invoice" in html, "a draft does not say so"
    equal(re.search(r'data-term="BT-115">([^<]*)<', html).group(1), str(context.total), "the amount due")
    browser = chromium.find()
    if browser is None:
        raise Skip("Chromium is not installed")
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "invoice.html").write_text(html)
        pdf = pathlib.Path(directory) / "invoice.pdf"
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={directory}/profile", f"--print-to-pdf={pdf}", f"file://{directory}/invoice.html"],
                       check=True, capture_output=True, timeout=120)
        assert pdf.read_bytes().startswith(b"%PDF-") and pdf.stat().st_size > 5000, "no PDF"


@case
def the_reconciliation_is_to_the_event(context):
    said = context.report("reconciliation").json()
    equal(said["reconciled"], True, "reconciled")
    mine = next(c for c in said["contracts"] if c["contract"] == "berlin-lab")
    equal(mine["delivered"]["events"], mine["billed"]["events"] + mine["unbilled"]["events"], "the books")
    equal((mine["billed"]["events"], mine["lines"]["events"], mine["sumOfLines"]), (len(context.received), len(context.received), str(context.total)), "the lines")
    assert "berlin-lab" in context.report("reconciliation", format="html").body.decode(), "the page lacks the contract"


@case
def exports_in_the_background_are_the_same_and_can_be_fetched_in_parts(context):
    direct = context.report("lines").body
    started = context.finance.post("/v1/finance/exports", {"report": "lines", "period": context.period})
    equal(started.status, 202, "status")
    export = started.json()["id"]
    equal(started.headers["Location"], f"/v1/finance/exports/{export}", "Location")
    said = context.ended(export)
    equal((said["state"], said["bytes"], said["client"]), ("done", len(direct), "finance"), "the export")
    whole = context.finance.get(said["content"])
    equal(whole.body, direct, "the content")
    assert f'filename="licet-{context.period}-lines.csv"' in whole.headers["Content-Disposition"], "no name to save it under"
    part = context.finance.get(said["content"], headers={"Range": "bytes=100-199", "If-Range": whole.headers["ETag"]})
    equal((part.status, part.body, part.headers["Content-Range"]), (206, direct[100:200], f"bytes 100-199/{len(direct)}"), "a part")
    rest = context.finance.get(said["content"], headers={"Range": "bytes=100-"})
    equal(rest.body, direct[100:], "the rest")
    equal(context.finance.get(said["content"], headers={"Range": "bytes=100-", "If-Range": '"other"'}).status, 200, "of another file")
    head = context.finance.request("HEAD", said["content"])
    equal((head.headers["Content-Length"], head.body), (str(len(direct)), b""), "HEAD")
    for client, status in (("admin", 403), ("berlin-lab", 403)):
        for method, path in (("GET", said["content"]), ("GET", f"/v1/finance/exports/{export}"), ("DELETE", f"/v1/finance/exports/{export}")):
            equal(context.client(client).request(method, path, accept_status=(403,)).status, status, f"{client} {method} {path}")
    equal(context.finance.request("DELETE", f"/v1/finance/exports/{export}").status, 200, "removal")
    equal(context.finance.request("GET", said["content"], accept_status=(404,)).status, 404, "after removal")


@case
def what_cannot_be_is_refused(context):
    for path in ("lines?period=2026-13", "lines?period=x", f"lines?period={context.period}&group=colour", f"lines?period={context.period}&format=html",
                 f"invoice?period={context.period}&group=day"):
        equal(context.finance.get("/v1/finance/reports/" + path, accept_status=(400,)).status, 400, path)
    for path, status in ((f"everything?period={context.period}", 404), (f"lines?period={context.period}&contract=nobody", 404)):
        equal(context.finance.get("/v1/finance/reports/" + path, accept_status=(404,)).status, status, path)
    for body in ({"report": "lines"}, {"report": "lines", "period": context.period, "group": ["colour"]}, {"report": "lines", "period": context.period, "x": 1},
                 {"report": 1, "period": context.period}, []):
        equal(context.finance.post("/v1/finance/exports", body, accept_status=(422,)).status, 422, json.dumps(body))


@case
def the_command_fetches_reports(context):
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "report"
        for form, read in (("csv", lambda body: total_of(strict_csv(body), "berlin-lab")), ("focus", lambda body: total_of([r for r in strict_csv(body) if r["SubAccountId"] == "berlin-lab"], column="BilledCost")),
                           ("json", lambda body: sum(decimal.Decimal(line["amount"]) for line in json.loads(body)["lines"] if line["contract"] == "berlin-lab")),
                           ("xlsx", lambda body: decimal.Decimal(next(r for r in workbook(body)[0]["Summary"] if r["A"] == ("s", "berlin-lab"))["K"][1]).quantize(decimal.Decimal("0.01"))),
                           ("invoice", lambda body: decimal.Decimal(re.search(r'data-term="BT-115">([^<]*)<', body.decode()).group(1)))):
            arguments = ["--format", form] + (["--contract", "berlin-lab"] if form == "invoice" else [])
            done = context.cli(out, *arguments)
            equal((done.returncode, done.stdout), (0, ""), f"licet report {form}: {done.stderr}")
            equal(read(out.read_bytes()), context.total, form)
            equal(sorted(p.name for p in pathlib.Path(directory).iterdir()), ["report"], "what is left behind")
        grouped = context.cli(out, "--group", "contract,day")
        equal((grouped.returncode, total_of(strict_csv(out.read_bytes()), "berlin-lab")), (0, context.total), "grouped")
        wrong = context.cli(out, "--contract", "nobody")
        assert wrong.returncode == 1 and "no account" in wrong.stderr, wrong.stderr


@case
def what_a_kill_left_is_gone_on_with(context):
    export = context.finance.post("/v1/finance/exports", {"report": "lines", "format": "json", "period": context.period}).json()["id"]
    context.stack.kill_node("eu")
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "report"
        out.with_name("report.report").write_text(json.dumps({"id": export, "server": context.stack.url("eu"), "wanted": {"report": "lines", "format": "json", "period": context.period}}))
        context.stack.launch("eu")
        done = context.cli(out, "--format", "json", "--resume")
        equal(done.returncode, 0, done.stderr)
        equal(sum(decimal.Decimal(line["amount"]) for line in json.loads(out.read_bytes())["lines"] if line["contract"] == "berlin-lab"), context.total, "the total")
    equal(context.finance.get(f"/v1/finance/exports/{export}").json()["state"], "done", "the export")


if __name__ == "__main__":
    sys.exit(main(ExportsContext))
