"""LibreOffice, headless: what it makes of a workbook or a CSV file. Used by open_exports.py."""
import io
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile

OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
SHEETS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships"}
# Formulas are calculated when a file is opened, whoever wrote it.
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""
# Commas, quotes, UTF-8, from the first line, numbers detected, every sheet, and formulas evaluated: the careless choice.
CSV_IMPORT = "CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"
WRONG = 987654321


def find():
    return shutil.which("soffice") or shutil.which("libreoffice")


def convert(directory, name, body, form, infilter=None):
    """The file as LibreOffice writes it again; it is there, or this raises."""
    directory = pathlib.Path(directory)
    profile = directory / "profile" / "user"
    if not profile.exists():
        profile.mkdir(parents=True)
        (profile / "registrymodifications.xcu").write_text(SETTINGS)
    source = directory / name
    source.write_bytes(body)
    target = source.with_suffix("." + form)
    target.unlink(missing_ok=True)
    done = subprocess.run([find(), f"-env:UserInstallation=file://{directory}/profile", "--headless", *([f"--infilter={infilter}"] if infilter else []), "--convert-to", form,
                           "--outdir", str(directory), str(source)], capture_output=True, timeout=600, check=False)
    assert done.returncode == 0 and target.exists(), f"LibreOffice cannot make {form} of {name}: {done.stderr.decode(errors='replace')[-500:]}"
    return target.read_bytes()


class Cell:
    def __init__(self, element):
        self.formula = element.get(f"{{{TABLE}}}formula")
        self.kind = element.get(f"{{{CALC}}}value-type") or element.get(f"{{{OFFICE}}}value-type")
        self.text = "\n".join("".join(p.itertext()) for p in element.findall(f"{{{TEXT}}}p"))
        self.value = element.get(f"{{{OFFICE}}}value") or element.get(f"{{{OFFICE}}}date-value") or self.text


def sheets(fods):
    """name -> rows of cells, of a flat OpenDocument spreadsheet; empty cells at the end of a row, and empty rows, are left out."""
    out = {}
    for table in ElementTree.fromstring(fods).iter(f"{{{TABLE}}}table"):
        rows = out.setdefault(table.get(f"{{{TABLE}}}name"), [])
        for row in table.iter(f"{{{TABLE}}}table-row"):
            cells = []
            for element in row:
                if element.tag != f"{{{TABLE}}}table-cell":
                    continue
                cells += [Cell(element)] * min(int(element.get(f"{{{TABLE}}}number-columns-repeated", 1)), 200)
            while cells and cells[-1].kind is None:
                cells.pop()
            if cells:
                rows.append(cells)
    return out


def formulas(workbook):
    """sheet -> cell -> (formula, the value it was written with), as they are in the file."""
    archive = zipfile.ZipFile(io.BytesIO(workbook))
    assert archive.testzip() is None, "the archive is broken"
    read = lambda name: ElementTree.fromstring(archive.read(name))  # noqa: E731
    targets = {r.get("Id"): r.get("Target") for r in read("xl/_rels/workbook.xml.rels")}
    out = {}
    for sheet in read("xl/workbook.xml").iterfind("m:sheets/m:sheet", SHEETS):
        found = out.setdefault(sheet.get("name"), {})
        for cell in read("xl/" + targets[sheet.get("{%s}id" % SHEETS["r"])]).iter("{%s}c" % SHEETS["m"]):
            formula = cell.find("m:f", SHEETS)
            if formula is not None:
                found[cell.get("r")] = (formula.text, cell.find("m:v", SHEETS).text)
    return out


def without_values(workbook):
    """The same workbook with a wrong value at every formula: what comes out right was calculated."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            body = source.read(name)
            if name.startswith("xl/worksheets/"):
                body = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\g<1><v>%d</v>" % WRONG, body)
            target.writestr(name, body)
    return out.getvalue()


def reference(row, column):
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return f"{name}{row + 1}"
