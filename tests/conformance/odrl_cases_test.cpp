// Other people's policies. With LICET_POLICY_CASES naming a folder of them (odrl-pap, ODRL-Test-Suite): every real policy is refused for a named
// reason or accepted, and every evaluation case the profile can express is decided as it says. Without: skipped; cases/*.json hold our own.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/policy_event.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;
namespace fs = std::filesystem;

// The folder; nullopt says so and skips.
std::optional<fs::path> cases(const char* which) {
    const char* root = std::getenv("LICET_POLICY_CASES");
    if (root == nullptr || !fs::is_directory(fs::path(root) / which)) {
        MESSAGE("skipped: LICET_POLICY_CASES names no folder with " << which);
        return std::nullopt;
    }
    return fs::path(root) / which;
}

// A file as UTF-8; some of them are UTF-16 with a byte order mark.
std::string text_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (!bytes.starts_with("\xff\xfe")) return bytes.starts_with("\xef\xbb\xbf") ? bytes.substr(3) : bytes;
    std::string out;
    for (std::size_t i = 2; i + 1 < bytes.size(); i += 2) {
        const unsigned c = static_cast<unsigned char>(bytes[i]) | static_cast<unsigned>(static_cast<unsigned char>(bytes[i + 1])) << 8;
        out += c < 0x80 ? static_cast<char>(c) : '?';  // the terms are ASCII
    }
    return out;
}

// Turtle as far as these files use it: prefixes, IRIs, typed strings, `a`, lists by `,` and `;`. Subject -> predicate -> objects, prefixes kept.
using Graph = std::map<std::string, std::map<std::string, std::vector<std::string>>>;
void read_turtle(const fs::path& path, Graph& into) {
    const std::string text = text_of(path);
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            ++i;
        } else if (c == '<' || c == '"') {
            const std::size_t end = text.find(c == '<' ? '>' : '"', i + 1);
            tokens.push_back((c == '<' ? "" : "\"") + text.substr(i + 1, end - i - 1));
            i = end + 1;
            if (c == '"' && text.compare(i, 2, "^^") == 0)
                for (i += 2; i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == ':'); ++i) continue;
        } else if (c == '.' || c == ';' || c == ',') {
            tokens.emplace_back(1, c);
            ++i;
        } else {
            const std::size_t start = i;
            while (i < text.size() && std::isspace(static_cast<unsigned char>(text[i])) == 0 &&
                   std::string(".;,<\"").find(text[i]) == std::string::npos)
                ++i;
            tokens.push_back(text.substr(start, i - start));
        }
    }
    std::string subject, predicate;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto& t = tokens[i];
        if (t == "@prefix") {
            while (tokens[i] != ".") ++i;
        } else if (t == ".") {
            subject.clear();
            predicate.clear();
        } else if (t == ";") {
            predicate.clear();
        } else if (t != ",") {
            if (subject.empty())
                subject = t;
            else if (predicate.empty())
                predicate = t;
            else
                into[subject][predicate].push_back(t);
        }
    }
}

class Suite {
  public:
    explicit Suite(const fs::path& root) {
        for (const char* part : {"policies", "requests", "sotw"})
            for (const auto& file : fs::directory_iterator(root / "data" / part)) read_turtle(file.path(), graph_);
    }
    // Reads one case; its name, or nothing when it asks for what the profile does not evaluate (`excluded` gets why).
    bool run(const fs::path& file, std::string& excluded) {
        Graph own;
        read_turtle(file, own);
        std::string test, active;
        for (const auto& [subject, of] : own) {
            if (of.contains("ex:request")) test = subject;
            if (of.contains("report:activationState")) active = of.at("report:activationState")[0];
        }
        const auto& of = own.at(test);
        const std::string policy = of.at("ex:policy")[0], state = of.at("ex:sotw")[0];
        const std::string request = graph_.at(of.at("ex:request")[0]).at("odrl:permission")[0];
        const json document = policy_of(policy, state, excluded);
        if (!excluded.empty()) return true;
        const bool prohibition = document.contains("prohibition");
        const std::string reason = decide(document, request, state);
        if (prohibition) return (reason == "prohibited") == (active == "report:Active");
        return (reason == "permitted") == (active == "report:Active");
    }

