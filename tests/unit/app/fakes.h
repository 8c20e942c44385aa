// An in-memory catalog, cluster, data plane and clock for tests of the use cases. Private to this folder.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "server/app/governance.h"
#include "server/ports/catalog_json.h"
#include "server/ports/contract_change.h"

namespace licet::testing {

using nlohmann::json;

class TestClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {now.load()}; }
    std::int64_t monotonic_ns() const noexcept override { return now.load() * 1'000'000; }
    std::atomic<std::int64_t> now{1'795'000'000'000};
};

inline SubjectKey subject(std::uint8_t n) {
    SubjectKey key;
    key.bytes.fill(n);
    return key;
}

// One region's catalog. `away`: which reads fail, as when PostgreSQL is lost between two of them.
class MemoryCatalog final : public ports::Catalog {
  public:
    ports::Configuration held;
    std::vector<ports::ConsentRow> consents;  // in the order they were recorded
    std::uint64_t revision = 0;
    std::vector<ports::PolicyRow> rows;
    std::vector<ports::AuditEntry> audited;
    std::atomic<bool> epochs_away{false}, consents_away{false}, configuration_away{false};
    UtcMillis now{1'795'000'000'000};            // as TestClock begins: what of a contract is settled
    std::function<void()> before_configuration;  // once: what happens while a node reads

    Result<ports::Configuration> configuration() override {
        if (configuration_away) return away();
        if (const auto meanwhile = std::exchange(before_configuration, {})) meanwhile();
        const std::lock_guard lock(mutex_);
        auto out = held;
        for (const auto& p : rows)
            if (p.state == "active" || p.state == "shadow") (p.state == "active" ? out.active_policies : out.shadow_policies).push_back(p);
        return out;
    }
    Result<ports::Epochs> epochs() override {
        std::unique_lock lock(mutex_);
        unblocked_.wait(lock, [&] { return !blocked_; });
        if (epochs_away) return away();
        return held.epochs;
    }
    Result<std::uint64_t> each_consent(const std::function<void(const ports::ConsentRow&)>& take) override {
        const std::lock_guard lock(mutex_);
        for (const auto& row : consents) take(row);
        return revision;
    }
    Result<std::vector<ports::ConsentRow>> consents_of(const SubjectKey& key) override {
        return select([&](const auto& row) { return row.subject == key; });
    }
    Result<std::vector<ports::ConsentRow>> consents_after(std::uint64_t after) override {
        if (consents_away) return away();
        std::set<SubjectKey> changed;
        const auto newer = select([&](const auto& row) { return row.revision > after; });
        for (const auto& row : *newer) changed.insert(row.subject);
        auto out = select([&](const auto& row) { return changed.contains(row.subject); });
        std::stable_sort(out->begin(), out->end(), [](const auto& a, const auto& b) { return a.subject < b.subject; });
        return out;
    }

    Result<ports::Configuration> configuration_at(UtcMillis at) override {
        const auto then = past_.upper_bound(at.value);
        if (then == past_.begin()) return Error{Errc::gone, "not known", "query:at"};
        return std::prev(then)->second.configuration;
    }
    Result<ports::ConsentsAt> consents_of_at(const SubjectKey& key, UtcMillis at) override {
        const auto then = past_.upper_bound(at.value);
        if (then == past_.begin()) return Error{Errc::gone, "not known", "query:at"};
        ports::ConsentsAt out{std::prev(then)->second.revision, {}};
        for (const auto& row : std::prev(then)->second.consents)
            if (row.subject == key) out.rows.push_back(row);
        return out;
    }
    // What is held is what was held from `at` on.
    void remember(UtcMillis at) { past_[at.value] = {*configuration(), consents, revision}; }

