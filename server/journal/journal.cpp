#include "server/journal/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/bounded_queue.h"
#include "base/limits.h"
#include "server/journal/segments.h"
#include "server/ports/log.h"

namespace licet::journal {
namespace {

namespace fs = std::filesystem;
using metering::JournalRecord;

constexpr std::size_t kUnflushedMax = limits::journal_unflushed_max_bytes / metering::kRecordBytes;

class FileJournal final : public Journal {
  public:
    FileJournal(Options options, std::uint64_t boot, int lock)
        : options_(std::move(options)), boot_(boot), lock_(lock), queue_(limits::journal_queue_max_records) {
        if (!options_.metrics) return;
        broken_gauge_ = &options_.metrics->gauge("licet_usage_journal_broken",
                                                 "Whether a disk error ended the usage journal: nothing is delivered until a restart");
        backlog_gauge_ = &options_.metrics->gauge("licet_usage_backlog_records", "Records in the usage journal that the ledger does not hold yet");
        broken_gauge_->set(0);
    }
    ~FileJournal() override {
        close();
        if (fd_ >= 0) ::close(fd_);
        ::close(lock_);
    }

    Status start(std::deque<JournalRecord> unflushed) {
        for (const auto& record : unflushed) times_.push(record.at);
        unflushed_ = std::move(unflushed);
        if (auto opened = open_segment(); !opened) return opened;
        writer_ = std::thread([this] { write_loop(); });
        return success();
    }

    Status append(std::vector<ports::UsageRecord> records, Durable durable) override {
        if (failed_.load(std::memory_order_relaxed)) return {Errc::journal_full, "the usage journal accepts nothing since a disk error"};
        if (backlog_.load(std::memory_order_relaxed) + records.size() > kUnflushedMax)
            return {Errc::journal_full, "the ledger is too far behind the usage journal"};
        const std::size_t count = records.size();
        std::vector<UtcMillis> times;
        times.reserve(count);
        for (const auto& record : records) times.push_back(record.at);
        // Counted first: once pushed, the record may be in the ledger before this line ends.
        backlog_.fetch_add(count, std::memory_order_relaxed);
        {
            const std::lock_guard lock(times_mutex_);
            if (queue_.try_push({std::move(records), std::move(durable)})) {
                for (const auto at : times) times_.push(at);
                return success();
            }
        }
        backlog_.fetch_sub(count, std::memory_order_relaxed);
        return {Errc::journal_full, "too many records wait for the usage journal"};
    }

    bool broken() const noexcept override { return failed_.load(std::memory_order_relaxed); }

    void close() override {
        queue_.close();
        if (writer_.joinable()) writer_.join();
        const std::lock_guard lock(mutex_);
        closed_ = true;
        grown_.notify_all();
    }

    std::uint64_t boot() const noexcept override { return boot_; }

    std::vector<JournalRecord> take(std::size_t most, int wait_ms) override {
        std::unique_lock lock(mutex_);
        grown_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return closed_ || !unflushed_.empty(); });
        const auto count = static_cast<std::ptrdiff_t>(std::min(most, unflushed_.size()));
        return {unflushed_.begin(), unflushed_.begin() + count};
    }

    std::shared_ptr<ports::UnappendedUsage> writer() override {
        const std::lock_guard lock(times_mutex_);
        return writers_.emplace_back(std::make_shared<ports::UnappendedUsage>());
    }

    // Writers first: what one of them appends meanwhile is then found among what is appended.
    std::optional<UtcMillis> complete_before(UtcMillis now) const override {
        const std::lock_guard lock(times_mutex_);
        for (const auto& writer : writers_) now = writer->oldest(now);
        return times_.oldest(now);
    }

    void flushed(std::uint64_t boot, std::uint64_t sequence) override {
        std::size_t dropped = 0;
        {
            const std::lock_guard lock(mutex_);
            while (!unflushed_.empty() && std::pair(unflushed_.front().boot, unflushed_.front().sequence) <= std::pair(boot, sequence)) {
                unflushed_.pop_front();
                ++dropped;
            }
            if (backlog_gauge_ != nullptr) backlog_gauge_->set(static_cast<double>(unflushed_.size()));
        }
        {
            const std::lock_guard lock(times_mutex_);
            times_.pop(dropped);
        }
        backlog_.fetch_sub(dropped, std::memory_order_relaxed);
        remove_segments(boot, sequence);
    }

    void count_recovered(std::size_t records) { backlog_ = records; }

