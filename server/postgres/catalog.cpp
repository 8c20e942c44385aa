#include "server/postgres/catalog.h"

#include "server/ports/catalog_json.h"
#include "server/ports/contract_change.h"
#include "server/postgres/consent_load.h"
#include "server/postgres/consents.h"
#include "server/postgres/epochs.h"
#include "server/postgres/history.h"
#include "server/postgres/licences.h"
#include "server/postgres/pool.h"
#include "server/postgres/rows.h"
#include "server/postgres/watcher.h"

namespace licet::postgres {
namespace {

using namespace ports;
using nlohmann::json;

constexpr const char* kEpoch = "SELECT coalesce((SELECT value FROM global_epoch), 0) + (SELECT value FROM regional_epoch)";

PolicyRow policy_of(const pqxx::row& row) {
    return {row[0].as<std::string>(), row[1].as<std::uint32_t>(), row[2].as<std::string>(), json_of(row[3])};
}

class PgCatalog final : public Catalog {
  public:
    PgCatalog(std::shared_ptr<Pool> pool, AuditSealing sealing)
        : pool_(std::move(pool)), sealing_(std::move(sealing)), watcher_(pool_->dsn(), kEpoch) {}
    ~PgCatalog() override { watcher_.stop(); }

    Result<Configuration> configuration() override {
        return pool_->transact("configuration", [](pqxx::work& t) {
            t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
            Configuration out;
            out.epochs = read_epochs(t);
            for (const auto& r : t.exec("SELECT name, endpoint FROM regions ORDER BY name"))
                out.regions.push_back({r[0].as<std::string>(), r[1].as<std::string>()});
            for (const auto& r : t.exec("SELECT no, name, title, owner, controller, residency, shreddable FROM products ORDER BY no")) {
                Product p{{r[0].as<std::uint32_t>()},
                          r[1].as<std::string>(),
                          r[2].as<std::string>(),
                          r[3].as<std::string>(),
                          r[4].as<std::string>(),
                          r[5].as<std::string>(),
                          0,
                          {},
                          r[6].as<bool>()};
                for (const auto& m : t.exec_params("SELECT version, document FROM mappings WHERE product_no = $1 ORDER BY version", p.no.value)) {
                    p.mapping_version = m[0].as<std::uint32_t>();
                    p.mappings.push_back(json_of(m[1]));
                }
                out.products.push_back(std::move(p));
            }
            for (const auto& r : t.exec("SELECT name, body FROM parties ORDER BY name"))
                out.parties.push_back(party_from(r[0].as<std::string>(), json_of(r[1])));
            for (const auto& r : t.exec("SELECT no, name, body FROM contracts ORDER BY no")) {
                out.contracts.push_back(contract_from(r[1].as<std::string>(), json_of(r[2])));
                out.contracts.back().no = {r[0].as<std::uint32_t>()};
            }
            out.licences = read_licences(t);
            out.consent_recipients = read_recipients(t);
            for (const auto& r :
                 t.exec("SELECT id, party, secret_hash, secret_salt, roles, scopes, revoked, tokens_valid_from FROM clients ORDER BY id"))
                out.clients.push_back({r[0].as<std::string>(),
                                       r[1].as<std::string>(),
                                       r[2].as<std::string>(),
                                       r[3].as<std::string>(),
                                       text_array(r[4]),
                                       text_array(r[5]),
                                       r[6].as<bool>(),
                                       {r[7].as<std::int64_t>()}});
            for (const auto& r : t.exec("SELECT name, version, state, document FROM policies WHERE state IN ('active', 'shadow') ORDER BY name")) {
                auto row = policy_of(r);
                auto& list = row.state == "active" ? out.active_policies : out.shadow_policies;
                list.push_back(std::move(row));
            }
            return out;
        });
    }

    Result<Epochs> epochs() override { return pool_->transact("epochs", read_epochs); }

    Result<std::uint64_t> each_consent(const std::function<void(const ConsentRow&)>& take) override {
        return pool_->transact("each_consent", [&](pqxx::work& t) { return load_consents(t, take); });
    }

    Result<std::vector<ConsentRow>> consents_of(const SubjectKey& subject) override {
        return pool_->transact("consents_of", [&](pqxx::work& t) { return postgres::consents_of(t, subject); });
    }
    Result<std::vector<ConsentRow>> consents_after(std::uint64_t revision) override {
        return pool_->transact("consents_after", [&](pqxx::work& t) { return postgres::consents_after(t, revision); });
    }

