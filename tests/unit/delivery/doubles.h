// What delivery stands on, in memory and under the test's hand: clock, event log, usage journal, metrics, and a TLS session that is none but holds
// records as OpenSSL does. For the tests of this folder.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "metering/contract_meter.h"
#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/ports/tls.h"
#include "server/ports/usage_journal.h"

namespace licet::testing {

class ManualClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {utc_ms}; }
    std::int64_t monotonic_ns() const noexcept override { return mono_ns; }
    void advance_ms(std::int64_t ms) {
        utc_ms += ms;
        mono_ns += ms * 1'000'000;
    }
    std::atomic<std::int64_t> utc_ms{1'800'000'000'000}, mono_ns{1'000'000'000};
};

class MemoryLog final : public ports::EventLog {
  public:
    explicit MemoryLog(std::shared_ptr<ManualClock> clock) : clock_(std::move(clock)) {}

    Status append(ports::LogPosition position, std::vector<ports::AppendItem> items, AppendDone done) override {
        auto batch = std::make_shared<ports::LogBatch>();
        std::vector<ports::AppendOutcome> outcomes;
        {
            const std::lock_guard lock(mutex_);
            for (auto& item : items) {
                batch->storage.push_back(item.record);
                batch->entries.push_back({begin_ + kept_.size(), clock_->utc_now(), {}});
                outcomes.push_back({false, begin_ + kept_.size()});
                kept_.push_back({clock_->utc_now(), std::move(item.record)});
            }
            position_ = position;
        }
        publish(position, *batch);
        if (listener_) listener_(batch);
        if (done) done(std::move(outcomes));
        return success();
    }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition position, Offset from, std::size_t max_events,
                                                        std::size_t max_bytes) override {
        reads_started++;
        std::unique_lock lock(mutex_);
        released_.wait(lock, [&] { return !held_; });
        reads_done++;
        if (from < begin_) return Error{Errc::gone, "no longer kept", {}};
        if (fail_reads) return Error{Errc::corrupt, "test", {}};
        auto batch = std::make_shared<ports::LogBatch>();
        std::size_t bytes = 0;
        for (Offset o = from; o < begin_ + kept_.size() && batch->entries.size() < max_events; ++o) {
            const auto& [at, record] = kept_[o - begin_];
            if (!batch->entries.empty() && bytes + record.size() > max_bytes) break;
            bytes += record.size();
            batch->storage.push_back(record);
            batch->entries.push_back({o, at, {}});
        }
        publish(position, *batch);
        if (batch->entries.empty()) batch->next = from;
        return std::shared_ptr<const ports::LogBatch>(batch);
    }
    ports::LogBounds bounds(ports::LogPosition) override {
        const std::lock_guard lock(mutex_);
        return {begin_, begin_ + kept_.size(), {1}};
    }
    UtcMillis settled() override { return {std::min(clock_->utc_now().value, unsettled_since.load())}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis at) override {
        const std::lock_guard lock(mutex_);
        const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& e) { return e.first >= at; });
        return begin_ + static_cast<Offset>(found - kept_.begin());
    }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return Error{Errc::not_found, "", {}}; }
    void on_appended(Appended listener) override { listener_ = std::move(listener); }
    void close() override {}

    // Retention: offsets below `begin` are gone.
    void drop_below(Offset begin) {
        const std::lock_guard lock(mutex_);
        kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(begin - begin_));
        begin_ = begin;
    }
    // Reads wait until let go.
    void hold_reads(bool hold) {
        {
            const std::lock_guard lock(mutex_);
            held_ = hold;
        }
        released_.notify_all();
    }
    std::atomic<bool> fail_reads{false};
    std::atomic<std::int64_t> unsettled_since{INT64_MAX};  // as if events of then were being written
    std::atomic<int> reads_started{0}, reads_done{0};

  private:
    static void publish(ports::LogPosition position, ports::LogBatch& batch) {
        batch.position = position;
        for (std::size_t i = 0; i < batch.storage.size(); ++i) batch.entries[i].record = batch.storage[i];
        if (!batch.entries.empty()) batch.next = batch.entries.back().offset + 1;
    }
    std::shared_ptr<ManualClock> clock_;
    std::mutex mutex_;
    std::condition_variable released_;
    bool held_ = false;
    Offset begin_ = 0;
    std::vector<std::pair<UtcMillis, std::string>> kept_;
    ports::LogPosition position_{};
    Appended listener_;
};

class MemoryJournal final : public ports::UsageJournal {
  public:
    enum class Mode { at_once, held, refusing, failing };

    Status append(std::vector<ports::UsageRecord> appended, Durable durable) override {
        {
            const std::lock_guard lock(mutex_);
            if (mode_ == Mode::refusing) {
                ++refused;
                return {Errc::journal_full, "test"};
            }
            if (mode_ != Mode::failing) records_.insert(records_.end(), appended.begin(), appended.end());
            if (mode_ == Mode::held) {
                if (durable) waiting_.push_back(std::move(durable));
                return success();
            }
        }
        if (durable) durable(mode_ == Mode::failing ? Status{Errc::journal_full, "test"} : success());
        return success();
    }
    std::shared_ptr<ports::UnappendedUsage> writer() override {
        const std::lock_guard lock(mutex_);
        return writers_.emplace_back(std::make_shared<ports::UnappendedUsage>());
    }
    // What no writer holds back was counted before.
    UtcMillis complete_before(UtcMillis now) const {
        const std::lock_guard lock(mutex_);
        for (const auto& writer : writers_) now = writer->oldest(now);
        return now;
    }
    void close() override {}
    std::atomic<int> refused{0};
    metering::IntervalSet earlier;  // intended by an earlier start of the node

