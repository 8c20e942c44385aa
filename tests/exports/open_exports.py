#!/usr/bin/python3
"""Every export, opened by programs that are not ours: CSV by a strict reader and by LibreOffice, workbooks by LibreOffice with every formula calculated anew, FOCUS by the validator of
the FinOps Foundation and by the published 1.4 model, invoices and the reconciliation page by an HTML5 parser and by Chromium, which prints them. And all of them come to the same.

    LICET_BINARY=build/release/licet tests/exports/open_exports.py [--strict] [--events N] [--tools DIR] [--focus DIR] [--keep DIR]

--tools (or LICET_EXPORT_TOOLS): a virtual environment with focus-validator and html5lib (README.md). --focus (or LICET_FOCUS): the folder of the published 1.4 model.
What is not installed is skipped, and said; with --strict it fails. --keep: where the exports are left for a look.
"""
import argparse
import csv
import decimal
import io
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import books  # noqa: E402
import focus_rules  # noqa: E402
import office  # noqa: E402
import chromium  # noqa: E402  (tests/support, by books)
from harness import Skip, case, equal, main  # noqa: E402

D = decimal.Decimal
STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
HTML_PARSER = """
import html5lib, json, sys
tree = html5lib.HTMLParser(strict=True, tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False).parse(sys.stdin.buffer.read(), transport_encoding="utf-8")
def terms(element): return {c.get("data-term"): "".join(c.itertext()) for c in element.iter("td") if c.get("data-term")}
print(json.dumps({"tags": sorted({e.tag for e in tree.iter() if isinstance(e.tag, str)}),
                  "sections": [{"text": " ".join("".join(s.itertext()).split()), "terms": terms(s)} for s in tree.iter("section")],
                  "rows": [["".join(c.itertext()) for c in r] for r in tree.iter("tr")]}))
"""
# Columns that the validator's newest version, for FOCUS 1.0, wants and a file of FOCUS 1.4 need not have, and why. Anything else it finds is a defect.
NO_UNITS = "conditional: where unit prices are published; a price here has tiers, packages and several quantities"
NO_COMMITMENTS = "conditional: where commitments are sold as discounts"
NO_RESOURCES = "conditional: where there are resources"
NEWER = {
    "InvoiceIssuer": "is InvoiceIssuerName",
    "Provider": "is ServiceProviderName since 1.3",
    "Publisher": "is not in 1.4; HostProviderName says what of it remains",
    "ResourceID": NO_RESOURCES, "ResourceName": NO_RESOURCES, "ResourceType": NO_RESOURCES,
    "SkuId": NO_UNITS, "SkuPriceId": NO_UNITS, "ListUnitPrice": NO_UNITS, "ContractedUnitPrice": NO_UNITS,
    "PricingCategory": "conditional: where there is more than one",
    "CommitmentDiscountCategory": NO_COMMITMENTS, "CommitmentDiscountId": NO_COMMITMENTS, "CommitmentDiscountName": NO_COMMITMENTS,
    "CommitmentDiscountStatus": NO_COMMITMENTS, "CommitmentDiscountType": NO_COMMITMENTS,
    "Tags": "conditional: where there are tags",
}


class Arguments:
    pass


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--events", type=int, default=60)
    parser.add_argument("--tools", default=os.environ.get("LICET_EXPORT_TOOLS"))
    parser.add_argument("--focus", default=os.environ.get("LICET_FOCUS"))
    parser.add_argument("--keep")
    parser.parse_args(namespace=Arguments)


def lacking(what):
    if Arguments.strict:
        raise AssertionError(f"{what}, and this run is strict")
    raise Skip(what)


def tool(name):
    path = pathlib.Path(Arguments.tools or "/nonexistent") / "bin" / name
    if not path.exists():
        lacking(f"no {name} in --tools {Arguments.tools}" if Arguments.tools else "no --tools: neither focus-validator nor html5lib")
    return str(path)


