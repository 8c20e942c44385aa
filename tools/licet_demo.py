"""The demo catalogue, the feeds, and what `./dev up --check` verifies. Used by tools/up and tests/e2e."""
import csv
import gzip
import importlib.machinery
import importlib.util
import itertools
import json
import pathlib

from licet_client import Problem, await_condition, data_bytes

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEMO = ROOT / "deploy" / "demo"
BATCH_EVENTS = 2000
BATCH_BYTES = 8 * 1024 * 1024


def load_generator():
    """tools/generator has no .py: it is a command first."""
    loader = importlib.machinery.SourceFileLoader("licet_generator", str(ROOT / "tools" / "generator"))
    spec = importlib.util.spec_from_loader("licet_generator", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def catalogue():
    return json.loads((DEMO / "catalogue.json").read_text())


def same(wanted, found):
    """What the server shows may have more members than what was asked for."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(same(value, found.get(key)) for key, value in wanted.items())
    return wanted == found or (wanted in ("", None) and found in ("", None))


def put_if_changed(admin, path, body):
    try:
        found = admin.get(path).json()
    except Problem as e:
        if e.status != 404:
            raise
        found = None
    if found is not None and same(body, found):
        return False
    admin.put(path, body)
    return True


def activate_policy(admin, name, document):
    """Makes `document` the active version of the policy, unless it is already."""
    try:
        versions = admin.get(f"/v1/admin/policies/{name}").json()["versions"]
    except Problem as e:
        if e.status != 404:
            raise
        versions = []
    if any(v["state"] == "active" and v["document"] == document for v in versions):
        return False
    made = admin.put(f"/v1/admin/policies/{name}", {"document": document}).json()
    admin.post(f"/v1/admin/policies/{name}/versions/{made['version']}/activate")
    return True


def ensure_client(stack, admin, name, body):
    exists = True
    try:
        admin.get(f"/v1/admin/clients/{name}")
    except Problem as e:
        if e.status != 404:
            raise
        exists = False
    if exists and stack.client_secret_file(name).exists():
        return False
    if exists:
        raise AssertionError(f"client {name} exists but its secret is not in {stack.client_secret_file(name)}: start afresh with ./dev clean")
    made = admin.post("/v1/admin/clients", {"id": name, **body}).json()
    stack.save_client_secret(name, made["secret"])
    return True


def load_catalogue(stack, first="eu"):
    """Puts the demo catalogue where the configuration is authored. What is there already stays as it is."""
    admin = stack.client(first, "admin")
    wanted = catalogue()
    for region in stack.regions:
        put_if_changed(admin, f"/v1/admin/regions/{region}", {"endpoint": stack.url(region)})
    for kind in ("parties", "products", "contracts"):
        for name, body in wanted[kind].items():
            put_if_changed(admin, f"/v1/admin/{kind}/{name}", body)
    for name in wanted["policies"]:
        activate_policy(admin, name, json.loads((DEMO / "policies" / f"{name}.json").read_text()))
    for name, body in wanted["clients"].items():
        ensure_client(stack, admin, name, body)
    admin.close()


def await_replication(stack, first="eu"):
    """Every region that does not author must know the configuration before it can answer for it."""
    for region in stack.regions:
        if region == first:
            continue

        def known(region=region):
            client = stack.client(region, "berlin-lab")
            client.token()
            client.get("/v1/products/newsroom/endpoints")
            client.close()
            return True
        await_condition(f"configuration carried to {region}", known, 60)


def batches(lines):
    batch, size = [], 0
    for line in lines:
        data = line if isinstance(line, bytes) else line.encode()
        if batch and (len(batch) == BATCH_EVENTS or size + len(data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(data)
        size += len(data) + 1
    if batch:
        yield batch


def feed(client, product, lines, progress=None):
    """Publishes plain JSON documents, one per line; returns the summed counts and the rejections."""
    total = {"received": 0, "accepted": 0, "duplicates": 0, "rejected": 0}
    rejections = []
    for batch in batches(lines):
        answer = client.publish(product, b"\n".join(batch) + b"\n", accept_status=range(400, 500))
        counts = answer.json()
        if "received" not in counts:
            raise Problem(answer.status, answer.headers, answer.body)
        for rejection in counts.get("rejections", []):
            rejections.append({**rejection, "index": rejection["index"] + total["received"]})
        for key in total:
            total[key] += counts[key]
        if progress:
            progress(total)
    return total, rejections


def open_maybe_gzip(path):
    with open(path, "rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else open(path, "rb")


def file_lines(path):
    """Events of a file, one JSON text each: JSON lines as they are; of CSV each row as an object of strings under the header's names."""
    name = str(path).removesuffix(".gz")
    with open_maybe_gzip(path) as source:
        if name.endswith((".csv", ".tsv")):
            text = (line.decode("utf-8-sig" if first else "utf-8") for first, line in zip(itertools.chain([True], itertools.repeat(False)), source))
            for row in csv.DictReader(text, delimiter="\t" if name.endswith(".tsv") else ","):
                yield json.dumps({k: v for k, v in row.items() if k is not None}, ensure_ascii=False, separators=(",", ":")).encode()
            return
        for line in source:
            line = line.strip()
            if line:
                yield line


TIME_NAMES = ("time", "timestamp", "date", "datetime", "created_at", "@timestamp")
COUNTRY_NAMES = ("countryisocode", "country_code", "country", "iso_country")


def guess_mapping(product, sample):
    """A mapping for a file nobody described: the digest as id; time and country where a member is named so. Nothing is governed and no licence is known,
    so that nobody is served from it before its owner says what it is."""
    attributes = {"id": {"digest": True}, "source": {"constant": f"urn:licet:load:{product}"}, "type": {"constant": f"dev.licet.load.{product}"}}
    names = {name.lower(): name for name in sample} if isinstance(sample, dict) else {}
    for attribute, candidates in (("time", TIME_NAMES), ("jurisdiction", COUNTRY_NAMES)):
        for candidate in candidates:
            if candidate in names:
                pointer = "/" + names[candidate].replace("~", "~0").replace("/", "~1")
                value = sample[names[candidate]]
                if attribute == "time" and not (isinstance(value, str) and "T" in value):
                    continue
                if attribute == "jurisdiction" and not (value is None or (isinstance(value, str) and len(value) == 2)):
                    continue
                attributes[attribute] = {"pointer": pointer}
                break
    return {"attributes": attributes, "fields": []}


def ensure_product(stack, product, path, say):
    admin = stack.client("eu", "admin")
    try:
        admin.get(f"/v1/admin/products/{product}")
        return
    except Problem as e:
        if e.status != 404:
            raise
    first = next(file_lines(path), b"{}")
    try:
        sample = json.loads(first)
    except ValueError:
        sample = {}
    mapping = guess_mapping(product, sample)
    admin.put(f"/v1/admin/products/{product}", {"title": pathlib.Path(path).name, "owner": "operator", "controller": "operator", "residency": "eu", "mapping": mapping})
    say(f"product {product} did not exist; made with this mapping (change it with PUT /v1/admin/products/{product}):")
    say("  " + json.dumps(mapping))
    say("  no contract names it and its licence is not known: nobody is served from it until they are")


def consented_reader(generator, purposes):
    """A reader who agreed to exactly these purposes."""
    for number in range(generator.READERS):
        if generator.CONSENTS[number % len(generator.CONSENTS)] == tuple(purposes):
            yield generator.reader(number)


def current_period(stack):
    import datetime
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m")


def pull_all(client, product, from_="earliest", limit=5000, between_pages=None, **query):
    """Every event, page after page, and the cursor at the end. A page may be empty where all of it is withheld: the end is where the cursor stays."""
    out, cursor = [], from_
    while True:
        events, after = client.pull(product, from_=cursor, limit=limit, **query)
        out += events
        if after is None:
            raise AssertionError("no Licet-Cursor")
        if after == cursor:
            return out, cursor
        cursor = after
        if between_pages:
            between_pages(out)


def check(stack, say):
    """What a newcomer is promised by the README, verified with the project's own clients. Raises AssertionError at the first difference."""
    generator = load_generator()
    berlin = stack.client("eu", "berlin-lab")
    events, _ = pull_all(berlin, "newsroom")
    assert events, "berlin-lab received nothing by pull"
    raw_names = {generator.reader(n)["name"] for n in range(generator.READERS)}
    raw_emails = {generator.reader(n)["email"] for n in range(generator.READERS)}
    raw_ips = {generator.reader(n)["ip"] for n in range(generator.READERS)}
    for text in events:
        event = json.loads(text)
        assert "datasubject" not in event, "the data subject left the server"
        reader = event["data"].get("reader")
        if reader is not None:
            assert "name" not in reader and reader["email"] not in raw_emails and reader["ip"] not in raw_ips, "an event was not redacted"
            assert len(reader["email"]) == 43 and len(reader["ip"]) == 43, "not a keyed digest"
    text = b"".join(events).decode()
    assert not any(value in text for value in raw_names | raw_emails), "a name or an address got out"
    say(f"pull: {len(events)} governed events, every e-mail and address hashed, every name dropped")

    with berlin.sse("newsroom", from_="earliest") as stream:
        by_sse = [data for _, data in itertools.islice(stream, len(events))]
    assert [without_cursor(e) for e in by_sse] == [without_cursor(e) for e in events], "SSE differs from pull"
    with berlin.websocket("newsroom", from_="earliest") as socket:
        by_ws = list(itertools.islice(socket, len(events)))
    assert [without_cursor(e) for e in by_ws] == [without_cursor(e) for e in events], "WebSocket differs from pull"
    say("SSE and WebSocket: the same events, byte for byte")

    bytes_expected = sum(len(data_bytes(e)) for e in events)
    period = current_period(stack)
    finance = stack.client("eu", "finance")

    def agreed():
        report = finance.get(f"/v1/finance/usage?period={period}&group=contract,product&format=json").json()
        for line in report["lines"]:
            if line["contract"] == "berlin-lab" and line.get("product") == "newsroom":
                # Live feeding may have added newer events since; then the totals are taken again with what was delivered.
                return line if (line["events"], line["bytes"]) == (len(events), bytes_expected) else None
        return None
    line = await_condition(f"a usage line of {len(events)} events and {bytes_expected} bytes", agreed, 30)
    table = finance.get(f"/v1/finance/usage?period={period}&group=contract,product&format=csv").body.decode()
    assert any(f",berlin-lab,newsroom,usage,{line['events']},{line['bytes']}," in row for row in table.splitlines()), "the CSV export differs"
    own = berlin.get(f"/v1/usage?period={period}").json()
    assert sum(l["events"] for l in own["lines"] if l["contract"] == "berlin-lab" and l.get("product", "newsroom") == "newsroom") >= line["events"], \
        "the partner's own usage differs"
    say(f"usage: {line['events']} events, {line['bytes']} bytes, {line['amount']} {line['currency']}: what was received, to the byte, although taken three times")

    dpo = stack.client("eu", "dpo")
    subject, gone = pick_subject(generator, events)
    answer = dpo.post("/v1/admin/consents/withdraw", {"subject": subject, "controller": generator.CONTROLLER}).json()
    after, _ = pull_all(berlin, "newsroom")
    left = {json.loads(e)["id"] for e in after}
    assert not left & gone, "events of a subject who withdrew are still delivered"
    assert left == {json.loads(e)["id"] for e in events} - gone, "the withdrawal took other events along"
    say(f"consent withdrawn (epoch {answer['epoch']}): {len(gone)} events of this person are out of reach, the other {len(left)} are not")
    explained = dpo.get("/v1/admin/explain?" + explain_query(sorted(gone)[0], "berlin-lab")).json()
    assert "consent" in json.dumps(explained), "explain does not name the consent"
    dpo.post("/v1/admin/consents", {"subject": subject, "controller": generator.CONTROLLER, "purposes": list(generator.CONSENTS[1]), "status": "given"})
    again, _ = pull_all(berlin, "newsroom")
    assert {json.loads(e)["id"] for e in again} == left | gone, "a renewed consent does not take effect"

    if "us" in stack.regions:
        loader = stack.client("us", "loader")
        line = generator.dump(generator.newsroom_event("misdirected", 0, generator.parse_start(generator.DEFAULT_START["newsroom"])))
        refused = loader.publish("newsroom", line + "\n", accept_status=(421,))
        assert refused.status == 421 and refused.json()["endpoint"].startswith(stack.url("eu")), "us did not send the producer to eu"
        moved = stack.client("us", "berlin-lab").get("/v1/products/newsroom/events?from=earliest", accept_status=(307,))
        assert moved.status == 307 and moved.headers["Location"].startswith(stack.url("eu")), "us did not send the subscriber to eu"
        places = stack.client("us", "berlin-lab").get("/v1/products/newsroom/endpoints").json()
        assert [e["url"] for e in places["endpoints"]] == [stack.url("eu") + "/v1/products/newsroom/events"], "endpoints differ"
        say("residency: us answers 421 to a producer and 307 to a subscriber, both with the endpoint of eu")


def without_cursor(event):
    """Cursors of different transports are each authenticated anew; all else must be equal, byte for byte."""
    text = event.decode() if isinstance(event, bytes) else event
    parsed = json.loads(text)
    return text.replace(',"cursor":"' + parsed["cursor"] + '"', "", 1)


def explain_query(event_id, contract):
    import urllib.parse
    return urllib.parse.urlencode({"product": "newsroom", "contract": contract, "source": "https://courier.example.org/events", "event": event_id})


def pick_subject(generator, events):
    """(subject, ids of the delivered events about it): a reader who agreed to research only, found in the generated feed itself."""
    delivered = {json.loads(e)["id"] for e in events}
    start = generator.parse_start(generator.DEFAULT_START["newsroom"])
    candidates = {r["email"] for r in consented_reader(generator, generator.CONSENTS[1])}
    found = {}
    for identity in sorted(delivered):
        seed, _, number = identity.rpartition("-")
        about = generator.newsroom_event(seed, int(number), start).get("reader", {}).get("email")
        if about in candidates:
            found.setdefault(about, set()).add(identity)
    subject = max(found, key=lambda s: (len(found[s]), s))
    return subject, found[subject]
