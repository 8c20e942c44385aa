#include "server/stream/delivery/meters.h"

#include <algorithm>

namespace licet::stream {
namespace {

// What a cursor proves to have arrived, of the stretch of suspense it is of. One reader's says it itself. An event's says that the event arrived, and
// with it what the same stream was sent before; which stream that was, nobody can tell: none that began behind the last beginning below the event.
metering::IntervalSet proven(const Meter& m, const CursorPosition& cursor) {
    metering::IntervalSet out;
    if (cursor.since) {
        out.add(*cursor.since, cursor.next);
        return out;
    }
    if (cursor.next == 0 || !m.suspense.contains(cursor.next - 1)) return out;
    const Offset last = cursor.next - 1;
    Offset from = std::prev(m.suspense.all().upper_bound(last))->first;
    if (const auto behind = m.begun.all().upper_bound(last); behind != m.begun.all().begin()) {
        const auto [begin, end] = *std::prev(behind);
        from = std::max(from, std::min(last, end - 1));
    }
    out.add(from, cursor.next);
    return out;
}

}  // namespace

std::optional<Meter::Sure> Meter::received(const std::optional<CursorPosition>& proof, Offset kept) const {
    if (suspense.ranges() == 0) return std::nullopt;
    auto sure = acked;
    if (proof) {
        const auto more = proven(*this, *proof);
        for (const auto& [from, to] : more.all()) sure.add(from, to);
    }
    for (const auto& [from, to] : suspense.all())
        for (const auto& [begin, end] : sure.all()) {
            Sure out{{std::max({from, begin, kept}), std::min(to, end)}, std::nullopt};
            if (out.range.from >= out.range.to) continue;
            for (const auto& part : suspended) {
                if (part.to <= out.range.from || part.from >= out.range.to) continue;
                if (part.from > out.range.from) {
                    out.range.to = std::min(out.range.to, part.from);
                } else {
                    out.range.to = std::min(out.range.to, part.to);
                    out.at = part.at;
                }
            }
            return out;
        }
    return std::nullopt;
}

SharedMeter Meters::known(const ports::UsageOf& of) const {
    return meters_.with([&](const auto& meters) {
        const auto at = meters.find(of);
        return at == meters.end() ? SharedMeter{} : at->second;
    });
}

Result<SharedMeter> Meters::get(const ports::UsageOf& of) {
    if (auto meter = known(of)) return meter;
    auto ranges = load_(of);
    if (!ranges) return ranges.error();
    // Whoever loaded first wins: from then on only that meter changes.
    return meters_.with([&](auto& meters) { return meters.try_emplace(of, std::make_shared<Guarded<Meter>>(*std::move(ranges))).first->second; });
}

std::vector<ports::UsageRecord> Meters::abandon(UtcMillis now) {
    const auto all = meters_.with([](const auto& meters) { return meters; });
    std::vector<ports::UsageRecord> out;
    for (const auto& [of, shared] : all)
        for (const auto& range : shared->with([](Meter& m) { return m.meter.abandon(); }))
            out.push_back({ports::UsageKind::aborted, of.contract, of.product, of.partition, of.stream_epoch, range.from, range.to, 0, 0, now});
    return out;
}

}  // namespace licet::stream