class Exports(books.Books):
    """The books, and every export of every month, made once."""

    def __init__(self):
        super().__init__(Arguments.events)
        self.work = tempfile.TemporaryDirectory()
        self.made = {}
        for month in self.months:
            for name, form in (("lines", "csv"), ("lines", "json"), ("lines", "xlsx"), ("cost-and-usage", "csv"), ("invoice-detail", "csv"), ("billing-period", "csv"),
                               ("invoice", "html"), ("reconciliation", "html"), ("reconciliation", "json")):
                self.made[month, name, form] = self.report(name, month, format=form)
            for group in ("contract", "contract,day", "product,view,purpose,jurisdiction,region"):
                self.made[month, f"lines-{group}", "csv"] = self.report("lines", month, group=group)
                self.made[month, f"lines-{group}", "json"] = self.report("lines", month, group=group, format="json")
        if Arguments.keep:
            pathlib.Path(Arguments.keep).mkdir(parents=True, exist_ok=True)
            for (month, name, form), body in self.made.items():
                (pathlib.Path(Arguments.keep) / f"{month}-{name}.{form}").write_bytes(body)
        # What was signed, as the statements say it themselves.
        self.signed = {}
        for month in (self.closed, self.corrected):
            for text in self.finance.get(f"/v1/finance/statements?period={month}").body.splitlines():
                document = json.loads(text)
                if document["kind"] == "licet/statement/1":
                    self.signed[month, document["contract"]] = document
        self.totals = {key: D(document["total"]) for key, document in self.signed.items()}
        for account in json.loads(self.made[self.draft, "lines", "json"])["accounts"]:
            self.totals[self.draft, account["contract"]] = D(account["total"])

    def close(self, keep):
        self.work.cleanup()
        return super().close(keep)

    def of(self, month):
        return {contract: total for (period, contract), total in self.totals.items() if period == month}

    def rows(self, month, name):
        return [row for row in strict_csv(self.made[month, name, "csv"])[1]]

    def all(self, form):
        return [(f"{month} {name}.{kind}", body) for (month, name, kind), body in self.made.items() if kind == form]


def strict_csv(body):
    """Header and rows. RFC 4180 to the byte: UTF-8 without a mark, CRLF behind every record and nowhere else outside of quotes, quotes around a cell whole and doubled within."""
    assert not body.startswith(b"\xef\xbb\xbf"), "a byte order mark"
    text = body.decode("utf-8")
    assert text.endswith("\r\n"), "the last record does not end in CRLF"
    cell = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
    record = re.compile(cell + "(?:," + cell + ")*\r\n")
    at = 0
    while at < len(text):
        found = record.match(text, at)
        assert found, f"no record of RFC 4180 at {at}: {text[at:at + 80]!r}"
        at = found.end()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1, f"rows of {sorted({len(row) for row in rows})} cells"
    assert len(set(rows[0])) == len(rows[0]), "a column twice"
    return rows[0], [dict(zip(rows[0], row)) for row in rows[1:]]


def unled(cell):
    """Before it was led by an apostrophe."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'")[:1] in tuple(STARTS) else cell


def by_contract(rows, contract, amount):
    out = {}
    for row in rows:
        out[row[contract]] = out.get(row[contract], D(0)) + D(row[amount])
    return out


def too_long(amount):
    """For a number of a spreadsheet, which has 15 digits: we write it as text."""
    return len(str(abs(D(amount))).replace(".", "").lstrip("0")) > 15


def number(cell, wanted):
    """A cell's number, or the text of one that is too long for a spreadsheet. What a program reckoned in binary is the wanted amount when it is its double, or the one beside it, and so the
    amount itself once it is rounded to the currency's digits."""
    wanted = D(wanted)
    if cell.kind == "string" and too_long(wanted):
        return D(cell.text)
    assert cell.kind in ("float", "currency"), f"no number but {cell.kind}: {cell.text!r}"
    value = float(cell.value)
    near = abs(value - float(wanted)) <= math.ulp(float(wanted)) and D(value).quantize(wanted, decimal.ROUND_HALF_UP) == wanted
    return wanted if near else D(cell.value)


def fifteen(amount):
    """As a spreadsheet that reads it from a CSV has it."""
    return decimal.Context(prec=15).create_decimal(amount)


def strict_json(body):
    def never(text):
        raise ValueError(f"{text} is not JSON")
    return json.loads(body.decode("utf-8"), object_pairs_hook=focus_rules.no_name_twice, parse_constant=never)


