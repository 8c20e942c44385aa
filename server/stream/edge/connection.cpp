#include "server/stream/edge/connection.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/ports/log.h"
#include "server/stream/edge/routes.h"

namespace licet::stream {

namespace asio = boost::asio;

namespace {

// What a proxy in front and we could read differently is refused when given twice.
constexpr http::field kOnce[] = {http::field::host, http::field::authorization, http::field::content_length, http::field::transfer_encoding,
                                 http::field::content_type};
constexpr std::string_view kForwardedMethods[] = {"GET", "PUT", "POST", "DELETE", "PATCH"};

std::optional<Error> given_twice(const http::fields& head) {
    for (const auto field : kOnce)
        if (head.count(field) > 1) return Error{Errc::bad_request, "a header is given twice", "header:" + std::string(http::to_string(field))};
    return std::nullopt;
}

}  // namespace

Connection::Connection(EdgeShard& shard, std::unique_ptr<Transport> transport)
    : shard_(shard), transport_(std::move(transport)), timer_(shard.io), parsers_(std::make_unique<Parsers>()) {
    ++shard_.connections;
}

Connection::~Connection() { --shard_.connections; }

void Connection::run(EdgeShard& shard, std::unique_ptr<Transport> transport, std::optional<Error> first) {
    auto self = std::make_shared<Connection>(shard, std::move(transport));
    asio::co_spawn(
        shard.io, [self, first = std::move(first)]() mutable { return self->serve(std::move(first)); }, asio::detached);
}

// Whoever waits on the socket is cancelled when the time is up.
void Connection::deadline(int ms) {
    timer_.expires_after(std::chrono::milliseconds(ms));
    timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        boost::system::error_code ignored;
        if (!error && self && self->transport_) self->transport_->socket().cancel(ignored);
    });
}

Task<void> Connection::serve(std::optional<Error> first) {
    const auto self = shared_from_this();
    if (first) {
        request_id_ = "";
        if (!co_await answer(problem(*first, {}))) co_return;
        if (!keep_alive_) co_return transport_->shutdown();
    } else if (transport_->secure() && !co_await handshake()) {
        co_return;
    }
    while (!shard_.stopping) {
        body_.clear();
        body_read_ = taken_ = false;
        if (!co_await read_head()) break;
        if (!co_await dispatch()) break;
        if (taken_) co_return;
        if (!keep_alive_) break;
    }
    timer_.cancel();
    if (transport_) transport_->shutdown();
}

