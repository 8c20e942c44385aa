#include "bench/policy/scenario.h"

#include "bench/support/machine.h"
#include "server/openssl/crypto.h"
#include "tests/support/policy_event.h"

namespace licet::bench {
namespace {

using nlohmann::json;

constexpr const char* kStated = "dpv:ServiceOptimisation";
constexpr const char* kLicence = "CC-BY-4.0";
constexpr const char* kOthers[] = {"dpv:Marketing", "dpv:ResearchAndDevelopment", "dpv:PersonnelManagement", "dpv:CustomerManagement"};
constexpr const char* kPlaces[] = {"KP", "AQ", "BV", "HM", "TF"};

json constraint(const char* left, const char* op, json right) {
    return {{"leftOperand", left}, {"operator", op}, {"rightOperand", std::move(right)}};
}
json duty(const char* kind, const char* pointer) { return {{"action", "licet:transform"}, {"licet:transform", kind}, {"licet:pointer", pointer}}; }

json document(std::size_t index, bool prohibits, json rule) {
    rule["uid"] = "r";
    rule["target"] = "urn:licet:product:edits";
    rule["action"] = "use";
    return {{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
            {"@type", "Set"},
            {"uid", "urn:licet:policy:p" + std::to_string(index)},
            {"profile", "https://licet.dev/ns/odrl-profile/1"},
            {"conflict", "prohibit"},
            {prohibits ? "prohibition" : "permission", json::array({std::move(rule)})}};
}

std::string event_data(std::size_t i) {
    std::string out =
        R"({"time":"2026-05-28T20:26:40Z","channel":"#en.wikipedia","page":"Talk:Old Mill","namespace":"Talk","cityName":"Bremen","user":"192.0.)" +
        std::to_string(i / 250 % 250) + "." + std::to_string(i % 250) + R"(","longitude":8.80777,"isRobot":false,"isNew":)" +
        (i % 3 == 0 ? "true" : "false") + R"(,"delta":)" + std::to_string(i) + R"(,"deleted":null,"comment":")";
    while (out.size() + 2 < Scenario::kDataBytes) out += "x y"[out.size() % 3];
    return out + "\"}";
}

}  // namespace

Scenario::Scenario() {
    const json document = json::parse(R"({"attributes":{"id":{"digest":true},"source":{"constant":"/e"},"type":{"constant":"e"}},"fields":[
        {"pointer":"/user","category":"pd:IPAddress","infoType":"IP_ADDRESS"},{"pointer":"/cityName","category":"pd:City","infoType":"LOCATION"},
        {"pointer":"/longitude"}]})");
    auto parsed = event::parse_mapping(document, 1);
    if (!parsed) die("mapping refused: " + parsed.error().detail);
    mappings.push_back(std::make_shared<const event::Mapping>(*std::move(parsed)));
    for (std::size_t i = 0; i < kEvents; ++i) {
        testing::EventText e;
        e.license = kLicence;
        e.time = {1'780'000'000'000 + static_cast<std::int64_t>(i)};
        e.jurisdiction = kCountries[i % std::size(kCountries)];
        e.subject = "subject-" + std::to_string(i * 7919 % kSubjects);
        e.data = event_data(i);
        subjects.push_back(e.subject);
        records.push_back(testing::make_record(*mappings[0], e));
    }
    for (const auto& r : records) events.push_back(event::StoredEvent::parse(r).value());
    const auto valid = vocabulary->at_or_below(vocabulary->purpose(kStated).value());
    for (std::size_t i = 0; i < kSubjects; ++i) consents.set(testing::subject_key("subject-" + std::to_string(i)), valid);
    consents.set_ready(true);
    const std::string key(32, 'k');
    pseudonymiser = openssl::make_pseudonymiser(as_bytes(key));
}

std::vector<json> Scenario::documents(std::size_t policies, std::size_t entitlements) {
    std::vector<json> out;
    out.push_back(document(0, false,
                           {{"constraint", {constraint("purpose", "isA", kStated), constraint("licet:consent", "eq", "valid")}},
                            {"duty", {duty("replaceWithInfoType", "/user"), duty("redact", "/cityName"), duty("null", "/longitude")}}}));
    out.push_back(document(1, true, {{"constraint", {constraint("licet:jurisdiction", "isAnyOf", {"KP", "AQ"})}}}));
    for (std::size_t i = 2; i < policies; ++i) {
        json rule{{"constraint",
                   {constraint("purpose", "isA", kOthers[i % std::size(kOthers)]),
                    constraint("licet:jurisdiction", "isAnyOf", {kPlaces[i % std::size(kPlaces)], kCountries[i % std::size(kCountries)]})}}};
        if (entitlements > 1) rule["assignee"] = "urn:licet:party:party-" + std::to_string(i % entitlements);
        out.push_back(document(i, i % 5 == 0, std::move(rule)));
    }
    return out;
}

