#include "server/rocksdb/event_log.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <thread>
#include <unordered_map>

#include "base/bounded_queue.h"
#include "base/guarded.h"
#include "base/limits.h"
#include "base/stream_limits.h"
#include "server/ports/log.h"

namespace licet::rocks {
namespace {

using ports::AppendItem;
using ports::AppendOutcome;
using ports::LogBatch;
using ports::LogBounds;
using ports::LogPosition;

constexpr std::size_t kPrefixBytes = 1 + 4 + 2;
constexpr std::size_t kHashedBytes = 8;  // of an identity, which is a digest
constexpr std::size_t kIdentityBuckets = 256 * 1024;
constexpr std::size_t kEventBlockBytes = 16 * 1024;  // they are read one after another

void put_be(std::string& out, std::uint64_t v, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(v >> (8 * i));
}
std::uint64_t get_be(const char* p, int bytes) {
    std::uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) v = v << 8 | static_cast<unsigned char>(p[i]);
    return v;
}
std::string u64_le(std::uint64_t v) {
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(v >> (8 * i));
    return out;
}
std::uint64_t get_le(const char* p) {
    std::uint64_t v = 0;
    for (int i = 7; i >= 0; --i) v = v << 8 | static_cast<unsigned char>(p[i]);
    return v;
}

std::string prefix(char kind, LogPosition at) {
    std::string key(1, kind);
    put_be(key, at.product.value, 4);
    put_be(key, at.partition.value, 2);
    return key;
}
std::string event_key(LogPosition at, Offset offset) {
    std::string key = prefix('e', at);
    put_be(key, offset, 8);
    return key;
}
// In a column family of their own: identities come in no order, and are looked up whole.
std::string identity_key(LogPosition at, const EventIdentity& identity) {
    return prefix('i', at).append(reinterpret_cast<const char*>(identity.bytes.data()), identity.bytes.size());
}

Error store_error(const rocksdb::Status& status) {
    if (status.IsCorruption()) return {Errc::corrupt, "the event log fails its checksum", {}};
    if (status.IsNoSpace()) return {Errc::log_full, "the event log's disk is full", {}};
    return {Errc::unavailable, "the event log cannot be used", {}};
}

// A handle goes back before its database.
struct ColumnFamilyCloser {
    rocksdb::DB* db;
    void operator()(rocksdb::ColumnFamilyHandle* handle) const { (void)db->DestroyColumnFamilyHandle(handle); }
};
using ColumnFamily = std::unique_ptr<rocksdb::ColumnFamilyHandle, ColumnFamilyCloser>;

struct Store {
    std::unique_ptr<rocksdb::DB> db;
    ColumnFamily identities;
};

class RocksEventLog final : public ports::EventLog {
  public:
    RocksEventLog(Store store, std::shared_ptr<const Clock> clock, StreamEpoch epoch)
        : db_(std::move(store.db)),
          identities_(std::move(store.identities)),
          clock_(std::move(clock)),
          epoch_(epoch),
          queue_(limits::log_writer_queue_max_batches) {}
    ~RocksEventLog() override { close(); }

    Status start() {
        if (auto loaded = load_bounds(); !loaded) return loaded;
        writer_ = std::thread([this] { write_loop(); });
        return success();
    }

    Status append(LogPosition position, std::vector<AppendItem> items, AppendDone done) override {
        if (failed_.load(std::memory_order_relaxed)) return {Errc::log_full, "the event log does not accept events since a disk error"};
        std::size_t bytes = 0;
        for (const auto& item : items) bytes += item.record.size() + sizeof(AppendItem);
        // Counted first: the writer may take it before this call ends.
        if (queued_bytes_.fetch_add(bytes) + bytes <= limits::log_writer_queue_max_bytes &&
            queue_.try_push(Pending{position, std::move(items), std::move(done), bytes}))
            return success();
        queued_bytes_.fetch_sub(bytes);
        return {Errc::overloaded, "too many events wait for the event log"};
    }