    Result<ports::Changed> put_region(const ports::Region& region, const ports::AuditEntry& audit) override {
        return global(audit, [&](auto&) { put(held.regions, region, [&](const auto& r) { return r.name == region.name; }); });
    }
    Result<ports::Changed> put_product(const ports::Product& product, const json& mapping, const ports::AuditEntry& audit) override {
        return global(audit, [&](ports::Changed& changed) {
            const auto at = std::find_if(held.products.begin(), held.products.end(), [&](const auto& p) { return p.name == product.name; });
            ports::Product next = product;
            next.no = at == held.products.end() ? ProductNo{static_cast<std::uint32_t>(held.products.size() + 1)} : at->no;
            if (at != held.products.end()) next.mappings = at->mappings;
            if (!mapping.is_null() && (next.mappings.empty() || next.mappings.back() != mapping)) next.mappings.push_back(mapping);
            next.mapping_version = static_cast<std::uint32_t>(next.mappings.size());
            changed.number = next.no.value;
            put(held.products, next, [&](const auto& p) { return p.name == product.name; });
        });
    }
    Result<ports::Changed> put_party(const ports::Party& party, const ports::AuditEntry& audit) override {
        return global(audit, [&](auto&) { put(held.parties, party, [&](const auto& p) { return p.name == party.name; }); });
    }
    Result<ports::Changed> put_contract(const ports::Contract& contract, const ports::AuditEntry& audit) override {
        for (const auto& c : held.contracts)
            if (c.name == contract.name)
                if (auto allowed = ports::check_contract_change(c, contract, now); !allowed) return allowed.error();
        return global(audit, [&](ports::Changed& changed) {
            auto next = contract;
            const auto at = std::find_if(held.contracts.begin(), held.contracts.end(), [&](const auto& c) { return c.name == contract.name; });
            next.no = at == held.contracts.end() ? ContractNo{static_cast<std::uint32_t>(held.contracts.size() + 1)} : at->no;
            changed.number = next.no.value;
            put(held.contracts, next, [&](const auto& c) { return c.name == contract.name; });
        });
    }
    Result<ports::Changed> put_licence(const ports::Licence& licence, const ports::AuditEntry& audit) override {
        return global(audit, [&](ports::Changed& changed) {
            auto next = licence;
            const auto at = std::find_if(held.licences.begin(), held.licences.end(), [&](const auto& l) { return l.name == licence.name; });
            next.version = at == held.licences.end() ? 1 : at->version + 1;
            changed.number = next.version;
            put(held.licences, next, [&](const auto& l) { return l.name == licence.name; });
        });
    }
    Result<ports::Changed> create_client(const ports::Client& client, const ports::AuditEntry& audit) override {
        for (const auto& c : held.clients)
            if (c.id == client.id) return Error{Errc::conflict, "a client of this id exists", "/id"};
        return global(audit, [&](auto&) { held.clients.push_back(client); });
    }
    Result<ports::Changed> revoke_client(const std::string& id, const ports::AuditEntry& audit) override {
        return on_client(id, audit, [](ports::Client& c) { c.revoked = true; });
    }
    Result<ports::Changed> revoke_tokens(const std::string& id, UtcMillis before, const ports::AuditEntry& audit) override {
        return on_client(id, audit, [&](ports::Client& c) { c.tokens_valid_from = std::max(UtcMillis{c.tokens_valid_from.value + 1}, before); });
    }
    Result<ports::Changed> add_policy_version(const std::string& name, const json& document, const ports::AuditEntry& audit) override {
        return global(audit, [&](ports::Changed& changed) {
            for (const auto& p : rows)
                if (p.name == name) changed.number = std::max(changed.number, p.version);
            rows.push_back({name, ++changed.number, "draft", document});
        });
    }
    Result<ports::Changed> activate_policy(const std::string& name, std::uint32_t version, const ports::AuditEntry& audit) override {
        return global(audit, [&](ports::Changed&) {
            for (auto& p : rows)
                if (p.name == name) p.state = p.version == version ? "active" : p.state == "active" ? "retired" : p.state;
        });
    }
    Result<ports::Changed> retire_policy(const std::string& name, const ports::AuditEntry& audit) override {
        return global(audit, [&](ports::Changed&) {
            for (auto& p : rows)
                if (p.name == name && p.state == "active") p.state = "retired";
        });
    }
    Result<ports::Changed> shadow_policy(const std::string& name, std::uint32_t version, const ports::AuditEntry& audit) override {
        const auto fits = [&](const ports::PolicyRow& p) {
            return p.name == name && (version == 0 ? p.state == "shadow" : p.version == version && p.state != "active");
        };
        if (std::none_of(rows.begin(), rows.end(), fits))
            return Error{Errc::not_found, "no such policy version that is not active, or no shadow", {}};
        return global(audit, [&](ports::Changed&) {
            for (auto& p : rows)
                if (p.name == name) p.state = p.version == version ? "shadow" : p.state == "shadow" ? "draft" : p.state;
        });
    }
    Result<std::vector<std::uint16_t>> number_recipients(const std::vector<std::string>& names) override {
        const std::lock_guard lock(mutex_);
        std::vector<std::uint16_t> out;
        for (const auto& name : names) {
            auto& known = held.consent_recipients;
            const auto at = std::find_if(known.begin(), known.end(), [&](const auto& r) { return r.name == name; });
            if (at != known.end()) {
                out.push_back(at->no);
                continue;
            }
            known.push_back({static_cast<std::uint16_t>(known.size() + 1), name});
            out.push_back(known.back().no);
        }
        return out;
    }
    // What the registry derives from records.
    Result<ports::Changed> put_consents(const std::vector<ports::ConsentRow>& given, const ports::AuditEntry& audit) {
        const std::lock_guard lock(mutex_);
        audited.push_back(audit);
        ++revision;
        ++held.epochs.regional;
        for (std::uint64_t position = 0; position < given.size(); ++position) {
            auto row = given[position];
            row.revision = revision;
            row.position = position;
            const auto same = [&](const auto& c) { return c.subject == row.subject && c.purpose == row.purpose && c.recipient == row.recipient; };
            for (const auto& c : consents)
                if (same(c)) row.withdrawn_revision = c.withdrawn_revision, row.withdrawn_position = c.withdrawn_position;
            if (row.status == "withdrawn" || row.status == "expired") row.withdrawn_revision = revision, row.withdrawn_position = position;
            std::erase_if(consents, same);
            consents.push_back(row);
        }
        return ports::Changed{held.epochs.sum(), 0, revision};
    }
    Result<std::vector<ports::PolicyRow>> policies(const std::string& name) override {
        std::vector<ports::PolicyRow> out;
        std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), [&](const auto& p) { return name.empty() || p.name == name; });
        return out;
    }
    Status record_audit(const ports::AuditEntry& entry) override {
        audited.push_back(entry);
        return success();
    }
    void watch(std::function<void()> changed) override { changed_ = std::move(changed); }
    void stop_watching() override {}
    void notify() const { changed_(); }

    // While blocked, reading the epochs waits: a PostgreSQL that does not answer.
    void block(bool on) {
        const std::lock_guard lock(mutex_);
        blocked_ = on;
        unblocked_.notify_all();
    }

  private:
    static Error away() { return {Errc::unavailable, "the catalog cannot be used", {}}; }
    template <class Match>
    Result<std::vector<ports::ConsentRow>> select(Match&& match) {
        const std::lock_guard lock(mutex_);
        std::vector<ports::ConsentRow> out;
        std::copy_if(consents.begin(), consents.end(), std::back_inserter(out), match);
        return out;
    }
    template <class Entries, class Entry, class Match>
    static void put(Entries& entries, const Entry& entry, Match&& match) {
        const auto at = std::find_if(entries.begin(), entries.end(), match);
        if (at == entries.end())
            entries.push_back(entry);
        else
            *at = entry;
    }
    template <class Change>
    Result<ports::Changed> global(const ports::AuditEntry& audit, Change&& change) {
        const std::lock_guard lock(mutex_);
        ports::Changed changed;
        change(changed);
        audited.push_back(audit);
        ++held.epochs.global;
        changed.epoch = held.epochs.sum();
        return changed;
    }
    template <class Change>
    Result<ports::Changed> on_client(const std::string& id, const ports::AuditEntry& audit, Change&& change) {
        const auto at = std::find_if(held.clients.begin(), held.clients.end(), [&](const auto& c) { return c.id == id; });
        if (at == held.clients.end()) return Error{Errc::not_found, "no such client", {}};
        return global(audit, [&](auto&) { change(*at); });
    }

    struct Past {
        ports::Configuration configuration;
        std::vector<ports::ConsentRow> consents;
        std::uint64_t revision = 0;
    };
    std::map<std::int64_t, Past> past_;
    std::mutex mutex_;
    std::condition_variable unblocked_;
    bool blocked_ = false;
    std::function<void()> changed_;
};

