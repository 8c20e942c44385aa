// Which route a request takes, and the small routes: endpoints, the partner's own usage, what is forwarded to the control plane.
#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <cstdio>

#include "base/limits.h"
#include "server/ports/log.h"
#include "server/stream/edge/blocking.h"
#include "server/stream/edge/connection.h"
#include "server/stream/edge/route_table.h"

namespace licet::stream {

namespace {

// HEAD is a GET whose body stays here.
constexpr std::array<std::string_view, 7> kForwardedMethods{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"};

// The control plane's HTTP library reads this header before any of our code there, and answers a type it cannot read by itself, without the request
// id. So it sees only types it can read: those its routes take, and one for all others, which they refuse.
std::string forwarded_type(std::string_view given) {
    auto type = given.substr(0, given.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    for (const char* known : {"application/json", "application/x-ndjson"})
        if (boost::beast::iequals(type, known)) return known;
    return given.empty() ? "" : "application/octet-stream";
}

}  // namespace

Result<Caller> Connection::caller() {
    const std::string authorization = header("Authorization");
    if (authorization.empty()) return Error{Errc::unauthenticated, "a bearer token is required", "header:Authorization"};
    if (!boost::beast::iequals(authorization.substr(0, 7), "Bearer ")) return Error{Errc::unauthenticated, "expected Bearer", "header:Authorization"};
    Caller out;
    out.snapshot = shard_.services.snapshot();
    const auto& services = shard_.services;
    const auto presented = std::string_view(authorization).substr(7);
    // A signature costs more than all else in a small request: what this connection presented before is not verified again.
    if (!services.crypto->equal(as_bytes(presented), as_bytes(verified_text_)) || !verified_) {
        auto token = services.tokens->read(presented);
        if (!token) return token.error();
        verified_ = *std::move(token);
        verified_text_ = presented;
    }
    // Bound to a certificate: of no use to who does not hold it (RFC 8705, section 3).
    if (!verified_->certificate.empty() && (transport_->tls() == nullptr || verified_->certificate != transport_->tls()->peer_thumbprint()))
        return Error{Errc::invalid_token, "the token is bound to a certificate this connection did not show", "header:Authorization"};
    if (auto still = services.tokens->good(*out.snapshot, *verified_); !still) return still.error();
    out.token = *verified_;
    out.client = out.snapshot->client(out.token.client);
    if (out.client == nullptr) return Error{Errc::invalid_token, "the token's client is unknown", "header:Authorization"};
    return out;
}

// A person acting for themselves. Their tokens are refused everywhere else, and others here.
Result<app::SubjectToken> Connection::subject_caller() {
    const std::string authorization = header("Authorization");
    if (!boost::beast::iequals(authorization.substr(0, 7), "Bearer "))
        return Error{Errc::unauthenticated, "the bearer token of a data subject is required", "header:Authorization"};
    auto token = shard_.services.tokens->read_subject(std::string_view(authorization).substr(7));
    if (!token) return token;
    const auto snapshot = shard_.services.snapshot();
    if (auto still = shard_.services.tokens->good(*snapshot, token->token); !still) return still.error();
    if (token->region != snapshot->region) return Error{Errc::invalid_token, "the token is of another region", "header:Authorization"};
    return token;
}

std::optional<Error> Connection::query_only(std::initializer_list<std::string_view> known) const {
    for (const auto& [key, value] : target_.query)
        if (std::find(known.begin(), known.end(), key) == known.end()) return Error{Errc::invalid_parameter, "unknown parameter", "query:" + key};
    return std::nullopt;
}

Response Connection::not_allowed(const std::string& allow) const {
    auto response = refused({Errc::method_not_allowed, "allowed here: " + allow, {}});
    response.headers.emplace_back("Allow", allow);
    return response;
}

Task<bool> Connection::dispatch() {
    auto target = parse_target({head_.target().data(), head_.target().size()}, header("Host"));
    if (!target) co_return co_await answer(refused(target.error()));
    target_ = *std::move(target);
    const auto method = head_.method_string();
    const auto found = match_edge({method.data(), method.size()}, target_.segments);
    route_ = found.path;
    if (found.browsers) cors_ = cors_lines(shard_.options.origins, header("Origin"));
    if (const auto expected = header("Expect"); !expected.empty() && !boost::beast::iequals(expected, "100-continue"))
        co_return co_await answer(refused({Errc::expectation_failed, "100-continue can be met, nothing else", "header:Expect"}));
    if (found.route != nullptr) {
        switch (found.route->use) {
            case EdgeUse::token:
                co_return co_await token();
            case EdgeUse::publish:
                co_return co_await publish(found.product);
            case EdgeUse::subscribe:
                co_return co_await subscribe(found.product);
            case EdgeUse::endpoints:
                co_return co_await endpoints(found.product);
            case EdgeUse::ticket:
                co_return co_await ticket(found.product);
            case EdgeUse::usage:
                co_return co_await usage();
            case EdgeUse::audit_export:
                co_return co_await audit_export(found.route->role);
            case EdgeUse::export_content:
                co_return co_await export_content(found.product, found.route->role);
            case EdgeUse::import_consents:
                co_return co_await import_consents(found.product);
        }
    }
    if (found.browsers && method == "OPTIONS") co_return co_await preflight(found.allow);
    if (!found.path.empty() && !found.shared) co_return co_await answer(not_allowed(found.allow));
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
    if (!who->token.allows("read", name) && !who->token.allows("write", name))
        co_return co_await answer(refused({Errc::insufficient_scope, "needs a scope for this product", {}}));
    const auto* product = who->snapshot->product(name);
    if (product == nullptr) co_return co_await answer(refused({Errc::not_found, "no such product", {}}));
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
    timer_.cancel();
    std::function<Result<std::string>()> call = [&services = shard_.services, snapshot = who->snapshot, party = who->client->party,
                                                 period = target_.query["period"]] { return services.usage(*snapshot, party, period); };
    const auto report = co_await off_the_shard(shard_.io, shard_.blocking, std::move(call));
    if (!*report) co_return co_await answer(refused(report->error()));
    Response response{200, "application/json", report->value(), {}, false};
    response.headers.emplace_back("Cache-Control", "no-store");
    co_return co_await answer(std::move(response));
}

// In pieces, each read once the one before was taken: the node never holds the whole. A failure after the head cuts the answer off, which its reader
// sees by the chunk that is missing.
Task<bool> Connection::audit_export(std::string_view role) {
    if (auto error = query_only({"after"})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    const auto& roles = who->client->roles;
    if (std::find(roles.begin(), roles.end(), role) == roles.end())
        co_return co_await answer(refused({Errc::forbidden, "needs the role " + std::string(role), {}}));
    if (*shard_.audit_exports >= limits::audit_exports_max_per_shard)
        co_return co_await answer(refused({Errc::overloaded, "too many exports are under way", {}}));
    ++*shard_.audit_exports;
    const std::shared_ptr<void> place(shard_.audit_exports.get(), [count = shard_.audit_exports](void*) { --*count; });
    timer_.cancel();
    auto under_way = std::make_shared<std::shared_ptr<app::AuditExport>>();
    std::function<Result<std::string>()> next = [&services = shard_.services, under_way, after = target_.query["after"]]() -> Result<std::string> {
        if (!*under_way) {
            auto begun = services.audit_export(after);
            if (!begun) return begun.error();
            *under_way = *std::move(begun);
        }
        return (*under_way)->next();
    };
    auto piece = co_await off_the_shard(shard_.io, shard_.blocking, next);
    if (!*piece) co_return co_await answer(refused(piece->error()));
    if (shard_.stopping || body_state_ == Body::unread) keep_alive_ = false;
    std::size_t sent_bytes = 0;
    bool sent = co_await send_head_of_chunks("application/x-ndjson");
    while (sent && !head_only_) {
        const std::string& text = piece->value();
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", text.size());
        deadline(shard_.options.timeouts.body_ms);
        sent = co_await send(size + text + "\r\n");
        sent_bytes += text.size();
        if (text.empty()) break;
        timer_.cancel();
        if (sent) piece = co_await off_the_shard(shard_.io, shard_.blocking, next);
        if (!*piece) {
            log::error("edge.export_cut_off", {{"detail", piece->error().detail}, {"request_id", request_id_}});
            sent = false;
        }
    }
    log_request(200, sent_bytes);
    co_return sent&& keep_alive_;
}

Task<bool> Connection::send_head_of_chunks(const char* content_type) {
    deadline(shard_.options.timeouts.body_ms);
    co_return co_await send("HTTP/1.1 200 OK\r\nContent-Type: " + std::string(content_type) + "\r\nCache-Control: no-store\r\n" + head_lines() +
                            "Transfer-Encoding: chunked\r\nConnection: " + (keep_alive_ ? "keep-alive" : "close") + "\r\n\r\n");
}

Task<bool> Connection::forward() {
    ForwardRequest out;
    out.method = std::string(head_.method_string());
    if (std::find(kForwardedMethods.begin(), kForwardedMethods.end(), out.method) == kForwardedMethods.end())
        co_return co_await answer(not_allowed("GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS"));
    if (head_only_) out.method = "GET";
    // Nobody unknown makes this node hold a body or the control plane work, but for the description of the API.
    const bool open = target_.segments.size() == 2 && target_.segments[1] == "openapi.json";
    if (!open || !header("Authorization").empty()) {
        if (target_.segments[1] == "me") {
            const auto subject = subject_caller();
            if (!subject) co_return co_await answer(refused(subject.error()));
            out.client = subject->token.client;
            out.subject = app::forwarded(*subject);
        } else {
            const auto who = caller();
            if (!who) co_return co_await answer(refused(who.error()));
            out.client = who->token.client;
        }
    }
    out.target = target_.path + (target_.raw_query.empty() ? "" : "?" + target_.raw_query);
    out.content_type = forwarded_type(header("Content-Type"));
    out.if_match = header("If-Match");
    out.request_id = request_id_;
    if (!co_await read_body(open ? 0 : limits::control_body_max_bytes)) co_return false;
    timer_.cancel();
    out.body = std::move(body_);
    auto response = co_await shard_.forwarder.forward(std::move(out), keeper_);
    if (!response) co_return co_await answer(refused(response.error()));
    co_return co_await answer(*std::move(response));
}

}  // namespace licet::stream
