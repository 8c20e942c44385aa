#include "server/app/subject_report.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"

namespace licet::app {
namespace {

using nlohmann::json;

json consents_json(const std::vector<ports::ConsentRow>& rows, const Snapshot& snapshot) {
    json out = json::array();
    for (const auto& row : rows) {
        json recipient;  // null: every recipient
        for (const auto& known : snapshot.consent_recipients())
            if (known.no == row.recipient) recipient = known.name;
        out.push_back({{"purpose", row.purpose},
                       {"recipient", std::move(recipient)},
                       {"status", row.status},
                       {"validUntil", row.valid_until.value == 0 ? json() : json(format_rfc3339(row.valid_until))},
                       {"revision", row.revision}});
    }
    return out;
}

// One page under way.
class Page {
  public:
    Page(const ReportParts& parts, const ReportRequest& request)
        : parts_(parts),
          request_(request),
          snapshot_(parts.governance->snapshot()),
          until_ns_(parts.clock->monotonic_ns() + std::int64_t{limits::subject_report_page_ms} * 1'000'000) {}

    Result<json> run() {
        const auto consents = parts_.catalog->consents_of(request_.subject);
        if (!consents) return consents.error();
        for (const auto* product : snapshot_->all_products()) {
            const auto& p = product->product;
            if (p.controller != request_.controller || p.name < request_.product) continue;
            if (!p.residency.empty() && p.residency != snapshot_->region) {
                elsewhere_.push_back({{"product", p.name}, {"region", p.residency}});
                continue;
            }
            if (full()) {
                if (next_.is_null()) next_ = {{"product", p.name}, {"offset", 0}};
                continue;
            }
            if (auto done = scan(*product, p.name == request_.product ? request_.offset : 0); !done) return done.error();
        }
        return json{{"subject", hex(request_.subject.bytes)},
                    {"controller", request_.controller},
                    {"region", snapshot_->region},
                    {"at", format_rfc3339(parts_.clock->utc_now())},
                    {"epoch", snapshot_->epoch.value},
                    {"consents", consents_json(*consents, *snapshot_)},
                    {"held", std::move(held_)},
                    {"events", std::move(events_)},
                    {"elsewhere", std::move(elsewhere_)},
                    {"next", std::move(next_)}};
    }

  private:
    // Something was read whenever it is: the next page goes on behind it.
    [[nodiscard]] bool full() const {
        return scanned_ >= limits::subject_report_scanned_max || events_.size() >= limits::subject_report_events_max ||
               (scanned_ > 0 && parts_.clock->monotonic_ns() >= until_ns_);
    }

    // What was billed, or may have been delivered before a crash, under each contract; one that names the product no more may have been served, too.
    Status find_deliveries(const ProductEntry& product, StreamEpoch stream_epoch) {
        ranges_.clear();
        for (const auto* contract : snapshot_->all_contracts()) {
            auto ranges = parts_.ledger->ranges({contract->no, product.product.no, {0}, stream_epoch});
            if (!ranges) return ranges.error();
            if (ranges->billed.tail() != 0 || ranges->suspense.tail() != 0) ranges_.emplace_back(contract, *std::move(ranges));
        }
        return success();
    }

    Status scan(const ProductEntry& product, Offset from) {
        const ports::LogPosition position{product.product.no, {0}};
        const auto bounds = parts_.log->bounds(position);
        if (auto found = find_deliveries(product, bounds.stream_epoch); !found) return found;
        Offset next = std::max(from, bounds.begin);
        const Offset first = next;
        std::uint64_t count = 0, encrypted = 0;
        std::set<std::string> categories, info_types;
        UtcMillis earliest{}, latest{};
        while (next < bounds.end && !full()) {
            const auto batch = parts_.log->read(position, next, limits::catch_up_batch_max_events, limits::catch_up_batch_max_bytes);
            if (!batch) return batch.error();
            if ((*batch)->entries.empty()) break;
            for (const auto& entry : (*batch)->entries) {
                if (full()) break;
                ++scanned_;
                next = entry.offset + 1;
                const auto event = event::StoredEvent::parse(entry.record);
                if (!event) return Error{Errc::corrupt, "a stored event cannot be read", {}};
                if (event->subject() != request_.subject) continue;
                if (count++ == 0) earliest = entry.appended_at;
                latest = entry.appended_at;
                encrypted += event->sealed();
                if (auto told = tell(product, entry, *event, categories, info_types); !told) return told;
            }
        }
        held_.push_back({{"product", product.product.name},
                         {"shreddable", product.product.shreddable},
                         {"from", first},
                         {"to", next},
                         {"events", count},
                         {"encrypted", encrypted},
                         {"firstAccepted", count == 0 ? json() : json(format_rfc3339(earliest))},
                         {"lastAccepted", count == 0 ? json() : json(format_rfc3339(latest))},
                         {"categories", categories},
                         {"infoTypes", info_types}});
        if (next < bounds.end) next_ = {{"product", product.product.name}, {"offset", next}};
        return success();
    }

