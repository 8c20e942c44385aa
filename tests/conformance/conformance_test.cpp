// Runs the cases beside this file through the rights engine. Their form is described in README.md.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "tests/support/policy_event.h"

namespace {

using namespace licet;
using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kRoot = "tests/conformance";
constexpr UtcMillis kNow{1'800'000'000'000};

ordered_json load(const fs::path& path) {
    std::ifstream in(path);
    REQUIRE_MESSAGE(in, path.string());
    return ordered_json::parse(in);
}

// Case over file, member by member.
ordered_json laid_over(const ordered_json& file, const ordered_json& c, const char* member) {
    ordered_json out = file.value(member, ordered_json::object());
    if (const auto own = c.find(member); own != c.end()) {
        if (own->is_null()) return nullptr;
        for (const auto& [key, value] : own->items()) out[key] = value;
    }
    return out;
}

json completed(json document, const std::string& product) {
    if (!document.contains("@context")) {
        document["@context"] = {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"};
        document["@type"] = "Set";
        document["uid"] = "urn:licet:policy:case";
        document["profile"] = "https://licet.dev/ns/odrl-profile/1";
        document["conflict"] = "prohibit";
    }
    for (const char* kind : {"permission", "prohibition"}) {
        if (!document.contains(kind)) continue;
        for (auto& rule : document[kind]) {
            if (!rule.contains("target")) rule["target"] = "urn:licet:product:" + product;
            if (!rule.contains("action")) rule["action"] = "use";
        }
    }
    return document;
}

std::vector<std::string> strings(const ordered_json& object, const char* member) { return object.value(member, std::vector<std::string>{}); }

policy::Entitlement entitlement_of(const ordered_json& in) {
    policy::Entitlement e;
    e.product = in.value("product", "orders");
    e.contract = in.value("contract", "partner");
    e.party = in.value("party", "partner");
    e.party_collections = strings(in, "collections");
    e.recipient_country = in.value("country", "DE");
    e.purposes = strings(in, "purposes");
    e.transfer_tools = strings(in, "transferTools");
    e.adequacy_schemes = strings(in, "adequacySchemes");
    e.pseudonym_scope = in.value("pseudonymScope", "contract");
    e.action = in.value("action", "");
    return e;
}

testing::EventText event_of(const ordered_json& in) {
    testing::EventText e;
    e.license = in.value("license", "");
    e.jurisdiction = in.value("jurisdiction", "");
    e.subject = in.value("subject", "");
    e.classification = in.value("classification", "");
    e.categories = in.value("datacategory", "");
    e.type = in.value("type", e.type);
    e.source = in.value("source", e.source);
    e.time = parse_rfc3339(in.value("time", "2026-06-01T00:00:00Z")).value();
    if (in.contains("expirytime")) e.expiry = parse_rfc3339(in.at("expirytime").get<std::string>()).value();
    if (in.contains("dataBase64")) {
        e.data = in.at("dataBase64").get<std::string>();
        e.kind = event::DataKind::base64;
    } else if (in.contains("dataText")) {
        e.data = in.at("dataText").get<std::string>();
    } else {
        e.data = in.value("data", ordered_json::object()).dump();
    }
    return e;
}

// "hash:<scope>|<value>" -> the digest the test's pseudonymiser gives; "seal:<scope>|<form><value>" -> its ciphertext.
void hash_strings(ordered_json& value) {
    if (value.is_structured())
        for (auto& child : value) hash_strings(child);
    else if (value.is_string() && value.get_ref<const std::string&>().starts_with("hash:")) {
        const std::string text = value.get<std::string>().substr(5);
        const auto bar = text.find('|');
        std::array<std::uint8_t, 32> digest;
        testing::PlainPseudonymiser().hash(text.substr(0, bar), text.substr(bar + 1), digest);
        value = base64url(digest);
    } else if (value.is_string() && value.get_ref<const std::string&>().starts_with("seal:")) {
        value = base64url(as_bytes(value.get<std::string>().substr(5)));
    }
}

void fill(policy::ConsentIndex& index, const policy::Vocabulary& vocabulary, const ordered_json& consents) {
    if (consents.is_null()) return;  // not ready
    for (const auto& [subject, purposes] : consents.items()) {
        policy::PurposeSet set;
        for (const auto& p : purposes) set.add_all(vocabulary.at_or_below(vocabulary.purpose(p.get<std::string>()).value()));
        index.set(testing::subject_key(subject), set);
    }
    index.set_ready(true);
}

struct Case {
    const fs::path& folder;
    const ordered_json& file;
    const ordered_json& body;
};

void run(const Case& c) {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto entitlement = entitlement_of(laid_over(c.file, c.body, "entitlement"));
    const auto mapping = event::parse_mapping(json(c.file.at("mapping")), 1);
    REQUIRE_MESSAGE(mapping.ok(), mapping.error().pointer << ": " << mapping.error().detail);
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<event::Mapping>(*mapping)};

    std::vector<policy::PolicyVersion> policies;
    for (const auto& p : c.body.contains("policies") ? c.body.at("policies") : c.file.at("policies")) {
        const json document = p.is_string() ? json(load(c.folder / p.get<std::string>())) : completed(json(p), entitlement.product);
        const auto parsed = policy::parse_policy(document, *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        policies.push_back({"policy-" + std::to_string(policies.size()), 1, *parsed});
    }
    const auto program = policy::compile(entitlement, policies, mappings, vocabulary);
    REQUIRE_MESSAGE(program.ok(), program.error().detail);

    policy::ConsentIndex consents;
    fill(consents, *vocabulary, laid_over(c.file, c.body, "consents"));
    testing::PlainPseudonymiser pseudonymiser;
    const auto decider = policy::make_decider(*program, consents, pseudonymiser);
    const std::string record = testing::make_record(*mapping, event_of(laid_over(c.file, c.body, "event")));
    const auto stored = event::StoredEvent::parse(record);
    REQUIRE(stored.has_value());

    const ordered_json& expect = c.body.at("expect");
    const UtcMillis now = c.body.contains("now") ? parse_rfc3339(c.body.at("now").get<std::string>()).value() : kNow;
    for (const char* pass : {"cold", "from the memo"}) {
        CAPTURE(pass);
        auto decision = decider->decide(*stored, now);
        std::string out;
        if (decision.deliver && !decider->redact(*stored, decision, out)) decision = {policy::Reason::transform_failed, false, decision.rule};
        CHECK(policy::reason_name(decision.reason) == expect.at("reason").get<std::string>());
        CHECK(decision.deliver == (expect.at("reason") == "permitted"));
        if (expect.contains("rule")) {
            REQUIRE(decision.rule < (*program)->rules().size());
            CHECK((*program)->rules()[decision.rule].rule == expect.at("rule").get<std::string>());
        }
        if (expect.contains("dataText")) CHECK(out == expect.at("dataText").get<std::string>());
        if (expect.contains("data")) {
            ordered_json data = expect.at("data");
            hash_strings(data);
            CHECK(out == data.dump());
        }
    }
    const json grounds = policy::explain(**program, *stored, consents, now);
    CHECK(grounds.at("reason") == expect.at("reason"));
    CHECK(grounds.at("deliver") == (expect.at("reason") == "permitted"));
    if (expect.contains("rule")) CHECK(grounds.at("decidedBy").at("rule") == expect.at("rule"));
}

std::vector<fs::path> case_files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot))
        if (entry.path().string().ends_with(".cases.json")) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

