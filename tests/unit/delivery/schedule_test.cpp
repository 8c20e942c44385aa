// Random schedules of appending, slow reading, disconnecting, withdrawing, changing policy, waiting intents and pauses. Whatever happens: every
// subscriber receives each event it is entitled to once and in order; no byte of a frame that names who withdrew follows the acknowledgement; and
// each contract is billed exactly what its subscribers received.
#include <random>

#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

struct Subscriber {
    Wanted wanted;
    Offset start = 0;         // entitled from here on
    std::vector<Event> got;   // in order, over all connections
    std::vector<Event> torn;  // of pages that were cut off: they come again
    std::unique_ptr<Peer> peer;
    struct Mark {
        std::string who;
        std::uint64_t written;
    };
    std::vector<Mark> marks;  // of this connection: nothing of `who` beyond
    bool pulls() const { return wanted.format == WireFormat::ndjson; }
    bool has(std::uint64_t n) const { return !got.empty() && got.back().n >= n; }
};

class Schedule {
  public:
    Schedule(unsigned seed, std::size_t shards, bool withdrawals) : random_(seed), withdrawals_(withdrawals), node_(shards) {
        for (const char* who : {"ada", "bob", "cleo", "dan"}) node_.consent(who, true);
        static constexpr WireFormat formats[] = {WireFormat::websocket_json, WireFormat::sse, WireFormat::ndjson, WireFormat::websocket_json_deflate,
                                                 WireFormat::websocket_protobuf};
        for (std::size_t i = 0; i < 7; ++i) {
            Subscriber s;
            s.wanted.format = formats[i % std::size(formats)];
            s.wanted.records = pick(2) == 0;
            s.wanted.send_buffer = pick(3) == 0 ? 0 : 4096 << pick(3);
            s.wanted.contract = 1 + static_cast<std::uint32_t>(pick(2));
            s.wanted.shard = pick(shards);
            s.wanted.limit = 1 + pick(15);
            subscribers_.push_back(std::move(s));
        }
    }

    void run(int steps) {
        for (int i = 0; i < steps; ++i) step();
        end();
        for (auto& s : subscribers_) check(s);
        for (const std::uint32_t contract : {1u, 2u}) check_bill(contract);
        check_stop();
    }

  private:
    std::size_t pick(std::size_t n) { return random_() % n; }

    void step() {
        const auto what = pick(100);
        auto& s = subscribers_[pick(subscribers_.size())];
        if (what < 35) {
            append();
        } else if (what < 62) {
            read(s, std::size_t{1} << pick(19));
        } else if (what < 76) {
            for (std::size_t i = pick(6); i > 0; --i) {
                auto& io = *node_.ios[pick(node_.ios.size())];
                io.restart();
                io.poll_one();
            }
        } else if (what < 84) {
            node_.turn();
        } else if (what < 88) {
            if (s.peer) leave(s);
        } else if (what < 91) {
            if (withdrawals_ && withdrawn_.size() < 3) withdraw();
        } else if (what < 93) {
            node_.apply_all(true);
        } else if (what < 94) {
            node_.permit(true, ++version_);
            node_.rebuild();
            node_.apply_all(false);
        } else if (what < 97) {
            node_.journal->set(pick(2) == 0 ? MemoryJournal::Mode::held : MemoryJournal::Mode::at_once);
        } else {
            node_.delivery->set_delivering(pick(2) == 0);
        }
        node_.handed.clear();  // closes: the subscriber comes again
    }

