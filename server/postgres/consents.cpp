#include "server/postgres/consents.h"

#include "base/limits.h"
#include "server/postgres/epochs.h"
#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using namespace ports;

constexpr const char* kConsents =
    "SELECT subject, purpose, status, valid_until, revision, position, withdrawn_revision, withdrawn_position, recipient FROM consents ";
constexpr int kNumberAttempts = 16;

ConsentRow consent_of(const pqxx::row& row) {
    return {subject_of(row[0]),          row[1].as<std::string>(),   row[2].as<std::string>(),
            {row[3].as<std::int64_t>()}, row[4].as<std::uint64_t>(), row[5].as<std::uint64_t>(),
            row[6].as<std::uint64_t>(),  row[7].as<std::uint64_t>(), row[8].as<std::uint16_t>()};
}

std::vector<ConsentRow> consents_where(pqxx::work& t, const char* where, const std::string& parameter) {
    std::vector<ConsentRow> out;
    for (const auto& r : t.exec_params(std::string(kConsents) + where, parameter)) out.push_back(consent_of(r));
    return out;
}

}  // namespace

std::vector<ConsentRow> consents_of(pqxx::work& t, const SubjectKey& subject) {
    return consents_where(t, "WHERE subject = $1::bytea ORDER BY revision, position", bytea_literal(subject));
}
std::vector<ConsentRow> consents_after(pqxx::work& t, std::uint64_t revision) {
    return consents_where(t, "WHERE subject IN (SELECT subject FROM consents WHERE revision > $1::bigint) ORDER BY subject, revision, position",
                          std::to_string(revision));
}

std::vector<ConsentRecipient> read_recipients(pqxx::work& t) {
    std::vector<ConsentRecipient> out;
    for (const auto& r : t.exec("SELECT no, name FROM consent_recipients WHERE no > 0 ORDER BY no"))
        out.push_back({r[0].as<std::uint16_t>(), r[1].as<std::string>()});
    return out;
}

namespace {

std::uint16_t number_of(pqxx::work& t, const std::string& name) {
    // Somebody else may take the next number in the same moment: then the one after it is taken. What they took is seen once they have committed.
    for (int attempt = 0; attempt < kNumberAttempts; ++attempt) {
        const auto known = t.exec_params("SELECT no FROM consent_recipients WHERE name = $1", name);
        if (!known.empty()) return known[0][0].as<std::uint16_t>();
        const auto made = t.exec_params(
            "INSERT INTO consent_recipients SELECT max(no) + 1, $1 FROM consent_recipients HAVING max(no) < $2 ON CONFLICT DO NOTHING RETURNING no",
            name, limits::consent_recipients_max);
        if (!made.empty()) return made[0][0].as<std::uint16_t>();
        if (t.exec1("SELECT max(no) FROM consent_recipients")[0].as<std::size_t>() >= limits::consent_recipients_max)
            throw Refused{{Errc::conflict, "more than " + std::to_string(limits::consent_recipients_max) + " recipients are named by consents", {}}};
    }
    throw Refused{{Errc::unavailable, "too many recipients are being named at once", {}}};
}

}  // namespace

std::vector<std::uint16_t> number_recipients(pqxx::work& t, const std::vector<std::string>& names) {
    std::vector<std::uint16_t> out;
    for (const auto& name : names) out.push_back(number_of(t, name));
    return out;
}

Changed write_consents(pqxx::work& t, const std::vector<ConsentRow>& rows) {
    Changed changed;
    changed.revision = t.exec1("UPDATE regional_epoch SET value = value + 1, consent_revision = consent_revision + 1 RETURNING consent_revision")[0]
                           .as<std::uint64_t>();
    t.exec(
        "CREATE TEMPORARY TABLE incoming (ord bigint, subject bytea, purpose text, recipient integer, status text, valid_until bigint) "
        "ON COMMIT DROP");
    pqxx::stream_to stream(t, "incoming");
    for (std::size_t i = 0; i < rows.size(); ++i)
        stream << std::make_tuple(i, bytea_literal(rows[i].subject), rows[i].purpose, rows[i].recipient, rows[i].status, rows[i].valid_until.value);
    stream.complete();
    // Of several rows for one subject, purpose and recipient the last one counts, and the last withdrawal is kept beside it.
    t.exec_params(
        "INSERT INTO consents (subject, purpose, recipient, status, valid_until, revision, position, withdrawn_revision, withdrawn_position) "
        "SELECT DISTINCT ON (subject, purpose, recipient) subject, purpose, recipient, status, valid_until, $1::bigint, ord, "
        "CASE WHEN gone IS NULL THEN 0 ELSE $1::bigint END, coalesce(gone, 0) "
        "FROM (SELECT *, max(ord) FILTER (WHERE status IN ('withdrawn', 'expired')) OVER (PARTITION BY subject, purpose, recipient) AS gone "
        "FROM incoming) AS numbered ORDER BY subject, purpose, recipient, ord DESC "
        "ON CONFLICT (subject, purpose, recipient) DO UPDATE SET status = excluded.status, valid_until = excluded.valid_until, "
        "revision = excluded.revision, position = excluded.position, "
        "withdrawn_revision = CASE WHEN excluded.withdrawn_revision > 0 THEN excluded.withdrawn_revision ELSE consents.withdrawn_revision END, "
        "withdrawn_position = CASE WHEN excluded.withdrawn_revision > 0 THEN excluded.withdrawn_position ELSE consents.withdrawn_position END",
        changed.revision);
    // What is replicated here waits for this change: were the global part to move between the reading and the commit, the sum would be one that a
    // node may have without the consents.
    t.exec("SELECT value FROM global_epoch FOR SHARE");
    changed.epoch = read_epochs(t).sum();
    return changed;
}

}  // namespace licet::postgres
