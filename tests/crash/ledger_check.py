"""What must be true of the ledger's tables at every moment, whatever was killed."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from licet_stack import StackError  # noqa: E402

ALWAYS = {
    "ranges billed twice": "SELECT count(*) FROM (SELECT lower(range) < lag(upper(range)) OVER (PARTITION BY contract, product, partition, stream_epoch ORDER BY lower(range)) AS twice "
                           "FROM usage_billed) all_ranges WHERE twice",
    "ranges billed and in suspense": "SELECT count(*) FROM usage_suspense s JOIN usage_billed b USING (contract, product, partition, stream_epoch) WHERE s.ranges && b.range",
    "meters whose billed ranges are told otherwise": "SELECT count(*) FROM (SELECT contract, product, partition, stream_epoch, range_agg(range) AS ranges FROM usage_billed GROUP BY 1, 2, 3, 4) b "
                                                     "FULL JOIN usage_covered c USING (contract, product, partition, stream_epoch) WHERE b.ranges IS DISTINCT FROM c.ranges",
    "lines where delivered is not billed + unbilled": "SELECT count(*) FROM usage_balance WHERE delivered_events <> billed_events + unbilled_events OR "
                                                      "delivered_bytes <> billed_bytes + unbilled_bytes",
    "starts whose sums for quotas are not those of their rows": "SELECT count(*) FROM (SELECT contract, day, node, boot, sum(e) e, sum(b) b, sum(ue) ue, sum(ub) ub FROM "
                                                                "(SELECT contract, day, node, boot, events e, bytes b, 0 ue, 0 ub FROM usage_billed UNION ALL "
                                                                "SELECT contract, day, node, boot, events, bytes, 0, 0 FROM usage_replayed UNION ALL "
                                                                "SELECT contract, day, node, boot, 0, 0, events, bytes FROM usage_unbilled) r GROUP BY 1, 2, 3, 4) r "
                                                                "FULL JOIN usage_by_start s USING (contract, day, node, boot) WHERE "
                                                                "(r.e, r.b, r.ue, r.ub) IS DISTINCT FROM (s.billed_events, s.billed_bytes, s.unbilled_events, s.unbilled_bytes)",
    "unbilled records": "SELECT count(*) FROM usage_unbilled",
    "minutes without a line": "SELECT count(*) FROM usage_lines WHERE minutes > 0 AND events = 0",
}


class LedgerCheck:
    def __init__(self, stack, database):
        self.stack, self.database = stack, database
        self.watermarks = {}
        self.most_suspense = 0
        self.times_suspended = 0

    def _ask(self, sql):
        return [line.split("|") for line in self.stack.psql(self.database, sql).splitlines()]

    def always(self):
        """What is wrong with the tables now."""
        row = self._ask("SELECT " + ", ".join(f"({sql})" for sql in ALWAYS.values()) + ", (SELECT coalesce(sum(offsets), 0) FROM usage_suspense_offsets)")[0]
        wrong = [f"{count} {what}" for what, count in zip(ALWAYS, row) if count != "0"]
        self._note_suspense(int(row[-1]))
        for node, boot, sequence in self._ask("SELECT node, boot, sequence FROM usage_watermark"):
            before = self.watermarks.get((node, boot), 0)
            if int(sequence) < before:
                wrong.append(f"the watermark of {node}, start {boot}, went back from {before} to {sequence}")
            self.watermarks[node, boot] = int(sequence)
        return wrong

    def _note_suspense(self, offsets):
        self.most_suspense = max(self.most_suspense, offsets)
        self.times_suspended += offsets > 0

    def look_at_suspense(self):
        """For the record: that there is some at times shows that deaths were in the middle of deliveries."""
        try:
            self._note_suspense(self.suspense())
        except StackError:
            pass  # PostgreSQL recovers

    def unbilled(self):
        return int(self._ask("SELECT count(*) FROM usage_unbilled")[0][0])

    def billed(self):
        """(contract, node) -> (events, bytes)."""
        rows = self._ask("SELECT c.name, b.node, sum(b.events), sum(b.bytes) FROM usage_billed b JOIN contracts c ON c.no = b.contract GROUP BY 1, 2")
        return {(contract, node): (int(events), int(octets)) for contract, node, events, octets in rows}

    def suspense(self):
        return int(self._ask("SELECT coalesce(sum(offsets), 0) FROM usage_suspense_offsets")[0][0])

    def suspended(self):
        """(contract, node) -> ranges of offsets in suspense. A node's log is known by what was billed of it."""
        rows = self._ask("SELECT DISTINCT c.name, b.node, lower(r), upper(r) FROM usage_suspense s JOIN contracts c ON c.no = s.contract JOIN (SELECT DISTINCT node, stream_epoch FROM usage_billed) b "
                         "USING (stream_epoch), unnest(s.ranges) r")
        out = {}
        for contract, node, begin, end in rows:
            out.setdefault((contract, node), []).append((int(begin), int(end)))
        return out
