// What browsers need: preflights, POST /v1/products/{product}/tickets, and who a ticket lets in.
#include <boost/beast/core/string.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "base/limits.h"
#include "server/stream/edge/blocking.h"
#include "server/stream/edge/connection.h"
#include "server/stream/edge/cors.h"

namespace licet::stream {
namespace {

using nlohmann::json;

struct Asked {
    std::string contract, origin;
};

// {"contract"?, "origin"?}, or nothing.
Result<Asked> parse_asked(const std::string& body) {
    if (body.empty()) return Asked{};
    Asked out;
    std::set<std::string> seen;
    std::optional<Error> wrong;
    const auto members = [&](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::key && depth == 1 && !seen.insert(value.get<std::string>()).second && !wrong)
            wrong = Error{Errc::invalid_document, "a member is given twice", "/" + value.get<std::string>()};
        return depth <= 1;
    };
    const json document = json::parse(body, members, false);
    if (document.is_discarded()) return Error{Errc::invalid_json, "not JSON", ""};
    if (wrong) return *wrong;
    if (!document.is_object()) return Error{Errc::invalid_document, "expected an object", ""};
    for (const auto& name : seen) {
        const bool known = name == "contract" || name == "origin";
        if (!known || !document.contains(name) || !document[name].is_string() || document[name].get<std::string>().empty())
            return Error{Errc::invalid_document, known ? "expected a text" : "unknown member", "/" + name};
        (name == "contract" ? out.contract : out.origin) = document[name].get<std::string>();
    }
    return out;
}

}  // namespace

Task<bool> Connection::preflight(const std::string& allow) {
    const std::string origin = header("Origin");
    const bool asks = !origin.empty() && head_.find("Access-Control-Request-Method") != head_.end();
    if (asks && !shard_.options.origins.allows(origin))
        co_return co_await answer(refused({Errc::forbidden, "pages of this origin may not call", "header:Origin"}));
    Response response{204, "", "", {{"Allow", allow}}, false};
    if (asks)
        for (auto& line : preflight_headers(allow, header("Access-Control-Request-Headers"))) response.headers.push_back(std::move(line));
    co_return co_await answer(std::move(response));
}

Task<bool> Connection::ticket(const std::string& name) {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    auto who = caller();
    if (!who) co_return co_await answer(refused(who.error()));
    if (!who->token.allows("read", name)) co_return co_await answer(refused({Errc::insufficient_scope, "needs the scope read:" + name, {}}));
    // Who holds a ticket need not hold the certificate.
    if (!who->token.certificate.empty())
        co_return co_await answer(refused({Errc::forbidden, "a token that is bound to a certificate gets no tickets", "header:Authorization"}));
    if (who->snapshot->product(name) == nullptr) co_return co_await answer(refused({Errc::not_found, "no such product", {}}));
    // Good where it is issued only.
    if (const auto region = elsewhere(*who->snapshot, name); !region.empty())
        co_return co_await answer(refused({Errc::misdirected, "events of this product are resident in another region", {}},
                                          endpoint_members(*who->snapshot, name, region)));
    const auto type = header("Content-Type");
    if (!type.empty() && !boost::beast::iequals(type.substr(0, type.find_first_of("; \t")), "application/json"))
        co_return co_await answer(refused({Errc::unsupported_media_type, "expected application/json", "header:Content-Type"}));
    if (!co_await read_body(limits::ticket_body_max_bytes)) co_return false;
    auto asked = parse_asked(body_);
    if (!asked) co_return co_await answer(refused(asked.error()));
    // A page that asks for itself gets one for itself.
    const bool named = !asked->origin.empty();
    if (!named) asked->origin = header("Origin");
    if (!asked->origin.empty() && !shard_.options.origins.own_or_allowed(asked->origin)) {
        Error error{Errc::forbidden, "pages of this origin may not call", "header:Origin"};
        if (named) error.code = Errc::invalid_document, error.pointer = "/origin";
        co_return co_await answer(refused(error));
    }
    const auto contract = who->snapshot->contract_for(who->client->party, name, asked->contract, shard_.services.clock->utc_now());
    if (!contract) {
        Error error = contract.error();
        if (!error.pointer.empty()) error.pointer = "/contract";
        co_return co_await answer(refused(error));
    }
    timer_.cancel();
    std::function<Result<app::Tickets::Issued>()> issue = [tickets = shard_.services.tickets,
                                                           what = app::Ticket{who->token, name, (*contract)->name, asked->origin, {}}] {
        return tickets->issue(what);
    };
    const auto issued = co_await off_the_shard(shard_.io, shard_.ticket_calls, std::move(issue));
    if (!*issued) co_return co_await answer(refused(issued->error()));
    auto response = json_response({{"ticket", issued->value().ticket}, {"expiresAt", format_rfc3339(issued->value().expires_at)}}, 201);
    response.headers.emplace_back("Cache-Control", "no-store");
    co_return co_await answer(std::move(response));
}

// Whoever shows a ticket acts as who asked for it. It is used up here, but by HEAD.
Task<Result<Caller>> Connection::ticket_holder(const std::string& product) {
    std::function<Result<app::Ticket>()> use = [tickets = shard_.services.tickets, text = target_.query["ticket"], look = head_only_] {
        return look ? tickets->look(text) : tickets->take(text);
    };
    timer_.cancel();
    const auto taken = co_await off_the_shard(shard_.io, shard_.ticket_calls, std::move(use));
    if (!*taken) co_return taken->error();
    app::Ticket ticket = std::move(*taken).value();
    const auto wrong = [](const char* why) { return Error{Errc::invalid_ticket, why, "query:ticket"}; };
    Caller out;
    out.snapshot = shard_.services.snapshot();
    if (auto still = shard_.services.tokens->good(*out.snapshot, ticket.token); !still) co_return still.error();
    const std::string origin = header("Origin");
    // A browser names no origin when it reads from its page's own.
    const bool own = origin.empty() && ticket.origin == shard_.options.origins.own;
    if (!ticket.origin.empty() && origin != ticket.origin && !own) co_return wrong("the ticket is for another origin");
    if (ticket.product != product) co_return wrong("the ticket is for another product");
    auto& contract = target_.query["contract"];
    if (contract.empty()) contract = ticket.contract;
    if (contract != ticket.contract) co_return wrong("the ticket is for another contract");
    out.client = out.snapshot->client(ticket.token.client);
    if (out.client == nullptr) co_return Error{Errc::invalid_token, "the token's client is unknown", "query:ticket"};
    out.token = std::move(ticket.token);
    co_return out;
}

// Tickets are in the address: a page that came by somebody else's could read with it, and browsers let any page open a WebSocket anywhere and read
// what comes. Only who sends the header Origin says truly which page it is, so what names one must name one that may.
std::optional<Error> Connection::foreign_page(bool websocket) const {
    const std::string origin = header("Origin");
    if (origin.empty() || (!websocket && !target_.query.contains("ticket")) || shard_.options.origins.own_or_allowed(origin)) return std::nullopt;
    return Error{Errc::forbidden, "pages of this origin may not call", "header:Origin"};
}

}  // namespace licet::stream
