// The form of the cases in this folder (README.md), read: documents, entitlements, events, consents, expected data. Used by its tests.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "tests/support/policy_event.h"

namespace licet::testing {

using nlohmann::json;
using nlohmann::ordered_json;

// When cases that do not say are delivered.
inline constexpr UtcMillis kNow{1'800'000'000'000};

inline json completed(json document, const std::string& product) {
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

inline std::vector<std::string> strings(const ordered_json& object, const char* member) { return object.value(member, std::vector<std::string>{}); }

inline policy::Entitlement entitlement_of(const ordered_json& in) {
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

inline EventText event_of(const ordered_json& in) {
    EventText e;
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
inline void hash_strings(ordered_json& value) {
    if (value.is_structured())
        for (auto& child : value) hash_strings(child);
    else if (value.is_string() && value.get_ref<const std::string&>().starts_with("hash:")) {
        const std::string text = value.get<std::string>().substr(5);
        const auto bar = text.find('|');
        std::array<std::uint8_t, 32> digest;
        PlainPseudonymiser().hash(text.substr(0, bar), text.substr(bar + 1), digest);
        value = base64url(digest);
    } else if (value.is_string() && value.get_ref<const std::string&>().starts_with("seal:")) {
        value = base64url(as_bytes(value.get<std::string>().substr(5)));
    }
}

inline void fill(policy::ConsentIndex& index, const policy::Vocabulary& vocabulary, const ordered_json& consents) {
    if (consents.is_null()) return;  // not ready
    for (const auto& [subject, purposes] : consents.items()) {
        policy::PurposeSet set;
        for (const auto& p : purposes) set.add_all(vocabulary.at_or_below(vocabulary.purpose(p.get<std::string>()).value()));
        index.set(subject_key(subject), set);
    }
    index.set_ready(true);
}

// A fenced block of JSON in a page: what its fence says after `json`, and the line it begins at.
struct JsonBlock {
    std::string what;
    std::size_t line;
    ordered_json value;
};
inline std::vector<JsonBlock> blocks_of(const std::string& page) {
    std::ifstream in(page);
    REQUIRE_MESSAGE(in, page);
    std::vector<JsonBlock> out;
    std::string line, text, what;
    bool open = false;
    for (std::size_t number = 1, begin = 0; std::getline(in, line); ++number) {
        if (!open && line.starts_with("## ")) out.push_back({"section", number, line.substr(3)});
        if (!line.starts_with("```")) {
            if (open) text += line + "\n";
            continue;
        }
        if (!open && line.starts_with("```json")) {
            open = true;
            begin = number;
            text.clear();
            what = line.size() > 8 ? line.substr(8) : "";
        } else if (open) {
            open = false;
            out.push_back({what, begin, ordered_json::parse(text, nullptr, false)});
        }
    }
    REQUIRE_FALSE(open);
    return out;
}

}  // namespace licet::testing
