// Simulation: a draft decided beside what is active, over a stretch of the log, before anyone activates it. Nothing changes; no payload is answered.
#include <algorithm>
#include <map>

#include "base/limits.h"
#include "policy/document.h"
#include "server/app/admin.h"
#include "server/app/fields.h"
#include "server/ports/catalog_json.h"

namespace licet::app {
namespace {

using nlohmann::json;

// Digests are compared with digests only: any fixed value will do.
struct Blank final : policy::Pseudonymiser {
    bool hash(std::string_view, std::string_view, std::array<std::uint8_t, 32>& digest) noexcept override {
        digest.fill(0);
        return true;
    }
};

// How much of a value a partner sees, least first; docs/policy-semantics.md orders the transforms so.
int exposure(std::string_view state) {
    static constexpr std::string_view kOrder[] = {
        "withheld", "redact", "null", "replace", "replaceWithInfoType", "cryptoHash", "cryptoDeterministic", "characterMask"};
    const auto at = std::find(std::begin(kOrder), std::end(kOrder), state);
    if (at != std::end(kOrder)) return static_cast<int>(at - std::begin(kOrder));
    return state == "clear" ? 100 : 50;  // the others generalise
}

// What is left of each governed field of an event, by its pointer: "withheld", a transform, or "clear"; of several values the most exposed one. What
// was found inside its text stands by itself, as "/note EMAIL_ADDRESS".
std::map<std::string, std::string> fields_of(const json& explained, const event::StoredEvent& event, const event::Mapping& mapping) {
    std::map<std::string, std::string> out;
    std::map<std::string, std::size_t> clear;  // values no transform touches
    const bool deliver = explained.at("deliver");
    for (std::size_t i = 0; i < event.span_count(); ++i) {
        const auto span = event.span(i);
        if (span.field >= mapping.fields.size()) continue;
        auto name = mapping.fields[span.field].pointer;
        if (span.value_kind == event::ValueKind::part) name += " " + std::string(event::info_type_name(span.detected));
        out[name] = "withheld";
        ++clear[name];
    }
    if (!deliver) return out;
    if (explained.contains("transforms"))
        for (const auto& t : explained["transforms"]) {
            const std::string transform = t.at("transform");
            std::string name = t.at("pointer");
            if (t.contains("part")) name += " " + t.at("detected").get<std::string>();
            auto& state = out[name];
            if (exposure(transform) > exposure(state)) state = transform;
            --clear[name];
        }
    for (const auto& [pointer, values] : clear)
        if (values > 0) out[pointer] = "clear";
    return out;
}

// One contract's comparison.
class Comparison {
  public:
    Comparison(std::shared_ptr<const policy::Program> before, std::shared_ptr<const policy::Program> after, const Snapshot& snapshot,
               const ProductEntry& product)
        : before_(std::move(before)),
          after_(std::move(after)),
          consents_(*snapshot.consents),
          product_(product),
          decides_before_(policy::make_decider(before_, consents_, blank_)),
          decides_after_(policy::make_decider(after_, consents_, blank_)) {}

    // `erased`: of a sealed event that its key is destroyed, not only out of reach.
    void take(const ports::LogEntry& entry, const event::StoredEvent& event, UtcMillis now, bool erased) {
        erased_ = erased;
        const auto was = decide(*decides_before_, event, now, bytes_before_), is = decide(*decides_after_, event, now, bytes_after_);
        ++counts_before_[std::string(policy::reason_name(was.reason))];
        ++counts_after_[std::string(policy::reason_name(is.reason))];
        delivered_before_ += was.deliver;
        delivered_after_ += is.deliver;
        if (was.deliver == is.deliver && (!was.deliver || bytes_before_ == bytes_after_)) return;
        newly_delivered_ += is.deliver && !was.deliver;
        newly_withheld_ += was.deliver && !is.deliver;
        changed_ += was.deliver && is.deliver;
        describe(entry, event, was, is, now);
    }

    [[nodiscard]] json result() const {
        json visible = json::array();
        for (const auto& [key, events] : newly_visible_)
            visible.push_back({{"pointer", key.pointer}, {"category", key.category}, {"now", key.now}, {"then", key.then}, {"events", events}});
        return {{"now", {{"delivered", delivered_before_}, {"reasons", counts_before_}}},
                {"then", {{"delivered", delivered_after_}, {"reasons", counts_after_}}},
                {"newlyDelivered", newly_delivered_},
                {"newlyWithheld", newly_withheld_},
                {"changed", changed_},
                {"newlyVisible", std::move(visible)},
                {"samples", samples_}};
    }

  private:
    struct Visible {
        std::string pointer, category, now, then;
        auto operator<=>(const Visible&) const = default;
    };

