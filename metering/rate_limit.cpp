#include "metering/rate_limit.h"

#include <algorithm>

namespace licet::metering {

std::uint64_t TokenBucket::take(std::uint64_t wanted, std::uint64_t per_second, std::int64_t now_us) noexcept {
    constexpr std::int64_t kSecondUs = 1'000'000;
    const std::int64_t elapsed = begun_ ? std::clamp<std::int64_t>(now_us - at_us_, 0, kSecondUs) : 0;
    if (!begun_ || now_us > at_us_) at_us_ = now_us;
    begun_ = true;
    // At most 10^10 a second for 10^6 microseconds: no overflow.
    const std::uint64_t grown = per_second_ * static_cast<std::uint64_t>(elapsed) + fraction_;
    tokens_ += grown / kSecondUs;
    fraction_ = grown % kSecondUs;
    per_second_ = per_second;
    if (tokens_ >= per_second_) {
        tokens_ = per_second_;
        fraction_ = 0;
    }
    const std::uint64_t given = std::min(wanted, tokens_ - tokens_ / 2);
    tokens_ -= given;
    return given;
}

}  // namespace licet::metering
