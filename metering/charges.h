// What the sessions of one contract on one node are about to write of one product partition and has been drawn from quotas: each offset once, however
// many write it at a time. Pure; not thread-safe: guarded with the shares it is drawn from.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "base/ids.h"

namespace licet::metering {

class Charges {
  public:
    // One more writes this offset. True: it is drawn already.
    [[nodiscard]] bool join(Offset at);
    // The first to write it has drawn it: `bytes`, and one event.
    void drawn(Offset at, std::uint64_t bytes);
    // It was delivered for the first time. Its bytes, when it was drawn.
    [[nodiscard]] std::optional<std::uint64_t> delivered(Offset at);
    // One who joined or drew it writes it no more. Its bytes, when nobody does and nobody has delivered it: to be given back.
    [[nodiscard]] std::optional<std::uint64_t> leave(Offset at);
    [[nodiscard]] std::size_t size() const noexcept { return open_.size(); }

  private:
    struct Charge {
        std::uint64_t bytes = 0;
        std::uint32_t writers = 0;
        bool delivered = false;
    };
    std::unordered_map<Offset, Charge> open_;
};

}  // namespace licet::metering
