// A contract's streams that begin anywhere, come back with whatever cursor they have or never, and a node that is killed at any moment: nothing is
// billed that was not handed over to somebody, and nothing that was is missed. The meter, what cursors prove and the marks of beginnings are the real
// ones; the journal and the ledger are their rules in their simplest form.
#include <doctest/doctest.h>

#include <array>
#include <random>

#include "server/stream/delivery/meters.h"

using namespace licet;
using metering::IntervalSet;
using stream::CursorPosition;

namespace {

class Model {
  public:
    explicit Model(unsigned seed) : random_(seed) { start(); }

    void run() {
        for (int step = 0; step < 500; ++step) {
            const auto dice = random_() % 100;
            auto& reader = readers_[random_() % readers_.size()];
            if (dice < 12)
                log_end_ += random_() % 300;
            else if (dice < 15)
                die(false);
            else if (dice < 17)
                die(true);
            else if (dice < 27)
                durable_ = journal_.size();
            else if (dice < 35 && reader.connected)
                leave(reader);
            else if (!reader.connected)
                connect(reader);
            else
                advance(reader);
        }
        die(false);
        die(true);
    }
    std::uint64_t settled = 0;  // by cursors

  private:
    enum class Kind { intent, delivered, begun };
    struct Record {
        Kind kind;
        Offset from, to;
    };
    struct Reader {
        bool connected = false;
        Offset first = 0, next = 0, since = 0;
        std::optional<CursorPosition> cursor;
    };

    CursorPosition at(Offset next, std::optional<Offset> since = {}) const { return {{1}, {0}, {1}, next, since, {1}}; }

    void bill(Offset from, Offset to) {
        std::vector<metering::OffsetRange> fresh;
        meter_->meter.delivered(from, to, fresh);
        for (const auto& r : fresh) journal_.push_back({Kind::delivered, r.from, r.to});
    }

    void connect(Reader& reader) {
        const bool resumes = reader.cursor && random_() % 8 != 0;
        if (!resumes) {
            const auto how = random_() % 3;
            reader.next = how == 0 ? 0 : how == 1 ? log_end_ : random_() % (log_end_ + 1);
            reader.cursor.reset();
        } else {
            reader.next = reader.cursor->next;
        }
        reader.since = resumes ? reader.cursor->since.value_or(reader.next) : reader.next;
        while (const auto sure = meter_->received(reader.cursor, 0)) {
            meter_->suspense.remove(sure->range.from, sure->range.to);
            settled += sure->range.to - sure->range.from;
            bill(sure->range.from, sure->range.to);
        }
        if (random_() % 10 == 0) return;  // it goes away before anything is sent
        if (reader.since > 0 && !meter_->meter.billed().contains(reader.since - 1) && !meter_->beginnings.contains(reader.since)) {
            journal_.push_back({Kind::begun, reader.since, reader.since});
            durable_ = journal_.size();
            meter_->beginnings.add(reader.since, reader.since + 1);
        }
        reader.first = reader.next;
        reader.connected = true;
    }

    void advance(Reader& reader) {
        if (const auto asked = meter_->meter.intent_needed(reader.next)) {
            journal_.push_back({Kind::intent, asked->from, asked->to});
            durable_ = journal_.size();
            meter_->meter.intent_durable(*asked);
        }
        const Offset to = meter_->meter.sendable_until(reader.next, std::min(log_end_, reader.next + random_() % 200));
        if (to == reader.next) return;
        sent_.add(reader.next, to);
        bill(reader.next, to);
        meter_->suspense.remove(reader.next, to);
        // It has some of it, or all, for the moment.
        reader.cursor = at(reader.next + 1 + random_() % (to - reader.next));
        reader.next = to;
    }

    // In peace: it has received everything, and may have a cursor of its own.
    void leave(Reader& reader) {
        reader.connected = false;
        if (random_() % 2 == 0) return;
        reader.cursor = random_() % 2 == 0 && reader.next > reader.first ? at(reader.next) : at(reader.next, reader.since);
    }

    void die(bool in_order) {
        if (!in_order) journal_.resize(durable_ + random_() % (journal_.size() - durable_ + 1));
        IntervalSet intended, begun;
        for (const auto& r : journal_) {
            if (r.kind == Kind::intent) intended.add(r.from, r.to);
            if (r.kind == Kind::begun) begun.add(r.from, r.from + 1);
            if (r.kind != Kind::delivered) continue;
            std::vector<metering::OffsetRange> fresh;
            billed_.missing(r.from, r.to, fresh);
            REQUIRE(fresh == std::vector<metering::OffsetRange>{{r.from, r.to}});  // once
            billed_.add(r.from, r.to);
            suspense_.remove(r.from, r.to);
        }
        for (const auto& [from, to] : billed_.all()) {
            std::vector<metering::OffsetRange> unsent;
            sent_.missing(from, to, unsent);
            REQUIRE(unsent.empty());
        }
        if (!in_order) {
            for (const auto& [from, to] : billed_.all()) intended.remove(from, to);
            intended.remove(log_end_, std::max(log_end_, intended.tail()));
            for (const auto& [from, to] : intended.all()) suspense_.add(from, to);
            for (const auto& [from, to] : begun.all()) begun_.add(from, to);
        }
        for (const auto& [from, to] : billed_.all()) begun_.remove(from + 1, to + 1);
        IntervalSet known = billed_;
        for (const auto& [from, to] : suspense_.all()) known.add(from, to);
        std::vector<metering::OffsetRange> missed;
        for (const auto& [from, to] : sent_.all()) known.missing(from, to, missed);
        REQUIRE(missed.empty());
        start();
    }

    void start() {
        journal_.clear();
        durable_ = 0;
        for (auto& reader : readers_) reader.connected = false;
        ports::UsageRanges ranges{billed_, suspense_, {}};
        ranges.begun = begun_;
        meter_.emplace(ranges);
    }

    std::mt19937 random_;
    Offset log_end_ = 100;
    std::array<Reader, 5> readers_{};
    IntervalSet sent_, billed_, suspense_, begun_;
    std::optional<stream::Meter> meter_;
    std::vector<Record> journal_;
    std::size_t durable_ = 0;
};

}  // namespace

TEST_CASE("streams of a contract that begin anywhere, killed at any moment: nobody is billed for what nobody was sent, and nothing is missed") {
    std::uint64_t settled = 0;
    for (unsigned seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        Model model(seed);
        model.run();
        settled += model.settled;
    }
    CHECK(settled > 10'000);
}
