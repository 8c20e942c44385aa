// One HTTP POST to somebody else's server, as webhooks need it. Implemented in server/beast. Calls block, at most about limits::webhook_timeout_ms
// after the name was resolved. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "server/ports/web_address.h"

namespace licet::ports {

struct HttpPost {
    WebAddress to;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
};
struct HttpPosted {
    int status = 0;
    std::string retry_after;  // as it came
};

class HttpPoster {
  public:
    virtual ~HttpPoster() = default;
    // The name is resolved once; what may not be posted to is refused before a connection is made, and the connection is to the address that was
    // looked at. Redirects are answers as any other; the body of an answer is not read. Errors: unavailable, in words that say nothing of the other
    // side but what failed.
    [[nodiscard]] virtual Result<HttpPosted> post(const HttpPost& post) = 0;
    // What is under way ends soon, and nothing begins any more.
    virtual void stop() = 0;
};

}  // namespace licet::ports
