// Builds the OpenSSL context of the edge from its files. Private to this folder.
#pragma once

#include <openssl/ssl.h>

#include <memory>

#include "base/result.h"
#include "server/openssl/handles.h"
#include "server/openssl/tls.h"
#include "server/openssl/tls_tickets.h"

namespace licet::openssl {

using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;
using SslCtx = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// `tickets` must outlive the context's sessions. Errors: invalid_document naming the file.
[[nodiscard]] Result<SslCtx> make_context(const TlsOptions& options, const std::shared_ptr<const TlsTickets>& tickets);

[[nodiscard]] UtcMillis end_of_certificate(SSL_CTX* context);

}  // namespace licet::openssl