    void append() {
        static const char* const whose[] = {"", "", "ada", "bob", "cleo", "dan", "never-asked"};
        const std::string who = whose[pick(std::size(whose))];
        const auto size = pick(10);
        const auto padding = size < 7 ? pick(300) : size < 9 ? pick(8000) : pick(150'000);
        const auto count = 1 + pick(size < 9 ? 8 : 2);
        node_.append(count, who, padding);
        for (std::size_t i = 0; i < count; ++i) appended_.push_back(who);
    }

    void come(Subscriber& s) {
        s.marks.clear();
        for (const auto& who : withdrawn_) s.marks.push_back({who, 0});
        if (s.wanted.cursor.empty()) {
            s.start = pick(3) == 0 ? pick(appended_.size() + 1) : 0;
            s.wanted.start = s.start == 0 ? StartAt::earliest : StartAt::cursor;
            if (s.start > 0) s.wanted.cursor = cursor_at(node_, s.start);
        }
        s.wanted.open = false;  // the journal may hold back where it begins
        s.peer = node_.connect(s.wanted);
    }

    void read(Subscriber& s, std::size_t most) {
        if (!s.peer) return come(s);
        s.peer->read(most);
        if (s.peer->ended() || s.peer->pages > 0) leave(s);
    }

    // Takes what the kernel has, so that all that was written was received.
    void leave(Subscriber& s) {
        s.peer->read();
        const bool torn = s.pulls() && s.peer->pages == 0;
        for (const auto& e : s.peer->events()) {
            for (const auto& mark : s.marks)
                if (mark.who == e.who) REQUIRE_MESSAGE(e.end <= mark.written, e.who << " at " << e.n);
            (torn ? s.torn : s.got).push_back(e);
        }
        if (!torn && (s.pulls() || !s.peer->events().empty())) {
            s.wanted.start = StartAt::cursor;
            s.wanted.cursor = s.pulls() ? s.peer->page_cursor : s.peer->last_cursor();
        }
        if (s.peer->close_code && !s.peer->close_cursor.empty()) {
            s.wanted.start = StartAt::cursor;
            s.wanted.cursor = s.peer->close_cursor;
        }
        s.peer.reset();
    }

    void withdraw() {
        static const char* const whose[] = {"ada", "bob", "cleo"};
        const std::string who = whose[pick(3)];
        node_.quiet();
        node_.withdraw(who, [&] {
            for (auto& s : subscribers_)
                if (s.peer) s.marks.push_back({who, s.peer->written()});
        });
        withdrawn_.insert(who);
    }

    void end() {
        node_.journal->set(MemoryJournal::Mode::at_once);
        node_.delivery->set_delivering(true);
        node_.append(1);
        appended_.emplace_back();
        const auto last = appended_.size() - 1;
        node_.await("every subscriber to have all", [&] {
            bool all = true;
            for (auto& s : subscribers_) {
                if (s.has(last)) continue;
                node_.handed.clear();
                read(s, SIZE_MAX);
                if (s.peer && !s.pulls() && !s.peer->events().empty() && s.peer->events().back().n == last) leave(s);
                all = all && s.has(last);
            }
            return all;
        });
        for (auto& s : subscribers_)
            if (s.peer) leave(s);
    }

    void check(const Subscriber& s) const {
        std::vector<std::uint64_t> got, entitled;
        std::optional<std::uint64_t> before;
        for (const auto& e : s.got) {
            REQUIRE(e.n >= s.start);
            REQUIRE((!before || e.n > *before));  // once and in order
            REQUIRE(e.who == appended_[e.n]);
            REQUIRE(e.who != "never-asked");
            before = e.n;
            if (!withdrawn_.contains(e.who)) got.push_back(e.n);
        }
        for (std::uint64_t n = s.start; n < appended_.size(); ++n)
            if (appended_[n] != "never-asked" && !withdrawn_.contains(appended_[n])) entitled.push_back(n);
        REQUIRE(got == entitled);
    }

    void check_bill(std::uint32_t contract) {
        std::map<std::uint64_t, std::uint64_t> received;
        for (const auto& s : subscribers_)
            if (s.wanted.contract == contract)
                for (const auto* events : {&s.got, &s.torn})
                    for (const auto& e : *events) received[e.n] = e.data_bytes;
        MemoryJournal::Sum sum;
        for (const auto& [n, bytes] : received) {
            ++sum.events;
            sum.bytes += bytes;
        }
        node_.await("the journal", [&] { return node_.journal->delivered({contract}).events >= sum.events; });
        REQUIRE(node_.journal->delivered({contract}) == sum);
    }

    // An orderly stop leaves nothing undecided.
    void check_stop() {
        node_.drain();
        for (const std::uint32_t contract : {1u, 2u}) {
            metering::IntervalSet open;
            for (const auto& r : node_.journal->of({contract}, ports::UsageKind::intent)) open.add(r.from, r.to);
            for (const auto kind : {ports::UsageKind::delivered, ports::UsageKind::aborted})
                for (const auto& r : node_.journal->of({contract}, kind)) open.remove(r.from, r.to);
            CHECK(open.total() == 0);
        }
    }

    std::mt19937 random_;
    const bool withdrawals_;
    Node node_;
    std::vector<Subscriber> subscribers_;
    std::vector<std::string> appended_;
    std::set<std::string> withdrawn_;
    std::uint32_t version_ = 1;
};

}  // namespace

TEST_CASE("through random schedules nothing is lost, repeated, sent after its withdrawal, or billed but as received") {
    for (unsigned seed = 1; seed <= 24; ++seed) {
        CAPTURE(seed);
        Schedule(seed, 1, true).run(400);
    }
}

// Shards apply a change one after the other: who is billed for an event of who withdraws in between is decided by who comes first. Without
// withdrawals the bill is exact over any number of shards.
TEST_CASE("the same over two shards") {
    for (unsigned seed = 101; seed <= 112; ++seed) {
        CAPTURE(seed);
        Schedule(seed, 2, false).run(400);
    }
}
