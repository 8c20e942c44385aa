// The edge: listeners on every shard, the operations listener, and their end. Built by server/main with everything it hands requests to.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "server/app/audit.h"
#include "server/app/snapshot.h"
#include "server/app/subject_keys.h"
#include "server/app/tickets.h"
#include "server/app/tokens.h"
#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/ports/tls.h"
#include "server/stream/delivery/delivery.h"
#include "server/stream/edge/cors.h"
#include "server/stream/ingest/ingest.h"

namespace licet::stream {

struct EdgeTimeouts {
    int header_ms = limits::request_header_timeout_ms;  // for a request's head once its first byte came, and for a TLS handshake
    int body_ms = limits::request_body_timeout_ms;
    int keep_alive_ms = limits::keep_alive_timeout_ms;
    int upstream_ms = limits::upstream_timeout_ms;
};

struct EdgeOptions {
    std::string host;
    std::uint16_t port = 0;  // 0: any; see Edge::port()
    std::string ops_host;
    std::uint16_t ops_port = 0;
    std::uint16_t control_port = 0;  // the control plane on 127.0.0.1
    std::string boot_secret;         // shared with it, made anew at each start
    EdgeTimeouts timeouts;
    Origins origins;
};

struct ExportedFile {
    std::uint64_t bytes = 0;
    std::string content_type, file_name, etag;
    std::function<Result<std::string>(std::uint64_t from, std::size_t most)> read;  // fewer only at the end
};

struct EdgeServices {
    std::function<std::shared_ptr<const app::Snapshot>()> snapshot;
    std::shared_ptr<const app::Tokens> tokens;
    std::shared_ptr<app::Tickets> tickets;
    std::shared_ptr<const ports::Crypto> crypto;
    std::shared_ptr<const Clock> clock;
    std::shared_ptr<ports::EventLog> log;
    std::shared_ptr<ports::Metrics> metrics;
    std::shared_ptr<ports::TlsContext> tls;  // null: plain
    std::shared_ptr<Delivery> delivery;
    std::function<IngestDigests()> make_digests;  // one set per shard
    // Of shreddable products governed values are encrypted at rest. Null without a key-encryption key: their events are then refused.
    std::shared_ptr<app::SubjectKeys> subject_keys;
    std::function<std::unique_ptr<ports::SealingCipher>()> make_cipher;  // one per shard
    // The partner's own usage of a period as JSON text. Blocks: called on a pool.
    std::function<Result<std::string>(const app::Snapshot&, const std::string& party, const std::string& period)> usage;
    // Begins an export of the audit log. Blocks, as its pieces do.
    std::function<Result<std::shared_ptr<app::AuditExport>>(const std::string& after)> audit_export;
    // A finished export, to be sent in pieces. Blocks, as reading does. Null: not served here.
    std::function<Result<ExportedFile>(const std::string& id)> exported;
    std::function<std::optional<std::string>()> not_ready;  // a reason, or ready
};

class Edge {
  public:
    virtual ~Edge() = default;
    // Listens on every shard's io_context; these must run until after stop(). Errors: unavailable (address in use).
    [[nodiscard]] static Result<std::shared_ptr<Edge>> start(std::vector<boost::asio::io_context*> shards, EdgeOptions options,
                                                             EdgeServices services);
    [[nodiscard]] virtual std::uint16_t port() const noexcept = 0;
    [[nodiscard]] virtual std::uint16_t ops_port() const noexcept = 0;
    // No new connections, and no further request on those there are: idle ones end, others when they have answered. /readyz says so. Any thread.
    virtual void stop_accepting() = 0;
    // Waits for blocking calls under way and ends all connections that are still at the edge, and the operations listener. Not on a shard thread.
    virtual void stop() = 0;
};

}  // namespace licet::stream
