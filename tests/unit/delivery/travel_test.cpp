// Replay and time travel over random schedules: from any cursor or time on, with an end and without, in every format, many at once, through slow
// readers, a live tape that moves on, pauses, withdrawals and changes of policy. Nothing is missed or repeated where the log ends and the live tape
// begins; what has an end says where it ended.
#include <random>

#include "base/limits.h"
#include "tests/unit/delivery/node.h"

using namespace licet;
using namespace licet::testing;

namespace {

struct Traveller {
    Wanted wanted;
    Offset start = 0;
    std::unique_ptr<Peer> peer;
    std::vector<Event> got;  // of earlier connections
    bool done = false;
    [[nodiscard]] bool pulls() const { return !stream::is_stream(wanted.format); }
};

class Travel {
  public:
    Travel(unsigned seed, std::size_t shards) : random_(seed), node_(shards) {
        for (const char* who : {"ada", "bob"}) node_.consent(who, true);
        if (pick(3) == 0) node_.limit_lag({0, 20 + pick(100), 0, ports::LagLimits::Then::close});
        for (int i = 0; i < 20; ++i) append();
    }

    void run() {
        for (int i = 0; i < 16; ++i) come();
        for (int i = 0; i < 400; ++i) step();
        resume_delivering();
        append("");
        node_.clock->advance_ms(4'000);  // what was to end may end
        int turns = 0;
        node_.await("everyone to have all", [&] {
            node_.handed.clear();
            bool all = true;
            for (auto& t : travellers_) {
                if (!t.done) arrive(t);
                all = all && t.done;
            }
            if (!all && ++turns % 10 == 0) node_.await_look();
            return all;
        });
        for (const auto& t : travellers_) check(t);
    }

  private:
    std::size_t pick(std::size_t n) { return random_() % n; }

    void append() {
        static const char* const whose[] = {"", "", "ada", "bob", "never-asked"};
        append(whose[pick(std::size(whose))]);
    }
    void append(const std::string& who) {
        const bool large = pick(8) == 0;
        const auto count = 1 + pick(large ? 3 : 12);
        node_.append(count, who, pick(large ? 30'000 : 200));
        for (std::size_t i = 0; i < count; ++i) {
            accepted_.push_back(node_.clock->utc_ms);
            whose_.push_back(who);
        }
        if (pick(3) == 0) node_.clock->advance_ms(static_cast<std::int64_t>(1 + pick(50)));
    }
    // The first offset accepted at a moment or after.
    [[nodiscard]] Offset first_at(UtcMillis moment) const {
        return static_cast<Offset>(std::lower_bound(accepted_.begin(), accepted_.end(), moment.value) - accepted_.begin());
    }
    [[nodiscard]] Offset end_of(const Traveller& t) const {
        return t.wanted.until.value == 0 ? accepted_.size() : std::max(first_at(t.wanted.until), t.start);
    }

    void resume_delivering() {
        node_.delivery->set_delivering(true);
        node_.turn();
    }
    void come() {
        static constexpr WireFormat formats[] = {
            WireFormat::websocket_json, WireFormat::websocket_json_deflate, WireFormat::websocket_protobuf, WireFormat::sse, WireFormat::ndjson,
            WireFormat::batch_json,     WireFormat::batch_protobuf,         WireFormat::one_protobuf};
        Traveller t;
        t.wanted.format = formats[travellers_.size() % std::size(formats)];
        t.wanted.records = pick(2) == 0;
        t.wanted.send_buffer = pick(2) == 0 ? 0 : 4096 << pick(3);
        t.wanted.contract = 1 + static_cast<std::uint32_t>(pick(3));
        t.wanted.shard = pick(node_.ios.size());
        t.wanted.limit = t.wanted.format == WireFormat::one_protobuf ? 1 : 1 + pick(40);
        t.wanted.wait_ms = static_cast<int>(pick(2) * 30);
        static constexpr StartAt starts[] = {StartAt::latest, StartAt::earliest, StartAt::since, StartAt::cursor};
        t.wanted.start = starts[pick(std::size(starts))];
        if (t.wanted.start == StartAt::latest) t.start = accepted_.size();
        if (t.wanted.start == StartAt::since) {
            t.wanted.since = {accepted_[pick(accepted_.size())] + static_cast<std::int64_t>(pick(3))};
            t.start = first_at(t.wanted.since);
        }
        if (t.wanted.start == StartAt::cursor) {
            t.start = pick(accepted_.size() + 1);
            t.wanted.cursor = cursor_at(node_, t.start);
        }
        if (pick(2) == 0) t.wanted.until = {node_.clock->utc_ms - 100 + static_cast<std::int64_t>(pick(400))};
        resume_delivering();
        t.peer = node_.connect(t.wanted);
        if (t.wanted.start == StartAt::latest || t.wanted.start == StartAt::since) node_.quiet();  // where it begins is settled
        travellers_.push_back(std::move(t));
    }

    void step() {
        const auto what = pick(100);
        auto& t = travellers_[pick(travellers_.size())];
        if (what < 30) {
            append();
        } else if (what < 65) {
            t.peer->read(std::size_t{1} << pick(18));
            if (t.peer->pages > 0) come_again(t);
        } else if (what < 85) {
            auto& io = *node_.ios[pick(node_.ios.size())];
            for (std::size_t i = pick(8); i > 0; --i) {
                io.restart();
                io.poll_one();
            }
        } else if (what < 90) {
            node_.turn();
        } else if (what < 92) {
            if (travellers_.size() < 24) come();
        } else if (what < 94) {
            node_.apply_all(true);
        } else if (what < 95) {
            node_.permit(true, ++version_);
            node_.rebuild();
            node_.apply_all(false);
        } else if (what < 96) {
            if (!std::exchange(withdrawn_, true)) node_.withdraw("ada");
        } else if (what < 98) {
            node_.delivery->set_delivering(pick(3) > 0);
        } else {
            come_again(t);
        }
        node_.handed.clear();
    }

    // By the cursor of what it has, to the same end. A page counts as a whole or not at all.
    void come_again(Traveller& t) {
        t.peer->read();
        if (t.peer->close_code == 1000) return;  // it has ended
        const Peer& peer = *t.peer;
        if (!t.pulls() || peer.pages > 0) t.got.insert(t.got.end(), peer.events().begin(), peer.events().end());
        std::string cursor = t.pulls() ? peer.page_cursor : peer.close_cursor;
        if (cursor.empty() && !t.got.empty()) cursor = t.got.back().cursor;
        if (cursor.empty()) cursor = t.wanted.start == StartAt::cursor ? t.wanted.cursor : cursor_at(node_, t.start);
        t.wanted.start = StartAt::cursor;
        t.wanted.cursor = cursor;
        resume_delivering();
        t.peer = node_.connect(t.wanted);
    }

    void arrive(Traveller& t) {
        t.peer->read();
        const Peer& peer = *t.peer;
        const std::string& at = t.pulls() ? peer.page_cursor : peer.close_cursor;
        if (t.pulls() ? peer.pages > 0 && next_of(node_, at) == end_of(t) : peer.close_code == 1000) {
            CHECK(next_of(node_, at) == end_of(t));  // and what was withheld up to it
            t.done = true;
        } else if (!t.pulls() && t.wanted.until.value == 0) {
            t.done = !peer.events().empty() && peer.events().back().n + 1 == end_of(t);
        }
        if (t.done)
            t.got.insert(t.got.end(), peer.events().begin(), peer.events().end());
        else if (peer.ended() || peer.pages > 0)  // a page; behind what its contract allows; inside a frame of who withdrew; a pause too long
            come_again(t);
    }

    void check(const Traveller& t) const {
        CAPTURE(static_cast<int>(t.wanted.format));
        std::vector<std::uint64_t> got, entitled;
        std::optional<std::uint64_t> before;
        for (const auto& e : t.got) {
            REQUIRE(e.n >= t.start);
            REQUIRE(e.n < end_of(t));
            REQUIRE((!before || e.n > *before));  // once and in order
            REQUIRE(e.who == whose_[e.n]);
            REQUIRE(e.who != "never-asked");
            before = e.n;
            if (!withdrawn_ || e.who != "ada") got.push_back(e.n);
        }
        for (Offset n = t.start; n < end_of(t); ++n)
            if (whose_[n] != "never-asked" && (!withdrawn_ || whose_[n] != "ada")) entitled.push_back(n);
        REQUIRE(got == entitled);
    }

    std::mt19937 random_;
    Node node_;
    std::vector<std::int64_t> accepted_;  // by offset, when
    std::vector<std::string> whose_;
    std::vector<Traveller> travellers_;
    bool withdrawn_ = false;
    std::uint32_t version_ = 1;
};

}  // namespace

TEST_CASE("travel: from any place to any end, in every format, through random schedules, everyone has what they are entitled to, once and in order") {
    for (unsigned seed = 1; seed <= 14; ++seed) {
        CAPTURE(seed);
        Travel(seed, 1).run();
    }
}

TEST_CASE("travel: the same over two shards") {
    for (unsigned seed = 101; seed <= 108; ++seed) {
        CAPTURE(seed);
        Travel(seed, 2).run();
    }
}
