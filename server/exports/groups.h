// Sums of usage lines by some of their fields; lines that are no usage stay lines of their own. Used by the lines report and the workbook. One
// thread.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "server/ports/accounts.h"

namespace licet::exports {

inline constexpr std::array<std::string_view, 7> kGroups{"contract", "product", "view", "purpose", "jurisdiction", "region", "day"};

// The value of a field of kGroups.
[[nodiscard]] const std::string& field(const ports::AccountLine& line, std::string_view group) noexcept;
// Of a list by commas, each once, in the order given. Errors: invalid_parameter (query:group).
[[nodiscard]] Result<std::vector<std::string>> parse_groups(std::string_view text);

struct GroupSum {
    std::uint64_t events = 0, bytes = 0, minutes = 0;
    metering::Decimal amount;
    int exponent = 2;
    bool closed = true;  // all of it
};

class GroupSums {
  public:
    // The fields in the order of the groups, then the currency.
    using Key = std::vector<std::string>;
    explicit GroupSums(std::vector<std::string> groups) : groups_(std::move(groups)) {}
    // Errors: invalid_parameter (query:group) past limits::export_groups_max.
    [[nodiscard]] Status add(const ports::Account& account, const ports::AccountLine& line);
    [[nodiscard]] const std::map<Key, GroupSum>& all() const noexcept { return sums_; }
    void clear() { sums_.clear(); }

  private:
    const std::vector<std::string> groups_;
    std::map<Key, GroupSum> sums_;
};

// Totals by currency.
class Totals {
  public:
    void add(const std::string& currency, int exponent, const metering::Decimal& amount);
    struct Total {
        metering::Decimal amount;
        int exponent = 2;
    };
    [[nodiscard]] const std::map<std::string, Total>& all() const noexcept { return totals_; }
    // "EUR 2 12.30;USD 2 1.00"
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool parse(std::string_view text);

  private:
    std::map<std::string, Total> totals_;
};

}  // namespace licet::exports
