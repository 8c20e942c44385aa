// ports::TlsContext over OpenSSL, directly on the socket's descriptor, TLS 1.3 only. Built by server/main for the edge.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "server/ports/tls.h"

namespace licet::openssl {

// PEM files: certificate chain and private key. Errors: invalid_document naming the file. The context may be shared by all shard threads.
[[nodiscard]] Result<std::shared_ptr<ports::TlsContext>> make_tls_context(const std::string& certificate_file, const std::string& key_file);

}  // namespace licet::openssl