  private:
    // The times of what is appended and not in the ledger, in the order it was appended: the oldest at any moment, which need not be the first.
    class Times {
      public:
        void push(UtcMillis at) {
            while (!oldest_.empty() && oldest_.back().second >= at) oldest_.pop_back();
            oldest_.emplace_back(pushed_++, at);
        }
        void pop(std::uint64_t count) {
            popped_ += count;
            while (!oldest_.empty() && oldest_.front().first < popped_) oldest_.pop_front();
        }
        [[nodiscard]] UtcMillis oldest(UtcMillis now) const { return oldest_.empty() ? now : std::min(now, oldest_.front().second); }

      private:
        std::deque<std::pair<std::uint64_t, UtcMillis>> oldest_;  // each older than all behind it
        std::uint64_t pushed_ = 0, popped_ = 0;
    };
    struct Pending {
        std::vector<ports::UsageRecord> records;
        Durable durable;
    };
    struct Ended {
        SegmentName name;
        std::uint64_t last_sequence;
    };

    Status open_segment() {
        if (fd_ >= 0) ::close(fd_);
        const std::string path = (fs::path(options_.directory) / SegmentName{boot_, ++segment_}.file()).string();
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
        written_ = 0;
        if (fd_ < 0) return Error{Errc::unavailable, "cannot create " + path, {}};
        return sync_directory(options_.directory);
    }

    void write_loop() {
        for (;;) {
            auto batch = queue_.pop_some(limits::journal_queue_max_records);
            if (batch.empty()) return;
            std::string bytes;
            std::vector<JournalRecord> records;
            for (const auto& pending : batch)
                for (const auto& r : pending.records) {
                    records.push_back({boot_, ++sequence_, r.kind, r.contract, r.product, r.partition, r.stream_epoch, r.from, r.to, r.events,
                                       r.bytes, r.at, r.view});
                    const std::size_t start = bytes.size();
                    metering::append_record(records.back(), previous_, bytes);
                    previous_ = options_.sha256(std::string_view(bytes).substr(start));
                }
            const Status outcome = write(bytes);
            if (!outcome) {
                if (!failed_.exchange(true))
                    log::error("journal.write_failed", {{"errno", errno_}, {"file", SegmentName{boot_, segment_}.file()}, {"record", sequence_}});
                if (broken_gauge_ != nullptr) broken_gauge_->set(1);
            } else {
                const std::lock_guard lock(mutex_);
                unflushed_.insert(unflushed_.end(), records.begin(), records.end());
                if (backlog_gauge_ != nullptr) backlog_gauge_->set(static_cast<double>(unflushed_.size()));
                grown_.notify_all();
            }
            for (const auto& pending : batch)
                if (pending.durable) pending.durable(outcome);
        }
    }

    Status write(std::string_view bytes) {
        if (failed_) return {Errc::journal_full, "the usage journal accepts nothing since a disk error"};
        if (written_ > 0 && written_ + bytes.size() > options_.segment_max_bytes) {
            // However durable records are: only the last segment of a start may ever be torn.
            if (::fdatasync(fd_) != 0) return disk_error("the usage journal cannot be synced");
            {
                const std::lock_guard lock(mutex_);
                ended_.push_back({{boot_, segment_}, last_written_});
            }
            if (auto opened = open_segment(); !opened) return disk_error("the usage journal's next segment cannot be made");
        }
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return disk_error("the usage journal cannot be written");
            written_ += static_cast<std::size_t>(n);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        last_written_ = sequence_;
        if (options_.durability == Durability::fsync && ::fdatasync(fd_) != 0) return disk_error("the usage journal cannot be synced");
        return success();
    }
    Status disk_error(const char* what) {
        errno_ = errno;
        return {Errc::journal_full, what};
    }

    // Segments of earlier boots go when the backlog has reached this one; ended segments of this boot when their last record is flushed.
    void remove_segments(std::uint64_t boot, std::uint64_t sequence) {
        std::error_code ignored;
        if (boot == boot_ && !earlier_removed_) {
            for (const auto& name : list_segments(options_.directory))
                if (name.boot < boot_) fs::remove(fs::path(options_.directory) / name.file(), ignored);
            earlier_removed_ = true;
        }
        const std::lock_guard lock(mutex_);
        while (boot == boot_ && !ended_.empty() && ended_.front().last_sequence <= sequence) {
            fs::remove(fs::path(options_.directory) / ended_.front().name.file(), ignored);
            ended_.pop_front();
        }
    }

