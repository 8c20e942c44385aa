#include "server/stream/edge/response.h"

#include <boost/beast/http/status.hpp>
#include <functional>

#include "base/limits.h"

namespace licet::stream {

using nlohmann::json;

Response json_response(const json& body, int status) {
    return {status, "application/json", body.dump(-1, ' ', false, json::error_handler_t::replace), {}, false};
}

Response problem(const Error& error, std::string_view request_id, const json& members) {
    const auto& entry = catalogue_entry(error.code);
    json body{{"type", "https://licet.dev/problems/" + std::string(entry.slug)},
              {"title", entry.title},
              {"status", entry.http_status},
              {"detail", error.detail}};
    if (!error.pointer.empty()) body["pointer"] = error.pointer;
    if (!request_id.empty()) body["instance"] = request_id;
    if (members.is_object()) body.update(members);
    if (!error.members.empty()) body.update(json::parse(error.members));
    // Header lines of whoever refused: [[name, value], ...]; no member of the document.
    const json headers = body.value("headers", json::array());
    body.erase("headers");
    Response out{entry.http_status,
                 "application/problem+json",
                 body.dump(-1, ' ', false, json::error_handler_t::replace),
                 {{"Cache-Control", "no-store"}},
                 false};
    for (const auto& header : headers) out.headers.emplace_back(header[0].get<std::string>(), header[1].get<std::string>());
    if (error.code == Errc::unauthenticated || error.code == Errc::invalid_ticket) out.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (error.code == Errc::invalid_token) out.headers.emplace_back("WWW-Authenticate", "Bearer error=\"invalid_token\"");
    if (error.code == Errc::insufficient_scope) out.headers.emplace_back("WWW-Authenticate", "Bearer error=\"insufficient_scope\"");
    if (error.code == Errc::invalid_client) out.headers.emplace_back("WWW-Authenticate", "Basic realm=\"licet\"");
    if (error.code == Errc::upgrade_required) {
        out.headers.emplace_back("Upgrade", "websocket");
        out.headers.emplace_back("Sec-WebSocket-Version", "13");
    }
    // Those a restart sends away do not all come back in the same second.
    if (error.code == Errc::quota_exhausted && body.contains("retryAfter")) {
        out.headers.emplace_back("Retry-After", std::to_string(body["retryAfter"].get<std::int64_t>()));
        return out;
    }
    const auto wait_s = error.code == Errc::draining ? 1 + std::hash<std::string_view>{}(request_id) % limits::draining_retry_spread_s : 1;
    if (entry.http_status == 503 || entry.http_status == 429) out.headers.emplace_back("Retry-After", std::to_string(wait_s));
    return out;
}

std::string common_headers(UtcMillis now, std::string_view request_id) {
    std::string out = "Date: " + format_http_date(now) + "\r\n";
    if (!request_id.empty()) out += "Licet-Request-Id: " + std::string(request_id) + "\r\n";
    return out;
}

std::string serialise(const Response& r, std::string_view common, bool keep_alive, bool head_only) {
    std::string out = "HTTP/1.1 " + std::to_string(r.status) + " ";
    out += boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(r.status));
    out += "\r\n";
    if (!r.content_type.empty()) out += "Content-Type: " + r.content_type + "\r\n";
    for (const auto& [name, value] : r.headers) out += name + ": " + value + "\r\n";
    out += common;
    if (r.status != 204) out += "Content-Length: " + std::to_string(r.body.size()) + "\r\n";  // RFC 9110 section 8.6
    const bool upgrade = r.status == 426;
    out += keep_alive && !r.close ? "Connection: keep-alive" : "Connection: close";
    out += upgrade ? ", Upgrade\r\n\r\n" : "\r\n\r\n";
    if (!head_only) out += r.body;
    return out;
}

}  // namespace licet::stream
