"""FOCUS 1.4, where no validator knows it yet: rows held against the published model (levels, formats, nulls, allowed values) and against those rules of the specification that
speak of several columns. Own columns must begin with x_. Used by open_exports.py."""
import decimal
import json
import pathlib
import re

DATASETS = {"cost-and-usage": "Cost and Usage", "invoice-detail": "Invoice Detail", "billing-period": "Billing Period"}
# Numeric format: no plus sign, no grouping; an exponent has a sign only when it is negative.
NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CURRENCY = re.compile(r"[A-Z]{3}")
UNITS = {"Events", "Minutes", "MB"}


def load_model(folder):
    return json.loads((pathlib.Path(folder) / "model" / "focus_1_4_model.json").read_text(encoding="utf-8"))


def no_name_twice(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name twice")
    return out


def cell_problem(column, text):
    if text == "":
        return None if column["allows_nulls"] else "is null"
    form = column["value_format"]
    if form.startswith("Decimal"):
        if not NUMBER.fullmatch(text):
            return f"is no number: {text!r}"
        if "non-negative" in form and text.startswith("-"):
            return f"is negative: {text}"
    if form == "Date/Time" and not TIME.fullmatch(text):
        return f"is no date: {text!r}"
    if form == "Currency" and not CURRENCY.fullmatch(text):
        return f"is no currency: {text!r}"
    if form == "Allowed Values" and text not in column["allowed_values"]:
        return f"is none of the allowed values: {text!r}"
    if form == "Unit" and text not in UNITS:
        return f"is no unit: {text!r}"
    if form in ("Key-Value", "JSON Object"):
        try:
            value = json.loads(text, object_pairs_hook=no_name_twice)
        except ValueError as e:
            return f"is no JSON object: {e}"
        if not isinstance(value, dict) or any(not key for key in value):
            return "is no JSON object"
    return None


def cost_and_usage(row, model):
    def null(name):
        return row[name] == ""
    usage, correction = row["ChargeCategory"] == "Usage", row["ChargeClass"] == "Correction"
    yield null("PricingQuantity") == null("PricingUnit"), "PricingQuantity and PricingUnit are null together"
    yield null("ConsumedQuantity") == null("ConsumedUnit"), "ConsumedQuantity and ConsumedUnit are null together"
    yield not (usage and not correction and null("PricingQuantity")), "PricingQuantity of usage that corrects nothing is not null"
    yield not (usage and not correction and null("ConsumedQuantity")), "ConsumedQuantity of usage that corrects nothing is not null"
    yield usage or null("ConsumedQuantity"), "ConsumedQuantity of what is not usage is null"
    yield null("RegionId") == null("RegionName"), "RegionName is null exactly where RegionId is"
    yield null("SubAccountId") == null("SubAccountName"), "SubAccountName is null exactly where SubAccountId is"
    yield null("InvoiceId") == null("InvoiceDetailId"), "InvoiceDetailId is null exactly where InvoiceId is"
    yield row["BillingPeriodStart"] < row["BillingPeriodEnd"], "the billing period is not empty"
    yield row["ChargePeriodStart"] < row["ChargePeriodEnd"], "the charge period is not empty"
    if correction:
        yield row["ChargePeriodEnd"] <= row["BillingPeriodStart"], "a correction is of an earlier period"
    else:
        yield row["BillingPeriodStart"] <= row["ChargePeriodStart"] and row["ChargePeriodEnd"] <= row["BillingPeriodEnd"], "the charge period is within the billing period"
    yield model["service_subcategory_parents"][row["ServiceSubcategory"]] == row["ServiceCategory"], "ServiceSubcategory is one of its ServiceCategory"
    yield row["BilledCost"] == row["EffectiveCost"] == row["ContractedCost"] == row["ListCost"], "there are no other prices than the contract's"


def invoice_detail(row, _):
    grain = json.loads(row["InvoiceDetailGrain"])
    yield all(key.startswith("x_") or key[0].isupper() for key in grain), "keys of the grain are columns, or begin with x_"
    yield (row["InvoiceIssueDate"] == "") == (row["InvoiceIssueStatus"] != "Issued"), "an issue date exactly where an invoice is issued"
    yield row["InvoiceDetailCreated"] <= row["InvoiceDetailLastUpdated"], "created before it was changed"


def billing_period(row, _):
    yield row["BillingPeriodStart"] < row["BillingPeriodEnd"], "the billing period is not empty"
    yield row["BillingPeriodCreated"] <= row["BillingPeriodLastUpdated"], "created before it was changed"


MORE = {"cost-and-usage": cost_and_usage, "invoice-detail": invoice_detail, "billing-period": billing_period}


def problems(report, header, rows, model):
    """Everything that is not as FOCUS 1.4 has it, each once."""
    columns = model["datasets"][DATASETS[report]]["columns"]
    out = {}

    def say(what, number):
        out.setdefault(what, number)
    for name in header:
        if name not in columns and not name.startswith("x_"):
            say(f"column {name} is not of the standard", 0)
    if len(set(header)) != len(header):
        say("a column twice", 0)
    for name, column in columns.items():
        if column["feature_level"] == "Mandatory" and name not in header:
            say(f"mandatory column {name} is missing", 0)
    for number, row in enumerate(rows, 2):
        for name in header:
            if name in columns and (problem := cell_problem(columns[name], row[name])):
                say(f"{name} {problem}", number)
        for holds, what in MORE[report](row, model):
            if not holds:
                say(f"not so: {what}", number)
    return [f"{what} (line {number})" for what, number in out.items()]


def details_agree(usage_rows, detail_rows):
    """The cost of every invoice detail is that of its usage rows."""
    usage, details = {}, {}
    for row in usage_rows:
        if row["InvoiceDetailId"]:
            usage[row["InvoiceDetailId"]] = usage.get(row["InvoiceDetailId"], 0) + decimal.Decimal(row["BilledCost"])
    for row in detail_rows:
        if row["InvoiceIssueStatus"] == "Issued":
            assert row["InvoiceDetailId"] not in details, f"invoice detail {row['InvoiceDetailId']} twice"
            details[row["InvoiceDetailId"]] = decimal.Decimal(row["BilledCost"])
    return usage == details
