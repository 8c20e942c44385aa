#include "server/stream/delivery/meters.h"

namespace licet::stream {

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
