#include "server/postgres/consent_registry.h"

#include "server/postgres/consents.h"
#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using namespace ports;
using nlohmann::json;

std::vector<std::string> texts_of(const std::vector<std::uint16_t>& numbers) {
    std::vector<std::string> out;
    for (const auto number : numbers) out.push_back(std::to_string(number));
    return out;
}

void write_events(pqxx::work& t, const std::vector<ConsentEvent>& events, std::uint64_t revision, const std::string& recorded_by) {
    const auto now = t.exec1("SELECT licet_utc_ms()")[0].as<std::int64_t>();
    pqxx::stream_to stream(
        t, "consent_records",
        std::vector<std::string>{"record", "subject", "controller", "recipients", "purposes", "status", "valid_until", "occurred_at", "legal_basis",
                                 "jurisdiction", "notice", "evidence", "recorded_by", "recorded_at", "revision", "position"});
    for (std::size_t i = 0; i < events.size(); ++i) {
        const auto& e = events[i];
        const std::optional<std::string> evidence = e.evidence.is_null() ? std::nullopt : std::optional(e.evidence.dump());
        stream << std::make_tuple(e.record, bytea_literal(e.subject), e.controller, array_literal(texts_of(e.recipients)), array_literal(e.purposes),
                                  e.status, e.valid_until.value, e.occurred_at.value, e.legal_basis, e.jurisdiction, e.notice, evidence, recorded_by,
                                  now, revision, i);
    }
    stream.complete();
    // A record is one subject's, among those of its controller. Written before are all others, so the last is the one that met another.
    const auto mixed = t.exec_params(
        "SELECT n.position FROM consent_records n WHERE n.revision = $1 AND EXISTS (SELECT 1 FROM consent_records o WHERE o.record = n.record "
        "AND o.controller = n.controller AND o.subject <> n.subject) ORDER BY n.position DESC LIMIT 1",
        revision);
    if (!mixed.empty())
        throw Refused{{Errc::conflict, "this record is of another subject",
                       "/" + std::to_string(events.at(mixed[0][0].as<std::size_t>()).index) + "/recordId"}};
}

