#include "server/postgres/usage_batch.h"

#include <algorithm>

#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using metering::IntervalSet;
using metering::JournalRecord;
using metering::RecordKind;
using metering::ViewDigest;
using ports::UsageOf;

UsageOf of(const JournalRecord& r) { return {r.contract, r.product, r.partition, r.stream_epoch}; }
std::string range(Offset from, Offset to) { return "[" + std::to_string(from) + "," + std::to_string(to) + ")"; }
std::string day(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }
// As a PostgreSQL bigint.
std::string number(ViewDigest view) { return std::to_string(static_cast<std::int64_t>(view.value)); }

// The columns of a set of rows as array literals, to be unnested.
class Columns {
  public:
    explicit Columns(std::size_t columns) : text_(columns, "{") {}
    template <class... Values>
    void add(const Values&... values) {
        std::size_t at = 0;
        (put(text_[at++], values), ...);
    }
    [[nodiscard]] bool empty() const { return text_.front().size() == 1; }
    [[nodiscard]] std::string operator[](std::size_t at) const { return text_[at] + "}"; }

  private:
    static void put(std::string& to, const std::string& value) {
        if (to.size() > 1) to += ',';
        to += '"';
        for (const char c : value) {
            if (c == '"' || c == '\\') to += '\\';
            to += c;
        }
        to += '"';
    }
    static void put(std::string& to, std::uint64_t value) { put(to, std::to_string(value)); }
    std::vector<std::string> text_;
};

constexpr int kMeterLocks = 0x6c696375;  // "licu"
constexpr std::uint64_t kMeterBuckets = 256;

}  // namespace

// A lock may stand for several meters, so that a flush of many does not exhaust the server's lock table; taken in one order.
void lock_meters(pqxx::work& t, const std::vector<UsageOf>& meters) {
    std::set<std::uint64_t> buckets;
    for (const auto& of : meters) {
        const std::uint64_t words[] = {of.contract.value, of.product.value, of.partition.value, of.stream_epoch.value};
        std::uint64_t mixed = 0;
        for (const auto word : words) mixed = (mixed ^ word) * 0x9e3779b97f4a7c15u;
        buckets.insert((mixed >> 32) % kMeterBuckets);
    }
    Columns locks(1);
    for (const auto bucket : buckets) locks.add(bucket);
    if (locks.empty()) return;
    t.exec_params("SELECT pg_advisory_xact_lock($1::int, bucket) FROM unnest($2::int[]) WITH ORDINALITY wanted(bucket, at) ORDER BY at", kMeterLocks,
                  locks[0]);
}

void UsageBatch::add(const JournalRecord& r) {
    switch (r.kind) {
        case RecordKind::intent:
            intents_[{r.boot, of(r)}].added.add(r.from, r.to);
            return;
        case RecordKind::aborted: {
            auto& at = intents_[{r.boot, of(r)}];
            at.added.remove(r.from, r.to);
            at.removed.add(r.from, r.to);
            return;
        }
        case RecordKind::acked: {
            auto& acks = acks_[of(r)];
            acks.ranges.add(r.from, r.to);
            acks.at = r.at;
            return;
        }
        case RecordKind::replayed:
            note_minute(r);
            replayed_.push_back(r);
            return;
        case RecordKind::begun:
            intents_[{r.boot, of(r)}].begun.add(r.from, r.from + 1);
            return;
        case RecordKind::recounted:
            recounted_.push_back(r);
            return;
        case RecordKind::delivered:
            return add_delivered(r);
    }
}

void UsageBatch::add_delivered(const JournalRecord& r) {
    auto& count = counts_[{of(r), day(r.at), r.view}];
    count.events += r.events;
    count.bytes += r.bytes;
    auto& runs = delivered_[of(r)];
    if (runs.empty() || runs.back().whole.to != r.from || runs.back().whole.boot != r.boot || runs.back().whole.view != r.view ||
        day(runs.back().whole.at) != day(r.at)) {
        runs.push_back({r, {r}});
        return;
    }
    auto& run = runs.back();
    run.whole.to = r.to;
    run.whole.events += r.events;
    run.whole.bytes += r.bytes;
    run.whole.sequence = r.sequence;
    run.records.push_back(r);
}

