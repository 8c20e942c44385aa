// A token bucket: so much a second, and a second's worth at once after a pause. Time is passed in. Pure; not thread-safe.
#pragma once

#include <cstdint>

namespace licet::metering {

class TokenBucket {
  public:
    // Full at first.
    explicit TokenBucket(std::uint64_t per_second = 1) noexcept : per_second_(per_second), tokens_(per_second) {}

    // Up to `wanted` tokens, and of what is there half at most, rounded up: who asks next finds some. A clock that ran back gives nothing.
    [[nodiscard]] std::uint64_t take(std::uint64_t wanted, std::uint64_t per_second, std::int64_t now_us) noexcept;
    [[nodiscard]] std::uint64_t tokens() const noexcept { return tokens_; }

  private:
    std::uint64_t per_second_, tokens_;
    std::uint64_t fraction_ = 0;  // of a token, in millionths
    std::int64_t at_us_ = 0;
    bool begun_ = false;
};

}  // namespace licet::metering
