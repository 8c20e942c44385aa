// Runs the cases beside this file through the rights engine. Their form is described in README.md.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "tests/conformance/case_form.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
using nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kRoot = "tests/conformance";

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

// Which values each operand with each operator has had, "spatial isPartOf unknown prohibition", over all cases.
using Seen = std::set<std::string>;
void note(const json& grounds, const std::map<std::string, json>& documents, Seen& seen) {
    for (const auto& purpose : grounds.value("purposes", json::array()))
        for (const auto& rule : purpose.at("rules"))
            for (const auto& c : rule.at("constraints")) {
                const json& leaf = documents.at(rule.at("policy")).at(json::json_pointer(c.at("pointer").get<std::string>()));
                if (!leaf.is_object() || !leaf.contains("leftOperand") || !leaf.at("leftOperand").is_string() || !leaf.at("operator").is_string())
                    continue;
                seen.insert(leaf.at("leftOperand").get<std::string>() + " " + leaf.at("operator").get<std::string>() + " " +
                            c.at("value").get<std::string>() + " " + rule.at("kind").get<std::string>());
            }
}

struct Case {
    const fs::path& folder;
    const ordered_json& file;
    const ordered_json& body;
};

void run(const Case& c, Seen& seen) {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto entitlement = entitlement_of(laid_over(c.file, c.body, "entitlement"));
    const auto mapping = event::parse_mapping(json(c.file.at("mapping")), 1);
    REQUIRE_MESSAGE(mapping.ok(), mapping.error().pointer << ": " << mapping.error().detail);
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<event::Mapping>(*mapping)};

    std::vector<policy::PolicyVersion> policies;
    std::map<std::string, json> documents;
    for (const auto& p : c.body.contains("policies") ? c.body.at("policies") : c.file.at("policies")) {
        const json document = p.is_string() ? json(load(c.folder / p.get<std::string>())) : completed(json(p), entitlement.product);
        const auto parsed = policy::parse_policy(document, *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        policies.push_back({"policy-" + std::to_string(policies.size()), 1, *parsed});
        documents[policies.back().name] = document;
    }
    const auto program = policy::compile(entitlement, policies, mappings, vocabulary);
    REQUIRE_MESSAGE(program.ok(), program.error().detail);

    policy::ConsentIndex consents;
    fill(consents, *vocabulary, laid_over(c.file, c.body, "consents"));
    PlainPseudonymiser pseudonymiser;
    const auto decider = policy::make_decider(*program, consents, pseudonymiser);
    const std::string record = make_record(*mapping, event_of(laid_over(c.file, c.body, "event")));
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
    note(grounds, documents, seen);
}

// Every operand with every operator it takes, true and false and, where its input may be missing, unknown, in permissions and prohibitions.
Seen all_values() {
    struct Row {
        const char* operands;
        const char* operators;
        bool unknown;
    };
    static constexpr Row rows[] = {{"purpose", "eq neq isA isAnyOf isNoneOf", true},
                                   {"licet:consent", "eq neq isA", true},
                                   {"spatial licet:recipientCountry", "eq neq isAnyOf isNoneOf isPartOf", true},
                                   {"licet:licence licet:classification", "eq neq isAnyOf isNoneOf", true},
                                   {"licet:category", "eq neq isAnyOf isNoneOf hasPart isAllOf", false},
                                   {"recipient licet:eventType licet:eventSource", "eq neq isAnyOf isNoneOf isPartOf", false},
                                   {"licet:product", "eq neq isAnyOf isNoneOf", false},
                                   {"dateTime licet:eventTime", "eq neq lt lteq gt gteq", false}};
    Seen out;
    for (const auto& row : rows) {
        std::istringstream operands(row.operands);
        for (std::string operand; operands >> operand;) {
            std::istringstream operators(row.operators);
            for (std::string op; operators >> op;)
                for (const char* value : {"true", "false", "unknown"})
                    for (const char* kind : {"permission", "prohibition"})
                        if (row.unknown || std::string(value) != "unknown") out.insert(operand + " " + op + " " + value + " " + kind);
        }
    }
    return out;
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
    Seen seen;
    for (const auto& path : case_files()) {
        const ordered_json file = load(path);
        const fs::path folder = path.parent_path();
        for (const auto& body : file.at("cases")) {
            ++count;
            const std::string name = path.filename().string() + ": " + body.at("name").get<std::string>();
            CAPTURE(name);
            run({folder, file, body}, seen);
        }
    }
    CHECK(count >= 600);  // the folder was found and read
    for (const auto& value : all_values()) CHECK_MESSAGE(seen.contains(value), value);
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
