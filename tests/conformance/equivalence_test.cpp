// What the engine compiles decides as the reference reads it, on random policies, contracts, events, consents and moments. 20,000 of them in every
// run; LICET_EQUIVALENCE_TUPLES=1000000 for more, LICET_EQUIVALENCE_SEED for others.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include "tests/conformance/reference.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

std::size_t number_of(const char* variable, std::size_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Random {
  public:
    explicit Random(std::size_t seed) : engine_(seed) {}
    bool chance(unsigned in) { return engine_() % in == 0; }
    std::size_t below(std::size_t n) { return engine_() % n; }
    std::string one(std::initializer_list<const char*> of) { return of.begin()[below(of.size())]; }
    json some(std::initializer_list<const char*> of) {
        json out = json::array();
        for (const char* item : of)
            if (chance(2)) out.push_back(item);
        if (out.empty()) out.push_back(one(of));
        return out;
    }

    std::string purpose() {
        return one({"dpv:Purpose", "dpv:Marketing", "dpv:Advertising", "dpv:TargetedAdvertising", "dpv:ResearchAndDevelopment",
                    "dpv:AcademicResearch", "dpv:NonCommercialResearch", "dpv:ServiceOptimisation", "dpv:ServiceProvision"});
    }
    std::string moment() { return one({"2019-12-31", "2020-06-01", "2021-06-28", "2026-01-01", "2026-06-01T00:00:00Z", "2026-06-01T12:00:00.500Z"}); }
    UtcMillis time() {
        const std::string text = moment();
        const auto at = text.size() == 10 ? parse_date(text).value() : parse_rfc3339(text).value();
        return {at.value + static_cast<std::int64_t>(below(3)) - 1 + (chance(2) ? 86'400'000 : 0)};
    }

    // `place`: "" for anywhere, else what a refinement may speak of.
    json leaf(const std::string& place = "") {
        const auto alike = [&](const std::string& left, std::initializer_list<const char*> values) -> json {
            const std::string op = one({"eq", "neq", "isAnyOf", "isNoneOf"});
            return {{"leftOperand", left}, {"operator", op}, {"rightOperand", op.starts_with("is") ? some(values) : json(one(values))}};
        };
        const auto part = [&](const char* left, std::initializer_list<const char*> values) -> json {
            return {{"leftOperand", left}, {"operator", "isPartOf"}, {"rightOperand", one(values)}};
        };
        const auto ordered = [&](const char* left) -> json {
            return {{"leftOperand", left}, {"operator", one({"lt", "lteq", "gt", "gteq", "eq", "neq"})}, {"rightOperand", moment()}};
        };
        if (place == "party")
            return chance(2) ? alike("licet:recipientCountry", {"DE", "US", "EEA"})
                             : alike("recipient", {"urn:licet:party:partner", "urn:licet:party:rival"});
        switch (place == "asset" ? 5 + below(8) : below(15)) {
            case 0:
            case 1:
            case 2:
                return chance(2)
                           ? json{{"leftOperand", "purpose"}, {"operator", one({"eq", "isA", "typeOf", "neq"})}, {"rightOperand", purpose()}}
                           : json{{"leftOperand", "purpose"}, {"operator", one({"isAnyOf", "isNoneOf"})}, {"rightOperand", {purpose(), purpose()}}};
            case 3:
                return {{"leftOperand", "licet:consent"}, {"operator", one({"eq", "neq", "isA"})}, {"rightOperand", "valid"}};
            case 4:
                return ordered("dateTime");
            case 5:
                return alike("spatial", {"DE", "GB", "US", "EEA"});
            case 6:
                return part("spatial", {"DE", "EEA"});
            case 7:
                return alike("licet:licence", {"CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"});
            case 8:
                return alike("licet:classification", {"public", "secret"});
            case 9:
                return chance(2) ? alike("licet:category", {"pd:IPAddress", "pd:EmailAddress", "pd:Health"})
                                 : json{{"leftOperand", "licet:category"},
                                        {"operator", "isAllOf"},
                                        {"rightOperand", some({"pd:IPAddress", "pd:EmailAddress"})}};
            case 10:
                return chance(2) ? alike("licet:eventType", {"org.example.order", "org.example"})
                                 : part("licet:eventType", {"org.example", "org.exam"});
            case 11:
                return chance(2) ? alike("licet:eventSource", {"/shop", "urn:shop:eu"})
                                 : part("licet:eventSource", {"/shop", "/shop/", "urn:shop", "/sh"});
            case 12:
                return chance(2) ? ordered("licet:eventTime") : alike("licet:product", {"urn:licet:product:orders", "urn:licet:product:payments"});
            case 13:
                return part("recipient", {"urn:licet:collection:universities", "urn:licet:collection:hospitals"});
            default:
                return part("licet:recipientCountry", {"EEA", "US"});
        }
    }
    json tree(std::size_t depth, const std::string& place = "") {
        if (depth == 0 || !chance(3)) return leaf(place);
        json list = json::array();
        for (std::size_t i = 0; i <= below(3); ++i) list.push_back(tree(depth - 1, place));
        return {{one({"and", "or", "xone"}), list}};
    }
    json trees(std::size_t most, std::size_t depth, const std::string& place = "") {
        json out = json::array();
        for (std::size_t i = below(most + 1); i > 0; --i) out.push_back(tree(depth, place));
        return out;
    }
    json duty() {
        json out{{"action", "licet:transform"}, {"licet:transform", one({"redact", "null", "replace", "cryptoHash", "replaceWithInfoType"})}};
        if (out["licet:transform"] == "replace") out["licet:replacement"] = one({"x", "y"});
        switch (below(3)) {
            case 0:
                out["licet:pointer"] = one({"/ip", "/email"});
                break;
            case 1:
                out["licet:infoType"] = one({"IP_ADDRESS", "EMAIL_ADDRESS"});
                break;
            default:
                out["licet:category"] = one({"pd:IPAddress", "pd:EmailAddress"});
        }
        return out;
    }
    json rule(const std::string& uid, bool prohibition) {
        json out{{"uid", uid}, {"target", "urn:licet:product:orders"}, {"action", "use"}};
        if (chance(8)) out["target"] = json::array({"urn:licet:product:payments", one({"urn:licet:product:orders", "urn:licet:product:returns"})});
        if (chance(6))
            out["target"] = {{"@type", "AssetCollection"},
                             {"source", one({"urn:licet:products", "urn:licet:product:orders"})},
                             {"refinement", trees(2, 1, "asset")}};
        if (chance(6)) out["action"] = chance(2) ? json(one({"stream", "read", "transfer"})) : json::array({"print", "stream"});
        if (chance(8)) out["action"] = {{"rdf:value", "use"}, {"refinement", trees(1, 1)}};
        if (chance(6)) out["assignee"] = one({"urn:licet:party:partner", "urn:licet:party:rival", "urn:licet:collection:universities"});
        if (chance(8)) out["assignee"] = json::array({"urn:licet:party:rival", "urn:licet:collection:universities"});
        if (chance(8)) out["assignee"] = {{"@type", "PartyCollection"}, {"source", "urn:licet:parties"}, {"refinement", trees(1, 1, "party")}};
        if (!chance(4)) out["constraint"] = trees(2, 2);
        if (!prohibition && chance(2))
            for (std::size_t i = below(3); i > 0; --i) out["duty"].push_back(duty());
        return out;
    }
    json policy(const std::string& name) {
        json out{{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
                 {"@type", "Set"},
                 {"uid", "urn:example:" + name},
                 {"profile", "https://licet.dev/ns/odrl-profile/1"},
                 {"conflict", "prohibit"}};
        for (std::size_t i = 1 + below(3); i > 0; --i) out["permission"].push_back(rule(name + "y" + std::to_string(i), false));
        for (std::size_t i = chance(2) ? 1 + below(2) : 0; i > 0; --i) out["prohibition"].push_back(rule(name + "n" + std::to_string(i), true));
        return out;
    }
    policy::Entitlement contract() {
        policy::Entitlement e;
        e.product = "orders";
        e.contract = e.party = "partner";
        e.recipient_country = one({"DE", "DE", "US", "GB", "JP", ""});
        for (std::size_t i = chance(8) ? 0 : 1 + below(2); i > 0; --i) e.purposes.push_back(purpose());
        if (chance(2)) e.party_collections.push_back(one({"universities", "hospitals"}));
        if (chance(4)) e.transfer_tools.push_back("eu-gdpr:A46-2-c");
        if (chance(4)) e.adequacy_schemes.push_back("eu-us-dpf");
        return e;
    }
    EventText event() {
        EventText e;
        e.license = one({"CC0-1.0", "CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "", "Beer-1.0"});
        e.jurisdiction = one({"DE", "DE-BE", "GB", "US", "", "XX"});
        e.subject = one({"", "ada", "bob"});
        e.classification = one({"", "public", "secret"});
        e.categories = one({"", "pd:Health", "pd:Age pd:EmailAddress"});
        e.type = one({"org.example.order", "org.example", "org.examples", "a\\\"b"});
        e.source = one({"/shop", "/shop/eu", "/shops", "urn:shop:eu", "urn:shop"});
        e.time = time();
        if (chance(16)) e.expiry = time();
        e.data = one({"{}", R"({"ip":"192.0.2.1","n":1})", R"({"ip":"Old Mill","email":7})", R"({"n":1,"email":"ada@example.org","ip":"::1"})"});
        return e;
    }

  private:
    std::mt19937_64 engine_;
};

const json kMapping = json::parse(R"({
    "attributes": {"id": {"digest": true}, "source": {"constant": "/t"}, "type": {"constant": "t"}},
    "fields": [{"pointer": "/email", "category": "pd:EmailAddress", "infoType": "EMAIL_ADDRESS"},
               {"pointer": "/ip", "category": "pd:IPAddress", "infoType": "IP_ADDRESS"}]
})");

// One set of policies under one contract, over several events; the view's memo lives through them.
void compare(Random& random, std::size_t tuples, std::map<std::string, std::size_t>& seen) {
    static const auto vocabulary = policy::builtin_vocabulary();
    const auto read = event::parse_mapping(kMapping, 1);
    REQUIRE_MESSAGE(read.ok(), read.error().detail);
    const auto mapping = std::make_shared<const event::Mapping>(*read);
    ReferenceInput input;
    input.mapping = kMapping;
    input.contract = random.contract();
    std::vector<policy::PolicyVersion> policies;
    for (std::size_t i = 1 + random.below(3); i > 0; --i) {
        input.policies.push_back(random.policy("p" + std::to_string(i)));
        auto parsed = policy::parse_policy(input.policies.back(), *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        policies.push_back({"p" + std::to_string(i), 1, *parsed});
    }
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{mapping};
    const auto program = policy::compile(input.contract, policies, mappings, vocabulary);
    REQUIRE(program.ok());
    policy::ConsentIndex consents;
    PlainPseudonymiser pseudonymiser;
    const auto decider = policy::make_decider(*program, consents, pseudonymiser);
    for (std::size_t i = 0; i < tuples; ++i) {
        input.event = random.event();
        input.now = random.time();
        input.consents_ready = !random.chance(6);
        const std::string subject = random.one({"ada", "bob"});
        input.consents[subject].clear();
        policy::PurposeSet valid;
        for (std::size_t k = random.below(3); k > 0; --k) {
            input.consents[subject].push_back(random.purpose());
            valid.add_all(vocabulary->at_or_below(vocabulary->purpose(input.consents[subject].back()).value()));
        }
        consents.set(subject_key(subject), valid);
        consents.set_ready(input.consents_ready);

        const auto expected = reference_decision(input, *vocabulary);
        const std::string record = make_record(*mapping, input.event);
        const auto stored = event::StoredEvent::parse(record).value();
        const auto decision = decider->decide(stored, input.now);
        const std::string rule = decision.rule == policy::Decision::kNoRule ? "" : (*program)->rules()[decision.rule].rule;
        const bool same = policy::reason_name(decision.reason) == expected.reason && rule == expected.rule;
        std::string out;
        const bool redacted = !decision.deliver || (decider->redact(stored, decision, out) && out == expected.data);
        if (!same || !redacted) {
            CAPTURE(json(input.policies).dump());
            CAPTURE(expected.reason + " " + expected.rule + " " + expected.data);
            CAPTURE(out);
            CAPTURE(input.event.license + "|" + input.event.jurisdiction + "|" + input.event.type + "|" + input.event.source + "|" +
                    input.event.subject);
            FAIL("the engine says " << policy::reason_name(decision.reason) << " by rule " << rule);
        }
        ++seen[expected.reason];
    }
}

}  // namespace

TEST_CASE("compiled and interpreted agree") {
    const std::size_t tuples = number_of("LICET_EQUIVALENCE_TUPLES", 20'000), each = 20;
    Random random(number_of("LICET_EQUIVALENCE_SEED", 4711));
    std::map<std::string, std::size_t> seen;
    for (std::size_t done = 0; done < tuples; done += each) compare(random, each, seen);
    // The generator reaches every kind of answer, and none is rare enough to be missed.
    for (const char* reason :
         {"permitted", "no_permission", "prohibited", "purpose_not_permitted", "purpose_unknown", "licence_forbids", "licence_unknown",
          "consent_missing", "consent_unavailable", "transfer_not_permitted", "jurisdiction_unknown", "transform_conflict", "expired"}) {
        CAPTURE(reason);
        CHECK(seen[reason] >= 20);
    }
    for (const auto& [reason, count] : seen) MESSAGE(reason << ": " << count);
}
