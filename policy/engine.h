// The rights engine as the rest of the server sees it: entitlement + active policies -> program; event -> decision; decision -> redacted bytes;
// and the same as an explanation. Semantics: docs/policy-semantics.md. Pure: no I/O, no clock, no logging, no global state.
// Used by views (decide, redact), the control plane (compile for validation, explain), benchmarks and tests.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/ids.h"
#include "base/result.h"
#include "event/mapping.h"
#include "event/record.h"
#include "policy/consent_index.h"
#include "policy/consent_recipients.h"
#include "policy/document.h"
#include "policy/vocabulary.h"

namespace licet::policy {

// Everything a decision depends on besides the event, the active policies and consent.
struct Entitlement {
    std::string product;
    std::string contract;  // used only where a key scope is per contract
    std::string party;     // recipient; used only where a rule names parties
    std::vector<std::string> party_collections;
    std::string recipient_country;              // ISO 3166-1 alpha-2
    std::vector<std::string> purposes;          // stated on the contract; empty: unknown
    std::vector<std::string> transfer_tools;    // GDPR Art. 46 terms on the contract
    std::vector<std::string> adequacy_schemes;  // certifications the recipient holds
    std::string pseudonym_scope;                // "contract" (default) or a shared scope's name
    // Numbers under which consents name the party or a collection of it (consent_recipients.h), ascending.
    std::vector<RecipientNo> consent_recipients;
    std::string action;  // ODRL action asked for; empty: stream, which is what delivery is
};

// Why an event was withheld, or delivered. Stable names are public (reason_name).
enum class Reason : std::uint8_t {
    permitted,
    no_permission,  // default deny: no permission applies
    prohibited,
    purpose_not_permitted,
    purpose_unknown,
    licence_forbids,
    licence_unknown,
    consent_missing,
    consent_unavailable,
    transfer_not_permitted,
    jurisdiction_unknown,
    transform_failed,
    transform_conflict,
    expired,
    mapping_unknown,  // accepted under a mapping version this program does not know
    error,
    subject_erased,   // the key of the values it would show is destroyed
    key_unavailable,  // the key of the values it would show cannot be had at the moment
};
[[nodiscard]] std::string_view reason_name(Reason reason) noexcept;

struct Decision {
    static constexpr std::uint16_t kNoRule = 0xffff;
    Reason reason = Reason::error;
    bool deliver = false;
    std::uint16_t rule = kNoRule;  // index into Program::rules(): the rule that decided; kNoRule when none
    std::uint16_t plan = 0;        // redaction plan; meaningful when deliver. Plan 0 is "as is".
    bool consent_probed = false;   // the decision depends on the subject's consent
};

// HMAC-SHA256 under a key scope's key; implemented outside the core. Thread-compatible: one per shard. False on failure: the event is withheld.
class Pseudonymiser {
  public:
    virtual ~Pseudonymiser() = default;
    [[nodiscard]] virtual bool hash(std::string_view key_scope, std::string_view value, std::array<std::uint8_t, 32>& out) noexcept = 0;
    // Deterministic authenticated encryption (AES-SIV) under another key of the scope: equal values give equal bytes, which the keys' owner can turn
    // back. `out` is overwritten. False where there is none.
    [[nodiscard]] virtual bool encrypt(std::string_view key_scope, std::string_view value, std::string& out) noexcept {
        (void)key_scope, (void)value, (void)out;
        return false;
    }
};

// A compiled entitlement: immutable, shared by all shards.
class Program {
  public:
    virtual ~Program() = default;
    // Canonical bytes of all that decisions and redactions of this program depend on: equal keys, one view.
    [[nodiscard]] virtual const std::string& view_key() const noexcept = 0;
    struct RuleRef {
        std::string policy;
        std::uint32_t policy_version;
        std::string rule;  // rule uid, or its JSON Pointer
    };
    [[nodiscard]] virtual std::span<const RuleRef> rules() const noexcept = 0;
    // A decision made now is the same at every moment before this one, consent and the event's expiry apart; value 0: for ever.
    [[nodiscard]] virtual UtcMillis holds_until(UtcMillis now) const noexcept = 0;
};

// Compiles. `policies`: all active versions (those that do not target the product are skipped). `mappings`: every version of the product's mapping.
// Errors: invalid_document when a transform names a pointer no mapping governs, limits exceeded, unknown purposes or tools in the entitlement.
[[nodiscard]] Result<std::shared_ptr<const Program>> compile(const Entitlement& entitlement, std::span<const PolicyVersion> policies,
                                                             std::span<const std::shared_ptr<const event::Mapping>> mappings,
                                                             std::shared_ptr<const Vocabulary> vocabulary);

// Decides and redacts for one view on one thread; owns the memo of static decisions. Not thread-safe. `consents` must outlive it.
class Decider {
  public:
    virtual ~Decider() = default;
    // No allocation once the memo is warm. `now` is compared with the event's expiry and with `dateTime` constraints.
    [[nodiscard]] virtual Decision decide(const event::StoredEvent& event, UtcMillis now) noexcept = 0;
    // Appends the event's data with the decision's transforms applied. False: a transform could not be applied with certainty; `out` is as
    // before, and the event must be withheld (Reason::transform_failed). Of a sealed event only what needs none of its values can be had.
    // Precondition: decision.deliver.
    [[nodiscard]] virtual bool redact(const event::StoredEvent& event, const Decision& decision, std::string& out) noexcept = 0;
    // Whether a sealed event must be opened first: something of a sealed value would be seen, or the transforms look at it.
    [[nodiscard]] virtual bool needs_values(const event::StoredEvent& event, const Decision& decision) noexcept = 0;
};
[[nodiscard]] std::unique_ptr<Decider> make_decider(std::shared_ptr<const Program> program, const ConsentIndex& consents,
                                                    Pseudonymiser& pseudonymiser);

// The same decision with its grounds: every rule of every active policy with match, constraint values (true/false/unknown), the licence and transfer
// checks, consent found and its revision, transforms per field. Agrees with Decider by construction of the tests. As JSON for the explain API; never
// contains payload values or subject keys.
[[nodiscard]] nlohmann::json explain(const Program& program, const event::StoredEvent& event, const ConsentIndex& consents, UtcMillis now);

}  // namespace licet::policy