std::vector<UsageOf> UsageBatch::meters() const {
    std::vector<UsageOf> out;
    for (const auto& [of, runs] : delivered_) out.push_back(of);
    for (const auto& r : recounted_) out.push_back(of(r));
    return out;
}

void UsageBatch::rebuild_covered(pqxx::work& t) {
    lock_meters(t, meters());
    for (const auto& k : meters())
        t.exec_params(
            "INSERT INTO usage_covered SELECT $1, $2, $3, $4, coalesce(range_agg(range), '{}') FROM usage_billed WHERE contract = $1 AND product = "
            "$2 AND "
            "partition = $3 AND stream_epoch = $4 ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = excluded.ranges",
            k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value);
}

void UsageBatch::write(pqxx::work& t) {
    lock_meters(t, meters());
    decide(billed_before(t));
    check_covered(t);
    if (covered_is_wrong_) return;
    bill_recounted(t);
    write_rows(t, "usage_billed", billed_);
    write_unbilled(t);
    write_rows(t, "usage_replayed", replayed_);
    settle_ranges(t);
    write_counts(t);
    write_minutes(t);
    write_intents(t);
    write_acks(t);
}

// By run, in their order: what of it is billed already.
std::vector<IntervalSet> UsageBatch::billed_before(pqxx::work& t) const {
    Columns runs(5);
    std::size_t count = 0;
    for (const auto& [k, all] : delivered_)
        for (const auto& run : all) {
            runs.add(k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, range(run.whole.from, run.whole.to));
            ++count;
        }
    std::vector<IntervalSet> out(count);
    if (count == 0) return out;
    for (const auto& r :
         t.exec_params("SELECT at, c.ranges * int8multirange(run.range) FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8range[]) "
                       "WITH ORDINALITY run(contract, product, partition, stream_epoch, range, at) "
                       "JOIN usage_covered c USING (contract, product, partition, stream_epoch) WHERE c.ranges && run.range",
                       runs[0], runs[1], runs[2], runs[3], runs[4]))
        out[r[0].as<std::size_t>() - 1] = multirange_of(r[1].c_str());
    return out;
}

void UsageBatch::decide(const std::vector<IntervalSet>& before) {
    std::size_t at = 0;
    for (const auto& [k, runs] : delivered_)
        for (const auto& run : runs) {
            const auto& billed = before[at++];
            const auto overlap = [&](const JournalRecord& r) {
                IntervalSet out;
                const auto note = [&](const IntervalSet& set) {
                    for (const auto& [from, to] : set.all()) out.add(std::max(from, r.from), std::min(to, r.to));
                };
                note(billed);
                note(billed_ranges_[k]);
                return out;
            };
            if (overlap(run.whole).ranges() == 0) {
                bill(run.whole);
                for (const auto& r : run.records) note_minute(r);
                continue;
            }
            for (const auto& r : run.records)
                if (const auto known = overlap(r); known.ranges() > 0) {
                    for (const auto& [from, to] : billed.all()) overlapped_[k].add(from, to);
                    leave_unbilled(r, known);
                } else {
                    bill(r);
                    note_minute(r);
                }
        }
}

void UsageBatch::note_minute(const JournalRecord& r) {
    if (r.events > 0) minutes_.try_emplace({r.contract, r.product, r.at.value / 60'000}, r.view);
}

void UsageBatch::bill(const JournalRecord& r) {
    billed_.push_back(r);
    billed_ranges_[of(r)].add(r.from, r.to);
}

// Another node delivered part of it first. What the rest comes to is not known here: whoever delivered it counts it anew.
void UsageBatch::leave_unbilled(const JournalRecord& r, const IntervalSet& overlap) {
    IntervalSet rest;
    rest.add(r.from, r.to);
    for (const auto& [from, to] : overlap.all()) rest.remove(from, to);
    unbilled_.push_back({r, std::move(rest)});
}

std::vector<ports::UnbilledRecord> UsageBatch::refused() const {
    std::vector<ports::UnbilledRecord> out;
    for (const auto& one : unbilled_)
        if (one.rest.ranges() > 0) out.push_back(one);
    return out;
}

void UsageBatch::write_unbilled(pqxx::work& t) const {
    Columns c(13);
    for (const auto& [r, rest] : unbilled_)
        c.add(r.contract.value, r.product.value, r.partition.value, r.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), r.boot,
              r.sequence, number(r.view), multirange_literal(rest), std::to_string(r.at.value));
    if (c.empty()) return;
    t.exec_params(
        "INSERT INTO usage_unbilled (contract, product, partition, stream_epoch, range, events, bytes, day, boot, sequence, view, rest, at, region, "
        "node) SELECT *, $14, $15 FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8range[], $6::bigint[], $7::bigint[], "
        "$8::date[], "
        "$9::bigint[], $10::bigint[], $11::bigint[], $12::int8multirange[], $13::bigint[])",
        c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11], c[12], region_, node_);
}

