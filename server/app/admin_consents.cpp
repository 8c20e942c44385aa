// Consents: recording, withdrawing, asking.
#include <algorithm>
#include <map>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/app/admin.h"
#include "server/app/fields.h"

namespace licet::app {

using nlohmann::json;

ConsentContext Admin::consent_context(const std::shared_ptr<const Snapshot>& snapshot, const Actor* own) const {
    ConsentContext out{*snapshot, *parts_.vocabulary, parts_.subject_digest, {}, parts_.clock->utc_now(), std::nullopt};
    out.new_record = [crypto = parts_.crypto] {
        std::array<std::uint8_t, 16> unique{};
        crypto->random(unique);
        return "cr-" + hex(unique);
    };
    if (own != nullptr) out.own = OwnSubject{own->subject->subject, own->subject->controller};
    return out;
}

Result<std::vector<ports::ConsentEvent>> Admin::numbered(std::vector<ConsentDraft> drafts) const {
    std::map<std::string, std::uint16_t> numbers;
    for (const auto& draft : drafts)
        for (const auto& name : draft.recipients) numbers.emplace(name, 0);
    if (!numbers.empty()) {
        std::vector<std::string> names;
        for (const auto& [name, no] : numbers) names.push_back(name);
        const auto given = parts_.catalog->number_recipients(names);
        if (!given) return given.error();
        for (std::size_t i = 0; i < names.size(); ++i) numbers[names[i]] = (*given)[i];
    }
    std::vector<ports::ConsentEvent> out;
    out.reserve(drafts.size());
    for (auto& draft : drafts) {
        out.push_back(std::move(draft.event));
        for (const auto& name : draft.recipients) out.back().recipients.push_back(numbers[name]);
    }
    return out;
}

// `first`: the number of the first record, for pointers.
Result<std::vector<ports::ConsentEvent>> Admin::read_events(const std::vector<json>& records, Numbered with_number, std::uint64_t first,
                                                            const Actor* own) const {
    const auto snapshot = now();
    const auto context = consent_context(snapshot, own);
    std::vector<ConsentDraft> drafts;
    drafts.reserve(records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
        auto some = read_consent(records[i], with_number == Numbered::yes ? "/" + std::to_string(first + i) : std::string(), context);
        if (!some) return some.error();
        for (auto& draft : *some) {
            draft.event.index = first + i;
            drafts.push_back(std::move(draft));
        }
    }
    return numbered(std::move(drafts));
}

namespace {

// One record alone is not counted.
Error pointed(Error error, Numbered with_number) {
    if (with_number == Numbered::no && error.pointer.starts_with("/")) error.pointer = "/recordId";
    return error;
}

}  // namespace

Result<Reply> Admin::record_consents(const Actor& actor, const std::vector<json>& records, Numbered with_number) {
    if (records.empty()) return Error{Errc::invalid_document, "expected at least one consent record", {}};
    if (records.size() > kConsentsPerRequest) return Error{Errc::body_too_large, "more than " + std::to_string(kConsentsPerRequest) + " records", {}};
    const auto events = read_events(records, with_number, 0, nullptr);
    if (!events) return events.error();
    const auto done = parts_.registry->record(*events, std::nullopt, {actor.client, "consent.record", "consents", {{"records", records.size()}}});
    if (!done) return pointed(done.error(), with_number);
    json body{{"records", records.size()}, {"revision", done->changed.revision}};
    if (with_number == Numbered::no) body["recordId"] = events->front().record;
    return held(done->changed, std::move(body));
}

Result<Reply> Admin::withdraw(const Actor& actor, const json& body, bool own) {
    const auto snapshot = now();
    auto draft = read_withdrawal(body, consent_context(snapshot, own ? &actor : nullptr));
    if (!draft) return draft.error();
    auto& purposes = draft->event.purposes;
    if (purposes.empty()) {
        const auto known = parts_.catalog->consents_of(draft->event.subject);
        if (!known) return known.error();
        // Also for a subject not seen before: the top of the tree, so that the withdrawal itself is on record.
        purposes.emplace_back("dpv:Purpose");
        for (const auto& row : *known)
            if (std::find(purposes.begin(), purposes.end(), row.purpose) == purposes.end()) purposes.push_back(row.purpose);
    }
    const auto withdrawn = purposes.size();
    std::vector<ConsentDraft> drafts;
    drafts.push_back(*std::move(draft));
    const auto events = numbered(std::move(drafts));
    if (!events) return events.error();
    json detail{{"records", withdrawn}};
    if (own) detail["by"] = "subject";
    const auto done = parts_.registry->record(*events, std::nullopt, {actor.client, "consent.withdraw", "consents", std::move(detail)});
    if (!done) return pointed(done.error(), Numbered::no);
    return held(done->changed, {{"withdrawn", withdrawn}, {"revision", done->changed.revision}, {"recordId", events->front().record}});
}

Result<Reply> Admin::withdraw_consent(const Actor& actor, const json& body) { return withdraw(actor, body, false); }

// What holds of one subject: the last word on each purpose and recipient, and the purposes consented to now.
Result<json> Admin::what_holds(const SubjectKey& key) const {
    const auto rows = parts_.catalog->consents_of(key);
    if (!rows) return rows.error();
    const auto snapshot = now();
    const UtcMillis at = parts_.clock->utc_now();
    const auto names = [&](const policy::PurposeSet& purposes) {
        json out = json::array();
        for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p)
            if (purposes.has({p})) out.push_back(parts_.vocabulary->purpose_name({p}));
        return out;
    };
    json records = json::array(), valid_for = json::array();
    std::map<policy::RecipientNo, json> recipients;
    for (const auto& row : *rows) {
        json recipient;
        for (const auto& known : snapshot->consent_recipients())
            if (known.no == row.recipient) recipient = recipient_json(known.name);
        if (row.recipient != 0) recipients.emplace(row.recipient, recipient);
        records.push_back({{"purpose", row.purpose},
                           {"status", row.status},
                           {"revision", row.revision},
                           {"recipient", std::move(recipient)},
                           {"validUntil", row.valid_until.value == 0 ? json() : json(format_rfc3339(row.valid_until))}});
    }
    for (const auto& [no, recipient] : recipients)
        valid_for.push_back(
            {{"recipient", recipient}, {"purposes", names(policy::consented_purposes(*snapshot->consents, key, std::span(&no, 1), at))}});
    return json{{"records", std::move(records)},
                {"validPurposes", names(snapshot->consents->valid_purposes(key, at))},
                {"validFor", std::move(valid_for)},
                {"revision", snapshot->consents->revision()}};
}

