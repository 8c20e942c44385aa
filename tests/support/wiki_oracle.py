"""What each partner of the wiki-edits demo must receive, computed from the raw file alone. Shares no code and no tables with the server.

The rules, from the demo's catalogue and policy in words:
  berlin-lab (DE, academic research)      every edit; a user that is an IP address is replaced by its keyed digest, whatever the anonymous flag says
  texas-analytics (US, service optimisation, no transfer tool)  no edit by an IP address whose country is in the EEA at the time of the edit or is not known;
                                          user and cityName removed from the rest
  ohio-ads (US, marketing)                nothing
"""
import base64
import dataclasses
import datetime
import decimal
import hashlib
import hmac
import ipaddress
import json

SOURCE = "https://www.wikipedia.org/edits"
TYPE = "org.wikipedia.edit"
LICENCE = "CC-BY-SA-4.0"
# Members of the EEA with the years of accession that matter to recent data; the United Kingdom's transition ended with 2020.
EEA_SINCE = dict.fromkeys("AT BE DE DK ES FI FR GB GR IE IS IT LU NL NO PT SE".split(), "1994-01-01")
EEA_SINCE.update({"LI": "1995-05-01", "BG": "2007-01-01", "RO": "2007-01-01", "HR": "2013-07-01"})
EEA_SINCE.update(dict.fromkeys("CY CZ EE HU LT LV MT PL SI SK".split(), "2004-05-01"))
EEA_UNTIL = {"GB": "2021-01-01"}


@dataclasses.dataclass
class Expected:
    id: str
    time: str
    jurisdiction: str
    data: bytes


def minify(raw):
    """JSON text without white space outside strings; every other byte stays."""
    out, inside, escaped = bytearray(), False, False
    for byte in raw:
        if inside:
            out.append(byte)
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                inside = False
        elif byte not in b" \t\r\n":
            out.append(byte)
            inside = byte == 0x22
    return bytes(out)


def members(text):
    """(name, position of the member, position of its value, end) of a flat view of a minified object, positions in the text."""
    decoder = json.JSONDecoder()
    at, out = 1, []
    while text[at] != "}":
        begin = at
        name, at = decoder.raw_decode(text, at)
        value_at = at + 1
        value, at = decoder.raw_decode(text, value_at)
        out.append((name, value, begin, value_at, at))
        if text[at] == ",":
            at += 1
    return out


def without(text, *names):
    """The members of these names removed, each with one comma."""
    kept = [text[begin:end] for name, _, begin, _, end in members(text) if name not in names]
    return "{" + ",".join(kept) + "}"


def is_ip(value):
    try:
        ipaddress.ip_address(value)
        return "%" not in value
    except ValueError:
        return False


def in_eea(country, time):
    day = time[:10]
    return country in EEA_SINCE and EEA_SINCE[country] <= day and (country not in EEA_UNTIL or day < EEA_UNTIL[country])


class Oracle:
    def __init__(self, lines, pseudonym_key_hex, contract="berlin-lab"):
        master = bytes.fromhex(pseudonym_key_hex.strip())
        scope = hmac.digest(master, b"licet/pseudonym/1\0" + b"contract/" + contract.encode(), "sha256")
        self.received = 0
        self.ids = []
        self.berlin = []
        self.texas = []
        self.ohio = []
        self.hashed_despite_flag = 0
        seen = set()
        for line in lines:
            self.received += 1
            data = minify(line)
            identity = hashlib.sha256(data).hexdigest()[:32]
            if identity in seen:
                continue
            seen.add(identity)
            self.ids.append(identity)
            text = data.decode("utf-8")
            fields = members(text)
            values = {name: value for name, value, *_ in fields}
            personal = isinstance(values.get("user"), str) and is_ip(values["user"])
            country = values.get("countryIsoCode")
            jurisdiction = country or ""
            as_is = Expected(identity, values["time"], jurisdiction, data)
            if personal:
                self.hashed_despite_flag += values.get("isAnonymous") is False
                _, value, _, value_at, end = next(f for f in fields if f[0] == "user")
                token = base64.urlsafe_b64encode(hmac.digest(scope, value.encode(), "sha256")).rstrip(b"=").decode()
                self.berlin.append(dataclasses.replace(as_is, data=(text[:value_at] + '"' + token + '"' + text[end:]).encode()))
            else:
                self.berlin.append(as_is)
            eea = country is not None and in_eea(country, values["time"])
            if eea and not personal:
                raise AssertionError("an edit from the EEA that names nobody: the rules in words do not say what becomes of it")
            if not (personal and (eea or country is None)):
                self.texas.append(dataclasses.replace(as_is, data=without(text, "user", "cityName").encode()))

    def of(self, partner):
        return {"berlin-lab": self.berlin, "texas-analytics": self.texas, "ohio-ads": self.ohio}[partner]


def amount(price, events, octets, digits=2):
    """Price of a line: exact, then rounded once, half away from zero."""
    with decimal.localcontext(decimal.Context(prec=80)):
        exact = decimal.Decimal(price["perEvent"]) * events + decimal.Decimal(price["perMb"]) * octets / decimal.Decimal(1_000_000)
        return exact.quantize(decimal.Decimal(1).scaleb(-digits), rounding=decimal.ROUND_HALF_UP)


def today():
    return datetime.datetime.now(datetime.timezone.utc)
