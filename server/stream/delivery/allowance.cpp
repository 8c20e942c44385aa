#include "server/stream/delivery/allowance.h"

#include <algorithm>

#include "base/usage_limits.h"

namespace licet::stream {

Allowance::Reach Allowance::draw(const Tape& tape, std::uint64_t at, std::uint64_t limit, Guarded<Meter>& meter, const Clock& clock, bool whole) {
    const std::size_t most = whole ? SIZE_MAX : limits::quota_draw_max_events;
    // What is drawn already lies before what is not.
    std::uint64_t place = drawn_.empty() ? at : std::max(at, tape.position_of(drawn_.back().at + 1));
    if (place >= limit) return {limit, app::QuotaPurse::Short::no};
    wanted_.clear();
    for (std::uint64_t next = place; next < limit && wanted_.size() < most;) {
        const Offset offset = tape.next_event(next);
        if (offset >= tape.head()) break;
        wanted_.push_back({offset, tape.totals(offset, offset + 1).billed, false});
        next = tape.position_of(offset + 1);
    }
    // Bytes that belong to no event.
    if (wanted_.empty()) return {limit, app::QuotaPurse::Short::no};
    missing_.clear();
    meter.with([&](Meter& m) { m.meter.billed().missing(wanted_.front().at, wanted_.back().at + 1, missing_); });
    auto range = missing_.begin();
    for (auto& item : wanted_) {
        while (range != missing_.end() && range->to <= item.at) ++range;
        item.fresh = range != missing_.end() && range->from <= item.at;
        item.paid = !item.fresh && item.at < paid_below_;
    }
    const auto drawn = purse_->draw(of_, wanted_, clock.utc_now(), clock.monotonic_ns(), whole);
    drawn_.insert(drawn_.end(), wanted_.begin(), wanted_.begin() + static_cast<std::ptrdiff_t>(drawn.items));
    if (drawn.items > 0) place = tape.position_of(wanted_[drawn.items - 1].at + 1);
    return {std::min(place, limit), drawn.why};
}

void Allowance::wrote(Offset next, const std::vector<metering::OffsetRange>& fresh) {
    const auto end = std::find_if(drawn_.begin(), drawn_.end(), [&](const auto& item) { return item.at >= next; });
    if (end == drawn_.begin()) return;
    purse_->wrote(of_, {drawn_.data(), static_cast<std::size_t>(end - drawn_.begin())}, fresh);
    drawn_.erase(drawn_.begin(), end);
}

void Allowance::leave_from(Offset from) {
    const auto begin = std::find_if(drawn_.begin(), drawn_.end(), [&](const auto& item) { return item.at >= from; });
    if (begin == drawn_.end()) return;
    purse_->leave(of_, {&*begin, static_cast<std::size_t>(drawn_.end() - begin)});
    drawn_.erase(begin, drawn_.end());
}

std::vector<std::size_t> Allowance::take_warnings() {
    std::vector<std::size_t> out;
    const std::uint32_t now = purse_->warnings();
    warned_ &= now;  // a new period warns anew
    for (std::size_t bit = 0; bit < 32; ++bit)
        if ((now & ~warned_ & 1u << bit) != 0) out.push_back(bit / 2);
    warned_ = now;
    // Both thresholds passed at once are told once.
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace licet::stream