namespace {

struct Asked {
    std::string subject, controller;
};
Asked asked(Fields& fields, const Snapshot& snapshot) {
    Asked out{fields.text("subject", limits::subject_id_max_bytes), fields.slug("controller")};
    if (fields.ok() && snapshot.party(out.controller) == nullptr) fields.fail("controller", "no such party");
    return out;
}

}  // namespace

Result<Reply> Admin::query_consent(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto who = asked(fields, *now());
    if (auto error = fields.finish()) return *error;
    auto holds = what_holds(parts_.subject_digest(who.controller, who.subject));
    if (!holds) return holds.error();
    if (auto audited = parts_.catalog->record_audit({actor.client, "consent.query", "consents", json::object()}); !audited) return audited.error();
    return Reply{200, *std::move(holds)};
}

Result<Reply> Admin::history_of(const SubjectKey& key, std::uint64_t after, std::size_t limit) const {
    const auto events = parts_.registry->history(key, after, limit);
    if (!events) return events.error();
    const auto snapshot = now();
    json list = json::array();
    for (const auto& event : *events) list.push_back(to_json(event, *snapshot));
    const json next = events->size() == limit ? json(events->back().sequence) : json();
    return Reply{200, {{"events", std::move(list)}, {"next", next}}};
}

Result<Reply> Admin::consent_history(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto who = asked(fields, *now());
    const auto number = [&](const char* key, std::uint64_t otherwise, std::uint64_t max) {
        const json* value = fields.any(key);
        if (value == nullptr) return otherwise;
        if (!value->is_number_integer() || value->get<std::int64_t>() < 0 || value->get<std::uint64_t>() > max)
            return fields.fail(key, "expected a number up to " + std::to_string(max)), otherwise;
        return value->get<std::uint64_t>();
    };
    const auto after = number("after", 0, std::numeric_limits<std::int64_t>::max());
    const auto limit = number("limit", limits::consent_history_page_max, limits::consent_history_page_max);
    if (fields.ok() && limit == 0) fields.fail("limit", "expected at least 1");
    if (auto error = fields.finish()) return *error;
    if (auto audited = parts_.catalog->record_audit({actor.client, "consent.history", "consents", json::object()}); !audited) return audited.error();
    return history_of(parts_.subject_digest(who.controller, who.subject), after, limit);
}

}  // namespace licet::app
