#include <fstream>
#include <random>

#include "base/limits.h"
#include "tests/unit/policy/count_allocations.h"
#include "tests/unit/policy/fixture.h"

using namespace licet;
using namespace licet::testing;
using policy::Reason;

namespace {

const json kFields = json::array({{{"pointer", "/email"}, {"category", "pd:EmailAddress"}, {"infoType", "EMAIL_ADDRESS"}},
                                  {{"pointer", "/ip"}, {"category", "pd:IPAddress"}, {"infoType", "IP_ADDRESS"}},
                                  {{"pointer", "/name"}, {"category", "pd:Name"}}});

policy::PurposeSet below(const char* term) {
    const auto v = policy::builtin_vocabulary();
    return v->at_or_below(v->purpose(term).value());
}

}  // namespace

TEST_CASE("compile refuses what it cannot hold to") {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto mapping = mapping_of(kFields);
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{mapping};
    const auto refused = [&](const policy::Entitlement& who, const std::vector<policy::PolicyVersion>& policies) {
        auto r = policy::compile(who, policies, mappings, vocabulary);
        REQUIRE_FALSE(r.ok());
        CHECK(r.error().code == Errc::invalid_document);
        return r.error().pointer;
    };
    auto who = entitlement();
    who.purposes = {"dpv:ServiceOptimisation", "dpv:Fun"};
    CHECK(refused(who, {}) == "/purposes/1");
    who = entitlement();
    who.purposes.assign(limits::contract_purposes_max + 1, "dpv:Marketing");
    CHECK(refused(who, {}) == "/purposes");
    who = entitlement();
    who.transfer_tools = {"eu-gdpr:A49-1-a"};
    CHECK(refused(who, {}) == "/transferTools/0");
    const auto typo = policy_of("p", json::array({rule("r", json::array(), json::array({transform("redact", "licet:pointer", "/emial")}))}));
    CHECK(refused(entitlement(), {typo}) == "/licet:pointer");
    // The same rule for another product is of no concern.
    who = entitlement();
    who.product = "other";
    CHECK(policy::compile(who, std::vector{typo}, mappings, vocabulary).ok());
}

TEST_CASE("equal rights are one view; what a decision depends on parts them") {
    const auto mapping = mapping_of(kFields);
    const auto open = policy_of("p", json::array({rule("r")}));
    const auto hashing = policy_of("p", json::array({rule("r", json::array(), json::array({transform("cryptoHash", "licet:pointer", "/ip")}))}));
    const auto by_party = policy_of("p", json::array({rule("r", json::array({constraint("recipient", "neq", "urn:licet:party:rival")}))}));
    const auto key = [&](const policy::Entitlement& who, const policy::PolicyVersion& policy) {
        return View(who, {policy}, {mapping}).program->view_key();
    };
    auto a = entitlement(), b = entitlement();
    b.contract = b.party = "someone-else";
    CHECK(key(a, open) == key(b, open));
    CHECK(key(a, hashing) != key(b, hashing));
    CHECK(key(a, by_party) != key(b, by_party));
    a.pseudonym_scope = b.pseudonym_scope = "health";
    CHECK(key(a, hashing) == key(b, hashing));

    const auto differs = [&](auto change) {
        auto c = entitlement();
        change(c);
        return key(c, open) != key(entitlement(), open);
    };
    CHECK(differs([](auto& c) { c.recipient_country = "US"; }));
    CHECK(differs([](auto& c) { c.purposes = {"dpv:Marketing"}; }));
    CHECK(differs([](auto& c) { c.purposes.clear(); }));
    CHECK(differs([](auto& c) { c.transfer_tools = {"eu-gdpr:A46-2-c"}; }));
    CHECK(differs([](auto& c) { c.adequacy_schemes = {"eu-us-dpf"}; }));
    auto c = entitlement();
    c.purposes = {"dpv:Marketing", "dpv:ServiceOptimisation", "dpv:Marketing"};
    auto d = entitlement();
    d.purposes = {"dpv:ServiceOptimisation", "dpv:Marketing"};
    CHECK(key(c, open) == key(d, open));
    CHECK(key(entitlement(), policy_of("p", json::array({rule("r")}), json::array(), 2)) != key(entitlement(), open));
}

