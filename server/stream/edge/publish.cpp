// POST /v1/products/{product}/events.
#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/limits.h"
#include "event/sealed.h"
#include "server/stream/edge/blocking.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {
namespace {

namespace asio = boost::asio;
using nlohmann::json;
using Outcomes = Result<std::vector<ports::AppendOutcome>>;

// Waits for the log's writer without blocking the shard.
Task<std::shared_ptr<Outcomes>> append(asio::io_context& io, ports::EventLog& log, ports::LogPosition position,
                                       std::vector<ports::AppendItem> items) {
    auto initiate = [&io, &log, position, items = std::move(items)](auto handler) mutable {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        auto finish = [&io, shared](Outcomes outcomes) {
            asio::post(io, [shared, result = std::make_shared<Outcomes>(std::move(outcomes))]() mutable { std::move (*shared)(std::move(result)); });
        };
        if (auto queued = log.append(position, std::move(items), finish); !queued) finish(queued.error());
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::shared_ptr<Outcomes>)>(std::move(initiate), asio::use_awaitable);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

json rejections_json(const std::vector<Rejection>& rejections) {
    json list = json::array();
    for (std::size_t i = 0; i < rejections.size() && i < limits::ingest_rejections_reported_max; ++i) {
        const auto& r = rejections[i];
        list.push_back({{"index", r.index}, {"code", catalogue_entry(r.error.code).slug}, {"pointer", r.error.pointer}, {"detail", r.error.detail}});
    }
    return list;
}

}  // namespace

// The region the product's events are resident in when that is not this one; empty otherwise.
std::string elsewhere(const app::Snapshot& snapshot, const std::string& name) {
    const auto& residency = snapshot.product(name)->product.residency;
    return residency == snapshot.region ? std::string() : residency;
}

// Where to go instead, when this node knows.
json endpoint_members(const app::Snapshot& snapshot, const std::string& product, const std::string& region) {
    json out{{"region", region}};
    if (const auto* there = snapshot.region_named(region)) out["endpoint"] = there->endpoint + "/v1/products/" + product + "/events";
    return out;
}

// Who may publish the product here, by the snapshot of this moment.
Result<Caller> Connection::publisher(const std::string& name) {
    auto who = caller();
    if (!who) return who;
    if (!who->token.allows("write", name)) return Error{Errc::insufficient_scope, "needs the scope write:" + name, {}};
    if (who->snapshot->product(name) == nullptr) return Error{Errc::not_found, "no such product", {}};
    return who;
}

Result<std::map<std::string, std::string, std::less<>>> Connection::ce_headers() const {
    std::map<std::string, std::string, std::less<>> out;
    for (const auto& field : head_) {
        const std::string key = lower({field.name_string().data(), field.name_string().size()});
        if (!key.starts_with("ce-")) continue;
        auto value = decode_text({field.value().data(), field.value().size()}, false);
        if (!value) return Error{Errc::bad_request, "malformed percent-encoding", "header:" + key};
        if (!out.emplace(key.substr(3), *std::move(value)).second) return Error{Errc::bad_request, "a header is given twice", "header:" + key};
    }
    return out;
}

// Encrypts governed values before the log sees them. The keys are fetched or made off the shard; between finding them here and the append nothing
// waits.
Task<Status> Connection::seal(ProductNo product, std::vector<ports::AppendItem>& items) {
    const auto& keys = shard_.services.subject_keys;
    if (keys == nullptr) co_return Error{Errc::unavailable, "this node has no key-encryption key", {}};
    std::vector<SubjectKey> subjects;
    for (const auto& item : items)
        if (const auto event = event::StoredEvent::parse(item.record); event && event::sealable(*event)) subjects.push_back(event->subject());
    if (subjects.empty()) co_return success();
    if (!keys->holds(subjects)) {
        std::function<Status()> provide = [keys, subjects = std::move(subjects)] { return keys->provide(subjects); };
        const auto provided = co_await off_the_shard(shard_.io, shard_.blocking, std::move(provide));
        if (!*provided) co_return provided->error();
    }
    co_return keys->seal(product, items, *shard_.cipher);
}

Task<bool> Connection::publish(const std::string& name) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    auto who = publisher(name);
    if (!who) co_return co_await answer(refused(who.error()));
    auto headers = ce_headers();
    if (!headers) co_return co_await answer(refused(headers.error()));
    // Before a byte of the body is read: what is resident elsewhere must not be on this node at all.
    if (const auto region = elsewhere(*who->snapshot, name); !region.empty())
        co_return co_await answer(refused({Errc::misdirected, "events of this product are resident in another region", {}},
                                          endpoint_members(*who->snapshot, name, region)));
    if (!co_await read_body(limits::ingest_body_max_bytes)) co_return false;
    // Much may have changed while the body came.
    if (shard_.services.snapshot()->epoch != who->snapshot->epoch) {
        who = publisher(name);
        if (!who) co_return co_await answer(refused(who.error()));
        if (const auto region = elsewhere(*who->snapshot, name); !region.empty())
            co_return co_await answer(refused({Errc::misdirected, "events of this product are resident in another region", {}},
                                              endpoint_members(*who->snapshot, name, region)));
    }
    const auto* product = who->snapshot->product(name);
    const std::string content_type = header("Content-Type");
    auto prepared =
        shard_.ingest.prepare({product, content_type, *std::move(headers), body_, who->snapshot->region, shard_.services.clock->utc_now()});
    if (!prepared) co_return co_await answer(refused(prepared.error()));

    std::size_t accepted = 0, duplicates = 0;
    if (!prepared->items.empty()) {
        timer_.cancel();
        if (product->product.shreddable)
            if (const auto sealed = co_await seal(product->product.no, prepared->items); !sealed) co_return co_await answer(refused(sealed.error()));
        const auto outcomes = co_await append(shard_.io, *shard_.services.log, {product->product.no, {0}}, std::move(prepared->items));
        if (!*outcomes) co_return co_await answer(refused(outcomes->error()));
        for (const auto& outcome : outcomes->value()) ++(outcome.duplicate ? duplicates : accepted);
    }
    json body{{"received", prepared->received},
              {"accepted", accepted},
              {"duplicates", duplicates},
              {"rejected", prepared->rejections.size()},
              {"rejections", rejections_json(prepared->rejections)}};
    const bool none = prepared->received > 0 && prepared->rejections.size() == prepared->received;
    if (!none) co_return co_await answer(json_response(body));
    if (prepared->misdirected == prepared->received) body.update(endpoint_members(*who->snapshot, name, prepared->misdirected_region));
    co_return co_await answer(refused(prepared->rejections.front().error, body));
}

}  // namespace licet::stream