    const Options options_;
    const std::uint64_t boot_;
    const int lock_;
    BoundedQueue<Pending> queue_;
    ports::Gauge *broken_gauge_ = nullptr, *backlog_gauge_ = nullptr;
    std::atomic<bool> failed_{false};
    std::atomic<std::size_t> backlog_{0};  // records queued or not yet in the ledger
    // Writer thread only.
    int fd_ = -1, errno_ = 0;
    std::uint64_t segment_ = 0, sequence_ = 0, last_written_ = 0;
    std::size_t written_ = 0;
    metering::ChainHash previous_{};
    bool earlier_removed_ = false;  // flusher thread only
    mutable std::mutex mutex_;
    std::condition_variable grown_;
    std::deque<JournalRecord> unflushed_;
    mutable std::mutex times_mutex_;
    Times times_;
    std::vector<std::shared_ptr<ports::UnappendedUsage>> writers_;
    std::deque<Ended> ended_;
    bool closed_ = false;
    std::thread writer_;
};

Result<std::uint64_t> next_boot(const std::string& directory) {
    std::uint64_t boot = 0;
    if (std::ifstream in(fs::path(directory) / "boot"); in && !(in >> boot))
        return Error{Errc::corrupt, "the journal's boot file is not a number", {}};
    // A lost boot file must not let numbers repeat: the ledger's watermarks are by boot.
    for (const auto& segment : list_segments(directory)) boot = std::max(boot, segment.boot);
    ++boot;
    if (auto written = replace_file(directory, "boot", std::to_string(boot) + "\n"); !written) return written.error();
    return boot;
}

// One process at a time: held by the descriptor, so a process that dies lets go of it.
Result<int> lock_directory(const std::string& directory) {
    const int fd = ::open((fs::path(directory) / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
    if (fd >= 0) ::close(fd);
    return Error{Errc::unavailable, directory + " is in use by another process", {}};
}

Result<std::deque<JournalRecord>> read_back(const Options& options) {
    std::deque<JournalRecord> out;
    const auto segments = list_segments(options.directory);
    for (std::size_t i = 0; i < segments.size(); ++i) {
        auto read = read_segment(options.directory, segments[i], options.sha256);
        if (!read) return read.error();
        if (read->torn && i + 1 < segments.size() && segments[i + 1].boot == segments[i].boot)
            return Error{Errc::corrupt, segments[i].file() + " is torn but not the last of its boot", {}};
        // Of a crash, or of a disk that lost what it had taken: what it was about becomes suspense.
        if (read->torn) log::warn("journal.torn_end", {{"file", segments[i].file()}, {"record", read->records.size()}, {"bytes", read->torn_bytes}});
        for (const auto& r : read->records) out.push_back(r.record);
    }
    return out;
}

}  // namespace

Result<std::shared_ptr<Journal>> open_journal(Options options) {
    std::error_code error;
    fs::create_directories(options.directory, error);
    if (error) return Error{Errc::unavailable, "cannot create " + options.directory, {}};
    const auto lock = lock_directory(options.directory);
    if (!lock) return lock.error();
    auto unflushed = read_back(options);
    const auto boot = unflushed ? next_boot(options.directory) : unflushed.error();
    if (!boot) {
        ::close(*lock);
        return boot.error();
    }
    auto journal = std::make_shared<FileJournal>(std::move(options), *boot, *lock);
    journal->count_recovered(unflushed->size());
    if (auto started = journal->start(*std::move(unflushed)); !started) return started.error();
    return std::shared_ptr<Journal>(std::move(journal));
}

Result<Verified> verify_journal(const std::string& directory, const metering::Sha256Function& sha256) {
    std::error_code error;
    if (!fs::is_directory(directory, error)) return Error{Errc::not_found, directory + " is not a directory", {}};
    Verified out;
    std::uint64_t boot = 0, sequence = 0;
    metering::ChainHash previous{};
    bool whole_chain = true;  // segments before the first one kept were deleted after they were flushed
    bool torn = false;
    for (const auto& segment : list_segments(directory)) {
        const auto read = read_segment(directory, segment, sha256);
        if (!read) return Error{Errc::verification_failed, read.error().detail, {}};
        if (torn && segment.boot == boot) return Error{Errc::verification_failed, "the segment before " + segment.file() + " is torn", {}};
        torn = read->torn;
        if (segment.boot != boot) {
            boot = segment.boot;
            ++out.boots;
            previous = {};
            sequence = 0;
            whole_chain = segment.number == 1;
        }
        for (std::size_t i = 0; i < read->records.size(); ++i) {
            const auto& r = read->records[i];
            const bool follows = r.record.boot == boot && (whole_chain ? r.record.sequence == sequence + 1 && r.previous == previous : true);
            if (!follows)
                return Error{Errc::verification_failed, segment.file() + ": record " + std::to_string(i) + " does not follow the one before", {}};
            whole_chain = true;
            sequence = r.record.sequence;
            previous = read->hashes[i];
            ++out.records;
        }
        ++out.segments;
    }
    return out;
}

}  // namespace licet::journal
