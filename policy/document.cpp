// The document as a whole: its header, its JSON-LD forms, and the list of its mistakes.
#include "policy/document.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "base/ids.h"
#include "base/limits.h"
#include "event/json_text.h"
#include "policy/document_reader.h"

namespace licet::policy {
namespace {

using nlohmann::json;

constexpr std::string_view kProfile = "https://licet.dev/ns/odrl-profile/1";
constexpr std::string_view kOdrlContext = "http://www.w3.org/ns/odrl.jsonld";
constexpr std::string_view kOdrl = "http://www.w3.org/ns/odrl/2/";

// Terms people write that the profile has no meaning for, and what to do instead.
constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
    {"andSequence", "andSequence is not evaluated: what is known of an event has no order; write `and`"},
    {"obligation", "obligations are not evaluated: write the duty on the permission it belongs to"},
    {"remedy", "remedies are not evaluated: what is prohibited is withheld"},
    {"consequence", "consequences are not evaluated: a duty that cannot be met withholds the event"},
    {"failure", "failures are not evaluated: a duty that cannot be met withholds the event"},
    {"inheritFrom", "policies do not inherit: all active policies decide together"},
    {"hasPolicy", "rules name their target"},
    {"rightOperandReference", "an unbound constraint: expected rightOperand with the value itself"},
    {"unit", "no operand of the profile has a unit"},
    {"dataType", "the operand decides the type of its value"},
    {"status", "the status of a constraint comes from the event, not from the document"},
    {"output", "outputs are not evaluated"},
    {"relation", "expected the term itself, such as target"},
    {"function", "expected the term itself, such as assignee"},
    {"scope", "expected assignee"},
    {"@graph", "expected one policy to a document, not a graph"},
};

// Whether a text begins as an IRI does, with a scheme (or a prefix), and has no space in it. A relative one would mean something else at every
// reader.
bool absolute(std::string_view iri) noexcept {
    const std::size_t colon = iri.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == iri.size()) return false;
    if (!std::isalpha(static_cast<unsigned char>(iri[0]))) return false;
    const auto in_scheme = [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '-' || c == '.'; };
    if (!std::all_of(iri.begin(), iri.begin() + static_cast<std::ptrdiff_t>(colon), in_scheme)) return false;
    return std::none_of(iri.begin(), iri.end(), [](unsigned char c) { return c <= ' ' || c == '<' || c == '>' || c == '"'; });
}

}  // namespace

void DocumentReader::fail(const std::string& at, std::string what) {
    if (mistakes_.size() < limits::policy_mistakes_max) mistakes_.emplace_back(Errc::invalid_document, std::move(what), at);
}

std::string_view DocumentReader::plain(std::string_view term) noexcept {
    if (term.starts_with("odrl:")) return term.substr(5);
    if (term.starts_with(kOdrl)) return term.substr(kOdrl.size());
    return term;
}

Node DocumentReader::member(const Node& object, std::string_view term) {
    if (!object.value->is_object()) return {};
    for (const auto& [key, value] : object->items())
        if (plain(key) == term) return {&value, object.at + "/" + event::pointer_token(key)};
    return {nullptr, object.at + "/" + event::pointer_token(term)};
}

std::vector<Node> DocumentReader::list(const Node& node) {
    std::vector<Node> out;
    if (node->is_array()) {
        for (std::size_t i = 0; i < node->size(); ++i) out.push_back({&(*node.value)[i], node.at + "/" + std::to_string(i)});
    } else if (node->is_object() && node->size() == 1 && node->contains("@list")) {
        return list({&node->at("@list"), node.at + "/@list"});
    } else {
        out.push_back(node);
    }
    return out;
}