    policy::Decision decide(policy::Decider& decider, const event::StoredEvent& event, UtcMillis now, std::string& bytes) {
        bytes.clear();
        auto decision = decider.decide(event, now);
        if (decider.needs_values(event, decision)) {
            decision.deliver = false;
            decision.reason = erased_ ? policy::Reason::subject_erased : policy::Reason::key_unavailable;
        }
        if (decision.deliver && event.data_kind() != event::DataKind::none && !decider.redact(event, decision, bytes)) {
            decision.deliver = false;
            decision.reason = policy::Reason::transform_failed;
        }
        return decision;
    }

    void describe(const ports::LogEntry& entry, const event::StoredEvent& event, const policy::Decision& was, const policy::Decision& is,
                  UtcMillis now) {
        if (event.mapping_version() == 0 || event.mapping_version() > product_.mappings.size()) return;
        const auto& mapping = *product_.mappings[event.mapping_version() - 1];
        const auto fields_before = fields_of(policy::explain(*before_, event, consents_, now), event, mapping);
        const auto fields_after = fields_of(policy::explain(*after_, event, consents_, now), event, mapping);
        json fields = json::array();
        for (const auto& [pointer, state] : fields_after) {
            const auto& old = fields_before.at(pointer);
            if (old == state) continue;
            const bool exposes = exposure(state) > exposure(old);
            const auto field = std::find_if(mapping.fields.begin(), mapping.fields.end(), [&](const auto& f) { return f.pointer == pointer; });
            if (exposes) ++newly_visible_[{pointer, field == mapping.fields.end() ? std::string() : std::string(field->category), old, state}];
            fields.push_back({{"pointer", pointer}, {"now", old}, {"then", state}, {"newlyVisible", exposes}});
        }
        if (samples_.size() >= limits::simulation_samples_max) return;
        samples_.push_back({{"offset", entry.offset},
                            {"now", policy::reason_name(was.reason)},
                            {"then", policy::reason_name(is.reason)},
                            {"fields", std::move(fields)}});
    }

    Blank blank_;
    std::shared_ptr<const policy::Program> before_, after_;
    const policy::ConsentIndex& consents_;
    const ProductEntry& product_;
    std::unique_ptr<policy::Decider> decides_before_, decides_after_;
    std::string bytes_before_, bytes_after_;
    std::map<std::string, std::uint64_t> counts_before_, counts_after_;
    std::uint64_t delivered_before_ = 0, delivered_after_ = 0, newly_delivered_ = 0, newly_withheld_ = 0, changed_ = 0;
    std::map<Visible, std::uint64_t> newly_visible_;
    json samples_ = json::array();
    bool erased_ = false;
};

struct Request {
    std::string name, product;
    std::vector<std::string> contracts;
    const json* document = nullptr;
    std::uint64_t version = 0, limit = 0;
    bool retire = false;
    UtcMillis since{};
};

Result<Request> read(const json& body) {
    Fields fields(body);
    Request out;
    out.name = fields.slug("name");
    out.product = fields.slug("product");
    out.contracts = fields.texts("contracts", limits::simulation_contracts_max);
    out.document = fields.object("document");
    out.since = fields.time("since");
    const auto whole = [&](const char* key, std::uint64_t most, std::uint64_t otherwise) {
        const json* value = fields.any(key);
        if (value == nullptr || value->is_null()) return otherwise;
        if (value->is_number_unsigned() && value->get<std::uint64_t>() >= 1 && value->get<std::uint64_t>() <= most)
            return value->get<std::uint64_t>();
        fields.fail(key, "expected a whole number from 1 to " + std::to_string(most));
        return otherwise;
    };
    out.version = whole("version", UINT32_MAX, 0);
    out.limit = whole("limit", limits::simulation_events_max, limits::simulation_events_default);
    if (const json* retire = fields.any("retire"); retire != nullptr) {
        if (!retire->is_boolean())
            fields.fail("retire", "expected true or false");
        else
            out.retire = retire->get<bool>();
    }
    if ((out.document != nullptr) + (out.version != 0) + out.retire != 1)
        fields.fail("document", "exactly one of document, version and retire says what would be in force");
    if (auto error = fields.finish()) return *error;
    return out;
}

}  // namespace

// The configuration as it would be: the draft in the place of the active version of its name.
Result<std::shared_ptr<const Snapshot>> Admin::snapshot_with(const Snapshot& snapshot, const std::string& name, const json* document,
                                                             std::uint64_t version) const {
    auto configuration = parts_.catalog->configuration();
    if (!configuration) return configuration.error();
    auto& active = configuration->active_policies;
    std::erase_if(active, [&](const ports::PolicyRow& p) { return p.name == name; });
    if (document != nullptr) {
        if (document->dump().size() > limits::policy_document_max_bytes)
            return Error{Errc::body_too_large, "a policy document has at most 256 KiB", "/document"};
        if (auto parsed = policy::parse_policy(*document, *now()->vocabulary()); !parsed)
            return Error{parsed.error().code, parsed.error().detail, "/document" + parsed.error().pointer};
        ports::PolicyRow draft;
        draft.name = name;
        draft.document = *document;
        active.push_back(std::move(draft));
    } else if (version != 0) {
        const auto rows = parts_.catalog->policies(name);
        if (!rows) return rows.error();
        const auto chosen = std::find_if(rows->begin(), rows->end(), [&](const ports::PolicyRow& p) { return p.version == version; });
        if (chosen == rows->end()) return Error{Errc::not_found, "no such policy version", "/version"};
        active.push_back(*chosen);
    }
    return build_snapshot(*configuration, snapshot.region, snapshot.consents, parts_.vocabulary, &snapshot);
}

Result<Reply> Admin::simulate_policy(const Actor& actor, const json& body) {
    const auto request = read(body);
    if (!request) return request.error();
    if (auto read = parts_.governance->refresh(); !read) return read.error();
    const auto snapshot = now();
    const ProductEntry* product = snapshot->product(request->product);
    if (product == nullptr) return Error{Errc::not_found, "no such product", "/product"};
    if (!product->product.residency.empty() && product->product.residency != snapshot->region)
        return Error{Errc::misdirected, "the product's events are resident in another region", "/product"};
    const auto then = snapshot_with(*snapshot, request->name, request->document, request->version);
    if (!then) return then.error();

    auto names = request->contracts;
    if (names.empty()) names = snapshot->contracts_on(request->product);
    if (names.size() > limits::simulation_contracts_max)
        return Error{Errc::invalid_document, "more than " + std::to_string(limits::simulation_contracts_max) + " contracts: name those of interest",
                     "/contracts"};
    std::vector<std::pair<std::string, std::unique_ptr<Comparison>>> comparisons;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string at = request->contracts.empty() ? "/contracts" : "/contracts/" + std::to_string(i);
        const ports::Contract* contract = snapshot->contract(names[i]);
        if (contract == nullptr) return Error{Errc::not_found, "no such contract", at};
        const auto before = snapshot->program(contract->no, product->product.no), after = (*then)->program(contract->no, product->product.no);
        if (!before) return Error{before.error().code, before.error().detail, at};
        if (!after) return Error{Errc::invalid_document, "does not compile for contract " + names[i] + ": " + after.error().detail, "/document"};
        comparisons.emplace_back(names[i], std::make_unique<Comparison>(*before, *after, *snapshot, *product));
    }
    if (auto audited = parts_.catalog->record_audit({actor.client, "policy.simulate", request->name, {{"product", request->product}}}); !audited)
        return audited.error();

