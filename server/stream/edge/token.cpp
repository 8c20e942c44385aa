// POST /oauth/token: OAuth 2.0 client credentials (RFC 6749 section 4.4), client by HTTP Basic or in the form.
#include <boost/beast/core/string.hpp>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {
namespace {

struct Credentials {
    std::string id, secret;
};

// RFC 6749 section 2.3.1: both parts are form-encoded inside Basic.
std::optional<Credentials> basic(std::string_view header) {
    if (!boost::beast::iequals(header.substr(0, 6), "Basic ")) return std::nullopt;
    const auto plain = parse_base64(header.substr(6));
    const auto colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    auto id = decode_text(std::string_view(*plain).substr(0, colon), true), secret = decode_text(std::string_view(*plain).substr(colon + 1), true);
    if (!id || !secret) return std::nullopt;
    return Credentials{*id, *secret};
}

// OAuth clients look for `error` (RFC 6749 section 5.2); the rest is the problem document all routes answer with.
nlohmann::json oauth_error(Errc code) {
    switch (code) {
        case Errc::invalid_client:
            return {{"error", "invalid_client"}};
        case Errc::insufficient_scope:
            return {{"error", "invalid_scope"}};
        case Errc::unsupported_grant_type:
            return {{"error", "unsupported_grant_type"}};
        default:
            return {{"error", "invalid_request"}};
    }
}

bool is_form(std::string_view content_type) {
    auto type = content_type.substr(0, content_type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    return boost::beast::iequals(type, "application/x-www-form-urlencoded");
}

Result<Credentials> credentials(std::map<std::string, std::string>& form, const std::string& authorization) {
    Credentials who{form["client_id"], form["client_secret"]};
    if (authorization.empty()) return who;
    auto given = basic(authorization);
    if (!given) return Error{Errc::invalid_client, "malformed Basic credentials", "header:Authorization"};
    if (!who.secret.empty() || (!who.id.empty() && who.id != given->id)) return Error{Errc::bad_request, "authenticate in one way only", {}};
    return *std::move(given);
}

}  // namespace

Task<bool> Connection::token() {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    if (!is_form(header("Content-Type")))
        co_return co_await answer(refused({Errc::unsupported_media_type, "expected application/x-www-form-urlencoded", "header:Content-Type"}));
    if (!co_await read_body(limits::token_body_max_bytes)) co_return false;
    auto issued = [&]() -> Result<app::Tokens::Issued> {
        auto form = parse_form(body_);
        if (!form) return form.error();
        if ((*form)["grant_type"] != "client_credentials")
            return Error{Errc::unsupported_grant_type, "expected client_credentials", "form:grant_type"};
        const auto who = credentials(*form, header("Authorization"));
        if (!who) return who.error();
        return shard_.services.tokens->issue(*shard_.services.snapshot(), who->id, who->secret, (*form)["scope"],
                                             transport_->tls() != nullptr ? transport_->tls()->peer_thumbprint() : std::string_view{});
    }();
    if (!issued) co_return co_await answer(refused(issued.error(), oauth_error(issued.error().code)));
    std::string scope;
    for (const auto& s : issued->scopes) scope += (scope.empty() ? "" : " ") + s;
    auto response =
        json_response({{"access_token", issued->token}, {"token_type", "Bearer"}, {"expires_in", app::Tokens::kLifetimeSeconds}, {"scope", scope}});
    response.headers.emplace_back("Cache-Control", "no-store");
    co_return co_await answer(std::move(response));
}

}  // namespace licet::stream