TEST_CASE("every case is decided, redacted and explained as written") {
    std::size_t count = 0;
    for (const auto& path : case_files()) {
        const ordered_json file = load(path);
        const fs::path folder = path.parent_path();
        for (const auto& body : file.at("cases")) {
            ++count;
            const std::string name = path.filename().string() + ": " + body.at("name").get<std::string>();
            CAPTURE(name);
            run({folder, file, body});
        }
    }
    CHECK(count >= 300);  // the folder was found and read
}

TEST_CASE("every document that breaks the profile is refused where it breaks it") {
    const ordered_json file = load(kRoot / "refused.json");
    const auto vocabulary = policy::builtin_vocabulary();
    const json valid = json(file.at("document"));
    REQUIRE(policy::parse_policy(valid, *vocabulary).ok());
    CHECK(file.at("cases").size() >= 80);
    for (const auto& c : file.at("cases")) {
        const std::string name = c.at("name").get<std::string>();
        CAPTURE(name);
        // Every mistake is listed, and this one is among them.
        const auto check = policy::check_policy(valid.patch(json(c.at("patch"))), *vocabulary);
        REQUIRE(check.document == nullptr);
        REQUIRE_FALSE(check.mistakes.empty());
        bool found = false;
        std::string said;
        for (const auto& m : check.mistakes) {
            CHECK(m.code == Errc::invalid_document);
            found =
                found || (m.pointer == c.at("pointer").get<std::string>() && m.detail.find(c.at("detail").get<std::string>()) != std::string::npos);
            said += m.pointer + ": " + m.detail + "\n";
        }
        CHECK_MESSAGE(found, said);
    }
}