    Result<Configuration> configuration_at(UtcMillis at) override {
        return pool_->transact("configuration_at", [&](pqxx::work& t) { return postgres::configuration_at(t, at); });
    }
    Result<ConsentsAt> consents_of_at(const SubjectKey& subject, UtcMillis at) override {
        return pool_->transact("consents_of_at", [&](pqxx::work& t) { return consents_at(t, subject, at); });
    }

    Result<Changed> put_region(const Region& region, const AuditEntry& audit) override {
        return global("put_region", audit, [&](pqxx::work& t, Changed&) {
            t.exec_params("INSERT INTO regions VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET endpoint = excluded.endpoint", region.name,
                          region.endpoint);
        });
    }

    Result<Changed> put_product(const Product& p, const json& mapping, const AuditEntry& audit) override {
        return global("put_product", audit, [&](pqxx::work& t, Changed& changed) {
            const auto product = t.exec_params(
                "INSERT INTO products (name, title, owner, controller, residency, shreddable) VALUES ($1, $2, $3, $4, $5, $6) "
                "ON CONFLICT (name) DO UPDATE SET title = excluded.title, owner = excluded.owner, controller = excluded.controller, "
                "residency = excluded.residency WHERE products.shreddable = excluded.shreddable "
                "AND (NOT products.shreddable OR products.controller = excluded.controller) RETURNING no",
                p.name, p.title, p.owner, p.controller, p.residency, p.shreddable);
            if (product.empty())
                throw Refused{
                    Error{Errc::conflict, "whether a product is shreddable, and then its controller, are settled when it is made", "/shreddable"}};
            changed.number = product[0][0].as<std::uint32_t>();
            if (mapping.is_null()) return;
            const auto current =
                t.exec_params("SELECT version, document FROM mappings WHERE product_no = $1 ORDER BY version DESC LIMIT 1", changed.number);
            if (!current.empty() && json_of(current[0][1]) == mapping) return;
            const std::uint32_t version = current.empty() ? 1 : current[0][0].as<std::uint32_t>() + 1;
            t.exec_params("INSERT INTO mappings VALUES ($1, $2, $3)", changed.number, version, mapping.dump());
        });
    }

    Result<Changed> put_party(const Party& party, const AuditEntry& audit) override {
        return global("put_party", audit, [&](pqxx::work& t, Changed&) {
            t.exec_params("INSERT INTO parties VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body", party.name,
                          to_json(party).dump());
        });
    }

    Result<Changed> put_contract(const Contract& contract, const AuditEntry& audit) override {
        return global("put_contract", audit, [&](pqxx::work& t, Changed& changed) {
            const auto held = t.exec_params("SELECT body, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM contracts WHERE name = $1",
                                            contract.name);
            if (!held.empty())
                if (auto allowed =
                        check_contract_change(contract_from(contract.name, json_of(held[0][0])), contract, {held[0][1].as<std::int64_t>()});
                    !allowed)
                    throw Refused{allowed.error()};
            changed.number =
                t.exec_params1(
                     "INSERT INTO contracts (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body RETURNING no",
                     contract.name, to_json(contract).dump())[0]
                    .as<std::uint32_t>();
        });
    }

    Result<Changed> put_licence(const Licence& licence, const AuditEntry& audit) override {
        return global("put_licence", audit, [&](pqxx::work& t, Changed& changed) { changed.number = write_licence(t, licence); });
    }

    Result<Changed> create_client(const Client& c, const AuditEntry& audit) override {
        return global("create_client", audit, [&](pqxx::work& t, Changed&) {
            const auto done = t.exec_params(
                "INSERT INTO clients (id, party, secret_hash, secret_salt, roles, scopes) VALUES ($1, $2, $3, $4, $5::text[], $6::text[]) "
                "ON CONFLICT (id) DO NOTHING",
                c.id, c.party, c.secret_hash, c.secret_salt, array_literal(c.roles), array_literal(c.scopes));
            if (done.affected_rows() == 0) throw Refused{{Errc::conflict, "a client of this id exists", "/id"}};
        });
    }

    Result<Changed> revoke_client(const std::string& id, const AuditEntry& audit) override {
        return global("revoke_client", audit, [&](pqxx::work& t, Changed&) {
            found(t.exec_params("UPDATE clients SET revoked = true WHERE id = $1", id), "no such client");
        });
    }
    Result<Changed> revoke_tokens(const std::string& id, UtcMillis issued_before, const AuditEntry& audit) override {
        return global("revoke_tokens", audit, [&](pqxx::work& t, Changed&) {
            found(t.exec_params("UPDATE clients SET tokens_valid_from = greatest(tokens_valid_from + 1, $2) WHERE id = $1", id, issued_before.value),
                  "no such client");
        });
    }

