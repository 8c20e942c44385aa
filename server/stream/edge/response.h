// Responses of the edge's own routes, and problem documents (RFC 9457). Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

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
// Head and body as bytes to send.
[[nodiscard]] std::string serialise(const Response& response, std::string_view request_id, bool keep_alive, bool head_only);

}  // namespace licet::stream
