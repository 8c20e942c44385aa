// Rates a quantity that comes in parts without holding them: they are counted, then gone over again until it is known to which parts the cents fall
// that rounding leaves, then each is told its amount. However many parts there are, what is held stays the same. Used by metering::rate (parts in
// memory) and app::BillRating (parts read from the ledger). Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <memory>

#include "metering/price.h"

namespace licet::metering {

class Rating {
  public:
    // How much is held to find the last part that gets a cent: different remainders, and (as a power of two) ranges of remainders, each a count.
    struct Room {
        std::size_t remainders = 4'096;
        unsigned range_bits = 14;
    };
    // `price` must outlive it.
    explicit Rating(const Price& price);
    Rating(const Price& price, Room room);
    ~Rating();
    Rating(Rating&&) noexcept;
    Rating& operator=(Rating&&) noexcept;

    // Every part, once, in any order.
    void count(const Quantity& part) noexcept;
    // All but the parts of it. Errors: as metering::rate.
    [[nodiscard]] Result<Rated> rate(Share share, bool minimum_due);

    // Until settled: all parts again, in any order, and the end of them.
    [[nodiscard]] bool settled() const noexcept;
    void weigh(const Quantity& part);
    void weighed();
    // Then all parts, always in the same order: what each comes to. begin() before the first, as often as they are gone over.
    void begin() noexcept;
    [[nodiscard]] Decimal amount(const Quantity& part);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace licet::metering