  private:
    std::string one(const std::string& subject, const std::string& predicate) const {
        const auto s = graph_.find(subject);
        if (s == graph_.end() || !s->second.contains(predicate)) return {};
        return s->second.at(predicate)[0];
    }
    static std::string local(const std::string& name) {
        std::string out = name.substr(name.find(':') + 1);
        for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return out;
    }
    bool is(const std::string& subject, const std::string& type) const { return one(subject, "a") == type; }

    json constraint_of(const std::string& at) const {
        for (const char* logic : {"and", "or", "xone"}) {
            const auto s = graph_.find(at);
            if (s == graph_.end() || !s->second.contains(std::string("odrl:") + logic)) continue;
            json list = json::array();
            for (const auto& part : s->second.at(std::string("odrl:") + logic)) list.push_back(constraint_of(part));
            return {{logic, list}};
        }
        return {{"leftOperand", one(at, "odrl:leftOperand")},
                {"operator", one(at, "odrl:operator")},
                {"rightOperand", one(at, "odrl:rightOperand").substr(1)}};
    }
    // A collection of assets is given by its members, which the state of the world lists.
    json policy_of(const std::string& policy, const std::string& state, std::string& excluded) const {
        json out{{"@context", "http://www.w3.org/ns/odrl.jsonld"},
                 {"@type", "Set"},
                 {"uid", policy},
                 {"profile", "https://licet.dev/ns/odrl-profile/1"},
                 {"conflict", "prohibit"}};
        for (const char* kind : {"permission", "prohibition"}) {
            const std::string rule = one(policy, std::string("odrl:") + kind);
            if (rule.empty()) continue;
            json r{{"uid", rule}};
            const std::string action = one(rule, "odrl:action"), target = one(rule, "odrl:target"), assignee = one(rule, "odrl:assignee");
            r["action"] = action.empty() ? json::array({"use", "transfer"}) : json(action);
            if (target.empty()) {
                r["target"] = {{"@type", "AssetCollection"}, {"source", "urn:licet:products"}};
            } else if (is(target, "odrl:AssetCollection")) {
                json members = json::array();
                for (const auto& part : graph_.at(state).at("ex:includes"))
                    if (one(part, "odrl:partOf") == target) members.push_back("urn:licet:product:" + local(part));
                r["target"] = members;
            } else {
                r["target"] = "urn:licet:product:" + local(target);
            }
            if (!assignee.empty())
                r["assignee"] = (is(assignee, "odrl:PartyCollection") ? "urn:licet:collection:" : "urn:licet:party:") + local(assignee);
            if (const std::string c = one(rule, "odrl:constraint"); !c.empty()) r["constraint"] = json::array({constraint_of(c)});
            if (!one(rule, "odrl:duty").empty()) excluded = "a duty whose state is known from reports of what partners did";
            out[kind] = json::array({r});
        }
        return out;
    }
    std::string decide(const json& document, const std::string& request, const std::string& state) const {
        const auto vocabulary = policy::builtin_vocabulary();
        const auto parsed = policy::parse_policy(document, *vocabulary);
        REQUIRE_MESSAGE(parsed.ok(), parsed.error().pointer << ": " << parsed.error().detail);
        policy::Entitlement who;
        who.product = local(one(request, "odrl:target"));
        who.party = who.contract = local(one(request, "odrl:assignee"));
        who.action = local(one(request, "odrl:action"));
        who.recipient_country = "DE";
        who.purposes = {"dpv:NonCommercialResearch"};
        for (const auto& part : graph_.at(state).at("ex:includes"))
            if (part == one(request, "odrl:assignee") && !one(part, "odrl:partOf").empty())
                who.party_collections.push_back(local(one(part, "odrl:partOf")));
        const json mapping =
            json::parse(R"({"attributes": {"id": {"digest": true}, "source": {"constant": "/t"}, "type": {"constant": "t"}}, "fields": []})");
        const std::vector<std::shared_ptr<const event::Mapping>> mappings{std::make_shared<const event::Mapping>(*event::parse_mapping(mapping, 1))};
        const std::vector<policy::PolicyVersion> policies{{"case", 1, *parsed}};
        const auto program = policy::compile(who, policies, mappings, vocabulary);
        REQUIRE(program.ok());
        policy::ConsentIndex consents;
        PlainPseudonymiser pseudonymiser;
        EventText e;
        e.license = "CC0-1.0";
        e.data = "{}";
        const std::string record = make_record(*mappings[0], e);

        return std::string(policy::reason_name(
            policy::make_decider(*program, consents, pseudonymiser)->decide(event::StoredEvent::parse(record).value(), times_.at(state)).reason));
    }

