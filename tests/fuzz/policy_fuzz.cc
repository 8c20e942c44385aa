// Policy documents: whatever the bytes (JSON is taken as it is; of anything else the hash chooses edits of a seed, for few byte mutations stay JSON),
// a document is either read or refused with places; what is read can be examined and compiled, or refused with a reason; and what is compiled decides
// as it explains itself, and delivers JSON or nothing.
#include <nlohmann/json.hpp>
#include <random>

#include "base/limits.h"
#include "event/json_fault.h"
#include "policy/engine.h"
#include "policy/findings.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/policy_event.h"

namespace {

using namespace licet;
using fuzz::require;
using nlohmann::json;

struct World {
    World() {
        const json document{{"attributes", {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}}},
                            {"fields",
                             {{{"pointer", "/user"}, {"category", "pd:IPAddress"}, {"infoType", "IP_ADDRESS"}},
                              {{"pointer", "/born"}, {"category", "pd:BirthDate"}},
                              {{"pointer", "/list/*"}, {"category", "pd:Income"}},
                              {{"pointer", "/text"}, {"infoType", "EMAIL_ADDRESS"}}}}};
        mapping = std::make_shared<const event::Mapping>(event::parse_mapping(document, 1).value());
        who.product = "p";
        who.contract = "c";
        who.party = "x";
        who.party_collections = {"friends"};
        who.recipient_country = "DE";
        who.purposes = {"dpv:ServiceOptimisation"};
        testing::EventText e;
        e.license = "CC-BY-4.0";
        e.jurisdiction = "FR";
        e.subject = "ada";
        e.categories = "pd:Health";
        e.classification = "public";
        e.type = "org.example.edit";
        e.source = "https://example.org/feed";
        e.time = {1'780'000'000'000};
        e.data = R"({"user":"192.0.2.1","born":"2000-02-29","list":[1,-2.5e3,"17"],"text":"ada@example.org","rest":{"a":null}})";
        record = testing::make_record(*mapping, e);
        consents.set(testing::subject_key("ada"), vocabulary->at_or_below(vocabulary->purpose("dpv:ServiceOptimisation").value()));
        consents.set_ready(true);
    }
    const std::shared_ptr<const policy::Vocabulary> vocabulary = policy::builtin_vocabulary();
    std::shared_ptr<const event::Mapping> mapping;
    policy::Entitlement who;
    std::string record;
    policy::ConsentIndex consents;
    testing::PlainPseudonymiser pseudonymiser;
};

bool is_pointer(const std::string& text) {
    if (!text.empty() && text.front() != '/') return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '~' && (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1'))) return false;
    return true;
}

void refused(const std::vector<Error>& mistakes) {
    require(!mistakes.empty() && mistakes.size() <= limits::policy_mistakes_max, "a refusal has a reason, and not more than the limit");
    for (const Error& mistake : mistakes) {
        require(mistake.code == Errc::invalid_document && !mistake.detail.empty(), "a mistake is one of the document, in words");
        require(is_pointer(mistake.pointer), "and has a place");
    }
}

void decided(World& world, const std::shared_ptr<const policy::Program>& program) {
    const auto event = event::StoredEvent::parse(world.record);
    require(event.has_value(), "the record reads back");
    const UtcMillis now{1'790'000'000'000};
    const auto decider = policy::make_decider(program, world.consents, world.pseudonymiser);
    const auto first = decider->decide(*event, now), again = decider->decide(*event, now);
    require(first.reason == again.reason && first.rule == again.rule && first.plan == again.plan, "the memo says what was decided");
    require(first.deliver == (first.reason == policy::Reason::permitted), "only what is permitted is delivered");
    require(first.rule == policy::Decision::kNoRule || first.rule < program->rules().size(), "the rule is one of the program's");
    std::string out = "before";
    const bool delivered = first.deliver && decider->redact(*event, first, out);
    if (delivered)
        require(out.starts_with("before") && !event::find_json_fault(std::string_view(out).substr(6)), "what is delivered is JSON");
    else
        require(out == "before", "what is withheld or cannot be transformed leaves nothing");
    const json why = policy::explain(*program, *event, world.consents, now);
    const auto reason = first.deliver && !delivered ? policy::Reason::transform_failed : first.reason;
    require(why.at("reason") == policy::reason_name(reason) && why.at("deliver") == delivered, "the explanation agrees");
}

std::string document(const std::string& rules) {
    return R"({"@context":["http://www.w3.org/ns/odrl.jsonld","https://licet.dev/ns/odrl-profile/1"],"@type":"Set","uid":"urn:licet:policy:p",)"
           R"("profile":"https://licet.dev/ns/odrl-profile/1","conflict":"prohibit",)" +
           rules + "}";
}
std::string permission(const std::string& members) {
    return document(R"("permission":[{"target":"urn:licet:product:p","action":"use")" + members + "}]");
}
std::string duty(const std::string& members) { return permission(R"(,"duty":[{"action":"licet:transform",)" + members + "}]"); }

}  // namespace