class TestCluster final : public ports::Cluster {
  public:
    // Names a test sets while barriers are followed.
    class Names {
      public:
        Names& operator=(std::vector<std::string> names) {
            const std::lock_guard lock(mutex_);
            names_ = std::move(names);
            return *this;
        }
        void clear() { *this = std::vector<std::string>{}; }
        std::vector<std::string> all() const {
            const std::lock_guard lock(mutex_);
            return names_;
        }

      private:
        mutable std::mutex mutex_;
        std::vector<std::string> names_;
    };
    void start(std::function<void(std::optional<ports::FenceTime>)>) override {}
    std::shared_ptr<const ports::Lease> lease() const override { return std::make_shared<ports::Lease>(); }
    void acknowledge(GovernanceEpoch epoch) override { acknowledged = std::max(acknowledged.load(), epoch.value); }
    Result<Nodes> await(GovernanceEpoch epoch, int) override {
        if (away) return Error{Errc::unavailable, "away", {}};
        Nodes out{others.all(), {}};
        (acknowledged < epoch.value ? out.outstanding : out.acknowledged).push_back("self");
        return out;
    }
    void stop() override {}
    std::atomic<std::uint64_t> acknowledged{0};
    Names others;  // that have not acknowledged
    std::atomic<bool> away{false};
};

