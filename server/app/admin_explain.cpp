// Explain: the decision on one event for one contract, now or as it would have been at a moment past, with its grounds. The past is replayed from the
// versions then in force, beside the running server: nothing of it is kept.
#include <charconv>
#include <set>

#include "server/app/admin.h"
#include "server/app/consent_steps.h"

namespace licet::app {
namespace {

using nlohmann::json;

// The versions whose rules bear on the decision.
json versions_of(const policy::Program& program) {
    std::set<std::pair<std::string, std::uint32_t>> seen;
    for (const auto& rule : program.rules()) seen.emplace(rule.policy, rule.policy_version);
    json out = json::array();
    for (const auto& [name, version] : seen) out.push_back({{"name", name}, {"version", version}});
    return out;
}

}  // namespace

Result<Offset> Admin::find_event(const ProductEntry& product, const ExplainQuery& query) const {
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

// As the catalog was at `at`, for one product and contract; nobody's consent in it yet.
Result<std::shared_ptr<const Snapshot>> Admin::snapshot_at(UtcMillis at, const ExplainQuery& query) const {
    auto configuration = parts_.catalog->configuration_at(at);
    if (!configuration) return configuration.error();
    // Only what is asked about is compiled.
    std::erase_if(configuration->products, [&](const ports::Product& p) { return p.name != query.product; });
    std::erase_if(configuration->contracts, [&](const ports::Contract& c) { return c.name != query.contract; });
    return build_snapshot(*configuration, now()->region, std::make_shared<policy::ConsentIndex>(), parts_.vocabulary);
}

// What one subject had consented to at `at`.
Status Admin::recall_consents(policy::ConsentIndex& index, const SubjectKey& subject, UtcMillis at) const {
    const auto consents = parts_.catalog->consents_of_at(subject, at);
    if (!consents) return consents.error();
    std::vector<HeldConsent> held;
    for (const auto& row : consents->rows)
        if (const auto one = held_consent(row, *parts_.vocabulary)) held.push_back(*one);
    if (!held.empty()) put_entries(index, consent_entries(subject, held, *parts_.vocabulary));
    index.set_revision(consents->revision);
    index.set_ready(true);
    return success();
}

Result<Reply> Admin::explain(const Actor& actor, const ExplainQuery& query) {
    // Decided on what the catalog holds when it is asked, not on what this node has heard of.
    if (auto read = parts_.governance->refresh(); !read) return read.error();
    auto body = explained(query);
    if (!body) return body.error();
    json detail{{"product", query.product}, {"offset", body->at("offset")}};
    if (!query.at.empty()) detail["at"] = body->at("at");
    if (auto audited = parts_.catalog->record_audit({actor.client, "explain", query.contract, std::move(detail)}); !audited) return audited.error();
    return Reply{200, *std::move(body)};
}

Result<json> Admin::explained(const ExplainQuery& query) const {
    UtcMillis moment = parts_.clock->utc_now();
    auto snapshot = now();
    const bool past = !query.at.empty();
    if (past) {
        const auto at = parse_rfc3339(query.at);
        if (!at) return Error{Errc::invalid_parameter, "expected an RFC 3339 time", "query:at"};
        if (*at > moment) return Error{Errc::invalid_parameter, "is in the future: what will be in force is not known", "query:at"};
        moment = *at;
        auto then = snapshot_at(moment, query);
        if (!then) return then.error();
        snapshot = *std::move(then);
    }
    const char* when = past ? " at that moment" : "";
    const ProductEntry* product = snapshot->product(query.product);
    if (product == nullptr) return Error{Errc::not_found, std::string("no such product") + when, "query:product"};
    const ports::Contract* contract = snapshot->contract(query.contract);
    if (contract == nullptr) return Error{Errc::not_found, std::string("no such contract") + when, "query:contract"};
    const auto program = snapshot->program(contract->no, product->product.no);
    if (!program) return program.error();
    const auto offset = find_event(*product, query);
    if (!offset) return offset.error();
    const auto batch = parts_.log->read({product->product.no, {0}}, *offset, 1, 1);
    if (!batch) return batch.error();
    if ((*batch)->entries.empty()) return Error{Errc::not_found, "no event at this offset", {}};
    auto event = event::StoredEvent::parse((*batch)->entries[0].record);
    if (!event) return Error{Errc::corrupt, "the stored event cannot be read", {}};
    OpenedData opened;
    if (event->sealed()) {
        // Where the key cannot be had, the decision says so.
        if (parts_.make_cipher && load_keys(parts_.subject_keys.get(), **batch))
            open_event(parts_.subject_keys.get(), *parts_.make_cipher(), product->product.no, *event, opened);
        if (opened.state == SubjectKeys::State::held) event = event->with_data(opened.data);
    }
    if (past)
        if (auto recalled = recall_consents(*snapshot->consents, event->subject(), moment); !recalled) return recalled.error();
    json body = policy::explain(**program, *event, *snapshot->consents, moment);
    if (opened.state == SubjectKeys::State::erased && body["reason"] == policy::reason_name(policy::Reason::key_unavailable)) {
        const auto keys = parts_.subject_keys->store().by_id({event->key_id()});
        if (!keys) return keys.error();
        // At a moment before the erasure it was delivered, unless a transform failed, which nobody can tell any more.
        const bool then = past && !keys->empty() && moment < keys->front().destroyed;
        body["deliver"] = then;
        body["reason"] = policy::reason_name(then ? policy::Reason::permitted : policy::Reason::subject_erased);
        body["subjectErased"] = true;
    }
    body["product"] = query.product;
    body["contract"] = query.contract;
    body["party"] = contract->party;
    body["offset"] = *offset;
    body["at"] = format_rfc3339(moment);
    body["epoch"] = snapshot->epoch.value;
    body["policies"] = versions_of(**program);
    // The decision is what the contract's rights give; while it is not in force nothing is delivered under it.
    body["inForce"] = snapshot->contract_for(contract->party, query.product, contract->name, moment).ok();
    return body;
}

}  // namespace licet::app
