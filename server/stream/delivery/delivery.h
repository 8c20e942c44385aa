// Delivery: views, tapes and sessions of one shard, and the fan-out of log batches and governance epochs to all shards. The edge hands authenticated,
// validated subscriptions over; from then on delivery owns the connection until it ends.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/app/data_plane.h"
#include "server/app/quotas.h"
#include "server/app/subject_keys.h"
#include "server/ports/cluster.h"
#include "server/ports/crypto.h"
#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/ports/usage_journal.h"
#include "server/ports/usage_ledger.h"
#include "server/stream/transport.h"

namespace licet::stream {

// Streams first: each has a live tape in a view that somebody reads in it.
// batch_protobuf and one_protobuf are pages; the latter of one event, or none.
enum class WireFormat : std::uint8_t {
    websocket_json,
    websocket_json_deflate,
    websocket_protobuf,
    sse,
    ndjson,
    batch_json,
    batch_protobuf,
    one_protobuf
};
inline constexpr std::array kStreamFormats{WireFormat::websocket_json, WireFormat::websocket_json_deflate, WireFormat::websocket_protobuf,
                                           WireFormat::sse};
[[nodiscard]] constexpr bool is_stream(WireFormat format) noexcept { return format <= WireFormat::sse; }
[[nodiscard]] constexpr bool is_websocket(WireFormat format) noexcept { return format <= WireFormat::websocket_protobuf; }

enum class StartAt : std::uint8_t { latest, earliest, cursor, since };

struct ReadRequest {
    std::shared_ptr<const app::Snapshot> snapshot;  // the one the request was authorised under
    ProductNo product;
    ContractNo contract;
    std::string client;            // OAuth client id
    UtcMillis authorised_until{};  // token expiry: the stream ends then, with a documented close code
    UtcMillis token_issued_at{};   // a later revocation closes the stream
    WireFormat format{};
    StartAt start = StartAt::latest;
    std::string cursor;                // when start is cursor (from=, Last-Event-ID)
    UtcMillis since{};                 // when start is since: append time
    UtcMillis until{};                 // append time at which the stream ends; value 0: never
    std::size_t limit = 0;             // pull: most events of the page
    int wait_ms = 0;                   // pull: how long to wait for a first event
    bool keep_alive = true;            // pull: whether the connection may be used again
    bool head_only = false;            // HEAD
    std::string websocket_accept;      // Sec-WebSocket-Accept value, computed by the edge
    std::string websocket_extensions;  // Sec-WebSocket-Extensions value; empty: none was agreed on
    std::string extra_headers;         // header lines (each ending in CRLF) to add to the response head, e.g. request id
};

struct DeliveryServices {
    std::shared_ptr<ports::EventLog> log;
    std::shared_ptr<ports::UsageJournal> journal;
    std::shared_ptr<const Clock> clock;
    std::shared_ptr<ports::Metrics> metrics;
    // One per shard thread.
    std::function<std::unique_ptr<policy::Pseudonymiser>()> make_pseudonymiser;
    std::function<std::unique_ptr<ports::Siv>()> make_siv;
    std::shared_ptr<app::SubjectKeys> subject_keys;  // null: streams end before what is encrypted at rest
    std::function<std::unique_ptr<ports::SealingCipher>()> make_cipher;
    // What the ledger holds of a contract's product partition when its meter is first needed on this node; called off the shard threads, may block.
    std::function<Result<ports::UsageRanges>(const ports::UsageOf&)> usage_ranges;
    // Of a view's key, for the books; empty: usage is not told apart by view.
    std::function<metering::ViewDigest(std::string_view)> view_digest;
    std::shared_ptr<const ports::Lease> lease;  // the node's; null: always held
    std::shared_ptr<app::ShadowCounts> shadow;  // null: shadow policies are not decided
    std::shared_ptr<app::Quotas> quotas;        // null: contracts have no limits
    int log_reader_threads = 2;
    int tick_ms = 1000;  // how often a shard ticks by itself
};

class Delivery : public app::DataPlane {
  public:
    // Gives the connection back: with an error nothing was written and the edge answers; without, a pull page was written whole and the connection is
    // ready for the next request.
    using Handback = std::function<void(std::unique_ptr<Transport>, std::optional<Error>)>;

    // `shards`: one io_context per shard thread, running until stop(). They must outlive this object.
    [[nodiscard]] static std::shared_ptr<Delivery> create(std::vector<boost::asio::io_context*> shards, DeliveryServices services,
                                                          std::shared_ptr<const app::Snapshot> snapshot);

    // On the shard's own thread: takes the connection over, answers the request head (101 or 200) and streams, or writes a pull page.
    virtual void serve(std::size_t shard, ReadRequest request, std::unique_ptr<Transport> connection, Handback handback) = 0;

    // From the log's writer thread: shares the batch with every shard.
    virtual void on_appended(std::shared_ptr<const ports::LogBatch> batch) = 0;

    // Takes no more requests and ends all streams, evenly over the time given: at a frame boundary with the reconnect hint (WebSocket 1012, SSE
    // comment and `retry:`), or at once where the peer does not read. Journals what was delivered, then calls `done`.
    virtual void drain(std::function<void()> done, int over_ms = 0) = 0;

    // Every shard looks at what nothing tells it of (whose time is up, who fell behind), as it does every `tick_ms`; then `done`.
    virtual void tick(std::function<void()> done) = 0;

    // False: a node that must not deliver (lease lost, catalog not read under it) begins no further write when this returns, until true. `done`: when
    // none that was begun is under way.
    virtual void set_delivering(bool on, std::function<void()> done = {}) = 0;
};

}  // namespace licet::stream