@case
def the_books_have_what_they_are_to_have(x):
    equal({document["currency"] for document in x.signed.values()}, {"EUR", "JPY", "KWD", "USD"}, "currencies")
    equal(len(x.signed), 2 * len(books.CONTRACTS), "statements")
    kinds = {month: {row["kind"] for row in x.rows(month, "lines")} for month in x.months}
    equal(kinds[x.closed] >= {"usage", "discount", "cap", "minimum"}, True, f"kinds {kinds[x.closed]}")
    equal(("correction" in kinds[x.closed], "correction" in kinds[x.corrected], "correction" in kinds[x.draft]), (False, True, True), "corrections")
    reasons = [row["reason"] for row in x.rows(x.corrected, "lines")]
    for reason in books.REASONS:
        assert any(text.endswith(reason) for text in reasons), f"no correction for {reason!r}: {reasons}"
    equal(x.signed[x.corrected, "plus"]["books"]["replayed"]["events"], x.replayed[0], "paid replays")
    assert any(row["charge_period"] == x.closed and int(row["events"]) > 0 for row in x.rows(x.corrected, "lines")), "no late usage"
    assert x.of(x.draft)["formula"] < 0, "no account below zero"
    for title in ("\t=1", "\r\n=1", "a\x00"):
        body = {"collections": [], "adequacySchemes": [], "country": "DE", "title": title}
        equal(x.admin.put("/v1/admin/parties/control", body, accept_status=(422,)).status, 422, f"title {title!r}")


@case
def csv_is_read_by_a_strict_reader(x):
    for what, body in x.all("csv"):
        try:
            header, rows = strict_csv(body)
        except (AssertionError, csv.Error, UnicodeDecodeError) as e:
            raise AssertionError(f"{what}: {e}") from e
        assert rows, f"{what} is empty"
        for row in rows:
            for name, cell in row.items():
                number = re.fullmatch(r"-?\d+(\.\d+)?", cell)
                assert number or not cell.startswith(tuple(STARTS)), f"{what}: {name} begins with {cell[:1]!r}"
        if "lines" in what.split()[1]:
            for row in rows:
                assert re.fullmatch(r"-?\d+(\.\d+)?", row["amount"]), f"{what}: amount {row['amount']!r}"


@case
def what_was_led_by_an_apostrophe_can_be_told_from_what_was_not(x):
    for month in x.months:
        names = {row["SubAccountId"]: unled(row["BillingAccountName"]) for row in x.rows(month, "cost-and-usage")}
        equal(names, {name: books.TITLES[name] for name in names}, f"{month}: names")
        equal({unled(row["InvoiceIssuerName"]) for row in x.rows(month, "billing-period")}, {books.SELLER}, "seller")
        equal({unled(row["PaymentTerms"]) for row in x.rows(month, "invoice-detail")}, {books.TERMS}, "payment terms")


@case
def json_is_read_by_a_strict_reader(x):
    for what, body in x.all("json"):
        document = strict_json(body)
        if "totals" in document:
            sums = {}
            for line in document["lines"]:
                sums[line["currency"]] = sums.get(line["currency"], D(0)) + D(line["amount"])
            equal({t["currency"]: D(t["amount"]) for t in document["totals"]}, sums, f"{what}: totals")
            equal({a["contract"]: a["partyTitle"] for a in document["accounts"]}, {a["contract"]: books.TITLES[a["contract"]] for a in document["accounts"]}, f"{what}: titles")


@case
def every_export_comes_to_what_was_signed(x):
    for month in x.months:
        expected = x.of(month)
        for report, contract, amount in (("lines", "contract", "amount"), ("lines-contract", "contract", "amount"), ("lines-contract,day", "contract", "amount"),
                                         ("cost-and-usage", "SubAccountId", "BilledCost"), ("invoice-detail", "x_Contract", "BilledCost")):
            equal(by_contract(x.rows(month, report), contract, amount), expected, f"{month} {report}")
        equal({c["contract"]: D(c["sumOfLines"]) for c in strict_json(x.made[month, "reconciliation", "json"])["contracts"]}, expected, f"{month} reconciliation")
        equal(sum(D(row["amount"]) for row in x.rows(month, "lines-product,view,purpose,jurisdiction,region")), sum(expected.values()), f"{month} by other things")


@case
def delivered_is_billed_and_unbilled_to_the_event(x):
    billed = {}
    for month in x.months:
        said = strict_json(x.made[month, "reconciliation", "json"])
        equal(said["reconciled"], True, f"{month}: {json.dumps(said)}")
        lines = {}
        for row in x.rows(month, "lines"):
            lines[row["contract"]] = lines.get(row["contract"], 0) + int(row["events"])
        for c in said["contracts"]:
            equal(c["delivered"]["events"], c["billed"]["events"] + c["unbilled"]["events"], f"{month} {c['contract']}")
            equal(lines[c["contract"]], c["billed"]["events"] + c["replayed"]["events"], f"{month} {c['contract']}: events of lines")
            billed[c["contract"]] = billed.get(c["contract"], 0) + c["billed"]["events"]
    equal(billed, x.received, "what the partners counted, over all months")


