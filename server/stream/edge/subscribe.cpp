// GET /v1/products/{product}/events: checks everything a subscription needs, then hands the connection to delivery.
#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/detail/hybi13.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <charconv>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/stream/delivery/deflate.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {

namespace asio = boost::asio;

namespace {

Error bad_query(const char* name, std::string what) { return {Errc::invalid_parameter, std::move(what), std::string("query:") + name}; }

std::optional<std::uint64_t> number(const std::string& text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size() && !text.empty() ? std::optional(value) : std::nullopt;
}

// Whether an Accept header (RFC 9110 section 12.5.1) names one of `ranges` and does not exclude it by q=0.
bool accepts(std::string_view accept, std::initializer_list<std::string_view> ranges) {
    const auto trim = [](std::string_view text) {
        while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
        while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
        return text;
    };
    while (!accept.empty()) {
        const auto comma = accept.find(',');
        auto one = accept.substr(0, comma);
        accept = comma == std::string_view::npos ? std::string_view{} : accept.substr(comma + 1);
        bool excluded = false;
        const auto semicolon = one.find(';');
        for (auto rest = semicolon == std::string_view::npos ? std::string_view{} : one.substr(semicolon + 1); !rest.empty();) {
            const auto end = rest.find(';');
            const auto parameter = trim(rest.substr(0, end));
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            excluded |= boost::beast::iequals(parameter.substr(0, 2), "q=") && parameter.find_first_not_of("0.", 2) == std::string_view::npos;
        }
        const auto range = trim(one.substr(0, semicolon));
        if (!excluded && std::any_of(ranges.begin(), ranges.end(), [&](std::string_view r) { return boost::beast::iequals(r, range); })) return true;
    }
    return false;
}

Result<WireFormat> format_of(const std::string& accept, bool websocket) {
    if (websocket) return WireFormat::websocket_json;  // until the subprotocol says more
    if (accepts(accept, {"text/event-stream"})) return WireFormat::sse;
    if (accepts(accept, {"application/cloudevents-batch+json"})) return WireFormat::batch_json;
    if (accepts(accept, {"application/cloudevents-batch+protobuf"})) return WireFormat::batch_protobuf;
    if (accepts(accept, {"application/cloudevents+protobuf"})) return WireFormat::one_protobuf;
    if (accept.empty() || accepts(accept, {"application/x-ndjson", "*/*", "application/*"})) return WireFormat::ndjson;
    if (accepts(accept, {"text/*"})) return WireFormat::sse;
    return Error{Errc::not_acceptable,
                 "expected text/event-stream, application/x-ndjson, application/cloudevents-batch+json, application/cloudevents-batch+protobuf, "
                 "application/cloudevents+protobuf, or a WebSocket",
                 "header:Accept"};
}

// The first of the subprotocols a client offers that is spoken here. Names are compared as they are: what is answered must be what was offered.
std::optional<WireFormat> subprotocol_of(const http::request_header<>& head) {
    const auto [first, last] = head.equal_range("Sec-WebSocket-Protocol");
    for (auto field = first; field != last; ++field) {
        for (const auto& offered : http::token_list{field->value()}) {
            if (offered == "cloudevents.json") return WireFormat::websocket_json;
            if (offered == "cloudevents.proto") return WireFormat::websocket_protobuf;
        }
    }
    return std::nullopt;
}

// The opening handshake (RFC 6455 section 4.2): the Sec-WebSocket-Accept value.
Result<std::string> accept_websocket(const http::request_header<>& head) {
    const auto get = [&](std::string_view name) {
        const auto at = head.find(boost::beast::string_view(name.data(), name.size()));
        return at == head.end() ? std::string() : std::string(at->value());
    };
    if (head.method() != http::verb::get || !http::token_list{head[http::field::connection]}.exists("upgrade"))
        return Error{Errc::bad_request, "not a WebSocket handshake (RFC 6455)", "header:Upgrade"};
    if (get("Sec-WebSocket-Version") != "13") return Error{Errc::upgrade_required, "version 13 is spoken here", "header:Sec-WebSocket-Version"};
    const std::string key = get("Sec-WebSocket-Key");
    if (const auto nonce = parse_base64(key); key.size() != 24 || !nonce || nonce->size() != 16)
        return Error{Errc::bad_request, "expected 16 bytes in base64", "header:Sec-WebSocket-Key"};
    if (!subprotocol_of(head))
        return Error{Errc::bad_request, "offer the subprotocol cloudevents.json or cloudevents.proto", "header:Sec-WebSocket-Protocol"};
    boost::beast::websocket::detail::sec_ws_accept_type accept;
    boost::beast::websocket::detail::make_sec_ws_accept(accept, key);
    return std::string(accept.data(), accept.size());
}

// Where the stream starts and ends.
Result<ReadRequest> positions(const Target& target, const std::string& last_event_id, WireFormat format) {
    const auto get = [&](const char* key) {
        const auto at = target.query.find(key);
        return at == target.query.end() ? std::string() : at->second;
    };
    ReadRequest out;
    out.format = format;
    const bool pull = !is_stream(format);
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
        if (!at || at->value <= 0) return bad_query("until", "expected an RFC 3339 date-time after 1970");  // 0 stands for none
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
    if (format == WireFormat::one_protobuf) out.limit = 1;
    if (!wait.empty()) {
        const auto n = number(wait);
        if (!n || *n > static_cast<std::uint64_t>(limits::pull_wait_max_ms))
            return bad_query("wait", "expected milliseconds up to " + std::to_string(limits::pull_wait_max_ms));
        out.wait_ms = static_cast<int>(*n);
    }
    return out;
}

// A query without one parameter.
std::string without(std::string_view query, std::string_view name) {
    std::string out;
    while (!query.empty()) {
        const auto one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), one.size() + 1));
        const auto key = decode_text(one.substr(0, one.find('=')), true);
        if (!key || *key == name) continue;
        out += out.empty() ? "" : "&";
        out += one;
    }
    return out;
}

}  // namespace

