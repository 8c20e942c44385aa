// ports::HttpPoster with Boost.Beast. TLS 1.2 or later with the server's certificate verified against its name, and plain HTTP to loopback alone.
// Built by server/main.
#pragma once

#include <memory>
#include <string>

#include "server/ports/http_post.h"

namespace licet::beast {

struct PosterOptions {
    bool allow_private = false;  // addresses inside and loopback may be posted to as well; what is Reach::never may not be, whatever is said here
    std::string ca_file;         // PEM: who signs certificates; empty: whom the system trusts
};

// Errors: invalid_document (ca_file).
[[nodiscard]] Result<std::shared_ptr<ports::HttpPoster>> make_http_poster(const PosterOptions& options);

}  // namespace licet::beast