    Result<Changed> add_policy_version(const std::string& name, const json& document, const AuditEntry& audit) override {
        return global("add_policy_version", audit, [&](pqxx::work& t, Changed& changed) {
            changed.number = t.exec_params1("SELECT coalesce(max(version), 0) + 1 FROM policies WHERE name = $1", name)[0].as<std::uint32_t>();
            t.exec_params("INSERT INTO policies VALUES ($1, $2, 'draft', $3)", name, changed.number, document.dump());
        });
    }
    Result<Changed> activate_policy(const std::string& name, std::uint32_t version, const AuditEntry& audit) override {
        return global("activate_policy", audit, [&](pqxx::work& t, Changed& changed) {
            t.exec_params("UPDATE policies SET state = 'retired' WHERE name = $1 AND state = 'active' AND version <> $2", name, version);
            found(t.exec_params("UPDATE policies SET state = 'active' WHERE name = $1 AND version = $2", name, version), "no such policy version");
            changed.number = version;
        });
    }
    Result<Changed> retire_policy(const std::string& name, const AuditEntry& audit) override {
        return global("retire_policy", audit, [&](pqxx::work& t, Changed&) {
            found(t.exec_params("UPDATE policies SET state = 'retired' WHERE name = $1 AND state = 'active'", name),
                  "no active version of this policy");
        });
    }

    Result<Changed> shadow_policy(const std::string& name, std::uint32_t version, const AuditEntry& audit) override {
        return global("shadow_policy", audit, [&](pqxx::work& t, Changed& changed) {
            const auto before = t.exec_params("UPDATE policies SET state = 'draft' WHERE name = $1 AND state = 'shadow'", name);
            changed.number = version;
            found(version == 0
                      ? before
                      : t.exec_params("UPDATE policies SET state = 'shadow' WHERE name = $1 AND version = $2 AND state <> 'active'", name, version),
                  version == 0 ? "this policy has no shadow" : "no such policy version that is not active");
        });
    }

    Result<std::vector<std::uint16_t>> number_recipients(const std::vector<std::string>& names) override {
        return pool_->transact("number_recipients", [&](pqxx::work& t) { return postgres::number_recipients(t, names); });
    }

    Result<std::vector<PolicyRow>> policies(const std::string& name) override {
        return pool_->transact("policies", [&](pqxx::work& t) {
            std::vector<PolicyRow> out;
            for (const auto& r :
                 t.exec_params("SELECT name, version, state, document FROM policies WHERE $1 = '' OR name = $1 ORDER BY name, version", name))
                out.push_back(policy_of(r));
            return out;
        });
    }

    Status record_audit(const AuditEntry& entry) override {
        auto done = pool_->transact("record_audit", [&](pqxx::work& t) {
            append_audit(t, sealing_, entry);
            return Unit{};
        });
        return done;
    }

    void watch(std::function<void()> changed) override { watcher_.start(std::move(changed)); }
    void stop_watching() override { watcher_.stop(); }

  private:
    static void found(const pqxx::result& result, const char* what) {
        if (result.affected_rows() == 0) throw Refused{{Errc::not_found, what, {}}};
    }

    // A change of global configuration: audited, and one global epoch further.
    template <class Change>
    Result<Changed> global(const char* what, const AuditEntry& audit, Change&& change) {
        return pool_->transact(what, [&](pqxx::work& t) {
            lock_audit(t);  // first: it puts changes in one order
            if (audit.only_at && read_epochs(t).global != *audit.only_at)
                throw Refused{{Errc::precondition_failed, "the configuration has changed since", "header:If-Match"}};
            Changed changed;
            change(t, changed);
            found(t.exec("UPDATE global_epoch SET value = value + 1"), "this region does not author the configuration");
            changed.epoch = read_epochs(t).sum();
            append_audit(t, sealing_, audit, changed.epoch);
            return changed;
        });
    }

    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
    Watcher watcher_;
};

}  // namespace

std::shared_ptr<Pool> make_pool(const std::string& dsn) { return std::make_shared<Pool>(dsn); }

std::shared_ptr<Catalog> make_catalog(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgCatalog>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