Task<bool> Connection::subscribe(const std::string& name) {
    if (auto error = query_only({"from", "since", "until", "contract", "limit", "wait", "ticket"})) co_return co_await answer(refused(*error));
    const bool websocket = http::token_list{head_[http::field::upgrade]}.exists("websocket");
    const auto format = format_of(header("Accept"), websocket);
    if (!format) co_return co_await answer(refused(format.error()));
    auto read = positions(target_, header("Last-Event-ID"), *format);
    if (!read) co_return co_await answer(refused(read.error()));
    if (websocket) {
        auto accepted = accept_websocket(head_);
        if (!accepted) co_return co_await answer(refused(accepted.error()));
        read->websocket_accept = *std::move(accepted);
        read->format = *subprotocol_of(head_);
        // Protobuf goes as it is: the offer is declined.
        if (auto extensions = accept_deflate(header("Sec-WebSocket-Extensions")); extensions && read->format == WireFormat::websocket_json) {
            read->format = WireFormat::websocket_json_deflate;
            read->websocket_extensions = *std::move(extensions);
        }
    }
    if (body_state_ == Body::unread) co_return co_await answer(refused({Errc::bad_request, "no body is expected", {}}));
    if (auto error = foreign_page(websocket)) co_return co_await answer(refused(*error));
    // What is wrong with the request itself was found by now: a ticket is not spent on it.
    const bool ticketed = target_.query.contains("ticket");
    if (ticketed && !header("Authorization").empty())
        co_return co_await answer(refused({Errc::bad_request, "authenticate in one way only", "query:ticket"}));
    Result<Caller> who = Caller{};
    if (ticketed)
        who = co_await ticket_holder(name);
    else
        who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    if (!who->token.allows("read", name)) co_return co_await answer(refused({Errc::insufficient_scope, "needs the scope read:" + name, {}}));
    const app::Snapshot& snapshot = *who->snapshot;
    const auto* product = snapshot.product(name);
    if (product == nullptr) co_return co_await answer(refused({Errc::not_found, "no such product", {}}));
    if (!product->product.residency.empty() && product->product.residency != snapshot.region) {
        const auto* region = snapshot.region_named(product->product.residency);
        if (region == nullptr) co_return co_await answer(refused({Errc::unavailable, "the region of this product has no endpoint", {}}));
        const std::string query = without(target_.raw_query, "ticket");  // good here only
        auto response = json_response({{"endpoint", region->endpoint}, {"region", region->name}}, 307);
        response.headers.emplace_back("Location", region->endpoint + target_.path + (query.empty() ? "" : "?" + query));
        co_return co_await answer(std::move(response));
    }
    const auto contract = snapshot.contract_for(who->client->party, name, target_.query["contract"], shard_.services.clock->utc_now());
    if (!contract) co_return co_await answer(refused(contract.error()));
    read->snapshot = who->snapshot;
    read->product = product->product.no;
    read->contract = (*contract)->no;
    read->client = who->token.client;
    read->authorised_until = who->token.expires_at;
    read->token_issued_at = who->token.issued_at;
    hand_over(*std::move(read));
    co_return true;
}

// Delivery has the connection from here on, and gives it back for the next request or with an error to answer.
void Connection::hand_over(ReadRequest read) {
    read.keep_alive = keep_alive_;
    read.head_only = head_only_;
    read.extra_headers = head_lines();
    if (!read.websocket_accept.empty()) log_request(101, 0);
    timer_.cancel();
    taken_ = true;
    if (buffer_.size() > 0) transport_->unread({static_cast<const char*>(buffer_.data().data()), buffer_.size()});
    buffer_.consume(buffer_.size());
    auto transport = std::move(transport_);
    Owed owed{std::nullopt, request_id_, route_, cors_, keep_alive_, head_only_};
    auto back = [owner = shard_.owner, shard = &shard_, owed](std::unique_ptr<Transport> given, std::optional<Error> error) mutable {
        auto keeper = owner.lock();
        if (!keeper) return;
        owed.error = std::move(error);
        // Later: delivery may be in the middle of something, and pipelined requests must not nest.
        asio::post(shard->io, [keeper = std::move(keeper), shard, given = std::move(given), owed = std::move(owed)]() mutable {
            Connection::run(*shard, std::move(given), std::move(owed));
        });
    };
    shard_.services.delivery->serve(shard_.index, std::move(read), std::move(transport), std::move(back));
}

}  // namespace licet::stream