Task<bool> Connection::handshake() {
    deadline(limits::request_header_timeout_ms);
    boost::system::error_code error;
    for (;;) {
        const auto state = transport_->tls()->handshake();
        if (state == ports::TlsState::done) co_return true;
        if (state != ports::TlsState::want_read && state != ports::TlsState::want_write) co_return false;
        const auto wait = state == ports::TlsState::want_read ? asio::socket_base::wait_read : asio::socket_base::wait_write;
        co_await transport_->socket().async_wait(wait, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
    }
}

Task<bool> Connection::fill() {
    for (;;) {
        const auto space = buffer_.prepare(16 * 1024);
        const auto io = transport_->read_some({static_cast<char*>(space.data()), space.size()});
        if (io.state == IoState::done) {
            buffer_.commit(io.bytes);
            co_return true;
        }
        if (io.state != IoState::blocked) co_return false;
        boost::system::error_code error;
        co_await transport_->socket().async_wait(asio::socket_base::wait_read, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
    }
}

Task<bool> Connection::send(std::string bytes) {
    std::string_view rest = bytes;
    while (!rest.empty()) {
        const auto io = transport_->write_some({rest.data(), rest.size()});
        if (io.state == IoState::done) {
            rest.remove_prefix(io.bytes);
            continue;
        }
        if (io.state != IoState::blocked) co_return false;
        boost::system::error_code error;
        co_await transport_->socket().async_wait(asio::socket_base::wait_write, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
    }
    co_return true;
}

Task<bool> Connection::answer(Response response) {
    // A body nobody read is still on its way: the connection cannot go on behind it.
    const bool unread = parsers_->head && !body_read_ && !parsers_->head->is_done();
    if (response.close || unread || shard_.stopping) keep_alive_ = false;
    const bool head_only = parsers_->head && parsers_->head->get().method() == http::verb::head;
    deadline(limits::request_body_timeout_ms);
    log_request(response.status, response.body.size());
    const bool sent = co_await send(serialise(response, request_id_, keep_alive_, head_only));
    if (sent && unread) {
        // Takes what is in flight so that closing does not reset the connection before the answer was read.
        transport_->shutdown();
        std::size_t drained = 0;
        deadline(1000);
        while (drained < limits::control_body_max_bytes && co_await fill()) {
            drained += buffer_.size();
            buffer_.consume(buffer_.size());
        }
    }
    co_return sent;
}

Task<bool> Connection::read_head() {
    parsers_->body.reset();
    parsers_->head.emplace();
    auto& parser = *parsers_->head;
    parser.header_limit(limits::request_header_max_bytes);
    parser.body_limit(limits::ingest_body_max_bytes);
    parser.eager(false);
    keep_alive_ = true;
    bool any = buffer_.size() > 0;
    deadline(any ? limits::request_header_timeout_ms : limits::keep_alive_timeout_ms);
    for (;;) {
        if (buffer_.size() > 0) {
            if (!any) deadline(limits::request_header_timeout_ms);
            any = true;
            boost::system::error_code error;
            const std::size_t used = parser.put(buffer_.data(), error);
            buffer_.consume(used);
            if (error && error != http::error::need_more) {
                Error why{Errc::bad_request, "the request is not HTTP/1.1: " + error.message(), {}};
                if (error == http::error::header_limit)
                    why = {Errc::header_too_large, "at most " + std::to_string(limits::request_header_max_bytes) + " bytes", {}};
                if (error == http::error::body_limit)
                    why = {Errc::body_too_large, "at most " + std::to_string(limits::ingest_body_max_bytes) + " bytes", {}};
                keep_alive_ = false;
                co_await answer(problem(why, {}));
                co_return false;
            }
            if (parser.is_header_done()) break;
        }
        if (!co_await fill()) co_return false;
    }
    began_ns_ = shard_.services.clock->monotonic_ns();
    std::array<std::uint8_t, 12> id{};
    shard_.services.crypto->random(id);
    request_id_ = base64url(id);
    keep_alive_ = parser.get().keep_alive();
    co_return true;
}

Task<bool> Connection::read_body(std::size_t limit) {
    auto& head = *parsers_->head;
    if (const auto encoding = header("Content-Encoding"); !encoding.empty() && encoding != "identity") {
        const Error why{Errc::unsupported_media_type, "content encodings are not supported", "header:Content-Encoding"};
        co_await answer(refused(why));
        co_return false;
    }
    const auto length = head.content_length();
    if (length && *length > limit) {
        const Error why{Errc::body_too_large, "at most " + std::to_string(limit) + " bytes", {}};
        co_await answer(refused(why));
        co_return false;
    }
    if (header("Expect") == "100-continue") {
        const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
        if (!sent) co_return false;
    }
    deadline(limits::request_body_timeout_ms);
    parsers_->body.emplace(std::move(head));
    auto& parser = *parsers_->body;
    parser.body_limit(limit);
    parser.eager(true);
    boost::system::error_code error;
    while (!parser.is_done()) {
        if (buffer_.size() > 0) {
            buffer_.consume(parser.put(buffer_.data(), error));
            if (error && error != http::error::need_more) {
                body_read_ = true;
                keep_alive_ = false;
                Error why{Errc::bad_request, "the body is malformed", {}};
                if (error == http::error::body_limit) why = {Errc::body_too_large, "at most " + std::to_string(limit) + " bytes", {}};
                co_await answer(refused(why));
                co_return false;
            }
            if (parser.is_done()) break;
        }
        if (!co_await fill()) co_return false;
    }
    body_ = std::move(parser.get().body());
    body_read_ = true;
    co_return true;
}

std::string Connection::header(std::string_view name) const {
    const auto find = [&](const auto& message) {
        const auto at = message.find(boost::beast::string_view(name.data(), name.size()));
        return at == message.end() ? std::string() : std::string(at->value());
    };
    return parsers_->body ? find(parsers_->body->get()) : find(parsers_->head->get());
}

Result<Caller> Connection::caller() const {
    const std::string authorization = header("Authorization");
    if (authorization.empty()) return Error{Errc::unauthenticated, "a bearer token is required", "header:Authorization"};
    if (authorization.size() < 8 || (authorization.substr(0, 7) != "Bearer " && authorization.substr(0, 7) != "bearer "))
        return Error{Errc::unauthenticated, "expected Bearer", "header:Authorization"};
    Caller out;
    out.snapshot = shard_.services.snapshot();
    auto token = shard_.services.tokens->check(*out.snapshot, std::string_view(authorization).substr(7));
    if (!token) return token.error();
    out.token = *std::move(token);
    out.client = out.snapshot->client(out.token.client);
    return out;
}

std::optional<Error> Connection::query_only(std::initializer_list<std::string_view> known) const {
    for (const auto& [key, value] : target_.query)
        if (std::find(known.begin(), known.end(), key) == known.end()) return Error{Errc::invalid_parameter, "unknown parameter", "query:" + key};
    return std::nullopt;
}

void Connection::log_request(int status, std::size_t bytes) const {
    const auto us = began_ns_ == 0 ? 0 : (shard_.services.clock->monotonic_ns() - began_ns_) / 1000;
    log::debug("edge.request", {{"route", route_}, {"status", status}, {"bytes", bytes}, {"us", us}, {"request_id", request_id_}});
    shard_.services.metrics
        ->counter("licet_http_responses_total", "Responses by route and status class",
                  {{"route", route_.empty() ? "none" : route_}, {"class", std::to_string(status / 100) + "xx"}})
        .add();
}

Task<bool> Connection::dispatch() {
    route_.clear();
    const auto& head = parsers_->head->get();
    if (auto error = given_twice(head)) co_return co_await answer(refused(*error));
    if (head.version() != 11 || head.count(http::field::host) != 1)
        co_return co_await answer(refused({Errc::bad_request, "expected HTTP/1.1 with a Host header", {}}));
    if (head.count(http::field::content_length) > 0 && head.count(http::field::transfer_encoding) > 0)
        co_return co_await answer(refused({Errc::bad_request, "Content-Length and Transfer-Encoding exclude each other", {}}));
    auto target = parse_target({head.target().data(), head.target().size()});
    if (!target) co_return co_await answer(refused(target.error()));
    target_ = *std::move(target);

    const auto method = head.method_string();
    const auto found = match_edge({method.data(), method.size()}, target_.segments);
    if (found.route != nullptr) {
        route_ = found.path;
        switch (found.route->use) {
            case EdgeUse::token:
                co_return co_await token();
            case EdgeUse::publish:
                co_return co_await publish(found.product);
            case EdgeUse::subscribe:
                co_return co_await subscribe(found.product);
            case EdgeUse::endpoints:
                co_return co_await endpoints(found.product);
            case EdgeUse::usage:
                co_return co_await usage();
        }
    }
    if (!found.path.empty()) {
        route_ = found.path;
        auto response = refused({Errc::method_not_allowed, "allowed here: " + found.allow, {}});
        response.headers.emplace_back("Allow", found.allow);
        co_return co_await answer(std::move(response));
    }
    if (for_control(target_.segments)) {
        route_ = "control";
        co_return co_await forward();
    }
    co_return co_await answer(refused({Errc::not_found, "no such resource", {}}));
}

Task<bool> Connection::endpoints(const std::string& name) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    const auto* product = who->snapshot->product(name);
    if (product == nullptr || (!who->token.allows("read", name) && !who->token.allows("write", name)))
        co_return co_await answer(
            refused({product == nullptr ? Errc::not_found : Errc::insufficient_scope, "no such product, or no scope for it", {}}));
    nlohmann::json list = nlohmann::json::array();
    for (const auto& region : who->snapshot->regions())
        if (product->product.residency.empty() || product->product.residency == region.name)
            list.push_back({{"region", region.name}, {"url", region.endpoint + "/v1/products/" + name + "/events"}});
    const std::string residency = product->product.residency;
    auto response = json_response(
        {{"product", name}, {"residency", residency.empty() ? nlohmann::json() : nlohmann::json(residency)}, {"endpoints", std::move(list)}});
    co_return co_await answer(std::move(response));
}

Task<bool> Connection::usage() {
    if (auto error = query_only({"period"})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    const std::string party = who->client->party, period = target_.query["period"];
    const auto snapshot = who->snapshot;
    co_await asio::post(shard_.blocking, asio::use_awaitable);
    auto report = shard_.services.usage(*snapshot, party, period);
    co_await asio::post(shard_.io, asio::use_awaitable);
    if (!report) co_return co_await answer(refused(report.error()));
    Response response{200, "application/json", *std::move(report), {}, false};
    response.headers.emplace_back("Cache-Control", "no-store");
    co_return co_await answer(std::move(response));
}

Task<bool> Connection::forward() {
    ForwardRequest out;
    const std::string authorization = header("Authorization");
    if (!authorization.empty()) {
        auto who = caller();
        if (!who) co_return co_await answer(refused(who.error()));
        out.client = who->token.client;
    }
    out.method = std::string(parsers_->head->get().method_string());
    if (std::find(std::begin(kForwardedMethods), std::end(kForwardedMethods), out.method) == std::end(kForwardedMethods))
        co_return co_await answer(refused({Errc::method_not_allowed, "unknown method", {}}));
    out.target = target_.path + (target_.raw_query.empty() ? "" : "?" + target_.raw_query);
    out.content_type = header("Content-Type");
    out.if_match = header("If-Match");
    out.idempotency_key = header("Idempotency-Key");
    out.request_id = request_id_;
    if (!co_await read_body(limits::control_body_max_bytes)) co_return false;
    timer_.cancel();
    out.body = std::move(body_);
    auto response = co_await shard_.forwarder.forward(std::move(out));
    if (!response) co_return co_await answer(refused(response.error()));
    co_return co_await answer(*std::move(response));
}

}  // namespace licet::stream