    const ports::LogPosition position{product->product.no, {0}};
    const auto bounds = parts_.log->bounds(position);
    const std::uint64_t most =
        std::min<std::uint64_t>(request->limit, limits::simulation_decisions_max / std::max<std::size_t>(comparisons.size(), 1));
    // The latest events, or those from a time on.
    Offset from = bounds.end - std::min<std::uint64_t>(most, bounds.end - bounds.begin);
    if (request->since.value != 0) {
        const auto found = parts_.log->seek(position, request->since);
        if (!found) return found.error();
        from = *found;
    }
    const Offset to = std::min<std::uint64_t>(bounds.end, from + most);
    const UtcMillis moment = parts_.clock->utc_now();
    std::uint64_t unreadable = 0;
    OpenedData opened;
    const auto cipher = parts_.make_cipher ? parts_.make_cipher() : nullptr;
    for (Offset next = from; next < to;) {
        const auto batch = parts_.log->read(position, next, limits::catch_up_batch_max_events, limits::catch_up_batch_max_bytes);
        if (!batch) return batch.error();
        if ((*batch)->entries.empty()) break;
        if (product->product.shreddable)
            if (auto loaded = load_keys(parts_.subject_keys.get(), **batch); !loaded) return loaded.error();
        for (const auto& entry : (*batch)->entries) {
            if (entry.offset >= to) break;
            auto event = event::StoredEvent::parse(entry.record);
            unreadable += !event;
            if (!event) continue;
            if (event->sealed() && cipher) open_event(parts_.subject_keys.get(), *cipher, product->product.no, *event, opened);
            const bool erased = event->sealed() && opened.state == SubjectKeys::State::erased;
            if (event->sealed() && opened.state == SubjectKeys::State::held) event = event->with_data(opened.data);
            for (auto& [name, comparison] : comparisons) comparison->take(entry, *event, moment, erased);
        }
        next = (*batch)->next;
    }
    json results = json::array();
    for (const auto& [name, comparison] : comparisons) {
        results.push_back(comparison->result());
        results.back()["contract"] = name;
    }
    return Reply{200,
                 {{"name", request->name},
                  {"product", request->product},
                  {"from", from},
                  {"to", to},
                  {"events", to - from - unreadable},
                  {"unreadable", unreadable},
                  {"epoch", snapshot->epoch.value},
                  {"contracts", std::move(results)}}};
}

}  // namespace licet::app
