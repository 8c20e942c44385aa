// Consents.
#include <algorithm>
#include <array>

#include "server/app/admin.h"
#include "server/app/fields.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kStatuses{"given", "renewed", "withdrawn", "expired"};
constexpr std::size_t kSubjectMaxBytes = 1024;

}  // namespace

Result<std::vector<ports::ConsentRow>> Admin::consent_rows(const json& record, const std::string& at) const {
    Fields fields(record, at);
    const auto subject = fields.text("subject", kSubjectMaxBytes);
    const auto controller = fields.slug("controller");
    const auto purposes = fields.texts("purposes", 64);
    const auto status = fields.text("status");
    const auto until = fields.time("validUntil");
    if (fields.ok() && purposes.empty()) fields.fail("purposes", "is required");
    for (std::size_t i = 0; i < purposes.size(); ++i)
        if (!parts_.vocabulary->purpose(purposes[i])) fields.fail("purposes/" + std::to_string(i), "expected a DPV purpose, dpv:...");
    if (fields.ok() && std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end())
        fields.fail("status", "expected given, renewed, withdrawn or expired");
    if (fields.ok() && now()->party(controller) == nullptr) fields.fail("controller", "no such party");
    if (auto error = fields.finish()) return *error;
    std::vector<ports::ConsentRow> rows;
    const SubjectKey key = parts_.subject_digest(controller, subject);
    for (const auto& purpose : purposes)
        rows.push_back({key, std::string(parts_.vocabulary->purpose_name(*parts_.vocabulary->purpose(purpose))), status, until, 0});
    return rows;
}

Result<Reply> Admin::record_consents(const Actor& actor, const std::vector<json>& records, Numbered numbered) {
    if (records.empty()) return Error{Errc::invalid_document, "expected at least one consent record", {}};
    if (records.size() > kConsentsPerRequest) return Error{Errc::body_too_large, "more than " + std::to_string(kConsentsPerRequest) + " records", {}};
    std::vector<ports::ConsentRow> rows;
    for (std::size_t i = 0; i < records.size(); ++i) {
        auto one = consent_rows(records[i], numbered == Numbered::yes ? "/" + std::to_string(i) : std::string());
        if (!one) return one.error();
        rows.insert(rows.end(), one->begin(), one->end());
    }
    const auto changed = parts_.catalog->put_consents(rows, {actor.client, "consent.record", "consents", {{"records", records.size()}}});
    return held(changed, {{"records", records.size()}, {"revision", changed ? changed->revision : 0}});
}

Result<Reply> Admin::withdraw_consent(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto subject = fields.text("subject", kSubjectMaxBytes);
    const auto controller = fields.slug("controller");
    const auto purposes = fields.texts("purposes", 64);
    for (std::size_t i = 0; i < purposes.size(); ++i)
        if (!parts_.vocabulary->purpose(purposes[i])) fields.fail("purposes/" + std::to_string(i), "expected a DPV purpose, dpv:...");
    if (fields.ok() && now()->party(controller) == nullptr) fields.fail("controller", "no such party");
    if (auto error = fields.finish()) return *error;
    const SubjectKey key = parts_.subject_digest(controller, subject);
    std::vector<ports::ConsentRow> rows;
    for (const auto& purpose : purposes)
        rows.push_back({key, std::string(parts_.vocabulary->purpose_name(*parts_.vocabulary->purpose(purpose))), "withdrawn", {}, 0});
    if (purposes.empty()) {
        const auto known = parts_.catalog->consents_of(key);
        if (!known) return known.error();
        // Also for a subject not seen before: the top of the tree, so that the withdrawal itself is on record.
        rows.push_back({key, "dpv:Purpose", "withdrawn", {}, 0});
        for (const auto& row : *known)
            if (row.purpose != "dpv:Purpose") rows.push_back({key, row.purpose, "withdrawn", {}, 0});
    }
    const auto changed = parts_.catalog->put_consents(rows, {actor.client, "consent.withdraw", "consents", {{"records", rows.size()}}});
    return held(changed, {{"withdrawn", rows.size()}, {"revision", changed ? changed->revision : 0}});
}

Result<Reply> Admin::query_consent(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto subject = fields.text("subject", kSubjectMaxBytes);
    const auto controller = fields.slug("controller");
    if (fields.ok() && now()->party(controller) == nullptr) fields.fail("controller", "no such party");
    if (auto error = fields.finish()) return *error;
    const SubjectKey key = parts_.subject_digest(controller, subject);
    const auto rows = parts_.catalog->consents_of(key);
    if (!rows) return rows.error();
    if (auto audited = parts_.catalog->record_audit({actor.client, "consent.query", "consents", json::object()}); !audited) return audited.error();
    json records = json::array(), valid = json::array();
    for (const auto& row : *rows)
        records.push_back({{"purpose", row.purpose},
                           {"status", row.status},
                           {"revision", row.revision},
                           {"validUntil", row.valid_until.value == 0 ? json() : json(format_rfc3339(row.valid_until))}});
    const auto purposes = now()->consents->valid_purposes(key, parts_.clock->utc_now());
    for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p)
        if (purposes.has({p})) valid.push_back(parts_.vocabulary->purpose_name({p}));
    return Reply{200, {{"records", std::move(records)}, {"validPurposes", std::move(valid)}, {"revision", now()->consents->revision()}}};
}

}  // namespace licet::app