@case
def focus_1_4_is_as_the_published_model_has_it(x):
    if not Arguments.focus or not pathlib.Path(Arguments.focus).exists():
        lacking("no --focus: the published model is not here")
    model = focus_rules.load_model(Arguments.focus)
    found = []
    for month in x.months:
        for report in focus_rules.DATASETS:
            header, rows = strict_csv(x.made[month, report, "csv"])
            found += [f"{month} {report}: {problem}" for problem in focus_rules.problems(report, header, rows, model)]
        assert focus_rules.details_agree(x.rows(month, "cost-and-usage"), x.rows(month, "invoice-detail")), f"{month}: details differ from usage"
        equal([row["BillingPeriodStatus"] for row in x.rows(month, "billing-period")], ["Open" if month == x.draft else "Closed"], month)
    assert not found, "\n  ".join(["FOCUS 1.4:"] + found)


@case
def the_focus_validator_finds_nothing_but_what_newer_versions_changed(x):
    validator = tool("focus-validator")
    known = subprocess.run([validator, "--supported-versions"], capture_output=True, text=True, check=True).stdout.split()
    newest = max((v for v in known if re.fullmatch(r"[\d.]+", v)), key=lambda v: [int(part) for part in v.split(".")])
    print(f"     focus-validator knows {', '.join(known)}; validated with {newest}")
    # It looks for its list of currencies below the directory it is started in.
    (currencies,) = pathlib.Path(Arguments.tools).glob("lib/python3*/site-packages")
    excused, failed = set(), []
    for month in x.months:
        file, out = pathlib.Path(x.work.name) / "focus.csv", pathlib.Path(x.work.name) / "focus.xml"
        file.write_bytes(x.made[month, "cost-and-usage", "csv"])
        out.unlink(missing_ok=True)
        done = subprocess.run([validator, "--data-file", str(file), "--validate-version", newest, "--output-type", "unittest", "--output-destination", str(out)],
                              capture_output=True, text=True, check=False, cwd=currencies)
        assert out.exists(), f"the validator ended with {done.returncode}: {done.stderr[-2000:]}"
        passed = 0
        for suite in ElementTree.parse(out).getroot():
            for test in suite:
                bad = [e for e in test if e.tag in ("failure", "error")]
                passed += not bad and test.find("skipped") is None
                rule, _, column = suite.get("name").rpartition("-")
                if bad and column in NEWER and rule == f"{column}_Required" and newest == "1.0":
                    excused.add(column)
                elif bad:
                    failed.append(f"{month} {suite.get('name')} {test.get('name')}: {bad[0].get('message')}")
        assert passed > 50, f"the validator checked only {passed} things"
    model = focus_rules.load_model(Arguments.focus)["datasets"]["Cost and Usage"]["columns"] if Arguments.focus else {}
    for column in sorted(excused):
        print(f"     of {newest}, not of 1.4: {column}: {NEWER[column]}")
        now = model.get("ResourceId" if column == "ResourceID" else column)
        assert now is None or now["feature_level"] == "Conditional", f"{column} is {now['feature_level']} in 1.4"
    assert not failed, "\n  ".join(["the validator:"] + failed)


def opened(x):
    if office.find() is None:
        lacking("LibreOffice is not installed")


@case
def libreoffice_calculates_every_formula_of_a_workbook_to_our_value(x):
    opened(x)
    for month in x.months:
        body = x.made[month, "lines", "xlsx"]
        written = office.formulas(body)
        sheets = office.sheets(office.convert(x.work.name, "book.xlsx", office.without_values(body), "fods"))
        equal(list(sheets), ["Summary", "Lines", "Usage by day", "Corrections", "Reconciliation", "Signature"], f"{month}: sheets")
        count = 0
        for name, rows in sheets.items():
            calculated = {office.reference(r, c): cell for r, row in enumerate(rows) for c, cell in enumerate(row) if cell.formula}
            equal(sorted(calculated), sorted(written[name]), f"{month} {name}: cells with formulas")
            for at, cell in calculated.items():
                formula, value = written[name][at]
                equal(number(cell, value), D(value), f"{month} {name}!{at} {formula}")
                count += 1
            for row in rows:
                for cell in row:
                    assert cell.kind != "error" and not re.match(r"#(REF|NAME|VALUE|DIV|N/A|NUM)|Err:\d", cell.text), f"{month} {name}: {cell.text}"
        assert count >= 5 * len(x.of(month)), f"only {count} formulas"
        check_workbook(x, month, sheets)