class PgConsentRegistry final : public ConsentRegistry {
  public:
    PgConsentRegistry(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Result<Recorded> record(const std::vector<ConsentEvent>& events, const std::optional<ImportPart>& part, const AuditEntry& audit) override {
        return pool_->transact("record_consents", [&](pqxx::work& t) {
            if (part)
                if (auto before = applied_before(t, *part)) return *before;
            lock_audit(t);
            std::vector<ConsentRow> rows;
            for (const auto& event : events) append_rows(event, rows);
            Recorded out;
            out.changed = write_consents(t, rows);
            write_events(t, events, out.changed.revision, audit.actor);
            append_audit(t, sealing_, audit, out.changed.epoch);
            if (part) {
                t.exec_params("INSERT INTO consent_import_parts VALUES ($1, $2, $3, $4, $5, $6, $7)", part->import, part->number, part->digest,
                              events.size(), part->bytes, out.changed.revision, out.changed.epoch.value);
                t.exec_params("UPDATE consent_imports SET updated_at = licet_utc_ms(), refused = NULL WHERE name = $1", part->import);
            }
            return out;
        });
    }

    Result<std::vector<ConsentEvent>> history(const SubjectKey& subject, std::uint64_t after, std::size_t limit) override {
        return pool_->transact("consent_history", [&](pqxx::work& t) {
            std::vector<ConsentEvent> out;
            for (const auto& r : t.exec_params("SELECT record, controller, recipients, purposes, status, valid_until, occurred_at, legal_basis, "
                                               "jurisdiction, notice, evidence, seq, revision, recorded_at, recorded_by FROM consent_records "
                                               "WHERE subject = $1::bytea AND seq > $2 ORDER BY seq LIMIT $3",
                                               bytea_literal(subject), after, limit)) {
                ConsentEvent e;
                e.record = r[0].as<std::string>();
                e.subject = subject;
                e.controller = r[1].as<std::string>();
                for (const auto& no : text_array(r[2])) e.recipients.push_back(static_cast<std::uint16_t>(std::stoul(no)));
                e.purposes = text_array(r[3]);
                e.status = r[4].as<std::string>();
                e.valid_until = {r[5].as<std::int64_t>()};
                e.occurred_at = {r[6].as<std::int64_t>()};
                e.legal_basis = r[7].as<std::string>();
                e.jurisdiction = r[8].as<std::string>();
                e.notice = r[9].as<std::string>();
                if (!r[10].is_null()) e.evidence = json_of(r[10]);
                e.sequence = r[11].as<std::uint64_t>();
                e.revision = r[12].as<std::uint64_t>();
                e.recorded_at = {r[13].as<std::int64_t>()};
                e.recorded_by = r[14].as<std::string>();
                out.push_back(std::move(e));
            }
            return out;
        });
    }

    Status begin_import(const std::string& name, const AuditEntry& audit) override {
        return pool_->transact("begin_import", [&](pqxx::work& t) {
            if (!t.exec_params("SELECT 1 FROM consent_imports WHERE name = $1", name).empty()) return Unit{};
            append_audit(t, sealing_, audit);
            t.exec_params("INSERT INTO consent_imports VALUES ($1, $2, licet_utc_ms(), licet_utc_ms()) ON CONFLICT DO NOTHING", name, audit.actor);
            return Unit{};
        });
    }
    Status complete_import(const std::string& name, const AuditEntry& audit) override {
        return pool_->transact("complete_import", [&](pqxx::work& t) {
            const auto held = t.exec_params("SELECT complete FROM consent_imports WHERE name = $1 FOR UPDATE", name);
            if (held.empty()) throw Refused{{Errc::not_found, "no such import", {}}};
            if (held[0][0].as<bool>()) return Unit{};
            append_audit(t, sealing_, audit);
            t.exec_params("UPDATE consent_imports SET complete = true, refused = NULL, updated_at = licet_utc_ms() WHERE name = $1", name);
            return Unit{};
        });
    }
    Status refuse_part(const std::string& name, const json& why) override {
        return pool_->transact("refuse_part", [&](pqxx::work& t) {
            t.exec_params("UPDATE consent_imports SET refused = $2, updated_at = licet_utc_ms() WHERE name = $1 AND NOT complete", name, why.dump());
            return Unit{};
        });
    }
    Result<std::vector<ConsentImport>> imports(const std::string& name) override {
        return pool_->transact("consent_imports", [&](pqxx::work& t) {
            std::vector<ConsentImport> out;
            for (const auto& r :
                 t.exec_params("SELECT i.name, i.started_by, count(p.part), coalesce(sum(p.records), 0), coalesce(sum(p.bytes), 0), "
                               "coalesce(max(p.revision), 0), i.complete, i.started_at, i.updated_at, i.refused FROM "
                               "(SELECT * FROM consent_imports WHERE $1 = '' OR name = $1 ORDER BY started_at DESC LIMIT 100) i "
                               "LEFT JOIN consent_import_parts p ON p.import = i.name "
                               "GROUP BY i.name, i.started_by, i.complete, i.started_at, i.updated_at, i.refused ORDER BY i.started_at DESC",
                               name)) {
                ConsentImport one{r[0].as<std::string>(),    r[1].as<std::string>(),
                                  r[2].as<std::uint32_t>(),  r[3].as<std::uint64_t>(),
                                  r[4].as<std::uint64_t>(),  r[5].as<std::uint64_t>(),
                                  r[6].as<bool>(),           {r[7].as<std::int64_t>()},
                                  {r[8].as<std::int64_t>()}, r[9].is_null() ? json() : json_of(r[9])};
                out.push_back(std::move(one));
            }
            return out;
        });
    }

    Result<UtcMillis> subject_tokens_valid_from(const SubjectKey& subject) override {
        return pool_->transact("subject_tokens", [&](pqxx::work& t) {
            const auto held = t.exec_params("SELECT valid_from FROM subject_token_revocations WHERE subject = $1::bytea", bytea_literal(subject));
            return UtcMillis{held.empty() ? 0 : held[0][0].as<std::int64_t>()};
        });
    }
    Status revoke_subject_tokens(const SubjectKey& subject, UtcMillis issued_before, const AuditEntry& audit) override {
        return pool_->transact("revoke_subject_tokens", [&](pqxx::work& t) {
            append_audit(t, sealing_, audit);
            t.exec_params(
                "INSERT INTO subject_token_revocations VALUES ($1::bytea, $2) ON CONFLICT (subject) DO UPDATE SET "
                "valid_from = greatest(subject_token_revocations.valid_from + 1, excluded.valid_from)",
                bytea_literal(subject), issued_before.value);
            return Unit{};
        });
    }

  private:
    // The row of the import is locked: its parts are applied one after another.
    static std::optional<Recorded> applied_before(pqxx::work& t, const ImportPart& part) {
        const auto import = t.exec_params("SELECT complete FROM consent_imports WHERE name = $1 FOR UPDATE", part.import);
        if (import.empty()) throw Refused{{Errc::not_found, "no such import", {}}};
        const auto held =
            t.exec_params("SELECT digest, revision, epoch FROM consent_import_parts WHERE import = $1 AND part = $2", part.import, part.number);
        if (!held.empty()) {
            if (held[0][0].as<std::string>() != part.digest)
                throw Refused{{Errc::conflict, "part " + std::to_string(part.number) + " was applied with other lines", {}}};
            return Recorded{{{held[0][2].as<std::uint64_t>()}, 0, held[0][1].as<std::uint64_t>()}, true};
        }
        if (import[0][0].as<bool>()) throw Refused{{Errc::conflict, "the import is complete", {}}};
        const auto next = t.exec_params1("SELECT count(*) + 1 FROM consent_import_parts WHERE import = $1", part.import)[0].as<std::uint32_t>();
        if (part.number != next) throw Refused{{Errc::conflict, "the next part is " + std::to_string(next), "path:part"}};
        return std::nullopt;
    }

    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

std::shared_ptr<ConsentRegistry> make_consent_registry(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgConsentRegistry>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