// An overlap is rare: before anything is left unbilled for it, what is told of billed ranges is held against those that are.
void UsageBatch::check_covered(pqxx::work& t) {
    for (const auto& [k, ranges] : overlapped_)
        if (ranges.ranges() > 0 &&
            !t.exec_params(
                  "SELECT 1 WHERE NOT coalesce((SELECT range_agg(range) FROM usage_billed WHERE contract = $1 AND product = $2 AND partition = $3 "
                  "AND stream_epoch = $4), '{}') @> $5::int8multirange",
                  k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(ranges))
                 .empty())
            covered_is_wrong_ = true;
}

// Moved from unbilled to billed: it was counted as delivered with the record it is a part of. What somebody else has billed meanwhile, and what is of
// a month that is closed, stays unbilled.
void UsageBatch::bill_recounted(pqxx::work& t) {
    if (!recounted_.empty()) t.exec("SELECT pg_advisory_xact_lock_shared(7811887391290093939)");
    for (const auto& r : recounted_) {
        IntervalSet again = billed_ranges_[of(r)];
        const auto before = again.total();
        again.add(r.from, r.to);
        if (again.total() != before + (r.to - r.from)) continue;
        const auto moved = t.exec_params(
            "UPDATE usage_unbilled u SET events = u.events - $8, bytes = u.bytes - $9, rest = u.rest - int8multirange($7::int8range) WHERE (u.node, "
            "u.boot, u.sequence) = (SELECT u.node, u.boot, u.sequence FROM usage_unbilled u WHERE u.contract = $1 AND u.product = $2 AND u.partition "
            "= "
            "$3 AND u.stream_epoch = $4 AND u.node = $5 AND u.view = $6 AND u.at = $10 AND u.rest @> $7::int8range AND u.events >= $8 AND u.bytes >= "
            "$9 "
            "AND " +
                std::string(kOfAnOpenMonth) +
                " ORDER BY u.boot, u.sequence LIMIT 1) AND NOT EXISTS (SELECT 1 FROM usage_covered c WHERE c.contract = $1 AND c.product = $2 AND "
                "c.partition = $3 AND c.stream_epoch = $4 AND c.ranges && $7::int8range)",
            r.contract.value, r.product.value, r.partition.value, r.stream_epoch.value, node_, number(r.view), range(r.from, r.to), r.events, r.bytes,
            r.at.value);
        if (moved.affected_rows() == 0) continue;
        bill(r);
        note_minute(r);
    }
}

void UsageBatch::write_rows(pqxx::work& t, const char* table, const std::vector<JournalRecord>& rows) const {
    Columns c(11);
    for (const auto& r : rows)
        c.add(r.contract.value, r.product.value, r.partition.value, r.stream_epoch.value, range(r.from, r.to), r.events, r.bytes, day(r.at), r.boot,
              r.sequence, number(r.view));
    if (c.empty()) return;
    t.exec_params(std::string("INSERT INTO ") + table +
                      " (contract, product, partition, stream_epoch, range, events, bytes, day, boot, sequence, view, region, node) "
                      "SELECT *, $12, $13 FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8range[], $6::bigint[], $7::bigint[], "
                      "$8::date[], $9::bigint[], $10::bigint[], $11::bigint[])",
                  c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], region_, node_);
}