def check_workbook(x, month, sheets):
    expected = x.of(month)
    summary = {row[0].value: row for row in sheets["Summary"][1:] if row[0].value in expected}
    equal(sorted(summary), sorted(expected), f"{month}: contracts")
    equal({name: number(row[10], expected[name]) for name, row in summary.items()}, expected, f"{month}: totals")
    equal({name: (number(row[11], expected[name]), number(row[12], 0)) for name, row in summary.items()}, {name: (total, D(0)) for name, total in expected.items()}, f"{month}: sums of lines")
    equal({name: books.plain(row[2].text) for name, row in summary.items()}, {name: books.plain(books.TITLES[name]) for name in expected}, f"{month}: titles")
    by_currency = {}
    for row in x.rows(month, "lines"):
        by_currency[row["currency"]] = by_currency.get(row["currency"], D(0)) + D(row["amount"])
    totals = {row[6].text: tuple(number(cell, by_currency[row[6].text]) for cell in row[10:12]) for row in sheets["Summary"] if row[0].text.startswith("Total of lines")}
    equal(totals, {currency: (amount, amount) for currency, amount in by_currency.items()}, f"{month}: totals by currency")
    reconciliation = sheets["Reconciliation"]
    equal({row[0].text for row in reconciliation[1:]}, set(expected), f"{month}: reconciliation")
    for row in reconciliation[1:]:
        equal([number(row[column], 0) for column in (5, 10, 15)], [D(0)] * 3, f"{month} {row[0].text}: differences")
    lines = sheets["Lines"][1:]
    equal(len(lines), len(x.rows(month, "lines")), f"{month}: lines")
    for row, said in zip(lines, x.rows(month, "lines")):
        equal((row[14].kind, number(row[14], said["amount"])), ("string" if too_long(said["amount"]) else "float", D(said["amount"])), f"{month} {row[0].text} line {row[2].text}: amount")
    equal({row[6].kind for row in lines if row[3].text == "usage"}, {"date"}, f"{month}: days are dates")
    corrections = [row for row in x.rows(month, "lines") if row["kind"] == "correction"]
    equal(sorted(row[16].text for row in sheets["Corrections"][1:]), sorted(unled(row["reason"]) for row in corrections), f"{month}: corrections")
    signed = {row[0].text: row[6].text for row in sheets["Signature"][1:] if len(row) > 6}
    equal(signed, {contract: x.signed[month, contract]["hash"] for contract in expected if (month, contract) in x.signed}, f"{month}: signatures")


@case
def libreoffice_prints_a_workbook(x):
    opened(x)
    pdf = office.convert(x.work.name, "book.xlsx", x.made[x.corrected, "lines", "xlsx"], "pdf")
    assert pdf.startswith(b"%PDF-") and pages(pdf) >= 6, f"{pages(pdf)} pages"


@case
def libreoffice_runs_nothing_of_a_csv(x):
    opened(x)
    control = office.sheets(office.convert(x.work.name, "control.csv", b"a,b\r\n=1+1,2\r\n", "fods", office.CSV_IMPORT))
    if not any(cell.formula for rows in control.values() for row in rows for cell in row):
        lacking("this LibreOffice evaluates no formula of a CSV")
    for report in ("lines", "cost-and-usage", "invoice-detail", "billing-period"):
        for month in x.months:
            header, rows = strict_csv(x.made[month, report, "csv"])
            (sheet,) = office.sheets(office.convert(x.work.name, "export.csv", x.made[month, report, "csv"], "fods", office.CSV_IMPORT)).values()
            equal([cell.formula for row in sheet for cell in row if cell.formula], [], f"{month} {report}: formulas")
            equal((len(sheet), [cell.text for cell in sheet[0]]), (len(rows) + 1, header), f"{month} {report}: rows and header")
            amount = header.index("amount" if report == "lines" else "BilledCost") if report != "billing-period" else None
            if amount is not None:
                amounts = [fifteen(row[header[amount]]) for row in rows]
                equal([number(row[amount], wanted) for row, wanted in zip(sheet[1:], amounts)], amounts, f"{month} {report}: amounts")