  public:
    // Every state of the world speaks of temp:currentTime: kept by state.
    void read_times(const fs::path& root) {
        for (const auto& file : fs::directory_iterator(root / "data" / "sotw")) {
            Graph own;
            read_turtle(file.path(), own);
            for (const auto& [subject, of] : own)
                if (of.contains("ex:includes")) times_[subject] = parse_rfc3339(own.at("temp:currentTime").at("dct:issued")[0].substr(1)).value();
        }
    }

  private:
    Graph graph_;
    std::map<std::string, UtcMillis> times_;
};

}  // namespace

TEST_CASE("real policies are accepted, or refused for a named reason") {
    const auto root = cases("odrl-pap");
    if (!root) return;
    std::size_t read = 0, accepted = 0;
    for (const auto& file : fs::recursive_directory_iterator(*root)) {
        if (file.path().extension() != ".json") continue;
        CAPTURE(file.path().string());
        const json document = json::parse(text_of(file.path()), nullptr, false);
        REQUIRE_FALSE(document.is_discarded());
        ++read;
        const auto check = policy::check_policy(document, *policy::builtin_vocabulary());
        accepted += check.document != nullptr;
        CHECK((check.document != nullptr) == check.mistakes.empty());
        std::set<std::string> pointers;
        for (const auto& m : check.mistakes) {
            CHECK_FALSE(m.detail.empty());
            // What is wrong exists there, or should.
            const json::json_pointer at(m.pointer);
            CHECK((document.contains(at) || m.pointer.empty() || document.contains(at.parent_pointer()) || at.parent_pointer().empty()));
            pointers.insert(m.pointer);
        }
        // Each is under another profile, or none, and leaves conflicts open.
        if (!check.document) CHECK((pointers.contains("/profile") || pointers.contains("/odrl:profile") || pointers.contains("/@graph")));
    }
    CHECK(read >= 30);
    MESSAGE(read << " read, " << accepted << " accepted");
}

TEST_CASE("evaluation cases of the ODRL test suite") {
    const auto root = cases("ODRL-Test-Suite");
    if (!root) return;
    Suite suite(*root);
    suite.read_times(*root);
    const json listed = json::parse(std::ifstream("tests/conformance/excluded.json")).at("ODRL-Test-Suite");
    std::set<std::string> excluded;
    std::size_t decided = 0;
    for (const auto& file : fs::directory_iterator(*root / "data" / "test_cases")) {
        const std::string name = file.path().stem().string();
        CAPTURE(name);
        std::string why;
        CHECK(suite.run(file.path(), why));
        if (why.empty()) {
            ++decided;
            CHECK_FALSE(listed.contains(name));
        } else {
            CHECK_MESSAGE(listed.contains(name), why);
            excluded.insert(name);
        }
    }
    CHECK(excluded.size() == listed.size());
    CHECK(decided >= 30);
    MESSAGE(decided << " decided, " << excluded.size() << " excluded");
}
