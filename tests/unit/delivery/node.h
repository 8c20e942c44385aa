// A node's delivery with everything around it in memory, driven by the test's own thread: handlers run when the test lets them, so that every
// schedule can be brought about, and what the kernel took of each connection is known to the byte. For the tests of this folder.
#pragma once

#include <nlohmann/json.hpp>

#include <boost/asio/io_context.hpp>
#include <set>

#include "server/stream/delivery/cursor.h"
#include "server/stream/delivery/delivery.h"
#include "tests/support/memory_keys.h"
#include "tests/support/memory_quotas.h"
#include "tests/support/policy_event.h"
#include "tests/unit/delivery/doubles.h"

namespace licet::testing {

using nlohmann::json;
using stream::StartAt;
using stream::WireFormat;

inline constexpr ProductNo kProduct{7};

struct Event {
    std::uint64_t n = 0;  // its offset
    std::string who, cursor;
    std::uint64_t data_bytes = 0;
    std::uint64_t conflated = 0;       // earlier events it stands for
    std::uint64_t begin = 0, end = 0;  // of its frame, in wire bytes: `end` is one past its last one
};

// The subscriber's end of a connection. Unix sockets: what the server wrote is in the peer's queue at once, and stays when the server resets.
class Peer {
  public:
    Peer(int fd, bool records, WireFormat format) : fd_(fd), records_(records), format_(format) {}
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    // Takes up to `most` bytes; returns how many there were.
    std::size_t read(std::size_t most = SIZE_MAX);
    void send(std::string_view bytes);
    void close();
    void half_close();
    // Bytes the kernel ever took from the server, read or not.
    [[nodiscard]] std::uint64_t written() const;
    [[nodiscard]] bool ended() const noexcept { return eof_; }

    // Of what was read so far.
    [[nodiscard]] const std::string& plain() const noexcept { return plain_; }
    [[nodiscard]] const std::vector<Event>& events() const noexcept { return events_; }
    [[nodiscard]] std::string head() const;
    [[nodiscard]] std::string last_cursor() const { return events_.empty() ? std::string() : events_.back().cursor; }
    std::optional<int> close_code;  // WebSocket close frame, or the closing comment of SSE
    std::string close_reason, close_cursor;
    std::vector<json> quota_warnings;
    int pings = 0;
    int compressed = 0;       // messages
    int pages = 0;            // pull: whole pages taken
    std::string page_cursor;  // pull: of the last whole page

  private:
    void parse();
    bool parse_websocket();
    bool parse_sse();
    bool parse_page();
    void add_event(std::string_view text, std::string cursor, std::uint64_t begin, std::uint64_t end);
    void add_protobuf(std::string_view message, std::uint64_t begin, std::uint64_t end);
    [[nodiscard]] std::uint64_t wire_of(std::uint64_t at) const;  // wire bytes needed for plain bytes [0, at)

    int fd_;
    const bool records_;
    const WireFormat format_;
    bool eof_ = false;
    std::uint64_t wire_bytes_ = 0;
    std::string undecoded_, plain_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> records_end_;  // plain, wire
    std::size_t parsed_ = 0, page_left_ = 0;
    std::string pending_cursor_;
    bool in_body_ = false;
    std::vector<Event> events_;
};

struct Wanted {
    WireFormat format = WireFormat::websocket_json;
    StartAt start = StartAt::latest;
    std::string cursor{};
    std::uint32_t contract = 1;
    UtcMillis since{}, until{};
    std::size_t limit = 1000;
    int wait_ms = 0;
    bool head_only = false;
    UtcMillis authorised_until{4'000'000'000'000};
    bool open = true;  // streams: wait for the response head or a refusal
    bool records = false;
    int send_buffer = 0;  // bytes; 0: the system's
    std::size_t shard = 0;
};

class Node {
  public:
    explicit Node(std::size_t shards = 1, ports::UsageRanges ranges = {});
    ~Node();

    // A connection served; the answer of a request handed back lands in `handed`.
    std::unique_ptr<Peer> connect(const Wanted& wanted);
    void pull_again(const Wanted& wanted);  // on the connection handed back last

    // Events of subject `who` ("": nobody), one batch; returns the first offset.
    Offset append(std::size_t count, const std::string& who = "", std::size_t padding = 0);
    void consent(const std::string& who, bool given);  // in the index alone
    // Applies and runs until acknowledged; `on_ack` runs within the acknowledgement.
    void apply_subject(const std::string& who, const std::function<void()>& on_ack = {});
    void apply_all(bool consents, const std::function<void()>& on_ack = {});
    void withdraw(const std::string& who, const std::function<void()>& on_ack = {});
    void drain();

