"""What the soak test governs: four products, four contracts, their policies in three versions, and the plan that tells it to the client."""
import json

CONTROLLER = "soak-publisher"
# name, class (tests/soak/world.h), weight, consent needed
PRODUCTS = (("steady-a", "steady", 0.4), ("steady-b", "steady", 0.3), ("leaving", "leaving", 0.15), ("wavering", "wavering", 0.15))
EVERY = tuple(name for name, _, _ in PRODUCTS)
# name, purpose, products, whether it is suspended now and then. Where consents end for good nothing else may cut off those who keep the count.
CONTRACTS = (("alpha", "dpv:AcademicResearch", EVERY, False), ("beta", "dpv:ServiceOptimisation", EVERY, False),
             ("gamma", "dpv:Marketing", ("steady-a", "steady-b"), True), ("delta", "dpv:AcademicResearch", EVERY, False))
PURPOSES = ("dpv:AcademicResearch", "dpv:ServiceOptimisation", "dpv:Marketing")
# Each makes 43 bytes of an address of 43 bytes, so that billed bytes do not depend on which version was in force: by what the first byte then is.
KINDS = {"h": {"licet:transform": "cryptoHash"},
         "*": {"licet:transform": "characterMask"},
         "#": {"licet:transform": "replace", "licet:replacement": "#" * 43}}
STAFF = {"admin": None, "dpo": ["dpo"], "policy-desk": ["policy"], "desk": ["producer"], "finance": ["finance"]}


def policy(product, kind, consent):
    constraints = [{"leftOperand": "purpose", "operator": "isAnyOf", "rightOperand": list(PURPOSES)}]
    if consent:
        constraints.append({"leftOperand": "licet:consent", "operator": "eq", "rightOperand": "valid"})
    duty = {"action": "licet:transform", "licet:pointer": "/user/email", **KINDS[kind]}
    return {"@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"], "@type": "Set", "uid": f"urn:licet:policy:soak-{product}",
            "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
            "permission": [{"uid": f"urn:licet:rule:soak-{product}", "target": f"urn:licet:product:{product}", "action": "use", "constraint": constraints, "duty": [duty]}]}


def product_body(kind):
    attributes = {"id": {"pointer": "/id", "required": True}, "source": {"constant": "https://soak.example.org/events"}, "type": {"constant": "org.example.soak"},
                  "time": {"pointer": "/time"}, "license": {"constant": "CC-BY-4.0"}, "jurisdiction": {"constant": "DE"}}
    if kind != "steady":
        attributes["datasubject"] = {"pointer": "/user/email"}
    return {"title": "Soak", "owner": CONTROLLER, "controller": CONTROLLER, "residency": "eu",
            "mapping": {"attributes": attributes, "fields": [{"pointer": "/user/email", "category": "pd:EmailAddress", "infoType": "EMAIL_ADDRESS"}]}}


def contract_body(name, purpose, products, state):
    return {"party": name, "products": list(products), "purposes": [purpose], "transferTools": [], "pseudonymScope": "contract", "state": state, "validFrom": None,
            "validUntil": None, "price": {"currency": "EUR", "perEvent": "0.0005", "perMb": "0.12"}}


def load(stack):
    """Writes the catalogue through the API and the plan beside it; returns the plan's path."""
    admin = stack.client("eu", "admin")
    lines = []

    def say(*fields):
        lines.append("\t".join(fields))

    def client(kind, name, party, roles, scopes, *more):
        made = admin.post("/v1/admin/clients", {"id": name, "party": party, "roles": roles, "scopes": scopes}).json()
        stack.save_client_secret(name, made["secret"])
        say(kind, name, made["secret"], *more)

    admin.put("/v1/admin/regions/eu", {"endpoint": stack.url("eu")})
    for party in (CONTROLLER, *(name for name, _, _, _ in CONTRACTS)):
        admin.put(f"/v1/admin/parties/{party}", {"title": party, "country": "DE", "collections": [], "adequacySchemes": []})
    for name, kind, weight in PRODUCTS:
        admin.put(f"/v1/admin/products/{name}", product_body(kind))
        say("product", name, kind, str(weight))
    for name, kind, _ in PRODUCTS:
        for look in KINDS:
            document = policy(name, look, kind != "steady")
            if look == "h":
                made = admin.put(f"/v1/admin/policies/soak-{name}", {"document": document}).json()
                admin.post(f"/v1/admin/policies/soak-{name}/versions/{made['version']}/activate")
            if look == "h" or kind != "leaving":
                say("policy", name, f"soak-{name}", look, json.dumps({"document": document}))
    for name, purpose, products, suspended in CONTRACTS:
        bodies = [contract_body(name, purpose, products, state) for state in ("active", "suspended")]
        admin.put(f"/v1/admin/contracts/{name}", bodies[0])
        say("contract", name, ",".join(products), json.dumps(bodies[0]), json.dumps(bodies[1]) if suspended else "")
        scopes = [f"read:{product}" for product in products]
        client("books", f"{name}-books", name, ["partner"], scopes, name)
        for reader in ("one", "two"):
            client("reader", f"{name}-{reader}", name, ["partner"], scopes, name)
    for name, roles in STAFF.items():
        if roles is None:
            say("staff", "admin", stack.secret_file("bootstrap_admin_secret").read_text().strip())
        else:
            client("staff", name, CONTROLLER, roles, ["write:*"] if roles == ["producer"] else [])
    say("purposes", json.dumps(PURPOSES))
    admin.close()
    path = stack.dir / "secrets" / "soak.plan"
    path.touch(0o600)
    path.write_text("\n".join(lines) + "\n")
    return path