    Result<std::shared_ptr<const LogBatch>> read(LogPosition position, Offset from, std::size_t max_events, std::size_t max_bytes) override {
        if (closed_) return {Errc::unavailable, "the event log is closed"};
        const LogBounds known = bounds(position);
        if (from < known.begin) return {Errc::gone, "events before offset of the cursor are no longer kept"};
        auto batch = std::make_shared<LogBatch>();
        batch->position = position;
        batch->next = from;
        if (from >= known.end) return std::shared_ptr<const LogBatch>(batch);
        // All records behind each other: one allocation, whatever their number.
        std::string& records = batch->storage.emplace_back();
        records.reserve(std::min(max_bytes, limits::catch_up_batch_max_bytes));
        batch->entries.reserve(std::min<std::size_t>({max_events, known.end - from, max_bytes / 256 + 1}));
        std::vector<std::size_t> ends;
        const std::string end_key = event_key(position, known.end);
        const rocksdb::Slice end(end_key);
        rocksdb::ReadOptions options;
        options.iterate_upper_bound = &end;
        const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
        std::size_t bytes = 0;
        for (it->Seek(event_key(position, from)); it->Valid(); it->Next()) {
            const auto value = it->value();
            if (value.size() < 8 || get_be(it->key().data() + kPrefixBytes, 8) != batch->next) return {Errc::corrupt, "the event log has a gap"};
            bytes += value.size();
            if (!ends.empty() && (ends.size() >= max_events || bytes > max_bytes)) break;
            records.append(value.data() + 8, value.size() - 8);
            ends.push_back(records.size());
            batch->entries.push_back({batch->next++, {static_cast<std::int64_t>(get_le(value.data()))}, {}});
        }
        if (!it->status().ok()) return store_error(it->status());
        if (ends.empty()) return {Errc::corrupt, "the event log lacks an event it should hold"};
        std::size_t begin = 0;
        for (std::size_t i = 0; i < ends.size(); begin = ends[i++])
            batch->entries[i].record = std::string_view(records).substr(begin, ends[i] - begin);
        return std::shared_ptr<const LogBatch>(batch);
    }

    LogBounds bounds(LogPosition position) override {
        return bounds_.with([&](const BoundsMap& map) {
            const auto at = map.find(position);
            return at == map.end() ? LogBounds{0, 0, epoch_} : LogBounds{at->second.begin, at->second.end, epoch_};
        });
    }

    UtcMillis settled() override {
        const UtcMillis now = clock_->utc_now();  // before the look: what the writer takes up after it, it stamps later
        return {std::min(now.value, writing_since_.load())};
    }

