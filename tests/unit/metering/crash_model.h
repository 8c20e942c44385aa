// A node's metering under random crashes: sessions of one contract over one log, the meter, a journal that loses what was not durable, a ledger that
// is away at times and is told some things twice. Used by the unit test (a ledger of a few lines) and by tests/integration/ledger (the real one).
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "metering/contract_meter.h"
#include "metering/journal_format.h"

namespace licet::testing {

struct UsageKnown {
    metering::IntervalSet billed, suspense;
    std::uint64_t events = 0, bytes = 0;  // billed
};

class CrashModelLedger {
  public:
    virtual ~CrashModelLedger() = default;
    virtual void flush(const std::vector<metering::JournalRecord>& records) = 0;
    virtual void settle_ended_boots(std::uint64_t boot, Offset log_end) = 0;
    virtual UsageKnown known() = 0;
};

class CrashModel {
  public:
    CrashModel(unsigned seed, CrashModelLedger& ledger) : random_(seed), ledger_(ledger) {
        // Far apart, so that leases of intent end and start between them.
        for (Offset at = 0; events_.size() < 300; at += 1 + random_() % 3'000) events_[at] = 10 + random_() % 90;
        log_size_ = events_.rbegin()->first + 1 + random_() % 1'000;
    }

    void run() {
        start();
        for (int step = 0; step < 1'500; ++step) {
            const auto dice = random_() % 1'000;
            if (dice < 12)
                crash();
            else if (dice < 18)
                stop_in_order();
            else if (dice < 200)
                commit();
            else if (dice < 300)
                write_delivered_records();
            else if (dice < 380)
                flush();
            else if (dice < 450)
                log_end_ = std::min(log_size_, log_end_ + random_() % 20'000);
            else
                advance(sessions_[random_() % sessions_.size()], random_() % 40'000);
        }
        finish();
    }

  private:
    struct Session {
        Offset next = 0, metered = 0;  // as the server has it
        Offset received = 0;           // as the client has it: its cursor
    };

    void journal(metering::RecordKind kind, Offset from, Offset to, std::uint64_t events = 0, std::uint64_t bytes = 0) {
        journal_.push_back({boot_, ++sequence_, kind, {1}, {1}, {0}, {1}, from, to, events, bytes, {1'795'000'000'000}});
    }

    void advance(Session& session, Offset most) {
        if (const auto asked = meter_->intent_needed(session.next)) {
            journal(metering::RecordKind::intent, asked->from, asked->to);
            asked_[sequence_] = *asked;
        }
        const Offset until = meter_->sendable_until(session.next, std::min(log_end_, session.next + most));
        Offset last = session.next;
        for (auto at = events_.lower_bound(session.next); at != events_.end() && at->first < until; ++at) {
            written_.insert(at->first);
            last = at->first + 1;
        }
        if (last > session.next) {
            bill(session.metered, last);
            session.metered = last;
            session.received += random_() % (last - session.received + 1);
        }
        session.next = until;
    }

    void bill(Offset from, Offset to) {
        std::vector<metering::OffsetRange> fresh;
        meter_->delivered(from, to, fresh);
        for (const auto& range : fresh) unwritten_.push_back(range);
    }

    void write_delivered_records() {
        for (const auto& range : unwritten_) {
            std::uint64_t events = 0, bytes = 0;
            for (auto at = events_.lower_bound(range.from); at != events_.end() && at->first < range.to; ++at) {
                ++events;
                bytes += at->second;
            }
            journal(metering::RecordKind::delivered, range.from, range.to, events, bytes);
        }
        unwritten_.clear();
    }

    void commit() {
        durable_ = journal_.size();
        for (const auto& [sequence, range] : asked_) meter_->intent_durable(range);
        asked_.clear();
    }

    void flush() {
        if (durable_ == 0) return;
        const auto count = 1 + random_() % durable_;
        const std::vector<metering::JournalRecord> records(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(count));
        ledger_.flush(records);
        if (random_() % 4 == 0) return;  // the answer was lost: the same records come again
        journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(count));
        durable_ -= count;
    }

    void flush_all() {
        while (!journal_.empty()) flush();
    }

    void crash() {
        // What was not durable may or may not have reached the disk, from the end.
        journal_.resize(durable_ + random_() % (journal_.size() - durable_ + 1));
        durable_ = journal_.size();
        start();
    }

    void stop_in_order() {
        write_delivered_records();
        for (const auto& range : meter_->abandon()) journal(metering::RecordKind::aborted, range.from, range.to);
        durable_ = journal_.size();
        flush_all();
        const auto before = ledger_.known().suspense.total();
        start();
        REQUIRE(ledger_.known().suspense.total() == before);  // an end in order leaves nothing undecided
    }

    void start() {
        ++boot_;
        sequence_ = 0;
        asked_.clear();
        unwritten_.clear();
        flush_all();
        ledger_.settle_ended_boots(boot_, log_end_);
        const auto known = ledger_.known();
        for (const Offset at : written_) REQUIRE((known.billed.contains(at) || known.suspense.contains(at)));  // nothing was delivered unmetered
        meter_.emplace(known.billed);
        for (auto& session : sessions_) {
            // The cursor says what was received; the rest comes again.
            for (const auto& [from, to] : known.suspense.all())
                if (from < session.received) bill(from, std::min(to, session.received));
            session.next = session.metered = session.received;
        }
    }

    void finish() {
        log_end_ = log_size_;
        for (auto& session : sessions_)
            while (session.next < log_end_) {
                advance(session, 50'000);
                commit();
            }
        write_delivered_records();
        commit();
        flush_all();
        const auto known = ledger_.known();
        std::uint64_t bytes = 0;
        for (const auto& [at, size] : events_) {
            REQUIRE(written_.count(at) == 1);
            REQUIRE(known.billed.contains(at));
            REQUIRE_FALSE(known.suspense.contains(at));
            bytes += size;
        }
        // Not one twice, to the byte.
        REQUIRE(known.events == events_.size());
        REQUIRE(known.bytes == bytes);
    }

    std::mt19937 random_;
    CrashModelLedger& ledger_;
    std::map<Offset, std::uint64_t> events_;  // what the contract is entitled to -> bytes
    Offset log_size_ = 0, log_end_ = 0;
    std::set<Offset> written_;
    std::array<Session, 3> sessions_{};
    std::uint64_t boot_ = 0, sequence_ = 0;
    std::optional<metering::ContractMeter> meter_;
    std::vector<metering::JournalRecord> journal_;  // not in the ledger yet; the first `durable_` would survive a crash
    std::size_t durable_ = 0;
    std::map<std::uint64_t, metering::OffsetRange> asked_;
    std::vector<metering::OffsetRange> unwritten_;
};

}  // namespace licet::testing
