#include "server/stream/delivery/slices.h"

#include <algorithm>
#include <iterator>

#include "base/limits.h"
#include "base/stream_limits.h"

namespace licet::stream {

namespace {

constexpr std::size_t kOverheadBytes = 4096;  // of containers and their blocks, however little is in them

}  // namespace

std::size_t Slices::bytes(const Slice& slice) noexcept {
    return sizeof(Slice) + kOverheadBytes + slice.tape.size() + slice.subjects.size() * sizeof(std::uint64_t) +
           (slice.tape.head() - slice.tape.begin()) * sizeof(Tape::Entry);
}

Slices::Map::iterator Slices::forget(Map::iterator at) {
    auto& slice = at->second.slice;
    bytes_ -= bytes(*slice);
    if (slice.use_count() > 1) slice->held = readers_.charge(Readers::Pool::streams, bytes(*slice));
    used_.erase(at->second.used);
    return kept_.erase(at);
}

std::shared_ptr<const Slice> Slices::find(const Of& of, Offset from, UtcMillis now) {
    auto at = kept_.upper_bound({of, from});
    if (at == kept_.begin()) return nullptr;
    --at;
    if (at->first.first != of) return nullptr;
    const Slice& slice = *at->second.slice;
    if (from >= slice.tape.head()) return nullptr;
    // What time has overtaken is decided anew, and so is everything where the clock was set back.
    const auto place = slice.tape.position_of(from);
    const bool holds = now >= slice.decided_at && (slice.holds_until.value == 0 || now < slice.holds_until) &&
                       (place == slice.tape.end() || slice.tape.fresh_until(place, place + 1, now.value) > place);
    if (!holds) {
        forget(at);
        return nullptr;
    }
    used_.splice(used_.end(), used_, at->second.used);
    return at->second.slice;
}

Offset Slices::next_begin(const Of& of, Offset from) const {
    const auto at = kept_.upper_bound({of, from});
    return at == kept_.end() || at->first.first != of ? ~Offset{0} : at->first.second;
}

void Slices::keep(const Of& of, std::shared_ptr<Slice> slice) {
    const Key key{of, slice->tape.begin()};
    if (const auto at = kept_.find(key); at != kept_.end()) forget(at);
    bytes_ += bytes(*slice);
    used_.push_back(key);
    kept_.emplace(key, Kept{std::move(slice), std::prev(used_.end())});
    while (bytes_ > limits::catch_up_kept_max_bytes) forget(kept_.find(used_.front()));
}

void Slices::forget_subject(std::uint64_t subject) {
    for (auto at = kept_.begin(); at != kept_.end();) {
        const auto& subjects = at->second.slice->subjects;
        at = std::binary_search(subjects.begin(), subjects.end(), subject) ? forget(at) : std::next(at);
    }
}

void Slices::forget_all() {
    for (auto at = kept_.begin(); at != kept_.end();) at = forget(at);
}

std::shared_ptr<const Stretch> Stretches::find(Offset at) {
    auto piece = held_.upper_bound(at);
    if (piece == held_.begin()) return nullptr;
    --piece;
    auto stretch = piece->second.lock();
    if (!stretch) held_.erase(piece);
    return stretch && stretch->covers(at) ? stretch : nullptr;
}

void Stretches::add(const std::shared_ptr<const Stretch>& stretch) {
    std::erase_if(held_, [](const auto& one) { return one.second.expired(); });
    held_[stretch->from] = stretch;
}

std::shared_ptr<Stretches::Reading> Stretches::likely(Offset at) {
    std::erase_if(readings_, [](const auto& one) { return one.second.expired(); });
    auto one = readings_.upper_bound(at);
    if (one == readings_.begin()) return nullptr;
    --one;
    auto reading = one->second.lock();
    return reading && at < reading->likely_to ? reading : nullptr;
}

}  // namespace licet::stream
