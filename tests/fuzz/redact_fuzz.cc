// Span scanner and redaction: any JSON document, redacted by splicing, equals the same document parsed, changed and compared as values; what is to be
// withheld is not in it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "event/field_spans.h"
#include "event/info_type_finder.h"
#include "event/json_fault.h"
#include "event/span_scanner.h"
#include "policy/document.h"
#include "policy/engine.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace licet;
using fuzz::require;
using nlohmann::json;

constexpr const char* kPointers[] = {"/a", "/b/0", "/c", "/d/e", "/f"};

class Hash final : public policy::Pseudonymiser {
  public:
    bool hash(std::string_view, std::string_view value, std::array<std::uint8_t, 32>& out) noexcept override {
        out.fill(static_cast<std::uint8_t>(value.size()));
        return true;
    }
};

struct View {
    View() {
        json fields = json::array();
        for (const char* pointer : kPointers) fields.push_back({{"pointer", pointer}});
        fields.push_back({{"pointer", "/g/*/h"}});
        fields.push_back({{"pointer", "/i"}, {"scan", true}});
        const json document{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                            {"fields", fields}};
        mapping = std::make_shared<const event::Mapping>(event::parse_mapping(document, 1).value());
        for (std::size_t i = 0; i < mapping->fields.size(); ++i) tree.add(mapping->fields[i].path, i);
        const auto change = [](const char* kind, const char* pointer) {
            json out{{"action", "licet:transform"}, {"licet:transform", kind}, {"licet:pointer", pointer}};
            if (std::string_view(kind) == "replace") out["licet:replacement"] = "gone";
            return out;
        };
        const json permission{{"uid", "p"},
                              {"target", "urn:licet:product:p"},
                              {"action", "use"},
                              {"duty",
                               {change("redact", "/a"),
                                change("null", "/b/0"),
                                change("cryptoHash", "/c"),
                                change("replace", "/d/e"),
                                change("redact", "/f"),
                                change("null", "/g/*/h"),
                                {{"action", "licet:transform"}, {"licet:transform", "replaceWithInfoType"}, {"licet:infoType", "EMAIL_ADDRESS"}}}}};
        const json policy{{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
                          {"@type", "Set"},
                          {"uid", "urn:licet:policy:p"},
                          {"profile", "https://licet.dev/ns/odrl-profile/1"},
                          {"conflict", "prohibit"},
                          {"permission", {permission}}};
        const auto vocabulary = policy::builtin_vocabulary();
        auto parsed = policy::parse_policy(policy, *vocabulary);
        if (!parsed) std::fprintf(stderr, "%s: %s\n", parsed.error().pointer.c_str(), parsed.error().detail.c_str());
        require(parsed.ok(), "the policy is well-formed");
        const std::vector<policy::PolicyVersion> policies{{"p", 1, *std::move(parsed)}};
        const std::vector<std::shared_ptr<const event::Mapping>> mappings{mapping};
        policy::Entitlement who{"p", "c", "x", {}, "DE", {"dpv:ServiceOptimisation"}, {}, {}, "contract"};
        auto program = policy::compile(who, policies, mappings, vocabulary);
        if (!program) std::fprintf(stderr, "%s\n", program.error().detail.c_str());
        require(program.ok(), "the policy compiles");
        consents.set_ready(true);
        decider = policy::make_decider(*program, consents, hash);
    }
    std::shared_ptr<const event::Mapping> mapping;
    event::PathTree tree;
    policy::ConsentIndex consents;
    Hash hash;
    std::unique_ptr<policy::Decider> decider;
};

// Without white space, keeping every token as it is written.
std::string minified(std::string_view text) {
    std::string out;
    bool inside = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (!inside && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
        out += c;
        if (inside && c == '\\') out += text[++i];
        if (c == '"') inside = !inside;
    }
    return out;
}

// The same by value. False: this document cannot be compared so.
bool expected(std::string_view text, json& document) {
    document = json::parse(text, nullptr, false);
    if (document.is_discarded()) return false;  // numbers past a double
    if (!document.is_object() && !document.is_array()) return true;
    const auto drop = [&](const char* key) {
        if (document.is_object()) document.erase(key);
    };
    const auto at = [&](const char* pointer) -> json* {
        const json::json_pointer p(pointer);
        return document.contains(p) ? &document[p] : nullptr;
    };
    drop("a");
    drop("f");
    if (auto* b = at("/b/0")) *b = nullptr;
    if (auto* e = at("/d/e")) *e = "gone";
    if (auto* c = at("/c")) *c = "hashed";
    if (auto* g = at("/g"); g != nullptr && g->is_array())
        for (auto& element : *g)
            if (element.contains("h")) element["h"] = nullptr;
    if (auto* h = at("/g/*/h"); h != nullptr && document["g"].is_object()) *h = nullptr;
    return true;
}

bool no_address(const json& value) {
    if (value.is_object() || value.is_array()) {
        for (const auto& [key, inner] : value.items())
            if (!no_address(inner) || (value.is_object() && !no_address(json(key)))) return false;
        return true;
    }
    if (!value.is_string()) return true;
    // Removing an address may let its neighbours meet, as in "a@b.co@d.ef": a label is not an address that was in the text.
    std::vector<event::InfoFinding> findings;
    event::find_info_types(value.get_ref<const std::string&>(), findings);
    return std::none_of(findings.begin(), findings.end(), [](const auto& f) { return f.type == event::InfoType::email_address; });
}

}  // namespace

