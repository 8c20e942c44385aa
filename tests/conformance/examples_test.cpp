// Runs docs/policy-examples.md: what the page says is decided is decided, what it says leaves leaves, and its explanations are what explain says.
// Blocks of a section add up (mapping, policy, party, contract, consents, event); each `outcome` is that of the event before it.
#include <doctest/doctest.h>

#include "tests/conformance/case_form.h"

namespace {

using namespace licet;
using namespace licet::testing;

const std::string kPage = "docs/policy-examples.md";

// What a section has said so far.
struct Said {
    std::optional<event::Mapping> mapping;
    std::vector<json> policies;
    ordered_json party, contract, consents = ordered_json::object(), event;
};

policy::Entitlement entitlement_of(const Said& said) {
    policy::Entitlement e;
    e.product = said.contract.at("products").at(0).get<std::string>();
    e.contract = said.contract.at("name").get<std::string>();
    e.party = said.party.at("name").get<std::string>();
    REQUIRE(said.contract.at("party") == e.party);
    e.party_collections = strings(said.party, "collections");
    e.recipient_country = said.party.at("country").get<std::string>();
    e.adequacy_schemes = strings(said.party, "adequacySchemes");
    e.purposes = strings(said.contract, "purposes");
    e.transfer_tools = strings(said.contract, "transferTools");
    e.pseudonym_scope = said.contract.value("pseudonymScope", "contract");
    return e;
}

// A CloudEvent as it is posted.
EventText text_of(const ordered_json& in) {
    EventText e;
    e.license = in.value("license", "");
    e.jurisdiction = in.value("jurisdiction", "");
    e.subject = in.value("datasubject", "");
    e.classification = in.value("dataclassification", "");
    e.categories = in.value("datacategory", "");
    e.type = in.at("type").get<std::string>();
    e.source = in.at("source").get<std::string>();
    e.time = parse_rfc3339(in.at("time").get<std::string>()).value();
    if (in.contains("expirytime")) e.expiry = parse_rfc3339(in.at("expirytime").get<std::string>()).value();
    e.data = in.at("data").dump();
    return e;
}

// "<pseudonym of VALUE under SCOPE>" stands for the keyed digest, which is different at every installation.
void pseudonyms(ordered_json& value) {
    if (value.is_structured())
        for (auto& child : value) pseudonyms(child);
    else if (value.is_string() && value.get_ref<const std::string&>().starts_with("<pseudonym of ")) {
        const std::string text = value.get<std::string>();
        const auto under = text.find(" under ");
        value = "hash:" + text.substr(under + 7, text.size() - under - 8) + "|" + text.substr(14, under - 14);
        hash_strings(value);
    }
}

// The page may leave members out, never elements.
bool says(const json& actual, const json& page) {
    if (page.is_object()) {
        if (!actual.is_object()) return false;
        for (const auto& [key, value] : page.items())
            if (!actual.contains(key) || !says(actual.at(key), value)) return false;
        return true;
    }
    if (!page.is_array() || !actual.is_array()) return page == actual;
    if (page.size() != actual.size()) return false;
    for (std::size_t i = 0; i < page.size(); ++i)
        if (!says(actual[i], page[i])) return false;
    return true;
}

void check_outcome(const Said& said, const ordered_json& outcome) {
    const auto vocabulary = policy::builtin_vocabulary();
    REQUIRE(said.mapping.has_value());
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<event::Mapping>(*said.mapping)};
    std::vector<policy::PolicyVersion> policies;
    for (const auto& document : said.policies) {
        const auto parsed = policy::parse_policy(document, *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        policies.push_back({document.at("uid").get<std::string>().substr(17), 1, *parsed});  // urn:licet:policy:NAME
    }
    const auto program = policy::compile(entitlement_of(said), policies, mappings, vocabulary);
    REQUIRE_MESSAGE(program.ok(), program.error().detail);
    policy::ConsentIndex consents;
    fill(consents, *vocabulary, said.consents);
    PlainPseudonymiser pseudonymiser;
    const auto decider = policy::make_decider(*program, consents, pseudonymiser);
    const std::string record = make_record(*said.mapping, text_of(said.event));
    const auto stored = event::StoredEvent::parse(record).value();
    const UtcMillis now = outcome.contains("deliveredAt") ? parse_rfc3339(outcome.at("deliveredAt").get<std::string>()).value() : kNow;

    auto decision = decider->decide(stored, now);
    std::string out;
    if (decision.deliver && !decider->redact(stored, decision, out)) decision = {policy::Reason::transform_failed, false, decision.rule};
    CHECK(policy::reason_name(decision.reason) == outcome.at("reason").get<std::string>());
    REQUIRE(decision.deliver == outcome.contains("leaves"));
    if (decision.deliver) {
        ordered_json leaves = outcome.at("leaves");
        pseudonyms(leaves);
        CHECK(out == leaves.dump());
    }
    const json grounds = policy::explain(**program, stored, consents, now);
    const bool same = !outcome.contains("explain") || says(grounds, json(outcome.at("explain")));
    CHECK_MESSAGE(same, grounds.dump(2));
}

}  // namespace

TEST_CASE("every example of docs/policy-examples.md is as the page says") {
    Said said;
    std::size_t sections = 0, outcomes = 0, explained = 0, since = 1;
    for (const auto& block : blocks_of(kPage)) {
        CAPTURE(block.line);
        REQUIRE_FALSE(block.value.is_discarded());
        if (block.what == "section") {
            CHECK(since > 0);  // an example without an outcome says nothing
            said = {};
            since = 0;
            ++sections;
        } else if (block.what == "mapping") {
            auto mapping = event::parse_mapping(json(block.value), 1);
            REQUIRE_MESSAGE(mapping.ok(), mapping.error().pointer << ": " << mapping.error().detail);
            said.mapping = *std::move(mapping);
        } else if (block.what == "policy") {
            said.policies.push_back(json(block.value));
        } else if (block.what == "party") {
            said.party = block.value;
        } else if (block.what == "contract") {
            said.contract = block.value;
        } else if (block.what == "consents") {
            said.consents = block.value;
        } else if (block.what == "event") {
            said.event = block.value;
        } else {
            REQUIRE(block.what == "outcome");
            check_outcome(said, block.value);
            ++outcomes;
            ++since;
            explained += block.value.contains("explain");
        }
    }
    CHECK(sections >= 7);
    CHECK(outcomes >= 20);
    CHECK(explained >= sections);
}
