// POST /v1/products/{product}/events.
#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/limits.h"
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

Task<bool> Connection::publish(const std::string& name) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    if (!who->token.allows("write", name)) co_return co_await answer(refused({Errc::insufficient_scope, "needs the scope write:" + name, {}}));
    const app::Snapshot& snapshot = *who->snapshot;
    const auto* product = snapshot.product(name);
    if (product == nullptr) co_return co_await answer(refused({Errc::not_found, "no such product", {}}));
    const auto misdirected = [&](const std::string& region) {
        const auto* there = snapshot.region_named(region);
        const std::string endpoint = there == nullptr ? "" : there->endpoint + "/v1/products/" + name + "/events";
        return json{{"endpoint", endpoint}, {"region", region}};
    };
    // Before a byte of the body is read: what is resident elsewhere must not be on this node at all.
    if (!product->product.residency.empty() && product->product.residency != snapshot.region)
        co_return co_await answer(
            refused({Errc::misdirected, "events of this product are resident in another region", {}}, misdirected(product->product.residency)));
    if (!co_await read_body(limits::ingest_body_max_bytes)) co_return false;

    IngestRequest request;
    request.product = product;
    const std::string content_type = header("Content-Type");
    request.content_type = content_type;
    request.body = body_;
    request.region = snapshot.region;
    request.now = shard_.services.clock->utc_now();
    const auto& fields = parsers_->body->get();
    for (const auto& field : fields) {
        const std::string key = lower({field.name_string().data(), field.name_string().size()});
        if (!key.starts_with("ce-")) continue;
        auto value = decode_text({field.value().data(), field.value().size()}, false);
        if (!value) co_return co_await answer(refused({Errc::bad_request, "malformed percent-encoding", "header:" + key}));
        if (!request.ce_headers.emplace(key.substr(3), *std::move(value)).second)
            co_return co_await answer(refused({Errc::bad_request, "a header is given twice", "header:" + key}));
    }
    auto prepared = shard_.ingest.prepare(request);
    if (!prepared) co_return co_await answer(refused(prepared.error()));

    std::size_t accepted = 0, duplicates = 0;
    if (!prepared->items.empty()) {
        timer_.cancel();
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
    if (prepared->misdirected == prepared->received) body.update(misdirected(prepared->misdirected_region));
    co_return co_await answer(refused(prepared->rejections.front().error, body));
}

}  // namespace licet::stream
