// POST /oauth/token: OAuth 2.0 client credentials (RFC 6749 section 4.4), client by HTTP Basic or in the form.
#include "base/limits.h"
#include "server/stream/edge/connection.h"

namespace licet::stream {
namespace {

struct Credentials {
    std::string id, secret;
};

// RFC 6749 section 2.3.1: both parts are form-encoded inside Basic.
std::optional<Credentials> basic(std::string_view header) {
    if (!header.starts_with("Basic ") && !header.starts_with("basic ")) return std::nullopt;
    std::string text(header.substr(6));
    for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
    while (!text.empty() && text.back() == '=') text.pop_back();
    const auto plain = parse_base64url(text);
    const auto colon = plain ? plain->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    auto id = decode_text(std::string_view(*plain).substr(0, colon), true), secret = decode_text(std::string_view(*plain).substr(colon + 1), true);
    if (!id || !secret) return std::nullopt;
    return Credentials{*id, *secret};
}

}  // namespace

Task<bool> Connection::token() {
    if (auto error = query_only({})) co_return co_await answer(refused(*error));
    if (!header("Content-Type").starts_with("application/x-www-form-urlencoded"))
        co_return co_await answer(refused({Errc::unsupported_media_type, "expected application/x-www-form-urlencoded", "header:Content-Type"}));
    if (!co_await read_body(limits::token_body_max_bytes)) co_return false;
    auto form = parse_form(body_);
    if (!form) co_return co_await answer(refused(form.error()));
    if ((*form)["grant_type"] != "client_credentials")
        co_return co_await answer(refused({Errc::unsupported_grant_type, "expected client_credentials", "form:grant_type"}));
    Credentials who{(*form)["client_id"], (*form)["client_secret"]};
    if (const auto authorization = header("Authorization"); !authorization.empty()) {
        const auto given = basic(authorization);
        if (!given) co_return co_await answer(refused({Errc::invalid_client, "malformed Basic credentials", "header:Authorization"}));
        if (!who.secret.empty()) co_return co_await answer(refused({Errc::bad_request, "authenticate in one way only", {}}));
        who = *given;
    }
    const auto issued = shard_.services.tokens->issue(*shard_.services.snapshot(), who.id, who.secret, (*form)["scope"]);
    if (!issued) co_return co_await answer(refused(issued.error()));
    std::string scope;
    for (const auto& s : issued->scopes) scope += (scope.empty() ? "" : " ") + s;
    auto response =
        json_response({{"access_token", issued->token}, {"token_type", "Bearer"}, {"expires_in", app::Tokens::kLifetimeSeconds}, {"scope", scope}});
    response.headers.emplace_back("Cache-Control", "no-store");
    co_return co_await answer(std::move(response));
}

}  // namespace licet::stream
