// What the catalog holds, as the rest of the server sees it: global configuration (authored in one region, replicated to the others) and regional
// data (consents, usage, audit). Implemented with libpqxx in server/postgres. Calls block: never on a shard thread. Thread-safe.
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
#include "metering/price.h"
#include "server/ports/quota.h"

namespace licet::ports {

struct Region {
    std::string name;      // slug, e.g. "eu"
    std::string endpoint;  // public base URL, e.g. "https://127.0.0.1:8443"
};

struct Product {
    ProductNo no;
    std::string name;  // slug
    std::string title;
    std::string owner;       // party that publishes it
    std::string controller;  // party that answers for the personal data (GDPR Art. 4(7)); consents are given to it
    std::string residency;   // region all its events are resident in; empty: each event says, or it is resident where it was accepted
    std::uint32_t mapping_version{};
    std::vector<nlohmann::json> mappings;  // documents of versions 1..mapping_version
    bool shreddable = false;               // governed values are encrypted at rest per data subject; never changes
};

struct Party {
    std::string name;
    std::string title;
    std::string country;  // ISO 3166-1 alpha-2
    std::vector<std::string> collections;
    std::vector<std::string> adequacy_schemes;
};

enum class ContractState : std::uint8_t { active, suspended, ended };

// How far a stream may fall behind by its own slowness once it was at the head, and what is done then.
struct LagLimits {
    enum class Then : std::uint8_t { wait, conflate, close };
    std::uint64_t max_bytes = 0, max_events = 0;  // 0: any number
    std::int64_t max_age_ms = 0;                  // 0: any age
    Then then = Then::wait;
    bool operator==(const LagLimits&) const = default;
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
    UtcMillis valid_until{};                   // value 0: open
    std::vector<metering::DatedPrice> prices;  // by day; empty: not readable by this build, which rates nothing
    std::optional<LagLimits> lag;
    bool replays_billed = false;  // what is delivered again is billed again
    QuotaTerms quota;
};

struct Client {
    std::string id;
    std::string party;
    std::string secret_hash;          // hex SHA-256 of salt|secret; secrets are server-made, 256 bits
    std::string secret_salt;          // hex
    std::vector<std::string> roles;   // admin, policy, dpo, finance, auditor, producer, partner
    std::vector<std::string> scopes;  // "read:<product>", "write:<product>", "*" suffix allowed
    bool revoked = false;
    UtcMillis tokens_valid_from{};  // tokens issued before are revoked
};

struct PolicyRow {
    std::string name;
    std::uint32_t version{};
    std::string state;  // draft, active, retired, shadow
    nlohmann::json document;
};

// A licence the organisation defined itself: events name it LicenseRef-<name>. Acts in ccREL's words (policy/vocabulary.h).
struct Licence {
    std::string name;  // letters a SPDX id may have, lower case
    std::string title;
    std::uint32_t version = 0;  // of what it says; 1 at first
    std::vector<std::string> permits, requires_, prohibits;
};

// One data subject's consent for one purpose, as last recorded. The raw subject id is never stored.
struct ConsentRow {
    SubjectKey subject;          // keyed per controller
    std::string purpose;         // DPV term
    std::string status;          // given, renewed, withdrawn, expired
    UtcMillis valid_until{};     // value 0: open
    std::uint64_t revision = 0;  // of the change that recorded it: later ones prevail
    std::uint64_t position = 0;  // within that change
    // Of the last record that withdrew (or expired) this purpose for this recipient, this one or one before it; 0: none did.
    std::uint64_t withdrawn_revision = 0, withdrawn_position = 0;
    std::uint16_t recipient = 0;  // number of the party or category it is limited to (Configuration::consent_recipients); 0: every recipient
};

// A recipient that some consent of the region names: "party:acme" or "category:laboratories" (a collection of parties). Numbers are never reused.
struct ConsentRecipient {
    std::uint16_t no = 0;
    std::string name;
};

// The governance epoch is the sum: the global part moves with the configuration and is replicated, the regional one with consents.
struct Epochs {
    std::uint64_t global = 0, regional = 0;
    [[nodiscard]] GovernanceEpoch sum() const noexcept { return {global + regional}; }
};

struct Configuration {  // everything global, read in one transaction
    Epochs epochs;
    std::vector<Region> regions;
    std::vector<Product> products;
    std::vector<Party> parties;
    std::vector<Contract> contracts;
    std::vector<Client> clients;
    std::vector<PolicyRow> active_policies;
    std::vector<Licence> licences;
    std::vector<PolicyRow> shadow_policies;            // decided beside them, without effect
    std::vector<ConsentRecipient> consent_recipients;  // of the region, not global
};

// What was recorded of one subject at a moment, and the revision consents had reached.
struct ConsentsAt {
    std::uint64_t revision = 0;
    std::vector<ConsentRow> rows;
};

// Who did what: one line of the audit chain, without what the chain adds (sequence, time, hash, signature).
struct AuditEntry {
    std::string actor;   // client id
    std::string action;  // e.g. "contract.put"
    std::string target;  // name of what was changed; never a data subject
    nlohmann::json detail;
    // The change is made only while the configuration is at this global epoch, else refused with precondition_failed; for configuration only.
    std::optional<std::uint64_t> only_at = {};
};

struct Changed {
    GovernanceEpoch epoch;
    std::uint32_t number = 0;    // number of a new product or contract, version of a new mapping or policy
    std::uint64_t revision = 0;  // consent changes
};

class Catalog {
  public:
    virtual ~Catalog() = default;

