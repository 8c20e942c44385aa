#include "server/postgres/subject_keys.h"

#include <algorithm>

#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using namespace ports;

constexpr const char* kColumns = "SELECT id, subject, coalesce(wrapped_under, ''), wrapped, created, destroyed FROM subject_keys ";

template <class Digest>
Digest digest_of(const pqxx::field& field) {
    Digest out;
    const auto raw = parse_hex(std::string_view(field.c_str()).substr(2));
    if (raw && raw->size() == out.bytes.size()) std::copy(raw->begin(), raw->end(), reinterpret_cast<char*>(out.bytes.data()));
    return out;
}
template <class Digest>
std::string literal(const Digest& digest) {
    return "\\x" + hex(digest.bytes);
}
template <class Digest>
std::string literals(const std::vector<Digest>& digests) {
    std::vector<std::string> out;
    for (const auto& digest : digests) out.push_back(literal(digest));
    return array_literal(out);
}

std::vector<StoredKey> keys_of(const pqxx::result& rows) {
    std::vector<StoredKey> out;
    for (const auto& r : rows) {
        StoredKey key{digest_of<DataKeyId>(r[0]), subject_of(r[1]), r[2].as<std::string>(), {}, {r[4].as<std::int64_t>()}, {r[5].as<std::int64_t>()}};
        if (!r[3].is_null()) key.wrapped = parse_hex(std::string_view(r[3].c_str()).substr(2)).value_or("");
        out.push_back(std::move(key));
    }
    return out;
}

std::vector<StoredKey> live_keys(pqxx::work& t, const std::vector<SubjectKey>& subjects) {
    return keys_of(t.exec_params(std::string(kColumns) + "WHERE subject = ANY ($1::bytea[]) AND wrapped IS NOT NULL", literals(subjects)));
}

class PgSubjectKeys final : public SubjectKeyStore {
  public:
    PgSubjectKeys(std::shared_ptr<Pool> pool, AuditSealing sealing) : pool_(std::move(pool)), sealing_(std::move(sealing)) {}

    Result<std::vector<StoredKey>> of_subjects(const std::vector<SubjectKey>& subjects) override {
        return pool_->transact("subject_keys", [&](pqxx::work& t) { return live_keys(t, subjects); });
    }

    Result<std::vector<StoredKey>> add(const std::vector<StoredKey>& keys) override {
        return pool_->transact("add_subject_keys", [&](pqxx::work& t) {
            std::vector<SubjectKey> subjects;
            std::vector<DataKeyId> ids;
            std::vector<std::string> wrapped, under;
            for (const auto& key : keys) {
                subjects.push_back(key.subject);
                ids.push_back(key.id);
                wrapped.push_back("\\x" + hex(as_bytes(key.wrapped)));
                under.push_back(key.wrapped_under);
            }
            // Ordered, so that two nodes that meet the same new subjects do not wait for each other.
            t.exec_params(
                "INSERT INTO subject_keys (id, subject, wrapped_under, wrapped, created) SELECT id, subject, under, wrapped, $5::bigint "
                "FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bytea[]) AS fresh (id, subject, under, wrapped) ORDER BY subject "
                "ON CONFLICT (subject) WHERE wrapped IS NOT NULL DO NOTHING",
                literals(ids), literals(subjects), array_literal(under), array_literal(wrapped), keys.empty() ? 0 : keys.front().created.value);
            return live_keys(t, subjects);
        });
    }

    Result<std::vector<StoredKey>> by_id(const std::vector<DataKeyId>& ids) override {
        return pool_->transact("subject_keys_by_id", [&](pqxx::work& t) {
            return keys_of(t.exec_params(std::string(kColumns) + "WHERE id = ANY ($1::bytea[])", literals(ids)));
        });
    }

    Result<Erasure> erase(const SubjectKey& subject, const AuditEntry& audit) override {
        return pool_->transact("erase_subject", [&](pqxx::work& t) {
            lock_audit(t);  // first, as for every change: erasures wait for each other, and their numbers follow the order of commits
            const auto regional = t.exec1("UPDATE regional_epoch SET value = value + 1 RETURNING value")[0].as<std::uint64_t>();
            Erasure out;
            out.at = {t.exec1("SELECT licet_utc_ms()")[0].as<std::int64_t>()};
            for (const auto& r : t.exec_params("UPDATE subject_keys SET wrapped = NULL, wrapped_under = NULL, destroyed = $2 "
                                               "WHERE subject = $1::bytea AND wrapped IS NOT NULL RETURNING id",
                                               bytea_literal(subject), out.at.value))
                out.fresh.push_back(digest_of<DataKeyId>(r[0]));
            out.keys = keys_of(t.exec_params(std::string(kColumns) + "WHERE subject = $1::bytea ORDER BY created, id", bytea_literal(subject)));
            out.number = t.exec_params1("INSERT INTO erasures (subject, at, epoch) VALUES ($1::bytea, $2, $3) RETURNING no", bytea_literal(subject),
                                        out.at.value, regional)[0]
                             .as<std::uint64_t>();
            // As for consents: what is replicated here waits until this is committed, so that the sum is of no epoch without it.
            const auto global = t.exec("SELECT value FROM global_epoch FOR SHARE");
            out.changed.epoch = {regional + (global.empty() ? 0 : global[0][0].as<std::uint64_t>())};
            append_audit(t, sealing_, audit, out.changed.epoch);
            return out;
        });
    }

    Result<ErasedSubjects> erased_after(std::uint64_t after) override {
        return pool_->transact("erased_after", [&](pqxx::work& t) {
            ErasedSubjects out;
            out.last = after;
            for (const auto& r : t.exec_params("SELECT no, subject FROM erasures WHERE no > $1 ORDER BY no", after)) {
                out.last = r[0].as<std::uint64_t>();
                out.subjects.push_back(subject_of(r[1]));
            }
            return out;
        });
    }

    Result<std::size_t> rewrap(const std::string& current, std::size_t most, const Rewrap& rewrap) override {
        return pool_->transact("rewrap_subject_keys", [&](pqxx::work& t) {
            const auto keys = keys_of(t.exec_params(
                std::string(kColumns) + "WHERE wrapped IS NOT NULL AND wrapped_under <> $1 ORDER BY id LIMIT $2 FOR UPDATE", current, most));
            for (const auto& key : keys) {
                const auto anew = rewrap(key);
                if (!anew) throw Refused{anew.error()};
                t.exec_params("UPDATE subject_keys SET wrapped = $2::bytea, wrapped_under = $3 WHERE id = $1::bytea", literal(key.id),
                              "\\x" + hex(as_bytes(*anew)), current);
            }
            return keys.size();
        });
    }

  private:
    const std::shared_ptr<Pool> pool_;
    const AuditSealing sealing_;
};

}  // namespace

std::shared_ptr<SubjectKeyStore> make_subject_key_store(std::shared_ptr<Pool> pool, AuditSealing sealing) {
    return std::make_shared<PgSubjectKeys>(std::move(pool), std::move(sealing));
}

}  // namespace licet::postgres
