// Policies others wrote in JSON-LD: the cases of the W3C's formal semantics, and what people really write (odrl-pap). With LICET_POLICY_CASES naming
// their folder each is decided as its report says, or refused where excluded.json says. Without: skipped.
#include "tests/conformance/others.h"

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

// "http://example.com/document/1234" -> "n1234".
std::string name_of(const std::string& iri) {
    std::string out = "n";
    for (const char c : iri.substr(iri.find_last_of("/:") + 1))
        out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
    return out;
}

// A value under any of its names.
json* member(json& object, const char* name) {
    for (const std::string prefix : {"", "odrl:", "http://www.w3.org/ns/odrl/2/"})
        if (const auto at = object.find(prefix + name); at != object.end()) return &*at;
    return nullptr;
}
std::string iri(const json& value) { return value.is_object() ? value.value("@id", "") : value.is_string() ? value.get<std::string>() : ""; }

// Their assets and parties are not in our catalog: products and parties of the same names take their place.
void rename(json& of) {
    if (json* target = member(of, "target")) {
        json* source = target->is_object() ? member(*target, "source") : nullptr;
        if (source != nullptr)
            *source = "urn:licet:products";
        else if (!iri(*target).empty())
            *target = "urn:licet:product:" + name_of(iri(*target));
    }
    if (json* assignee = member(of, "assignee")) {
        json* source = assignee->is_object() ? member(*assignee, "source") : nullptr;
        if (source != nullptr)
            *source = "urn:licet:parties";
        else if (!iri(*assignee).empty())
            *assignee = "urn:licet:party:" + name_of(iri(*assignee));
    }
}

// The document under our profile, its names replaced, and without what only describes it. Everything else stays as its author wrote it.
json adapted(json document) {
    for (const char* drop : {"profile", "rdfs:isDefinedBy", "http://www.w3.org/2000/01/rdf-schema#isDefinedBy"}) document.erase(drop);
    if (document.value("@type", "") == "odrl:Policy") document["@type"] = "Set";
    rename(document);
    for (const char* kind : {"permission", "prohibition"})
        if (json* rules = member(document, kind)) {
            if (rules->is_object()) rename(*rules);
            if (rules->is_array())
                for (auto& rule : *rules) rename(rule);
        }
    return under_the_profile(std::move(document));
}

json read(const fs::path& file) {
    json out = json::parse(text_of(file), nullptr, false);
    REQUIRE_FALSE(out.is_discarded());
    return out;
}

}  // namespace

TEST_CASE("cases of the W3C's formal semantics") {
    const auto root = others("w3c-odrl/formal-semantics/examples");
    if (!root) return;
    const json listed = excluded("w3c-odrl/formal-semantics");
    std::size_t decided = 0, refused = 0, without = 0;
    for (const auto& file : fs::recursive_directory_iterator(*root)) {
        const std::string stem = file.path().stem().string();
        if (stem.starts_with("policy")) {  // one that nobody requests anything of
            const bool requested = std::any_of(fs::directory_iterator(file.path().parent_path()), {}, [](const auto& e) { return e.is_directory(); });
            if (requested) continue;
            const std::string name = stem.substr(6);
            CAPTURE(name);
            REQUIRE(listed.contains(name));
            CHECK(listed.at(name).at("pointers").empty());
            CHECK(policy::check_policy(adapted(read(file.path())), *policy::builtin_vocabulary()).document != nullptr);
            ++without;
        }
        if (!stem.starts_with("evaluationrequest")) continue;
        const std::string name = stem.substr(17);
        CAPTURE(name);
        const fs::path folder = file.path().parent_path();
        const json document = adapted(read(folder.parent_path() / ("policy" + name.substr(0, 2) + ".json")));
        if (listed.contains(name)) {
            check_refused(document, listed.at(name));
            ++refused;
            continue;
        }
        json request = read(file.path()), report;
        for (const auto& f : fs::directory_iterator(folder))
            if (f.path().filename().string().starts_with("compliancereport")) report = read(f.path());
        const std::string rule = iri(document.at("permission").at(0));
        std::string state;
        for (const auto& part : report)
            if (part.is_object() && part.value("report:rule", "") == rule) state = part.at("report:activationState");
        const json& now = request.at("requestParameters");
        REQUIRE(now.at("describesFeature") == "sotw:CurrentXSDDateTime");
        const std::string action = request.at("evaluatedAction");
        const std::string reason = decide(document, {name_of(request.at("evaluatedParty")),
                                                     name_of(request.at("evaluatedTarget")),
                                                     action.substr(action.find(':') + 1),
                                                     {},
                                                     parse_rfc3339(now.at("value").at("@value").get<std::string>() + "Z").value()});
        CHECK((state == "report:Active" || state == "report:Inactive"));
        CHECK(reason == (state == "report:Active" ? "permitted" : "no_permission"));
        ++decided;
    }
    CHECK(refused + without == listed.size());
    CHECK(decided == 2);
    MESSAGE(decided << " decided as they say, " << refused << " refused and " << without << " accepted but without a request, as listed");
}

TEST_CASE("real policies are accepted, or refused for a named reason") {
    const auto root = others("odrl-pap/examples");
    if (!root) return;
    const json listed = excluded("odrl-pap");
    std::size_t accepted = 0, refused = 0;
    for (const auto& file : fs::recursive_directory_iterator(*root)) {
        if (file.path().extension() != ".json") continue;
        const std::string name = fs::relative(file.path(), *root).generic_string();
        CAPTURE(name);
        const json document = read(file.path());
        // As it stands: of another profile, or of none, and undecided about conflicts.
        const auto check = policy::check_policy(document, *policy::builtin_vocabulary());
        CHECK(check.document == nullptr);
        std::set<std::string> pointers;
        for (const auto& m : check.mistakes) {
            CHECK_FALSE(m.detail.empty());
            const json::json_pointer at(m.pointer);  // what is wrong exists there, or should
            CHECK((document.contains(at) || m.pointer.empty() || at.parent_pointer().empty() || document.contains(at.parent_pointer())));
            pointers.insert(m.pointer);
        }
        CHECK((pointers.contains("/profile") || pointers.contains("/odrl:profile")));
        CHECK(pointers.contains("/conflict"));
        // Under ours.
        const json ours = adapted(document);
        if (listed.contains(name)) {
            check_refused(ours, listed.at(name));
            ++refused;
            continue;
        }
        const auto parsed = policy::check_policy(ours, *policy::builtin_vocabulary());
        std::ostringstream said;
        for (const auto& m : parsed.mistakes) said << m.pointer << ": " << m.detail << "\n";
        CHECK_MESSAGE(parsed.document != nullptr, said.str());
        ++accepted;
    }
    CHECK(refused == listed.size());
    CHECK(accepted + refused >= 38);
    MESSAGE(accepted << " accepted under our profile, " << refused << " refused as listed");
}