    // Runs handlers until `met`; fails the test when that takes too long. Shards tick when the test says so, or has waited for a while.
    template <class Condition>
    void await(const char* what, Condition met) {
        for (int i = 0, idle = 0; i < 20'000; ++i) {
            if (met()) return;
            if (turn()) continue;
            ios.front()->run_one_for(std::chrono::milliseconds(1));
            if (++idle % 200 == 0) delivery->tick({});
        }
        FAIL("waited in vain: " << std::string(what));
    }
    bool turn();  // all handlers that are ready; false: none was
    // Until no handler is ready and no reader seen at work: enough for what shards do by themselves. What comes by a reader is awaited by its effect.
    void quiet();
    void await_tick();  // of every shard, and what comes of it
    void await_look();  // a second passes, with which each session is looked at

    std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
    std::shared_ptr<MemoryLog> log = std::make_shared<MemoryLog>(clock);
    std::shared_ptr<MemoryJournal> journal = std::make_shared<MemoryJournal>();
    std::shared_ptr<MemoryMetrics> metrics = std::make_shared<MemoryMetrics>();
    std::shared_ptr<policy::ConsentIndex> consents = std::make_shared<policy::ConsentIndex>();
    std::vector<std::unique_ptr<boost::asio::io_context>> ios;
    std::shared_ptr<stream::Delivery> delivery;
    // Keys of data subjects. With `sealing`, events are encrypted before the log gets them; `before_append` runs between.
    std::shared_ptr<MemoryKeyStore> key_store = std::make_shared<MemoryKeyStore>();
    std::shared_ptr<app::SubjectKeys> subject_keys;
    bool sealing = false;
    std::function<void()> before_append;
    void forget(const std::string& who) { subject_keys->forget({{subject_key(who)}, 0}); }  // out of memory, not out of the store
    std::string duty = "replaceWithInfoType";                                               // of the one policy, on /mail
    ports::Configuration configuration;
    std::shared_ptr<const app::Snapshot> snapshot;
    std::unique_ptr<ports::Siv> siv;
    std::atomic<bool> hold_ranges{false};  // the ledger does not answer while true
    std::atomic<int> ranges_asked{0};
    const std::shared_ptr<ports::Lease> lease = std::make_shared<ports::Lease>();
    std::string partition_key;  // of what is appended
    // What contracts say about who falls behind, for streams and events from now on.
    void limit_lag(ports::LagLimits lag);
    // What contracts may be delivered, from now on, for all streams; the thread that fills their purses runs from the first call on.
    void limit(ports::QuotaTerms terms);
    std::shared_ptr<MemoryBooks> books = std::make_shared<MemoryBooks>();
    std::shared_ptr<MemoryQuotaLedger> quota_ledger = std::make_shared<MemoryQuotaLedger>();
    std::shared_ptr<app::Quotas> quotas;
    void bill_replays();
    std::int64_t expiry = 0;                  // `expirytime` of what is appended; 0: none
    std::optional<UtcMillis> consents_until;  // what the next change of a subject says of it

    struct Handed {
        std::unique_ptr<stream::Transport> connection;
        std::optional<Error> error;
    };
    std::vector<Handed> handed;

    void rebuild();  // snapshot of `configuration`, not applied
    void permit(bool by_consent, std::uint32_t version);

  private:
    stream::ReadRequest request(const Wanted& wanted) const;
    std::shared_ptr<const event::Mapping> mapping_;
    std::uint64_t next_ = 0, epoch_ = 1;
    bool quotas_started_ = false;
    ports::UsageRanges ranges_;
};

inline std::vector<std::uint64_t> numbers(const Peer& peer) {
    std::vector<std::uint64_t> out;
    for (const auto& e : peer.events()) out.push_back(e.n);
    return out;
}
inline std::vector<std::uint64_t> range(std::uint64_t from, std::uint64_t to) {
    std::vector<std::uint64_t> out;
    for (; from < to; ++from) out.push_back(from);
    return out;
}
// Reads until the peer has the event.
inline void await_event(Node& node, Peer& peer, std::uint64_t n) {
    node.await("an event", [&] {
        peer.read();
        return !peer.events().empty() && peer.events().back().n >= n;
    });
}
inline void await_end(Node& node, Peer& peer) {
    node.await("the end of a stream", [&] {
        peer.read();
        return peer.ended();
    });
}
inline std::string cursor_at(Node& node, Offset next) {
    std::string out(stream::kCursorText, '\0');
    REQUIRE(stream::seal_cursor(*node.siv, {kProduct, {0}, {1}, next}, out.data()));
    return out;
}
// Where a cursor stands, an event's or one reader's; nothing: it is none.
inline std::optional<Offset> next_of(Node& node, const std::string& cursor) {
    const auto position = stream::open_cursor(*node.siv, cursor);
    return position ? std::optional(position->next) : std::nullopt;
}

}  // namespace licet::testing
