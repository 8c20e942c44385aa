// ports::TlsContext over OpenSSL, directly on the socket's descriptor, TLS 1.3 only. Built by server/main for the edge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "server/ports/tls.h"

namespace licet::openssl {

enum class ClientCertificates : std::uint8_t { off, optional, required };

struct TlsOptions {
    std::string certificate_file, key_file;  // PEM: chain, and private key
    std::string client_ca_file;              // PEM: whose certificates clients may show; empty exactly when `clients` is off
    ClientCertificates clients = ClientCertificates::off;
    std::string ticket_secret;  // 32 bytes, of all nodes that resume each other's sessions; empty: made here, for this process alone
    bool kernel = false;        // let the kernel encrypt where it can
    std::shared_ptr<const Clock> clock;
};

// Shared by all shard threads.
class ServerTls : public ports::TlsContext {
  public:
    // Reads the files anew for handshakes from now on; connections there are keep what they have. Errors: invalid_document naming the file; what was
    // in force stays.
    [[nodiscard]] virtual Status reload() = 0;
    // When the server's certificate ends.
    [[nodiscard]] virtual UtcMillis not_after() const = 0;
};

// Errors: invalid_document naming the file.
[[nodiscard]] Result<std::shared_ptr<ServerTls>> make_server_tls(TlsOptions options);

// Whether this kernel can encrypt at all (the module `tls` is there).
[[nodiscard]] bool kernel_has_tls();

}  // namespace licet::openssl