std::vector<std::string> licet::fuzz::seeds() {
    return {R"({"g":[{"h":1},{"h":[2],"j":3},"h",[{"h":4}]],"i":"to a@b.co, c@d.ef","z":0})",
            R"({"i":{"x@y.zz":["\u0061@\u0062.co",4111111111111111]},"g":{"h":1,"0":{"h":2}}})",
            // What is left of a label too long must not pass for an address once its neighbour is gone.
            R"({"i":"to 'c@d.)" + std::string(70, 'z') + R"(e'c@d.ef"})",
            R"({"a":1,"b":[{"x":1},2],"c":"secret","d":{"e":[1],"g":2},"f":null,"z":"\u00e9"})", R"({"z":1,"a":"x"})",
            R"({"f":{"a":1},"a":{"f":[]}})", R"({"\u0061":"escaped","b":[],"c":{"c":1}})", R"([[1],{"a":2}])", R"({"b":{"0":"key"},"d":[1]})",
            R"("a")"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static View view;
    const auto text = licet::fuzz::as_text(bytes, size);
    if (event::find_json_fault(text)) return 0;
    const std::string data = minified(text);
    std::vector<event::FoundValue> found;
    if (!event::find_values(data, view.tree, found)) return 0;  // a governed key twice: ingest refuses it
    event::EventDraft draft;
    draft.mapping_version = 1;
    draft.id = draft.source = "x";
    draft.license = "CC0-1.0";
    draft.jurisdiction = "DE";
    draft.envelope = "{";
    draft.data = data;
    draft.data_kind = event::DataKind::json;
    if (!event::append_field_spans(*view.mapping, data, found, 0, draft.spans)) return 0;  // too many: ingest refuses it
    const std::string record = event::encode_record(draft);
    const auto e = event::StoredEvent::parse(record);
    require(e.has_value(), "the record reads back");
    const auto decision = view.decider->decide(*e, {1});
    require(decision.deliver, "the policy permits");
    std::string out;
    if (!view.decider->redact(*e, decision, out)) return 0;  // withheld
    require(!event::find_json_fault(out), "what is delivered is JSON");
    json want;
    if (!expected(data, want)) return 0;
    auto got = json::parse(out, nullptr, false);
    require(!got.is_discarded(), "what is delivered parses as the original did");
    if (const json::json_pointer c("/c"); got.contains(c)) {
        require(got[c].is_string() && got[c].get_ref<const std::string&>().size() == 43, "a hash is 32 bytes in base64url");
        got[c] = "hashed";
    }
    // What was found in text has its own oracle: no address is left in any string of it.
    if (got.is_object() && got.contains("i")) {
        require(want.contains("i"), "nothing is added");
        require(no_address(got["i"]), "no e-mail address is left in scanned text");
        want["i"] = got["i"];
    }
    require(got == want, "all else is as it was");
    return 0;
}
