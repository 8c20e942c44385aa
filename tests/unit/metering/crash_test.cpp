// Billed at most once and metered always, under random crashes, with the ledger's rules in their simplest form.
#include "tests/unit/metering/crash_model.h"

using namespace licet;
using metering::RecordKind;

namespace {

class ModelLedger : public testing::CrashModelLedger {
  public:
    void flush(const std::vector<metering::JournalRecord>& records) override {
        for (const auto& r : records) {
            auto& watermark = watermarks_[r.boot];
            if (r.sequence <= watermark) continue;
            REQUIRE(r.sequence == watermark + 1);
            watermark = r.sequence;
            if (r.kind == RecordKind::intent) intents_[r.boot].add(r.from, r.to);
            if (r.kind == RecordKind::aborted) intents_[r.boot].remove(r.from, r.to);
            if (r.kind != RecordKind::delivered) continue;
            const auto before = known_.billed.total();
            known_.billed.add(r.from, r.to);
            REQUIRE(known_.billed.total() == before + (r.to - r.from));  // no overlap
            known_.suspense.remove(r.from, r.to);
            known_.events += r.events;
            known_.bytes += r.bytes;
        }
    }
    void settle_ended_boots(std::uint64_t boot, Offset log_end) override {
        for (auto at = intents_.begin(); at != intents_.end() && at->first < boot; at = intents_.erase(at)) {
            auto open = at->second;
            for (const auto& [from, to] : known_.billed.all()) open.remove(from, to);
            open.remove(log_end, std::max(log_end, open.tail()));
            for (const auto& [from, to] : open.all()) known_.suspense.add(from, to);
        }
    }
    testing::UsageKnown known() override { return known_; }

  private:
    std::map<std::uint64_t, std::uint64_t> watermarks_;
    std::map<std::uint64_t, metering::IntervalSet> intents_;
    testing::UsageKnown known_;
};

}  // namespace

TEST_CASE("random crashes bill nothing twice and leave nothing unmetered") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        ModelLedger ledger;
        testing::CrashModel(seed, ledger).run();
    }
}
