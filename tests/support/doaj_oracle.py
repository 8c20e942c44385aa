"""What each partner of the journals demo must receive, computed from the rows and from what licences permit, require and prohibit. Shares no code and no tables
with the server.

A row names one licence or several. Several hold at once: what all permit, what any requires or prohibits; two licences that each ask for derivatives under their
own terms (ShareAlike) say nothing together, and neither does anything together with a licence nobody knows.
"""
import dataclasses
import hashlib
import json

PERMIT, FORBID, UNKNOWN = "permitted", "licence_forbids", "licence_unknown"


@dataclasses.dataclass(frozen=True)
class Terms:
    permits: frozenset
    requires: frozenset
    prohibits: frozenset


def terms(permits, requires="", prohibits=""):
    return Terms(frozenset(permits.split()), frozenset(requires.split()), frozenset(prohibits.split()))


COPY = "Reproduction Distribution Search"
# As the licences say. TrainAI: where derivatives may be made and passed on under any terms.
LICENCES = {
    "CC0-1.0": terms(COPY + " DerivativeWorks CommercialUse TrainAI"),
    "CC-PDM-1.0": terms(COPY + " DerivativeWorks CommercialUse TrainAI"),
    "CC-BY-4.0": terms(COPY + " DerivativeWorks CommercialUse TrainAI", "Notice Attribution"),
    "CC-BY-SA-4.0": terms(COPY + " DerivativeWorks CommercialUse", "Notice Attribution ShareAlike"),
    "CC-BY-ND-4.0": terms(COPY + " CommercialUse", "Notice Attribution"),
    "CC-BY-NC-4.0": terms(COPY + " DerivativeWorks TrainAI", "Notice Attribution", "CommercialUse"),
    "CC-BY-NC-SA-4.0": terms(COPY + " DerivativeWorks", "Notice Attribution ShareAlike", "CommercialUse"),
    "CC-BY-NC-ND-4.0": terms(COPY, "Notice Attribution", "CommercialUse"),
}
SPDX = {"CC0": "CC0-1.0", "Public domain": "CC-PDM-1.0", "Publisher's own license": "LicenseRef-publishers-own"}
# For each purpose a contract states: the acts a delivery needs, and those of which nobody can say whether it does.
NEEDS = {
    "journal-shop": [("Reproduction Distribution CommercialUse", "")],
    "journal-lab": [("Reproduction Distribution", "")],
    "journal-models": [("Reproduction Distribution DerivativeWorks TrainAI", "CommercialUse")],
    "journal-search": [("Reproduction Distribution Search", "CommercialUse")],
    "journal-digest": [("Reproduction Distribution DerivativeWorks", "")],
    "journal-both": [("Reproduction Distribution", ""), ("Reproduction Distribution CommercialUse", "")],
}
# Of these a licence that is silent leaves it open; of all others it does not permit what it does not say.
MAY_BE_SILENT = {"TrainAI", "Search"}


def spdx(name):
    return SPDX.get(name) or name.replace("CC ", "CC-") + "-4.0"


def event_of(row):
    """The JSON text a producer publishes for a row: its columns, and its licences as one SPDX expression."""
    names = [spdx(part.strip()) for part in row["Journal license"].split(",")]
    return json.dumps({**row, "licence": " AND ".join(names)}, ensure_ascii=False, separators=(",", ":")).encode()


def together(names, own):
    """Terms of several licences at once; None when they are not known."""
    known = [own.get(n) or LICENCES.get(n) for n in names]
    if None in known or len({n for n, t in zip(names, known) if "ShareAlike" in t.requires}) > 1:
        return None
    return Terms(frozenset.intersection(*(t.permits for t in known)), frozenset.union(*(t.requires for t in known)), frozenset.union(*(t.prohibits for t in known)))


def decide_one(all_terms, needs, may_need):
    if all_terms is None:
        return UNKNOWN
    open_question = False
    for act in needs.split():
        if act in all_terms.prohibits:
            return FORBID
        if act not in all_terms.permits:
            if act not in MAY_BE_SILENT:
                return FORBID
            open_question = True
    if open_question or any(act in all_terms.prohibits or act not in all_terms.permits for act in may_need.split()):
        return UNKNOWN
    return PERMIT


def decide(partner, expression, own):
    """Every stated purpose must pass; the first that does not gives the reason."""
    all_terms = together(expression.split(" AND "), own)
    for needs, may_need in NEEDS[partner]:
        reason = decide_one(all_terms, needs, may_need)
        if reason != PERMIT:
            return reason
    return PERMIT


@dataclasses.dataclass
class Row:
    id: str
    licence: str
    data: bytes


class Oracle:
    """`texts`: as published. A text seen before is the same event."""

    def __init__(self, texts):
        self.rows, seen = [], set()
        for text in texts:
            identity = hashlib.sha256(text).hexdigest()[:32]
            if identity not in seen:
                seen.add(identity)
                self.rows.append(Row(identity, json.loads(text)["licence"], text))

    def expected(self, partner, own=None):
        return [Row(r.id, r.licence, self.delivered(partner, r)) for r in self.rows if decide(partner, r.licence, own or {}) == PERMIT]

    @staticmethod
    def delivered(partner, row):
        if partner != "journal-digest":
            return row.data
        shortened = json.loads(row.data)
        del shortened["Publisher"]
        return json.dumps(shortened, ensure_ascii=False, separators=(",", ":")).encode()

    def one_of_each_licence(self):
        found = {}
        for row in self.rows:
            found.setdefault(row.licence, row)
        return list(found.values())
