// The admin use cases: what policy admins, DPOs, finance, auditors and operators ask over REST. Each validates its input, makes one audited change in
// the catalog and answers only when the change holds on every live node of the region. Who may call which is decided by route
// (server/control/routes.cpp). Used by server/control. Thread-safe; calls block.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/app/consent_documents.h"
#include "server/app/governance.h"
#include "server/app/tokens.h"
#include "server/ports/catalog.h"
#include "server/ports/consents.h"
#include "server/ports/event_log.h"

namespace licet::app {

struct Actor {
    std::string client;
    std::string party;
    std::vector<std::string> roles;
    std::optional<std::uint64_t> only_at = {};  // see ports::AuditEntry
    std::optional<SubjectToken> subject = {};   // a person acting for themselves through this client
};

// Whether the pointers of mistakes start with the number of the record.
enum class Numbered : bool { no, yes };

struct Reply {
    int status = 200;
    nlohmann::json body;
};

class Admin {
  public:
    struct Parts {
        std::shared_ptr<ports::Catalog> catalog;
        std::shared_ptr<ports::ConsentRegistry> registry;
        std::shared_ptr<const Tokens> tokens;
        std::shared_ptr<Governance> governance;
        std::shared_ptr<ports::EventLog> log;
        std::shared_ptr<const ports::Crypto> crypto;
        std::shared_ptr<const policy::Vocabulary> vocabulary;
        std::shared_ptr<const Clock> clock;
        std::function<SubjectKey(std::string_view controller, std::string_view subject)> subject_digest;
        std::function<EventIdentity(ProductNo product, std::string_view source, std::string_view id)> event_digest;
        // Position a cursor names; refuses a cursor of another product or log.
        std::function<Result<Offset>(std::string_view cursor, ports::LogPosition position, StreamEpoch stream_epoch)> open_cursor;
        std::shared_ptr<ShadowCounts> shadow;       // filled by this node's views
        std::shared_ptr<SubjectKeys> subject_keys;  // null: this node has no key-encryption key
        std::function<std::unique_ptr<ports::SealingCipher>()> make_cipher;
        bool authoring = true;
    };
    explicit Admin(Parts parts) : parts_(std::move(parts)) {}

    using json = nlohmann::json;
    // The part of the governance epoch that moves with the configuration, as the catalog has it.
    [[nodiscard]] Result<std::uint64_t> configuration_epoch() const;