def parsed(body):
    done = subprocess.run([tool("python"), "-c", HTML_PARSER], input=body, capture_output=True, check=False)
    assert done.returncode == 0, f"not HTML5: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}"
    return json.loads(done.stdout)


def check_paper(x, month, contract, text, terms):
    """An invoice, or, when all comes to less than nothing, a credit note with the amounts the other way round; the tax and the seller are those that were configured, and those that were signed."""
    total, what = x.totals[month, contract], f"{month} {contract}"
    credit = total < 0
    equal(("Credit note" in text, "type 381" in text, "type 380" in text, "Amount credited" in text, "Preceding invoice" in text or not credit), (credit, credit, not credit, credit, True), what)
    equal((terms["BT-109"], terms["BT-115"]), (abs(total), terms["BT-112"]), f"{what}: net, and what is due")
    assert min(terms["BT-107"], terms["BT-108"], terms["BT-110"], terms["BT-115"]) >= 0, f"{what}: below zero: {terms}"
    category, rate, missing = books.TAXES[contract]
    equal("this is not a tax invoice" in text, missing is not None, f"{what}: a tax invoice")
    if missing:
        assert missing in text, f"{what}: it does not say {missing!r}"
    else:
        equal((f"{category} {rate}%" if rate is not None else f"{category}: ") in text, True, f"{what}: {category}")
    tax = (terms["BT-109"] * D(rate or 0) / 100).quantize(total, decimal.ROUND_HALF_UP)
    equal(terms["BT-110"], D(0) if missing else tax, f"{what}: tax")
    # Where nothing is subject to VAT no identifier is printed (BR-O-02).
    equal(("DE123456789" in text, books.plain(books.SELLER) in text), (category != "O", True), f"{what}: the seller")
    if (month, contract) in x.signed:
        signed = x.signed[month, contract]
        equal({(t["chargePeriod"], t.get("category"), t.get("rate")) for t in signed["tax"] if t["chargePeriod"] == month}, {(month, category, None if category is None else str(rate or 0))},
              f"{what}: the tax that was signed")
        equal((signed["issuer"]["name"], signed["issuer"]["vatId"]), (books.SELLER, "DE123456789"), f"{what}: the seller who signed")


@case
def html_is_read_by_a_strict_html5_parser(x):
    for month in x.months:
        page = parsed(x.made[month, "reconciliation", "html"])
        rows = [row for row in page["rows"] if row[0] in x.of(month)]
        equal((len(rows), {row[-1] for row in rows}, "script" in page["tags"]), (len(x.of(month)), {"yes"}, False), f"{month} reconciliation")
        page = parsed(x.made[month, "invoice", "html"])
        equal((len(page["sections"]), "script" in page["tags"]), (len(x.of(month)), False), f"{month} invoices")
        for section, (contract, total) in zip(page["sections"], sorted(x.of(month).items())):
            terms = {name: D(value) for name, value in section["terms"].items()}
            equal(terms["BT-106"] - terms["BT-107"] + terms["BT-108"], terms["BT-109"], f"{month} {contract}: EN 16931 BR-CO-13")
            equal(terms["BT-109"] + terms["BT-110"], terms["BT-112"], f"{month} {contract}: EN 16931 BR-CO-15")
            check_paper(x, month, contract, section["text"], terms)
            assert books.plain(books.TITLES[contract]) in books.plain(section["text"]), f"{month} {contract}: the buyer's name"
            equal("DRAFT" in section["text"], month == x.draft, f"{month} {contract}: a draft says so")


def pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


@case
def chromium_prints_invoices_and_the_reconciliation(x):
    browser = chromium.find()
    if browser is None:
        lacking("Chromium is not installed")
    work = pathlib.Path(x.work.name)
    for report, least in (("invoice", len(x.of(x.corrected))), ("reconciliation", 1)):
        page, pdf = work / f"{report}.html", work / f"{report}.pdf"
        page.write_bytes(x.made[x.corrected, report, "html"])
        subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={work}/chromium", f"--print-to-pdf={pdf}", page.as_uri()],
                       check=True, capture_output=True, timeout=300)
        assert pdf.read_bytes().startswith(b"%PDF-") and pages(pdf.read_bytes()) >= least, f"{report}: {pages(pdf.read_bytes())} pages, not {least}"


if __name__ == "__main__":
    options()
    sys.exit(main(Exports))