    [[nodiscard]] virtual Result<Configuration> configuration() = 0;
    [[nodiscard]] virtual Result<Epochs> epochs() = 0;
    // All consents of the region in no particular order, and the revision reached; one consistent read. A row is valid during the call only.
    [[nodiscard]] virtual Result<std::uint64_t> each_consent(const std::function<void(const ConsentRow&)>& take) = 0;
    [[nodiscard]] virtual Result<std::vector<ConsentRow>> consents_of(const SubjectKey& subject) = 0;
    // All consents of every subject of whom something was recorded after `revision`, subject by subject.
    [[nodiscard]] virtual Result<std::vector<ConsentRow>> consents_after(std::uint64_t revision) = 0;

    // The same as it was at a moment, by the catalog's clock. Without regions, clients and shadows, on which no decision rests. Errors: gone for a
    // moment before known history.
    [[nodiscard]] virtual Result<Configuration> configuration_at(UtcMillis at) = 0;
    [[nodiscard]] virtual Result<ConsentsAt> consents_of_at(const SubjectKey& subject, UtcMillis at) = 0;

    // Changes: each is one transaction with its audit line and its epoch. Errors: conflict, not_found, unavailable.
    [[nodiscard]] virtual Result<Changed> put_region(const Region& region, const AuditEntry& audit) = 0;
    // A product's number is given at first; `mapping` (null: as it is) becomes a new version when it differs from the current one.
    [[nodiscard]] virtual Result<Changed> put_product(const Product& product, const nlohmann::json& mapping, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> put_party(const Party& party, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> put_contract(const Contract& contract, const AuditEntry& audit) = 0;
    // A licence that says something else than before becomes a new version. conflict: limits::own_licences_max are defined.
    [[nodiscard]] virtual Result<Changed> put_licence(const Licence& licence, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> create_client(const Client& client, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> revoke_client(const std::string& id, const AuditEntry& audit) = 0;
    // Each call moves tokens_valid_from on, by a millisecond at least: tokens are dated from it, and those are revoked too.
    [[nodiscard]] virtual Result<Changed> revoke_tokens(const std::string& id, UtcMillis issued_before, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> add_policy_version(const std::string& name, const nlohmann::json& document, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> activate_policy(const std::string& name, std::uint32_t version, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<Changed> retire_policy(const std::string& name, const AuditEntry& audit) = 0;
    // The numbers of recipients consents may name; those not named before are given one. Errors: conflict: limits::consent_recipients_max are.
    [[nodiscard]] virtual Result<std::vector<std::uint16_t>> number_recipients(const std::vector<std::string>& names) = 0;

    // Puts a version that is not active into the shadow of its policy, in the place of another; version 0 ends it. not_found: no such version, or no
    // shadow.
    [[nodiscard]] virtual Result<Changed> shadow_policy(const std::string& name, std::uint32_t version, const AuditEntry& audit) = 0;
    [[nodiscard]] virtual Result<std::vector<PolicyRow>> policies(const std::string& name) = 0;  // every version; empty name: of all policies
    [[nodiscard]] virtual Status record_audit(const AuditEntry& audit) = 0;                      // for what changes nothing in the catalog

    // Runs `changed` (on a thread of its own) when the epoch may have moved, by this node, another one or replication; at least once a second while
    // the catalog cannot be reached it is not run, and once after it can be again.
    virtual void watch(std::function<void()> changed) = 0;
    virtual void stop_watching() = 0;
};

}  // namespace licet::ports
