// The feed the benchmarks publish: small edits of which every one names a person by IP address, and one in eight a person without consent.
#pragma once

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace licet::bench {

inline constexpr const char* kProduct = "edits";
inline constexpr std::uint64_t kSubjects = 4096;
inline constexpr std::uint64_t kConsentedOf = 8, kConsented = 7;  // seven in eight

inline std::uint64_t subject_of(std::uint64_t n) { return n % kSubjects; }
inline bool consented(std::uint64_t subject) { return subject % kConsentedOf < kConsented; }

inline std::string subject_name(std::uint64_t subject) {
    char text[32];
    std::snprintf(text, sizeof text, "10.20.%03u.%03u", static_cast<unsigned>(100 + subject / 64), static_cast<unsigned>(100 + subject % 64));
    return text;
}

inline std::string event_id(std::uint64_t n) {
    char text[32];
    std::snprintf(text, sizeof text, "%08llu", static_cast<unsigned long long>(n));
    return text;
}

// One plain JSON document; `pad` characters of filling.
inline std::string document(std::uint64_t n, std::size_t pad) {
    std::string out = R"({"n":")" + event_id(n) + R"(","user":")" + subject_name(subject_of(n)) + R"(","p":")";
    out.append(pad, 'x');
    out += "\"}";
    return out;
}

// The number of the k-th event that names somebody with consent.
inline std::uint64_t consented_event(std::uint64_t k) { return k / kConsented * kConsentedOf + k % kConsented; }

inline nlohmann::json mapping_document() {
    return nlohmann::json::parse(R"({
        "attributes": {"id": {"pointer": "/n"}, "source": {"constant": "/e"}, "type": {"constant": "edit"}, "license": {"constant": "CC-BY-4.0"},
                       "jurisdiction": {"constant": "DE"}, "datasubject": {"pointer": "/user", "infoType": "IP_ADDRESS"}},
        "fields": [{"pointer": "/user", "category": "pd:IPAddress", "infoType": "IP_ADDRESS"}]})");
}

inline constexpr const char* kPurpose = "dpv:ServiceOptimisation";

// Purpose, licence and consent are asked of every event; marketing is prohibited; IP addresses leave as keyed hashes.
inline nlohmann::json policy_document() {
    return nlohmann::json::parse(R"({
        "@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"],
        "@type": "Set", "uid": "urn:licet:policy:bench", "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
        "permission": [{
            "uid": "urn:licet:rule:bench:service", "target": "urn:licet:product:edits", "action": "use",
            "constraint": [
                {"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:ServiceOptimisation"},
                {"leftOperand": "licet:licence", "operator": "isAnyOf", "rightOperand": ["CC-BY-4.0", "CC-BY-SA-4.0"]},
                {"leftOperand": "licet:consent", "operator": "eq", "rightOperand": "valid"}],
            "duty": [{"action": "licet:transform", "licet:transform": "cryptoHash", "licet:infoType": "IP_ADDRESS"}]}],
        "prohibition": [{
            "uid": "urn:licet:rule:bench:no-marketing", "target": "urn:licet:product:edits", "action": "use",
            "constraint": [{"leftOperand": "purpose", "operator": "isA", "rightOperand": "dpv:Marketing"}]}]})");
}

// Of contract i: the same conditions and one more, so that its program is like no other's; for its party alone.
inline nlohmann::json policy_document_of(unsigned i) {
    auto out = policy_document();
    const std::string number = std::to_string(i);
    out["uid"] = "urn:licet:policy:bench-" + number;
    auto& permission = out["permission"][0];
    permission["uid"] = "urn:licet:rule:bench-" + number + ":service";
    permission["assignee"] = "urn:licet:party:partner-" + number;
    permission["constraint"].push_back({{"leftOperand", "licet:eventType"}, {"operator", "isAnyOf"}, {"rightOperand", {"edit", "edit-" + number}}});
    out.erase("prohibition");
    return out;
}

// Nothing is governed: no field, no subject, no condition. Licence and jurisdiction are there because without them nothing leaves.
inline nlohmann::json open_mapping_document() {
    return nlohmann::json::parse(R"({
        "attributes": {"id": {"pointer": "/n"}, "source": {"constant": "/e"}, "type": {"constant": "edit"}, "license": {"constant": "CC-BY-4.0"},
                       "jurisdiction": {"constant": "DE"}},
        "fields": []})");
}
inline nlohmann::json open_policy_document() {
    return nlohmann::json::parse(R"({
        "@context": ["http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"],
        "@type": "Set", "uid": "urn:licet:policy:open", "profile": "https://licet.dev/ns/odrl-profile/1", "conflict": "prohibit",
        "permission": [{"uid": "urn:licet:rule:open", "target": "urn:licet:product:edits", "action": "use"}]})");
}

}  // namespace licet::bench
