// What the catalog holds, as the rest of the server sees it: global configuration (authored in one region, replicated to the others) and regional data
// (consents, usage, audit). Implemented with libpqxx in server/postgres. Calls block: never on a shard thread. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace licet::ports {

struct Region {
    std::string name;      // slug, e.g. "eu"
    std::string endpoint;  // public base URL, e.g. "https://127.0.0.1:8443"
};

struct Product {
    ProductNo no;
    std::string name;        // slug
    std::string title;
    std::string owner;       // party that publishes it
    std::string controller;  // party that answers for the personal data (GDPR Art. 4(7)); consents are given to it
    std::string residency;   // region all its events are resident in; empty: each event says, or it is resident where it was accepted
    std::uint32_t mapping_version{};
    std::vector<nlohmann::json> mappings;  // documents of versions 1..mapping_version
};

struct Party {
    std::string name;
    std::string title;
    std::string country;  // ISO 3166-1 alpha-2
    std::vector<std::string> collections;
    std::vector<std::string> adequacy_schemes;
};

enum class ContractState : std::uint8_t { active, suspended, ended };

struct Price {
    std::string currency;   // ISO 4217
    std::string per_event;  // decimal text, exact (numeric(38,14))
    std::string per_mb;     // per 1,000,000 bytes
};

struct Contract {
    ContractNo no;
    std::string name;
    std::string party;
    std::vector<std::string> products;
    std::vector<std::string> purposes;
    std::vector<std::string> transfer_tools;
    std::string pseudonym_scope;  // "contract" or a shared scope's name
    ContractState state = ContractState::active;
    UtcMillis valid_from{};
    UtcMillis valid_until{};      // value 0: open
    Price price;
};

struct Client {
    std::string id;
    std::string party;
    std::string secret_hash;   // hex SHA-256 of salt|secret; secrets are server-made, 256 bits
    std::string secret_salt;   // hex
    std::vector<std::string> roles;   // admin, policy, dpo, finance, auditor, producer, partner
    std::vector<std::string> scopes;  // "read:<product>", "write:<product>", "*" suffix allowed
    bool revoked = false;
    UtcMillis tokens_valid_from{};    // tokens issued before are revoked
};

struct PolicyRow {
    std::string name;
    std::uint32_t version{};
    std::string state;          // draft, active, retired
    nlohmann::json document;
};

struct ConsentRow {
    SubjectKey subject;         // keyed per controller; the raw id is never stored
    std::vector<std::string> purposes;
    std::string status;         // given, renewed, withdrawn, expired
    UtcMillis valid_until{};    // value 0: open
};

struct Configuration {          // everything global, read in one transaction
    GovernanceEpoch epoch;
    std::vector<Region> regions;
    std::vector<Product> products;
    std::vector<Party> parties;
    std::vector<Contract> contracts;
    std::vector<Client> clients;
    std::vector<PolicyRow> active_policies;
};

}  // namespace licet::ports