std::vector<std::string> licet::fuzz::seeds() {
    return {
        permission(""),
        permission(
            R"(,"uid":"r","assignee":"urn:licet:party:x","constraint":[{"leftOperand":"purpose","operator":"isA","rightOperand":"dpv:ServiceOptimisation"},)"
            R"({"or":[{"leftOperand":"licet:consent","operator":"eq","rightOperand":"valid"},{"leftOperand":"licet:jurisdiction","operator":"isAnyOf","rightOperand":["EEA","US"]}]}])"),
        permission(
            R"(,"constraint":[{"leftOperand":"dateTime","operator":"lt","rightOperand":{"@value":"2030-01-01T00:00:00Z","@type":"xsd:dateTime"}},)"
            R"({"xone":{"@list":[{"leftOperand":"licet:licence","operator":"eq","rightOperand":"CC-BY-4.0"},{"leftOperand":"licet:category","operator":"isAllOf","rightOperand":["pd:Health"]}]}}])"),
        document(
            R"("permission":{"target":{"@id":"urn:licet:product:p"},"action":[{"rdf:value":{"@id":"odrl:stream"}}]},"prohibition":[{"uid":"n","action":"odrl:use",)"
            R"("assignee":"urn:licet:collection:friends","constraint":[{"leftOperand":"purpose","operator":"isA","rightOperand":"dpv:Marketing"}]}])"),
        duty(R"("licet:transform":"redact","licet:pointer":"/user")"),
        duty(
            R"("licet:transform":"characterMask","licet:infoType":"IP_ADDRESS","licet:maskingCharacter":"#","licet:numberToMask":3,"licet:reverseOrder":true,"licet:charactersToSkip":".")"),
        duty(
            R"("licet:transform":"bucketing","licet:pointer":"/list/*","licet:buckets":[{"licet:max":0,"licet:replacement":"low"},{"licet:min":0,"licet:replacement":"high"}])"),
        duty(R"("licet:transform":"rounding","licet:category":"pd:Income","licet:roundTo":0.5)"),
        duty(R"("licet:transform":"dateShift","licet:pointer":"/born","licet:lowerBoundDays":-30,"licet:upperBoundDays":30)"),
        duty(
            R"("licet:transform":"cryptoHash","licet:pointer":"/text"},{"action":"licet:transform","licet:transform":"replaceWithInfoType","licet:infoType":"EMAIL_ADDRESS")")};
}

namespace {

const std::vector<json>& words() {
    static const std::vector<json> all = [] {
        std::vector<json> out{
            nullptr, true, 0, -1, 0.5, 1e300, "", "~", json::array(), json::object(), {{"@value", "1"}}, {{"@list", json::array()}}};
        for (const char* text : {"purpose",
                                 "licet:consent",
                                 "spatial",
                                 "licet:jurisdiction",
                                 "licet:recipientCountry",
                                 "licet:licence",
                                 "licet:classification",
                                 "licet:category",
                                 "recipient",
                                 "product",
                                 "dateTime",
                                 "licet:eventType",
                                 "licet:eventSource",
                                 "licet:eventTime",
                                 "eq",
                                 "neq",
                                 "lt",
                                 "gteq",
                                 "isA",
                                 "isAnyOf",
                                 "isNoneOf",
                                 "isPartOf",
                                 "isAllOf",
                                 "hasPart",
                                 "dpv:ServiceOptimisation",
                                 "dpv:Marketing",
                                 "dpv:Purpose",
                                 "EEA",
                                 "FR",
                                 "CC-BY-4.0",
                                 "CC-BY-ND-4.0",
                                 "valid",
                                 "public",
                                 "pd:Health",
                                 "urn:licet:party:x",
                                 "urn:licet:collection:friends",
                                 "urn:licet:product:p",
                                 "use",
                                 "stream",
                                 "distribute",
                                 "Set",
                                 "Agreement",
                                 "Offer",
                                 "2026-01-01",
                                 "2026-01-01T00:00:00Z",
                                 "org.example",
                                 "redact",
                                 "null",
                                 "keep",
                                 "replace",
                                 "replaceWithInfoType",
                                 "cryptoHash",
                                 "cryptoDeterministic",
                                 "timePart",
                                 "generaliseIp",
                                 "generaliseEmail",
                                 "regexReplace",
                                 "/user",
                                 "/list/*",
                                 "/list/0",
                                 "/text",
                                 "IP_ADDRESS",
                                 "EMAIL_ADDRESS",
                                 "year",
                                 "(a+)+$",
                                 "\\1",
                                 "invalid",
                                 "prohibit"})
            out.emplace_back(text);
        return out;
    }();
    return all;
}
constexpr const char* kMembers[] = {"permission",  "prohibition", "obligation", "constraint", "refinement",    "duty",
                                    "and",         "or",          "xone",       "assignee",   "assigner",      "uid",
                                    "@id",         "@type",       "partOf",     "source",     "inheritFrom",   "rdf:value",
                                    "leftOperand", "operator",    "unit",       "status",     "licet:pointer", "licet:pattern"};

void places(const json& at, const json::json_pointer& here, std::vector<json::json_pointer>& out) {
    if (at.is_object())
        for (const auto& [key, value] : at.items()) places(value, here / key, out);
    else if (at.is_array())
        for (std::size_t i = 0; i < at.size(); ++i) places(at[i], here / i, out);
    if (!here.empty()) out.push_back(here);
}

json edited_seed(std::string_view bytes) {
    static const std::vector<json> seeds = [] {
        std::vector<json> out;
        for (const auto& text : licet::fuzz::seeds()) out.push_back(json::parse(text));
        return out;
    }();
    std::uint32_t hash = 2166136261u;
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
    std::mt19937 random(hash);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    json document = seeds[pick(seeds.size())];
    for (std::size_t edits = 1 + pick(3); edits > 0; --edits) {
        std::vector<json::json_pointer> all, others;
        places(document, json::json_pointer(), all);
        if (all.empty()) break;
        const auto& where = all[pick(all.size())];
        json& value = document[where];
        switch (pick(6)) {
            case 0: {
                json& parent = document[where.parent_pointer()];
                if (parent.is_object())
                    parent.erase(where.back());
                else
                    parent.erase(pick(parent.size()));
                break;
            }
            case 1: {
                const json& other = seeds[pick(seeds.size())];
                places(other, json::json_pointer(), others);
                value = json(other[others[pick(others.size())]]);
                break;
            }
            case 2:
                value = json::array({value, value});
                break;
            case 3:
                if (value.is_object()) {
                    value[kMembers[pick(std::size(kMembers))]] = json(document[all[pick(all.size())]]);
                    break;
                }
                [[fallthrough]];
            default:
                value = words()[pick(words().size())];
        }
    }
    return document;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static World world;
    const auto text = licet::fuzz::as_text(bytes, size);
    auto parsed = json::parse(text, nullptr, false);
    if (parsed.is_discarded()) parsed = edited_seed(text);
    const auto check = policy::check_policy(parsed, *world.vocabulary);
    const auto one = policy::parse_policy(parsed, *world.vocabulary);
    require(one.ok() == (check.document != nullptr), "both ways of reading agree");
    if (!check.document) {
        refused(check.mistakes);
        require(one.error().pointer == check.mistakes.front().pointer, "and on the first mistake");
        return 0;
    }
    require(check.mistakes.empty(), "rules or mistakes, never both");
    (void)policy::examine(*check.document, {}, world.vocabulary);
    const std::vector<policy::PolicyVersion> policies{{"p", 1, check.document}};
    const std::vector<std::shared_ptr<const event::Mapping>> mappings{world.mapping};
    const auto program = policy::compile(world.who, policies, mappings, world.vocabulary);
    if (!program) {
        refused({program.error()});
        return 0;
    }
    decided(world, *program);
    return 0;
}