// Keeps what it was given; acknowledges at once unless told to hold back.
class TestPlane final : public app::DataPlane {
  public:
    void apply(app::EpochChange change, std::function<void()> acknowledged) override {
        const std::lock_guard lock(mutex_);
        changes_.push_back(std::move(change));
        changed_.notify_all();
        if (hold_back)
            waiting.push_back(std::move(acknowledged));
        else
            acknowledged();
    }
    void consents_end_at(UtcMillis at) override {
        const std::lock_guard lock(mutex_);
        ends.push_back(at.value);
    }
    std::vector<std::int64_t> ends;  // under the mutex
    std::vector<app::EpochChange> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(changes_, {});
    }
    // Waits until it was given something.
    std::vector<app::EpochChange> await() {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !changes_.empty(); }));
        return std::exchange(changes_, {});
    }
    bool hold_back = false;
    std::vector<std::function<void()>> waiting;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<app::EpochChange> changes_;
};

inline json mapping_document() {
    return {{"attributes",
             {{"id", {{"digest", true}}}, {"source", {{"constant", "/t"}}}, {"type", {{"constant", "t"}}}, {"datasubject", {{"pointer", "/user"}}}}},
            {"fields", {{{"pointer", "/user"}, {"category", "pd:IPAddress"}}}}};
}

// A policy that permits `purpose` on every product; with `consent`, only of subjects who consented.
inline json policy_document(const std::string& product, const char* purpose, bool consent = false) {
    json constraints = json::array({{{"leftOperand", "purpose"}, {"operator", "isA"}, {"rightOperand", purpose}}});
    if (consent) constraints.push_back({{"leftOperand", "licet:consent"}, {"operator", "eq"}, {"rightOperand", "valid"}});
    return {{"@context", {"http://www.w3.org/ns/odrl.jsonld", "https://licet.dev/ns/odrl-profile/1"}},
            {"@type", "Set"},
            {"uid", "urn:licet:policy:test"},
            {"profile", "https://licet.dev/ns/odrl-profile/1"},
            {"conflict", "prohibit"},
            {"permission", {{{"uid", "allow"}, {"target", "urn:licet:product:" + product}, {"action", "use"}, {"constraint", constraints}}}}};
}

struct Governed {
    std::shared_ptr<MemoryCatalog> catalog = std::make_shared<MemoryCatalog>();
    std::shared_ptr<TestCluster> cluster = std::make_shared<TestCluster>();
    std::shared_ptr<TestPlane> plane = std::make_shared<TestPlane>();
    std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
    std::shared_ptr<const policy::Vocabulary> vocabulary = policy::builtin_vocabulary();
    std::shared_ptr<app::Governance> governance;

    Governed() {
        catalog->held.epochs = {1, 0};
        governance = std::make_shared<app::Governance>(app::Governance::Parts{"eu", catalog, cluster, vocabulary, clock});
    }
    ~Governed() { governance->stop(); }
    void start() {
        REQUIRE(governance->load());
        governance->start(plane);
        plane->take();  // all that was loaded
    }
    void consent(std::vector<ports::ConsentRow> rows) { REQUIRE(catalog->put_consents(rows, {"dpo", "consent.record", "consents", {}})); }
    [[nodiscard]] bool valid(const SubjectKey& key, const char* purpose) const {
        return governance->snapshot()->consents->valid_purposes(key, clock->utc_now()).has(vocabulary->purpose(purpose).value());
    }
};

}  // namespace licet::testing