    // Leaving `held` makes what waits durable.
    void set(Mode mode) {
        std::vector<Durable> waiting;
        {
            const std::lock_guard lock(mutex_);
            mode_ = mode;
            if (mode != Mode::held) waiting.swap(waiting_);
        }
        for (auto& durable : waiting) durable(mode == Mode::failing ? Status{Errc::journal_full, "test"} : success());
    }
    std::vector<ports::UsageRecord> of(ContractNo contract, ports::UsageKind kind) const {
        const std::lock_guard lock(mutex_);
        std::vector<ports::UsageRecord> out;
        for (const auto& r : records_)
            if (r.contract == contract && r.kind == kind) out.push_back(r);
        return out;
    }
    struct Sum {
        std::uint64_t events = 0, bytes = 0;
        bool operator==(const Sum&) const = default;
    };
    // Checks on the way that no offset was delivered twice, and none without an intent before it.
    Sum delivered(ContractNo contract) const {
        const std::lock_guard lock(mutex_);
        Sum out;
        metering::IntervalSet intended = earlier, seen;
        for (const auto& r : records_) {
            if (r.contract != contract) continue;
            if (r.kind == ports::UsageKind::intent) intended.add(r.from, r.to);
            if (r.kind != ports::UsageKind::delivered) continue;
            out.events += r.events;
            out.bytes += r.bytes;
            if (r.events > 0) CHECK(intended.covered_until(r.to - 1) >= r.to);  // what is withheld before an event needs none
            std::vector<metering::OffsetRange> fresh;
            seen.missing(r.from, r.to, fresh);
            CHECK(fresh == std::vector<metering::OffsetRange>{{r.from, r.to}});
            seen.add(r.from, r.to);
        }
        return out;
    }

  private:
    mutable std::mutex mutex_;
    std::atomic<Mode> mode_{Mode::at_once};
    std::vector<ports::UsageRecord> records_;
    std::vector<std::shared_ptr<ports::UnappendedUsage>> writers_;
    std::vector<Durable> waiting_;
};

inline doctest::String toString(const MemoryJournal::Sum& sum) {
    return (std::to_string(sum.events) + " events, " + std::to_string(sum.bytes) + " bytes").c_str();
}

class MemoryMetrics final : public ports::Metrics {
  public:
    struct Number final : ports::Counter, ports::Gauge {
        std::atomic<double> value{0};
        void add(double by = 1) noexcept override { value = value + by; }
        void set(double to) noexcept override { value = to; }
    };
    ports::Counter& counter(const std::string& name, const std::string&, const Labels& labels) override { return at(name, labels); }
    ports::Gauge& gauge(const std::string& name, const std::string&, const Labels& labels) override { return at(name, labels); }
    std::string text() const override { return {}; }
    Number& at(const std::string& name, const Labels& labels = {}) { return numbers_[{name, labels}]; }

  private:
    std::map<std::pair<std::string, Labels>, Number> numbers_;
};

// Bytes travel in records: 4 bytes of length, then up to 16 KiB. A record the kernel takes only in part must be offered again, and the peer can read
// nothing of it before its last byte.
class RecordSession final : public ports::TlsSession {
  public:
    explicit RecordSession(int fd) : fd_(fd) {}
    ports::TlsState handshake() noexcept override { return ports::TlsState::done; }
    ports::TlsIo read(std::span<char> into) noexcept override {
        const auto n = ::recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
        if (n > 0) return {ports::TlsState::done, static_cast<std::size_t>(n)};
        if (n == 0) return {ports::TlsState::closed, 0};
        return {errno == EAGAIN ? ports::TlsState::want_read : ports::TlsState::failed, 0};
    }
    ports::TlsIo write(std::span<const char> from) noexcept override {
        if (plain_.empty()) {
            plain_.assign(from.data(), std::min<std::size_t>(from.size(), 16 * 1024));
            const auto size = static_cast<std::uint32_t>(plain_.size());
            record_.assign(reinterpret_cast<const char*>(&size), sizeof size);
            record_ += plain_;
        } else if (std::string_view(from.data(), from.size()) != plain_) {
            // Other bytes fail for good; more bytes would have the next record taken too, and not be told.
            CHECK_MESSAGE(false, "a record under way was not offered again as it was, and alone");
            return {ports::TlsState::failed, 0};
        }
        while (!record_.empty()) {
            const auto n = ::send(fd_, record_.data(), record_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0) return {errno == EAGAIN ? ports::TlsState::want_write : ports::TlsState::closed, 0};
            record_.erase(0, static_cast<std::size_t>(n));
        }
        const std::size_t taken = plain_.size();
        plain_.clear();
        return {ports::TlsState::done, taken};
    }
    void close_notify() noexcept override {}
    bool resumed() const noexcept override { return false; }
    bool kernel_writes() const noexcept override { return false; }
    std::string_view peer_thumbprint() const noexcept override { return {}; }

  private:
    int fd_;
    std::string plain_, record_;
};

}  // namespace licet::testing