policy::Entitlement Scenario::entitlement(std::size_t index) {
    policy::Entitlement who;
    who.product = "edits";
    who.contract = "contract-" + std::to_string(index);
    who.party = "party-" + std::to_string(index);
    who.recipient_country = "DE";
    who.purposes = {kStated};
    return who;
}

std::vector<policy::PolicyVersion> Scenario::read(const std::vector<std::string>& texts) const {
    std::vector<policy::PolicyVersion> out;
    out.reserve(texts.size());
    for (const auto& text : texts) {
        auto parsed = policy::parse_policy(json::parse(text), *vocabulary);
        if (!parsed) die("policy refused: " + parsed.error().pointer + " " + parsed.error().detail);
        out.push_back({"p" + std::to_string(out.size()), 1, *std::move(parsed)});
    }
    return out;
}

std::shared_ptr<const policy::Program> Scenario::compile(const policy::Entitlement& who, const std::vector<policy::PolicyVersion>& policies) const {
    auto compiled = policy::compile(who, policies, mappings, vocabulary);
    if (!compiled) die("not compiled: " + compiled.error().detail);
    return *std::move(compiled);
}

json Scenario::peer_data(const std::vector<json>& documents) const {
    const auto stated = vocabulary->purpose(kStated).value();
    json out{
        {"covers", json::array()}, {"hits", {""}}, {"permissions", json::object()}, {"prohibitions", json::object()}, {"consents", json::object()}};
    const auto table = [&](const char* kind, const std::string& purpose) -> json& {
        json& all = out[kind];
        if (!all.contains(purpose)) {
            all[purpose] = json::array();
            if (const auto id = vocabulary->purpose(purpose)) {
                const bool covers = vocabulary->at_or_below(*id).has(stated), above = vocabulary->at_or_above(*id).has(stated);
                json& related = out[std::string_view(kind) == "permissions" ? "covers" : "hits"];
                if (covers || (above && &related == &out["hits"])) related.push_back(purpose);
            }
        }
        return all[purpose];
    };
    for (const auto& d : documents)
        for (const auto& [odrl, kind] : {std::pair{"permission", "permissions"}, std::pair{"prohibition", "prohibitions"}}) {
            if (!d.contains(odrl)) continue;
            const json& in = d[odrl][0];
            json rule{{"id", d["uid"]}, {"patch", json::array()}};
            std::string purpose;
            for (const auto& c : in.value("constraint", json::array())) {
                if (c["leftOperand"] == "purpose") purpose = c["rightOperand"];
                if (c["leftOperand"] == "licet:consent") rule["consent"] = true;
                if (c["leftOperand"] == "licet:jurisdiction")
                    for (const auto& place : c["rightOperand"]) rule["places"][place.get<std::string>()] = true;
            }
            for (const auto& t : in.value("duty", json::array())) {
                const std::string transform = t["licet:transform"];
                json step{{"op", transform == "redact" ? "remove" : "replace"}, {"path", t["licet:pointer"]}};
                if (transform == "null") step["value"] = nullptr;
                if (transform == "replaceWithInfoType") step["value"] = "[IP_ADDRESS]";
                rule["patch"].push_back(std::move(step));
            }
            table(kind, purpose).push_back(std::move(rule));
        }
    for (std::size_t i = 0; i < kSubjects; ++i) out["consents"]["subject-" + std::to_string(i)] = {{kStated, true}};
    out["licences"][kLicence] = {{"permits", {{"Reproduction", true}, {"Distribution", true}, {"DerivativeWorks", true}}},
                                 {"prohibits", json::object()}};
    out["needs"] = {"Reproduction", "Distribution", "DerivativeWorks"};
    for (const char* country : {"AT", "BE", "DE", "ES", "FR", "IT", "NL", "NO", "PL", "SE"}) out["eea"][country] = true;
    return out;
}

json Scenario::peer_input(std::size_t event) const {
    return {{"purpose", kStated},
            {"recipientCountry", "DE"},
            {"event",
             {{"licence", kLicence},
              {"jurisdiction", kCountries[event % std::size(kCountries)]},
              {"subject", subjects[event]},
              {"data", json::parse(events[event].data())}}}};
}

}  // namespace licet::bench
