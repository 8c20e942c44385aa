// Responses of the edge's own routes, and problem documents (RFC 9457). Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace licet::stream {

struct Response {
    int status = 200;
    std::string content_type;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    bool close = false;  // the request's body was not read
};

[[nodiscard]] Response json_response(const nlohmann::json& body, int status = 200);
// Adds WWW-Authenticate (RFC 6750) on 401 and insufficient_scope, Retry-After on 503 and 429. `members`: extension members.
[[nodiscard]] Response problem(const Error& error, std::string_view request_id, const nlohmann::json& members = nullptr);
// What every answer's head says of itself, header lines ending in CRLF: its moment and, where there is one, the request's id.
[[nodiscard]] std::string common_headers(UtcMillis now, std::string_view request_id);
// Head and body as bytes to send. `common`: as above.
[[nodiscard]] std::string serialise(const Response& response, std::string_view common, bool keep_alive, bool head_only);

}  // namespace licet::stream