    Status tell(const ProductEntry& product, const ports::LogEntry& entry, const event::StoredEvent& event, std::set<std::string>& categories,
                std::set<std::string>& info_types) {
        std::set<std::string> fields;
        const bool known = event.mapping_version() >= 1 && event.mapping_version() <= product.mappings.size();
        for (std::size_t i = 0; known && i < event.span_count(); ++i) {
            const auto span = event.span(i);
            const auto& all = product.mappings[event.mapping_version() - 1]->fields;
            if (span.field >= all.size()) continue;
            const auto& field = all[span.field];
            fields.insert(field.pointer);
            if (!field.category.empty()) categories.insert(field.category);
            const auto type = span.detected != event::InfoType::none ? span.detected : field.info_type;
            if (type != event::InfoType::none) info_types.insert(std::string(event::info_type_name(type)));
        }
        auto values = state(entry, event);
        if (!values) return values.error();
        json recipients = json::array();
        for (const auto& [contract, ranges] : ranges_) {
            const bool billed = ranges.billed.contains(entry.offset), suspense = ranges.suspense.contains(entry.offset);
            if (!billed && !suspense) continue;
            auto told = recipient(product, *contract, entry);
            if (!told) return told.error();
            if (suspense) (*told)["delivery"] = "unsettled";
            recipients.push_back(*std::move(told));
        }
        events_.push_back({{"product", product.product.name},
                           {"offset", entry.offset},
                           {"source", event.source()},
                           {"id", event.id()},
                           {"accepted", format_rfc3339(entry.appended_at)},
                           {"values", *values},
                           {"fields", fields},
                           {"recipients", std::move(recipients)}});
        return success();
    }

    Result<const char*> state(const ports::LogEntry& entry, const event::StoredEvent& event) {
        if (!event.sealed()) return "clear";
        if (!parts_.keys) return "encrypted";
        ports::LogBatch one;
        one.entries = {entry};
        if (auto loaded = parts_.keys->load(one); !loaded) return loaded.error();
        return parts_.keys->find(event.key_id()).state == SubjectKeys::State::erased ? "erased" : "encrypted";
    }

    // What the contract's decision was when the event was accepted; where the contract came later, what it is now.
    Result<json> recipient(const ProductEntry& product, const ports::Contract& contract, const ports::LogEntry& entry) {
        Admin::ExplainQuery query{product.product.name, contract.name, std::to_string(entry.offset), "", "", "", format_rfc3339(entry.appended_at)};
        auto explained = parts_.admin->explained(query);
        if (!explained && explained.error().code == Errc::not_found) {
            query.at.clear();
            explained = parts_.admin->explained(query);
        }
        if (!explained && (explained.error().code == Errc::not_found || explained.error().code == Errc::gone))
            return json{{"party", contract.party}, {"contract", contract.name}, {"delivery", "unknown"}};
        if (!explained) return explained.error();
        const json& e = *explained;
        json out{{"party", contract.party},
                 {"contract", contract.name},
                 {"purposes", contract.purposes},
                 {"delivery", e.at("deliver").get<bool>() ? "delivered" : "withheld"},
                 {"decidedAt", e.at("at")},
                 {"reason", e.at("reason")},
                 {"consentRevision", e.value("consentRevision", json())},
                 {"policies", e.at("policies")}};
        json transforms = json::array();
        if (e.contains("transforms"))
            for (const auto& t : e.at("transforms")) transforms.push_back({{"pointer", t.at("pointer")}, {"transform", t.at("transform")}});
        out["transforms"] = std::move(transforms);
        return out;
    }

    const ReportParts& parts_;
    const ReportRequest& request_;
    const std::shared_ptr<const Snapshot> snapshot_;
    const std::int64_t until_ns_;
    std::vector<std::pair<const ports::Contract*, ports::UsageRanges>> ranges_;
    std::size_t scanned_ = 0;
    json held_ = json::array(), events_ = json::array(), elsewhere_ = json::array(), next_;
};

}  // namespace

Result<json> subject_report(const ReportParts& parts, const ReportRequest& request) { return Page(parts, request).run(); }

}  // namespace licet::app