TEST_CASE("a withdrawal counts at the very next decision, from a warm memo") {
    const auto mapping = mapping_of(kFields);
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array({constraint("licet:consent", "eq", "valid")}))}))}, {mapping});
    EventText e{"CC0-1.0", "FR", "ada"};
    e.data = "{}";
    const auto record = make_record(*mapping, e);
    const auto stored = event::StoredEvent::parse(record).value();
    const auto reason = [&] {
        const auto d = view.decider->decide(stored, {});
        CHECK(d.consent_probed);
        return d.reason;
    };
    CHECK(reason() == Reason::consent_missing);
    view.consents.set(subject_key("ada"), below("dpv:ServiceManagement"));
    CHECK(reason() == Reason::permitted);
    view.consents.set(subject_key("ada"), {});
    CHECK(reason() == Reason::consent_missing);
    view.consents.set_ready(false);
    CHECK(reason() == Reason::consent_unavailable);
    // Without a rule that asks for consent, none is probed.
    View open(entitlement(), {policy_of("p", json::array({rule("r")}))}, {mapping});
    CHECK_FALSE(open.decider->decide(stored, {}).consent_probed);
}

TEST_CASE("consents that name a recipient are seen by its entitlements, which then share no view with others") {
    const auto mapping = mapping_of(kFields);
    const auto asks = policy_of("p", json::array({rule("r", json::array({constraint("licet:consent", "eq", "valid")}))}));
    auto named = entitlement();
    named.consent_recipients = {7};
    View theirs(named, {asks}, {mapping}), others(entitlement(), {asks}, {mapping});
    CHECK(theirs.program->view_key() != others.program->view_key());
    View open(named, {policy_of("p", json::array({rule("r")}))}, {mapping}),
        open_to_others(entitlement(), {policy_of("p", json::array({rule("r")}))}, {mapping});
    CHECK(open.program->view_key() == open_to_others.program->view_key());  // nobody asks for consent
    EventText e{"CC0-1.0", "FR", "ada"};
    e.data = "{}";
    const auto record = make_record(*mapping, e);
    const auto stored = event::StoredEvent::parse(record).value();
    const auto purposes = below("dpv:ServiceManagement");
    const auto always = [](const policy::PurposeSet& set) { return std::vector<policy::ConsentStep>{{policy::ConsentStep::forever, set}}; };
    const auto given = policy::key_for_recipient(subject_key("ada"), 7, policy::Restriction::given),
               withdrawn = policy::key_for_recipient(subject_key("ada"), 7, policy::Restriction::withdrawn);
    for (auto* view : {&theirs, &others}) {
        const policy::ConsentIndex::Entry change[] = {{given, always(purposes)}};
        view->consents.set_related(change);
    }
    CHECK(theirs.decider->decide(stored, {}).reason == Reason::permitted);
    CHECK(others.decider->decide(stored, {}).reason == Reason::consent_missing);
    CHECK(policy::explain(*theirs.program, stored, theirs.consents, {})["deliver"] == true);
    CHECK(policy::explain(*others.program, stored, others.consents, {})["deliver"] == false);
    for (auto* view : {&theirs, &others}) {
        const policy::ConsentIndex::Entry change[] = {{subject_key("ada"), always(purposes)}, {given, {}}, {withdrawn, always(purposes)}};
        view->consents.set_related(change);
    }
    CHECK(theirs.decider->decide(stored, {}).reason == Reason::consent_missing);
    CHECK(others.decider->decide(stored, {}).reason == Reason::permitted);
}

TEST_CASE("an event of an unknown mapping version is withheld, and one whose mapping lacks a field a transform names") {
    const auto v1 = mapping_of(json::array({{{"pointer", "/ip"}}}), 1), v2 = mapping_of(kFields, 2), v3 = mapping_of(kFields, 3);
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array(), json::array({transform("redact", "licet:pointer", "/email")}))}))},
              {v1, v2});
    const auto decide = [&](const event::Mapping& m) {
        EventText e{"CC0-1.0"};
        e.data = R"({"email":"ada@example.org"})";
        const auto record = make_record(m, e);
        return view.decider->decide(event::StoredEvent::parse(record).value(), {}).reason;
    };
    CHECK(decide(*v1) == Reason::transform_failed);
    CHECK(decide(*v2) == Reason::permitted);
    CHECK(decide(*v3) == Reason::mapping_unknown);
}

