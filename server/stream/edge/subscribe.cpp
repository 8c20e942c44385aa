// GET /v1/products/{product}/events: checks everything a subscription needs, then hands the connection to delivery.
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/detail/hybi13.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <charconv>

#include "base/limits.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {
namespace {

Error bad_query(const char* name, std::string what) { return {Errc::invalid_parameter, std::move(what), std::string("query:") + name}; }

std::optional<std::uint64_t> number(const std::string& text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size() && !text.empty() ? std::optional(value) : std::nullopt;
}

bool accepts(std::string_view accept, std::string_view type) { return accept.find(type) != std::string_view::npos; }

Result<WireFormat> format_of(const std::string& accept, bool websocket) {
    if (websocket) return WireFormat::websocket_json;
    if (accepts(accept, "text/event-stream")) return WireFormat::sse;
    if (accepts(accept, "application/cloudevents-batch+json")) return WireFormat::batch_json;
    if (accept.empty() || accepts(accept, "application/x-ndjson") || accepts(accept, "*/*") || accepts(accept, "application/*"))
        return WireFormat::ndjson;
    return Error{Errc::not_acceptable, "expected text/event-stream, application/x-ndjson, application/cloudevents-batch+json, or a WebSocket",
                 "header:Accept"};
}

// Where the stream starts and ends.
Result<ReadRequest> positions(const Target& target, const std::string& last_event_id, WireFormat format) {
    const auto get = [&](const char* key) {
        const auto at = target.query.find(key);
        return at == target.query.end() ? std::string() : at->second;
    };
    ReadRequest out;
    out.format = format;
    const bool pull = format == WireFormat::ndjson || format == WireFormat::batch_json;
    const std::string from = get("from"), since = get("since"), until = get("until"), limit = get("limit"), wait = get("wait");
    out.start = pull ? StartAt::earliest : StartAt::latest;
    if (from == "latest")
        out.start = StartAt::latest;
    else if (from == "earliest")
        out.start = StartAt::earliest;
    else if (!from.empty())
        out.start = StartAt::cursor, out.cursor = from;
    if (!since.empty()) {
        const auto at = parse_rfc3339(since);
        if (!at) return bad_query("since", "expected an RFC 3339 date-time");
        if (!from.empty()) return bad_query("since", "goes without from");
        out.start = StartAt::since;
        out.since = *at;
    }
    // A reconnecting EventSource keeps its URL: where it left off prevails.
    if (!last_event_id.empty()) out.start = StartAt::cursor, out.cursor = last_event_id;
    if (!until.empty()) {
        const auto at = parse_rfc3339(until);
        if (!at) return bad_query("until", "expected an RFC 3339 date-time");
        out.until = *at;
    }
    if (!pull && (!limit.empty() || !wait.empty())) return bad_query(limit.empty() ? "wait" : "limit", "is for pull pages");
    out.limit = 1000;
    if (!limit.empty()) {
        const auto n = number(limit);
        if (!n || *n == 0 || *n > limits::pull_page_max_events)
            return bad_query("limit", "expected 1 to " + std::to_string(limits::pull_page_max_events));
        out.limit = *n;
    }
    if (!wait.empty()) {
        const auto n = number(wait);
        if (!n || *n > static_cast<std::uint64_t>(limits::pull_wait_max_ms))
            return bad_query("wait", "expected milliseconds up to " + std::to_string(limits::pull_wait_max_ms));
        out.wait_ms = static_cast<int>(*n);
    }
    return out;
}

}  // namespace

Task<bool> Connection::subscribe(const std::string& name) {
    if (auto error = query_only({"from", "since", "until", "contract", "limit", "wait"})) co_return co_await answer(refused(*error));
    const auto& head = parsers_->head->get();
    const bool websocket = http::token_list{head[http::field::upgrade]}.exists("websocket");
    const bool head_only = head.method() == http::verb::head;
    const auto format = format_of(header("Accept"), websocket);
    if (!format) co_return co_await answer(refused(format.error()));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    if (!who->token.allows("read", name)) co_return co_await answer(refused({Errc::insufficient_scope, "needs the scope read:" + name, {}}));
    const app::Snapshot& snapshot = *who->snapshot;
    const auto* product = snapshot.product(name);
    if (product == nullptr) co_return co_await answer(refused({Errc::not_found, "no such product", {}}));
    if (!product->product.residency.empty() && product->product.residency != snapshot.region) {
        const auto* region = snapshot.region_named(product->product.residency);
        if (region == nullptr) co_return co_await answer(refused({Errc::unavailable, "the region of this product has no endpoint", {}}));
        auto response = json_response({{"endpoint", region->endpoint}, {"region", region->name}}, 307);
        response.headers.emplace_back("Location", region->endpoint + target_.path + (target_.raw_query.empty() ? "" : "?" + target_.raw_query));
        co_return co_await answer(std::move(response));
    }
    auto read = positions(target_, header("Last-Event-ID"), *format);
    if (!read) co_return co_await answer(refused(read.error()));
    const auto contract = snapshot.contract_for(who->client->party, name, target_.query["contract"], shard_.services.clock->utc_now());
    if (!contract) co_return co_await answer(refused(contract.error()));

    if (websocket) {
        const bool upgrade = http::token_list{head[http::field::connection]}.exists("upgrade");
        const std::string key = header("Sec-WebSocket-Key");
        if (!upgrade || head_only || key.size() != 24 || header("Sec-WebSocket-Version") != "13")
            co_return co_await answer(refused({Errc::bad_request, "not a WebSocket handshake of version 13 (RFC 6455)", "header:Upgrade"}));
        if (!http::token_list{head["Sec-WebSocket-Protocol"]}.exists("cloudevents.json"))
            co_return co_await answer(refused({Errc::bad_request, "offer the subprotocol cloudevents.json", "header:Sec-WebSocket-Protocol"}));
        boost::beast::websocket::detail::sec_ws_accept_type accept;
        boost::beast::websocket::detail::make_sec_ws_accept(accept, key);
        read->websocket_accept = std::string(accept.data(), accept.size());
    }
    if (!parsers_->head->is_done()) co_return co_await answer(refused({Errc::bad_request, "no body is expected", {}}));

    read->snapshot = who->snapshot;
    read->product = product->product.no;
    read->contract = (*contract)->no;
    read->client = who->token.client;
    read->authorised_until = who->token.expires_at;
    read->token_issued_at = who->token.issued_at;
    read->keep_alive = keep_alive_;
    read->head_only = head_only;
    read->extra_headers = "Licet-Request-Id: " + request_id_ + "\r\n";
    log_request(websocket ? 101 : 200, 0);

    timer_.cancel();
    taken_ = true;
    if (buffer_.size() > 0) {
        transport_->unread(std::string(static_cast<const char*>(buffer_.data().data()), buffer_.size()));
        buffer_.consume(buffer_.size());
    }
    auto transport = std::move(transport_);
    shard_.services.delivery->serve(shard_.index, *std::move(read), std::move(transport),
                                    [&shard = shard_](std::unique_ptr<Transport> back, std::optional<Error> error) {
                                        Connection::run(shard, std::move(back), std::move(error));
                                    });
    co_return true;
}

}  // namespace licet::stream