std::optional<std::string> DocumentReader::text(const Node& node, std::string_view type) {
    if (!node) return std::nullopt;
    if (node->is_string()) return node->get<std::string>();
    if (!node->is_object()) return std::nullopt;
    const auto id = node->find("@id"), value = node->find("@value"), typed = node->find("@type");
    if (id != node->end() && node->size() == 1 && id->is_string()) return id->get<std::string>();
    if (value == node->end() || !value->is_string()) return std::nullopt;
    if (typed == node->end()) return node->size() == 1 ? std::optional(value->get<std::string>()) : std::nullopt;
    if (node->size() != 2 || !typed->is_string()) return std::nullopt;
    std::string given = typed->get<std::string>();
    constexpr std::string_view xsd = "http://www.w3.org/2001/XMLSchema#";
    if (given.starts_with(xsd)) given = "xsd:" + given.substr(xsd.size());
    return given == type ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::string DocumentReader::term(const Node& node) { return std::string(plain(text(node).value_or(""))); }

std::optional<std::string> DocumentReader::iri(const Node& node) {
    auto out = text(node);
    if (out && absolute(*out)) return out;
    fail(node.at, "expected an IRI");
    return std::nullopt;
}

bool DocumentReader::members(const Node& object, std::span<const std::string_view> known) {
    bool fine = true;
    std::set<std::string_view> seen;
    for (const auto& [key, value] : object->items()) {
        const std::string at = object.at + "/" + event::pointer_token(key);
        const std::string_view name = plain(key);
        const auto refused = std::find_if(std::begin(kRefused), std::end(kRefused), [&](const auto& r) { return r.first == name; });
        if (refused != std::end(kRefused)) {
            fail(at, "a term outside the profile: " + std::string(refused->second));
        } else if (std::find(known.begin(), known.end(), name) == known.end()) {
            fail(at, "unknown term");
        } else if (!seen.insert(name).second) {
            fail(at, "the same term twice, in two spellings");
        } else if (!odrl_terms_ && key == name && key[0] != '@' && key.find(':') == std::string::npos) {
            fail(at, "not an ODRL term under this context: expected odrl:" + key + ", or " + std::string(kOdrlContext) + " in the context");
        } else {
            continue;
        }
        fine = false;
    }
    return fine;
}

bool DocumentReader::typed(const Node& object, std::span<const std::string_view> types) {
    const Node type = member(object, "@type");
    if (!type || std::find(types.begin(), types.end(), term(type)) != types.end()) return true;
    fail(type.at, "expected " + std::string(types.front()));
    return false;
}

std::optional<std::string> DocumentReader::urn(std::string_view value, std::string_view kind) {
    const std::string prefix = "urn:licet:" + std::string(kind) + ":";
    if (!value.starts_with(prefix) || !valid_slug(value.substr(prefix.size()))) return std::nullopt;
    return std::string(value.substr(prefix.size()));
}

// The ODRL context, the profile's, and objects that give prefixes. A prefix of ours must mean what it means.
bool DocumentReader::context(const Node& document) {
    static constexpr std::pair<std::string_view, std::string_view> prefixes[] = {
        {"odrl", kOdrl},
        {"xsd", "http://www.w3.org/2001/XMLSchema#"},
        {"dpv", "https://w3id.org/dpv#"},
        {"pd", "https://w3id.org/dpv/pd#"},
        {"eu-gdpr", "https://w3id.org/dpv/legal/eu/gdpr#"},
        {"dct", "http://purl.org/dc/terms/"},
        {"rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"},
        {"licet", "https://licet.dev/ns/odrl-profile/1#"},
    };
    const Node at = member(document, "@context");
    bool odrl = false;
    for (const Node& entry : at ? list(at) : std::vector<Node>{}) {
        if (*entry.value == kOdrlContext) {
            odrl = odrl_terms_ = true;
        } else if (entry->is_object()) {
            for (const auto& [key, value] : entry->items()) {
                const json& means = value.is_object() ? value.value("@id", json()) : value;
                const auto ours = std::find_if(std::begin(prefixes), std::end(prefixes), [&name = key](const auto& p) { return p.first == name; });
                if (key.starts_with('@') || !means.is_string() || (ours != std::end(prefixes) && means != ours->second)) return false;
                // Only names of namespaces: a context that renames terms would make them mean something else.
                const auto& iri = means.get_ref<const std::string&>();
                if (!iri.ends_with('/') && !iri.ends_with('#') && !iri.ends_with(':')) return false;
                odrl = odrl || key == "odrl";
            }
        } else if (*entry.value != kProfile) {
            return false;
        }
    }
    return odrl;
}

void DocumentReader::header(const Node& document, PolicyDocument& out) {
    if (!context(document)) {
        fail("/@context", "expected the ODRL context (" + std::string(kOdrlContext) + ", or the prefix odrl for " + std::string(kOdrl) +
                              "), optionally " + std::string(kProfile) + " and prefixes with their own meaning");
        odrl_terms_ = true;  // one mistake, not one at every term
    }
    static constexpr std::string_view known[] = {"@context",   "@type",           "@id",         "uid",        "profile",      "conflict",
                                                 "permission", "prohibition",     "target",      "assigner",   "assignee",     "action",
                                                 "dct:title",  "dct:description", "dct:creator", "dct:issued", "dct:modified", "dct:publisher"};
    members(document, known);
    const Node type = member(document, "@type");
    const std::string kind = type ? term(type) : "";
    out.agreement = kind == "Agreement";
    if (kind == "Offer" || kind == "Request")
        fail(type.at, std::string("expected \"Set\" or \"Agreement\": ") + (kind == "Offer" ? "an Offer binds nobody" : "a Request is not a policy") +
                          " and is not evaluated");
    else if (kind != "Set" && kind != "Agreement")
        fail(type.at, "expected \"Set\" or \"Agreement\"");
    Node uid = member(document, "uid");
    if (!uid) uid = member(document, "@id");
    if (uid)
        out.uid = iri(uid).value_or("");
    else
        fail("/uid", "expected an IRI");
    const Node profile = member(document, "profile");
    if (text(profile) != kProfile) fail(profile.at, "expected " + std::string(kProfile));
    const Node conflict = member(document, "conflict");
    if (!conflict || term(conflict) != "prohibit")
        fail(conflict.at, "expected \"prohibit\": with another strategy policies of two authors could cancel a prohibition");
    for (const char* words : {"dct:title", "dct:description", "dct:creator", "dct:issued", "dct:modified", "dct:publisher"})
        if (const Node at = member(document, words); at && !at->is_string() && !at->is_object()) fail(at.at, "expected a text");
}

void DocumentReader::rules(const Node& document, bool prohibition, PolicyDocument& out) {
    const Node at = member(document, prohibition ? "prohibition" : "permission");
    if (!at) return;
    std::set<std::string> uids;
    for (const auto& r : out.rules) uids.insert(r.uid);
    for (const Node& in : list(at)) {
        if (out.rules.size() == limits::policy_rules_max) return fail(at.at, "more than " + std::to_string(limits::policy_rules_max) + " rules");
        Rule parsed;
        parsed.prohibition = prohibition;
        rule(in, document, parsed);
        // A rule is known by its uid in views, audit and explanations: two of one name would be taken for one.
        if (!uids.insert(parsed.uid).second) fail(in.at + "/uid", "expected a uid that no other rule of the document has");
        out.rules.push_back(std::move(parsed));
    }
}

PolicyCheck DocumentReader::read(const json& in) {
    const Node document{&in, ""};
    auto out = std::make_shared<PolicyDocument>();
    if (!in.is_object())
        fail("", "expected an object: an ODRL Set or Agreement");
    else if (in.dump(-1, ' ', false, json::error_handler_t::replace).size() > limits::policy_document_max_bytes)
        fail("", "larger than " + std::to_string(limits::policy_document_max_bytes) + " bytes");
    else {
        header(document, *out);
        rules(document, false, *out);
        rules(document, true, *out);
        if (out->rules.empty()) fail("/permission", "a policy without rules permits nothing and prohibits nothing");
    }
    if (!mistakes_.empty()) return {nullptr, std::move(mistakes_)};
    return {std::move(out), {}};
}

PolicyCheck check_policy(const json& document, const Vocabulary& vocabulary) { return DocumentReader(vocabulary).read(document); }

Result<std::shared_ptr<const PolicyDocument>> parse_policy(const json& document, const Vocabulary& vocabulary) {
    auto check = check_policy(document, vocabulary);
    if (!check.mistakes.empty()) return std::move(check.mistakes.front());
    return std::move(check.document);
}

}  // namespace licet::policy