TEST_CASE("a pseudonym that cannot be made withholds the event and leaves the output as it was") {
    const auto mapping = mapping_of(kFields);
    View view(entitlement(),
              {policy_of("p", json::array({rule("r", json::array(), json::array({transform("cryptoHash", "licet:pointer", "/ip")}))}))}, {mapping});
    EventText e{"CC0-1.0"};
    e.data = R"({"ip":"192.0.2.1"})";
    const auto record = make_record(*mapping, e);
    const auto stored = event::StoredEvent::parse(record).value();
    const auto decision = view.decider->decide(stored, {});
    std::string out = "kept";
    view.pseudonymiser.fail = true;
    CHECK_FALSE(view.decider->redact(stored, decision, out));
    CHECK(out == "kept");
    CHECK_FALSE(view.decider->redact(stored, policy::Decision{}, out));  // not a delivery
    CHECK(out == "kept");
}

TEST_CASE("a warm decision and a redaction without masks allocate nothing") {
    const auto mapping = mapping_of(kFields);
    const json duties = json::array({transform("cryptoHash", "licet:infoType", "IP_ADDRESS"), transform("redact", "licet:pointer", "/email")});
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array({constraint("licet:consent", "eq", "valid")}), duties)}))},
              {mapping});
    view.consents.set(subject_key("ada"), below("dpv:ServiceManagement"));
    EventText e{"CC-BY-4.0", "FR", "ada"};
    e.data = R"({"email":"ada@example.org","ip":"192.0.2.1","n":1})";
    const auto record = make_record(*mapping, e);
    const auto stored = event::StoredEvent::parse(record).value();
    std::string out;
    out.reserve(4096);
    REQUIRE(view.decider->redact(stored, view.decider->decide(stored, {}), out));
    const auto before = allocations();
    bool all = true;
    for (int i = 0; i < 100; ++i) {
        out.clear();
        const auto decision = view.decider->decide(stored, {});
        all = all && decision.deliver && view.decider->redact(stored, decision, out);
    }
    CHECK(allocations() == before);
    CHECK(all);
}

TEST_CASE("past the memo's limit decisions are the same, without it") {
    const auto mapping = mapping_of(kFields);
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array({constraint("licet:classification", "neq", "odd")}))}))}, {mapping});
    int wrong = 0;
    for (std::size_t i = 0; i < limits::decision_memo_max_entries + 500; ++i) {
        EventText e{"CC0-1.0"};
        e.classification = i % 2 == 0 ? "even-" + std::to_string(i) : "odd";
        e.data = "{}";
        const auto record = make_record(*mapping, e);
        wrong += view.decider->decide(event::StoredEvent::parse(record).value(), {}).deliver != (i % 2 == 0);
    }
    CHECK(wrong == 0);
}

TEST_CASE("the demo's policies are valid and compile for its contracts") {
    for (const char* name : {"wiki-edits", "newsroom"}) {
        std::ifstream in("deploy/demo/policies/" + std::string(name) + ".json"), catalogue("deploy/demo/catalogue.json");
        REQUIRE(in);
        REQUIRE(catalogue);
        const auto vocabulary = policy::builtin_vocabulary();
        const auto parsed = policy::parse_policy(json::parse(in), *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        const json demo = json::parse(catalogue);
        const auto mapping = event::parse_mapping(demo.at("products").at(name).at("mapping"), 1);
        REQUIRE(mapping.ok());
        const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<event::Mapping>(*mapping)};
        for (const auto& [contract, terms] : demo.at("contracts").items()) {
            auto who = entitlement();
            who.product = name;
            who.contract = contract;
            who.purposes = terms.at("purposes").get<std::vector<std::string>>();
            CHECK(policy::compile(who, std::vector{policy::PolicyVersion{name, 1, *parsed}}, mappings, vocabulary).ok());
        }
    }
}
