// A usage ledger in memory, in the place of PostgreSQL: takes what the real flusher brings and keeps its own exact sum, so that a benchmark can say
// that everything it delivered was billed once. Thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "metering/contract_meter.h"
#include "server/ports/usage_ledger.h"

namespace licet::bench {

class MemoryLedger final : public ports::UsageLedger {
  public:
    struct Sum {
        std::uint64_t contracts = 0, events = 0, bytes = 0, records = 0, least_events = 0, most_events = 0;
        bool overlap = false, gap = false;
    };
    [[nodiscard]] Sum sum() const {
        return books_.with([](const Books& books) {
            Sum out = books.sum;
            for (const auto& [of, book] : books.of) {
                out.least_events = out.contracts == 0 ? book.events : std::min(out.least_events, book.events);
                out.most_events = std::max(out.most_events, book.events);
                ++out.contracts;
            }
            return out;
        });
    }

    Status flush(const std::string&, const std::string&, const std::vector<metering::JournalRecord>& records) override {
        books_.with([&](Books& books) {
            for (const auto& r : records) {
                books.sum.gap = books.sum.gap || r.sequence != ++books.sequence;
                ++books.sum.records;
                if (r.kind != metering::RecordKind::delivered) continue;
                Book& book = books.of[{r.contract, r.product, r.partition, r.stream_epoch}];
                std::vector<metering::OffsetRange> fresh;
                book.billed.missing(r.from, r.to, fresh);
                books.sum.overlap = books.sum.overlap || fresh.size() != 1 || fresh[0].from != r.from || fresh[0].to != r.to;
                book.billed.add(r.from, r.to);
                book.events += r.events;
                books.sum.events += r.events;
                books.sum.bytes += r.bytes;
            }
        });
        return success();
    }
    Status settle_ended_boots(const std::string&, std::uint64_t, const std::function<Offset(const ports::UsageOf&, Offset)>&) override {
        return success();
    }
    Result<ports::UsageRanges> ranges(const ports::UsageOf&) override { return ports::UsageRanges{}; }
    Result<std::vector<ports::UsageTotal>> totals(UtcMillis, UtcMillis, const std::vector<ContractNo>&) override {
        return std::vector<ports::UsageTotal>{};
    }
    Result<std::vector<ports::UsageBalance>> balance(UtcMillis, UtcMillis) override { return std::vector<ports::UsageBalance>{}; }

  private:
    struct Book {
        metering::IntervalSet billed;
        std::uint64_t events = 0;
    };
    struct Books {
        std::map<ports::UsageOf, Book> of;
        std::uint64_t sequence = 0;
        Sum sum;
    };
    Guarded<Books> books_;
};

}  // namespace licet::bench