    [[nodiscard]] Result<Reply> put_region(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_region(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_regions() const;
    [[nodiscard]] Result<Reply> put_product(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_product(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_products() const;
    [[nodiscard]] Result<Reply> put_party(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_party(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_parties() const;
    [[nodiscard]] Result<Reply> put_contract(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_contract(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_contracts() const;

    [[nodiscard]] Result<Reply> put_licence(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_licence(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_licences() const;

    [[nodiscard]] Result<Reply> create_client(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> get_client(const std::string& id) const;
    [[nodiscard]] Result<Reply> list_clients() const;
    [[nodiscard]] Result<Reply> revoke_client(const Actor& actor, const std::string& id);
    [[nodiscard]] Result<Reply> revoke_tokens(const Actor& actor, const std::string& id);

    [[nodiscard]] Result<Reply> put_policy(const Actor& actor, const std::string& name, const json& body);
    [[nodiscard]] Result<Reply> get_policy(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_policies() const;
    [[nodiscard]] Result<Reply> activate_policy(const Actor& actor, const std::string& name, std::string_view version);
    [[nodiscard]] Result<Reply> retire_policy(const Actor& actor, const std::string& name);
    // Shadow mode: a stored version decided beside what is active on live traffic, without effect. The counts are this node's.
    [[nodiscard]] Result<Reply> shadow_policy(const Actor& actor, const std::string& name, std::string_view version);
    [[nodiscard]] Result<Reply> end_shadow(const Actor& actor, const std::string& name);
    [[nodiscard]] Result<Reply> shadow_counts() const;
    // What a draft would change for chosen contracts over a stretch of the log: {name, document | version | retire, product, contracts?, since?,
    // limit?}.
    [[nodiscard]] Result<Reply> simulate_policy(const Actor& actor, const json& body);

    [[nodiscard]] Result<Reply> record_consents(const Actor& actor, const std::vector<json>& records, Numbered numbered = Numbered::no);
    [[nodiscard]] Result<Reply> withdraw_consent(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> query_consent(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> consent_history(const Actor& actor, const json& body);
    // Bulk import: parts of NDJSON, each one transaction and one epoch, in order, each once whatever is repeated.
    [[nodiscard]] Result<Reply> begin_import(const Actor& actor, const std::string& name);
    [[nodiscard]] Result<Reply> import_part(const Actor& actor, const std::string& name, std::string_view number, std::string_view lines,
                                            const Result<std::vector<json>>& records);
    [[nodiscard]] Result<Reply> complete_import(const Actor& actor, const std::string& name);
    [[nodiscard]] Result<Reply> get_import(const std::string& name) const;
    [[nodiscard]] Result<Reply> list_imports() const;
    // Tokens with which a person, through an app, sees and changes their own consents.
    [[nodiscard]] Result<Reply> issue_subject_token(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> revoke_subject_tokens(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> my_consents(const Actor& actor);
    [[nodiscard]] Result<Reply> my_history(const Actor& actor, std::string_view after);
    [[nodiscard]] Result<Reply> record_mine(const Actor& actor, const json& body);
    [[nodiscard]] Result<Reply> withdraw_mine(const Actor& actor, const json& body);

    struct ExplainQuery {
        std::string product, contract, offset, cursor, source, event;
        std::string at;  // RFC 3339; empty: now
    };
    [[nodiscard]] Result<Reply> explain(const Actor& actor, const ExplainQuery& query);
    // The same for use cases that are audited themselves.
    [[nodiscard]] Result<json> explained(const ExplainQuery& query) const;

    // Whether the change that made an epoch holds everywhere in the region: {epoch, complete, outstanding}. `wait`: milliseconds, empty: now.
    [[nodiscard]] Result<Reply> get_barrier(std::string_view epoch, std::string_view wait) const;

  private:
    [[nodiscard]] std::shared_ptr<const Snapshot> now() const { return parts_.governance->snapshot(); }
    [[nodiscard]] std::optional<Error> only_where_authored() const;
    // Waits for the barrier and answers with `body` and the epoch.
    [[nodiscard]] Result<Reply> held(const Result<ports::Changed>& changed, json body, int status = 200);
    [[nodiscard]] ConsentContext consent_context(const std::shared_ptr<const Snapshot>& snapshot, const Actor* own) const;
    [[nodiscard]] Result<std::vector<ports::ConsentEvent>> numbered(std::vector<ConsentDraft> drafts) const;
    [[nodiscard]] Result<std::vector<ports::ConsentEvent>> read_events(const std::vector<json>& records, Numbered numbered, std::uint64_t first,
                                                                       const Actor* own) const;
    [[nodiscard]] Result<Reply> withdraw(const Actor& actor, const json& body, bool own);
    [[nodiscard]] Result<json> what_holds(const SubjectKey& key) const;
    [[nodiscard]] Result<Reply> history_of(const SubjectKey& key, std::uint64_t after, std::size_t limit) const;
    // Who the token speaks for, unless it was revoked.
    [[nodiscard]] Result<SubjectKey> still_good(const Actor& actor) const;
    [[nodiscard]] Status audit_own(const Actor& actor, const char* action);
    [[nodiscard]] Result<std::shared_ptr<const Snapshot>> snapshot_with(const Snapshot& snapshot, const std::string& name, const json* document,
                                                                        std::uint64_t version) const;
    [[nodiscard]] Result<Offset> find_event(const ProductEntry& product, const ExplainQuery& query) const;
    [[nodiscard]] Result<std::shared_ptr<const Snapshot>> snapshot_at(UtcMillis at, const ExplainQuery& query) const;
    [[nodiscard]] Status recall_consents(policy::ConsentIndex& index, const SubjectKey& subject, UtcMillis at) const;

    const Parts parts_;
};

inline constexpr std::size_t kConsentsPerRequest = 100'000;

// barrier_incomplete of a change that is made: what was made is told all the same.
[[nodiscard]] Error not_yet_held(const Barrier& barrier, nlohmann::json result);

}  // namespace licet::app
