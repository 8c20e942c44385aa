// HTTP/1.1 as a client, over TLS or plain, one request per connection: for commands that talk to a server. Calls block. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace licet::openssl {

struct HttpCall {
    std::string method, target;
    std::map<std::string, std::string> headers;
    std::string body;
};
struct HttpAnswer {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;                            // what was not given to the sink
};

class HttpClient {
  public:
    virtual ~HttpClient() = default;
    // `sink`, where given, takes the body of a 200 or 206 as it comes; `head` is complete by then. It returns false to end the call. Errors:
    // unavailable (no connection, a certificate that does not verify, an answer that breaks off or is none, more than kBodyMaxBytes without a sink).
    static constexpr std::size_t kBodyMaxBytes = 16 * 1024 * 1024;
    static constexpr int kSilenceSeconds = 60;  // without a byte
    using Sink = std::function<bool(const HttpAnswer& head, std::string_view bytes)>;
    [[nodiscard]] virtual Result<HttpAnswer> call(const HttpCall& call, const Sink& sink = {}) = 0;
};

// `url`: http(s)://host[:port], plain only to loopback. `ca_file`: who may have signed the server's certificate, PEM; empty: whom the system trusts.
// Errors: invalid_parameter.
[[nodiscard]] Result<std::unique_ptr<HttpClient>> make_http_client(const std::string& url, const std::string& ca_file);

}  // namespace licet::openssl
