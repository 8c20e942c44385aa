#include "metering/charges.h"

namespace licet::metering {

bool Charges::join(Offset at) {
    const auto found = open_.find(at);
    if (found == open_.end()) return false;
    ++found->second.writers;
    return true;
}

void Charges::drawn(Offset at, std::uint64_t bytes) { open_[at] = {bytes, 1, false}; }

std::optional<std::uint64_t> Charges::delivered(Offset at) {
    const auto found = open_.find(at);
    if (found == open_.end() || found->second.delivered) return std::nullopt;
    found->second.delivered = true;
    return found->second.bytes;
}

std::optional<std::uint64_t> Charges::leave(Offset at) {
    const auto found = open_.find(at);
    if (found == open_.end() || --found->second.writers > 0) return std::nullopt;
    const Charge last = found->second;
    open_.erase(found);
    return last.delivered ? std::nullopt : std::optional(last.bytes);
}

}  // namespace licet::metering