    // Append times never decrease, so that a binary search over the events finds the first one.
    Result<Offset> seek(LogPosition position, UtcMillis at) override {
        if (closed_) return {Errc::unavailable, "the event log is closed"};
        const LogBounds known = bounds(position);
        Offset low = known.begin, high = known.end;
        while (low < high) {
            const Offset middle = low + (high - low) / 2;
            std::string value;
            const auto status = db_->Get({}, event_key(position, middle), &value);
            if (!status.ok() || value.size() < 8) return store_error(status);
            if (static_cast<std::int64_t>(get_le(value.data())) < at.value)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    Result<Offset> find(LogPosition position, const EventIdentity& identity) override {
        if (closed_) return {Errc::unavailable, "the event log is closed"};
        std::string value;
        const auto status = db_->Get({}, identities_.get(), identity_key(position, identity), &value);
        if (status.IsNotFound()) return {Errc::not_found, "no such event in the log"};
        if (!status.ok() || value.size() != 8) return store_error(status);
        return get_le(value.data());
    }

    void on_appended(Appended listener) override { listener_ = std::move(listener); }

    void close() override {
        queue_.close();
        if (writer_.joinable()) writer_.join();
        if (closed_.exchange(true)) return;
        (void)db_->SyncWAL();
        // The database itself goes with this object: a read may be under way on another thread.
    }

  private:
    struct Pending {
        LogPosition position;
        std::vector<AppendItem> items;
        AppendDone done;
        std::size_t bytes;
    };
    struct Bounds {
        Offset begin = 0, end = 0;
        UtcMillis last{};
    };
    using BoundsMap = std::map<LogPosition, Bounds>;
    // One group commit: what it adds to each partition, and what each request is told.
    struct Group {
        rocksdb::WriteBatch batch;
        BoundsMap bounds;
        std::map<LogPosition, std::shared_ptr<LogBatch>> added;
        std::map<LogPosition, std::unordered_map<EventIdentity, Offset>> seen;
        std::vector<Result<std::vector<AppendOutcome>>> outcomes;
    };

    Status load_bounds() {
        BoundsMap found;
        const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
        for (it->Seek("e"); it->Valid() && it->key().starts_with("e"); it->Next()) {
            const LogPosition position{{static_cast<std::uint32_t>(get_be(it->key().data() + 1, 4))},
                                       {static_cast<std::uint16_t>(get_be(it->key().data() + 5, 2))}};
            Bounds bounds;
            bounds.begin = get_be(it->key().data() + kPrefixBytes, 8);
            it->SeekForPrev(event_key(position, ~Offset{0}));
            if (!it->Valid() || it->value().size() < 8) return {Errc::corrupt, "the event log cannot be read back"};
            bounds.end = get_be(it->key().data() + kPrefixBytes, 8) + 1;
            bounds.last = {static_cast<std::int64_t>(get_le(it->value().data()))};
            found.emplace(position, bounds);
        }
        if (!it->status().ok()) return store_error(it->status());
        bounds_.with([&](BoundsMap& map) { map = std::move(found); });
        return success();
    }

    void write_loop() {
        for (;;) {
            auto pending = queue_.pop_some(limits::log_writer_queue_max_batches);
            if (pending.empty()) return;
            for (std::size_t first = 0; first < pending.size();) {
                std::size_t last = first, events = 0;
                while (last < pending.size() && (last == first || events + pending[last].items.size() <= limits::log_writer_group_max_events))
                    events += pending[last++].items.size();
                const auto requests = std::span(pending).subspan(first, last - first);
                commit(requests);
                for (const auto& request : requests) queued_bytes_.fetch_sub(request.bytes);
                first = last;
            }
        }
    }

    void commit(std::span<Pending> requests) {
        if (failed_) {  // what the disk made of the group that failed is not known: nothing may be written behind it
            for (auto& request : requests) request.done(Error{Errc::log_full, "the event log does not accept events since a disk error", {}});
            return;
        }
        writing_since_ = clock_->utc_now().value;
        commit_group(requests);
        writing_since_ = kIdle;
    }

    void commit_group(std::span<Pending> requests) {
        Group group;
        group.bounds = bounds_.with([](const BoundsMap& map) { return map; });
        for (auto& request : requests) group.outcomes.push_back(add(request, group));
        rocksdb::WriteOptions durable;
        durable.sync = true;
        const auto status = group.batch.Count() == 0 ? rocksdb::Status::OK() : db_->Write(durable, &group.batch);
        if (!status.ok()) {
            log::error("event_log.write_failed", {{"status", status.ToString()}});
            failed_ = true;
            for (auto& request : requests) request.done(store_error(status));
            return;
        }
        bounds_.with([&](BoundsMap& map) { map = group.bounds; });
        if (listener_)
            for (auto& [position, batch] : group.added) {
                // Views last: the vector may have moved short strings while it grew.
                for (std::size_t i = 0; i < batch->storage.size(); ++i) batch->entries[i].record = batch->storage[i];
                batch->next = batch->entries.back().offset + 1;
                listener_(batch);
            }
        for (std::size_t i = 0; i < requests.size(); ++i) requests[i].done(std::move(group.outcomes[i]));
    }

    Result<std::vector<AppendOutcome>> add(Pending& request, Group& group) {
        const LogPosition position = request.position;
        Bounds& bounds = group.bounds[position];
        auto& seen = group.seen[position];
        const UtcMillis now = std::max(clock_->utc_now(), bounds.last);
        std::vector<AppendOutcome> outcomes;
        outcomes.reserve(request.items.size());
        std::vector<std::size_t> fresh;
        for (std::size_t i = 0; i < request.items.size(); ++i) {
            const AppendItem& item = request.items[i];
            if (const auto at = seen.find(item.identity); at != seen.end()) {
                outcomes.push_back({true, at->second});
                continue;
            }
            const auto stored = find(position, item.identity);
            if (stored.ok() || stored.error().code != Errc::not_found) {
                if (!stored.ok()) {
                    for (const std::size_t f : fresh) seen.erase(request.items[f].identity);
                    return stored.error();
                }
                outcomes.push_back({true, *stored});
                seen.emplace(item.identity, *stored);
                continue;
            }
            const Offset offset = bounds.end + fresh.size();
            seen.emplace(item.identity, offset);
            outcomes.push_back({false, offset});
            fresh.push_back(i);
        }
        if (fresh.empty()) return outcomes;
        auto& added = group.added[position];
        if (!added) {
            added = std::make_shared<LogBatch>();
            added->position = position;
        }
        std::string value;
        for (const std::size_t i : fresh) {
            AppendItem& item = request.items[i];
            value = u64_le(static_cast<std::uint64_t>(now.value));
            value += item.record;
            (void)group.batch.Put(event_key(position, bounds.end), value);
            (void)group.batch.Put(identities_.get(), identity_key(position, item.identity), u64_le(bounds.end));
            added->storage.push_back(std::move(item.record));
            added->entries.push_back({bounds.end, now, {}});
            ++bounds.end;
        }
        bounds.last = now;
        return outcomes;
    }

    std::unique_ptr<rocksdb::DB> db_;
    ColumnFamily identities_;
    const std::shared_ptr<const Clock> clock_;
    const StreamEpoch epoch_;
    Guarded<BoundsMap> bounds_;
    BoundedQueue<Pending> queue_;
    std::atomic<std::size_t> queued_bytes_{0};
    std::atomic<bool> failed_{false}, closed_{false};
    static constexpr std::int64_t kIdle = std::numeric_limits<std::int64_t>::max();
    std::atomic<std::int64_t> writing_since_{kIdle};  // events are stamped from then on that cannot be read yet
    Appended listener_;
    std::thread writer_;
};

// What is read of the log is held in one cache of a fixed size, the blocks that say where things are among it: outside of it they would grow with
// the log for as long as it is kept.
rocksdb::ColumnFamilyOptions family_options(rocksdb::BlockBasedTableOptions table, const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::ColumnFamilyOptions options;
    options.compression = rocksdb::kZSTD;
    table.block_cache = cache;
    table.cache_index_and_filter_blocks = true;
    table.cache_index_and_filter_blocks_with_high_priority = true;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;  // a look-up brings in a part of an index, not all of it
    table.pin_top_level_index_and_filter = true;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

// Events find their place beside the last one. They are only ever added, each product's at its own end: levels would write what lies between two
// products' ends again with every flush.
rocksdb::ColumnFamilyOptions event_options(const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::BlockBasedTableOptions table;
    table.block_size = kEventBlockBytes;
    auto options = family_options(table, cache);
    options.write_buffer_size = 64 * 1024 * 1024;
    options.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPrefixBytes));
    options.compaction_style = rocksdb::kCompactionStyleUniversal;
    // Nothing is ever written over: there is nothing to win by merging all there is.
    options.compaction_options_universal.max_size_amplification_percent = 1'000'000;
    options.level0_slowdown_writes_trigger = 64;  // tidying up is in no hurry
    options.level0_stop_writes_trigger = 128;
    return options;
}

// Hashed in memory: an ordered insertion of keys in no order was two fifths of the writer's time. Nothing iterates over them. Most that are looked up
// are new: filters tell, in memory and on disk.
rocksdb::ColumnFamilyOptions identity_options(const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
    table.partition_filters = true;
    auto options = family_options(table, cache);
    options.write_buffer_size = 32 * 1024 * 1024;
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(kPrefixBytes + kHashedBytes));
    options.memtable_factory.reset(rocksdb::NewHashSkipListRepFactory(kIdentityBuckets));
    options.memtable_whole_key_filtering = true;
    options.memtable_prefix_bloom_size_ratio = 0.05;
    return options;
}

rocksdb::DBOptions database_options() {
    rocksdb::DBOptions options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.allow_concurrent_memtable_write = false;  // one writer; hashed tables take no more
    // Only a torn end is passed over. The default also drops all that lies behind damage: acknowledged events, whose offsets would then be given
    // again.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
    options.max_background_jobs = 4;
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.keep_log_file_num = 4;
    // Tidying up takes what delivery leaves.
    options.env->LowerThreadPoolCPUPriority(rocksdb::Env::Priority::LOW, rocksdb::CpuPriority::kLow);
    return options;
}

Result<Store> open_store(const std::string& directory) {
    const auto cache = rocksdb::NewLRUCache(limits::event_log_cache_max_bytes);
    const std::vector<rocksdb::ColumnFamilyDescriptor> families{{rocksdb::kDefaultColumnFamilyName, event_options(cache)},
                                                                {"identities", identity_options(cache)}};
    rocksdb::DB* raw = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const auto status = rocksdb::DB::Open(database_options(), directory, families, &handles, &raw);
    if (!status.ok()) {
        log::error("event_log.open_failed", {{"status", status.ToString()}});
        return store_error(status);
    }
    (void)raw->DestroyColumnFamilyHandle(handles[0]);
    Store store{std::unique_ptr<rocksdb::DB>(raw), ColumnFamily(handles[1], {raw})};
    // Once they were among the events. Not to look there would take what is sent again for new.
    const std::unique_ptr<rocksdb::Iterator> old(store.db->NewIterator({}));
    if (old->Seek("i"); old->Valid() && old->key().starts_with("i")) {
        log::error("event_log.older_layout", {{"directory", directory}});
        return Error{Errc::unavailable, "the event log is of an older layout, before 0.1.0: start with another data_dir", {}};
    }
    return store;
}

}  // namespace

Result<std::shared_ptr<ports::EventLog>> open_event_log(const std::string& directory, std::shared_ptr<const Clock> clock) {
    auto store = open_store(directory);
    if (!store) return store.error();
    auto& db = store->db;
    // The log's incarnation: cursors of a log that was lost must not resolve in the one that replaces it.
    std::string value;
    const auto found = db->Get({}, "n", &value);
    if (found.IsNotFound()) {
        // Not of the clock: nodes of a region that begin in the same second would bill each other's offsets.
        value = u64_le(std::max(1u, std::random_device{}()));
        rocksdb::WriteOptions durable;
        durable.sync = true;
        if (const auto written = db->Put(durable, "n", value); !written.ok()) return store_error(written);
    } else if (!found.ok() || value.size() != 8) {
        return store_error(found);
    }
    const StreamEpoch epoch{static_cast<std::uint32_t>(get_le(value.data()))};
    auto log = std::make_shared<RocksEventLog>(*std::move(store), std::move(clock), epoch);
    if (auto started = log->start(); !started) return started.error();
    return std::shared_ptr<ports::EventLog>(std::move(log));
}

}  // namespace licet::rocks
