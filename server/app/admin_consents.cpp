// Consents and explain.
#include <algorithm>
#include <array>
#include <charconv>

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
    const auto purposes = now()->consents->valid_purposes(key);
    for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p)
        if (purposes.has({p})) valid.push_back(parts_.vocabulary->purpose_name({p}));
    return Reply{200, {{"records", std::move(records)}, {"validPurposes", std::move(valid)}, {"revision", now()->consents->revision()}}};
}

Result<Offset> Admin::find_event(const Snapshot& snapshot, const ProductEntry& product, const ExplainQuery& query) const {
    (void)snapshot;
    const ports::LogPosition position{product.product.no, {0}};
    const int ways = !query.offset.empty() + !query.cursor.empty() + !query.event.empty();
    if (ways != 1) return Error{Errc::invalid_parameter, "name one event: by offset, by cursor, or by source and event", "query:event"};
    if (query.event.empty() && !query.source.empty()) return Error{Errc::invalid_parameter, "goes with event", "query:source"};
    if (!query.event.empty()) {
        if (query.source.empty()) return Error{Errc::invalid_parameter, "the CloudEvents source goes with the id", "query:source"};
        return parts_.log->find(position, parts_.event_digest(product.product.no, query.source, query.event));
    }
    if (!query.cursor.empty()) {
        // A cursor names where to go on: the event it came with is the one before.
        auto next = parts_.open_cursor(query.cursor, position, parts_.log->bounds(position).stream_epoch);
        if (!next) return next.error();
        if (*next == 0) return Error{Errc::not_found, "the cursor is before the first event", "query:cursor"};
        return *next - 1;
    }
    Offset offset = 0;
    const auto read = std::from_chars(query.offset.data(), query.offset.data() + query.offset.size(), offset);
    if (read.ec != std::errc{} || read.ptr != query.offset.data() + query.offset.size())
        return Error{Errc::invalid_parameter, "expected an offset", "query:offset"};
    return offset;
}

Result<Reply> Admin::explain(const Actor& actor, const ExplainQuery& query) {
    const auto snapshot = now();
    const ProductEntry* product = snapshot->product(query.product);
    if (product == nullptr) return Error{Errc::not_found, "no such product", "query:product"};
    const ports::Contract* contract = snapshot->contract(query.contract);
    if (contract == nullptr) return Error{Errc::not_found, "no such contract", "query:contract"};
    const auto program = snapshot->program(contract->no, product->product.no);
    if (!program) return program.error();
    const auto offset = find_event(*snapshot, *product, query);
    if (!offset) return offset.error();
    const auto batch = parts_.log->read({product->product.no, {0}}, *offset, 1, 1);
    if (!batch) return batch.error();
    if ((*batch)->entries.empty()) return Error{Errc::not_found, "no event at this offset", {}};
    const auto event = event::StoredEvent::parse((*batch)->entries[0].record);
    if (!event) return Error{Errc::corrupt, "the stored event cannot be read", {}};
    if (auto audited = parts_.catalog->record_audit({actor.client, "explain", query.contract, {{"product", query.product}, {"offset", *offset}}});
        !audited)
        return audited.error();
    json body = policy::explain(**program, *event, *snapshot->consents, parts_.clock->utc_now());
    body["product"] = query.product;
    body["contract"] = query.contract;
    body["party"] = contract->party;
    body["offset"] = *offset;
    body["epoch"] = snapshot->epoch.value;
    return Reply{200, std::move(body)};
}

}  // namespace licet::app