// The ranges billed now: known from here on as billed, and no longer in suspense.
void UsageBatch::settle_ranges(pqxx::work& t) const {
    Columns rows(5);
    for (const auto& [k, set] : billed_ranges_)
        if (set.ranges() > 0) rows.add(k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(set));
    if (rows.empty()) return;
    t.exec_params(
        "INSERT INTO usage_covered SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8multirange[]) "
        "ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_covered.ranges + excluded.ranges",
        rows[0], rows[1], rows[2], rows[3], rows[4]);
    t.exec_params(
        "UPDATE usage_suspense s SET ranges = s.ranges - b.ranges "
        "FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8multirange[]) b(contract, product, partition, stream_epoch, ranges) "
        "WHERE s.contract = b.contract AND s.product = b.product AND s.partition = b.partition AND s.stream_epoch = b.stream_epoch AND "
        "s.ranges && b.ranges",
        rows[0], rows[1], rows[2], rows[3], rows[4]);
}

void UsageBatch::write_counts(pqxx::work& t) const {
    Columns c(8);
    for (const auto& [key, count] : counts_) {
        const auto& [k, on, view] = key;
        c.add(k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, on, count.events, count.bytes, number(view));
    }
    if (c.empty()) return;
    t.exec_params(
        "INSERT INTO usage_delivered (contract, product, partition, stream_epoch, day, events, bytes, view) "
        "SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::date[], $6::bigint[], $7::bigint[], $8::bigint[]) "
        "ON CONFLICT (contract, product, partition, stream_epoch, day, view, period) DO UPDATE "
        "SET events = usage_delivered.events + excluded.events, bytes = usage_delivered.bytes + excluded.bytes",
        c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]);
}

void UsageBatch::write_minutes(pqxx::work& t) const {
    Columns c(5);
    for (const auto& [key, view] : minutes_) {
        const auto& [contract, product, minute] = key;
        const UtcMillis at{minute * 60'000};
        c.add(contract.value, product.value, format_rfc3339(at), day(at), number(view));
    }
    if (c.empty()) return;
    t.exec_params(
        "INSERT INTO usage_minutes (contract, product, minute, day, view, region) "
        "SELECT *, $6 FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::date[], $5::bigint[]) ON CONFLICT DO NOTHING",
        c[0], c[1], c[2], c[3], c[4], region_);
}

void UsageBatch::write_intents(pqxx::work& t) const {
    Columns c(8);
    for (const auto& [key, ranges] : intents_) {
        const auto& k = key.second;
        c.add(key.first, k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(ranges.added),
              multirange_literal(ranges.removed), multirange_literal(ranges.begun));
    }
    if (c.empty()) return;
    // What was taken back of earlier intents goes first.
    t.exec_params(
        "UPDATE usage_intent i SET ranges = i.ranges - r.removed "
        "FROM unnest($2::bigint[], $3::int[], $4::int[], $5::int[], $6::bigint[], $7::int8multirange[]) "
        "r(boot, contract, product, partition, stream_epoch, removed) WHERE i.node = $1 AND i.boot = r.boot AND i.contract = r.contract AND "
        "i.product = r.product AND i.partition = r.partition AND i.stream_epoch = r.stream_epoch AND i.ranges && r.removed",
        node_, c[0], c[1], c[2], c[3], c[4], c[6]);
    t.exec_params(
        "INSERT INTO usage_intent (node, boot, contract, product, partition, stream_epoch, ranges, begun) "
        "SELECT $1, * FROM unnest($2::bigint[], $3::int[], $4::int[], $5::int[], $6::bigint[], $7::int8multirange[], $8::int8multirange[]) "
        "ON CONFLICT (node, boot, contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_intent.ranges + excluded.ranges, "
        "begun = usage_intent.begun + excluded.begun",
        node_, c[0], c[1], c[2], c[3], c[4], c[5], c[7]);
}

void UsageBatch::write_acks(pqxx::work& t) const {
    Columns c(6);
    for (const auto& [k, acks] : acks_)
        c.add(k.contract.value, k.product.value, k.partition.value, k.stream_epoch.value, multirange_literal(acks.ranges), format_rfc3339(acks.at));
    if (c.empty()) return;
    t.exec_params(
        "INSERT INTO usage_acked (contract, product, partition, stream_epoch, ranges, at) "
        "SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bigint[], $5::int8multirange[], $6::timestamptz[]) "
        "ON CONFLICT (contract, product, partition, stream_epoch) DO UPDATE SET ranges = usage_acked.ranges + excluded.ranges, "
        "at = greatest(usage_acked.at, excluded.at)",
        c[0], c[1], c[2], c[3], c[4], c[5]);
}

}  // namespace licet::postgres
