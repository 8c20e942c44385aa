// Finds where governed values are in JSON text that was validated and minified before: positions only, no values, no validation. Used by ingest for a
// mapping's fields and attributes. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "event/record.h"

namespace licet::event {

// The paths one is looking for, as a tree of reference tokens. The token `*` is every element of an array, and the member of that name of an object.
class PathTree {
  public:
    static constexpr std::size_t kChildrenMax = 512;  // different tokens below one node; mappings stay below it (limits::mapping_fields_max)

    PathTree() : nodes_(1) {}
    // `target` is returned with each value found at the path. Precondition: no more than kChildrenMax different tokens below one node.
    void add(const std::vector<std::string>& path, std::size_t target);

  private:
    friend class SpanScanner;
    struct Child {
        std::string token;
        std::size_t index = static_cast<std::size_t>(-1);  // RFC 6901 array index when the token is one
        std::uint32_t node = 0;
    };
    struct Node {
        std::vector<Child> children;  // sorted by size, then bytes
        std::uint64_t sizes = 0;      // bit s: some child's token has s bytes (63: that many or more)
        std::size_t indexes_end = 0;  // one past the largest array index among the children
        const Child* every() const noexcept { return starred ? find("*") : nullptr; }
        bool starred = false;
        std::vector<std::size_t> targets;
        [[nodiscard]] const Child* find(std::string_view token) const noexcept;
        [[nodiscard]] const Child* find(std::size_t index) const noexcept;
    };
    std::vector<Node> nodes_;  // [0] is the root
};

struct FoundValue {
    std::size_t target;
    ValueKind kind;
    std::uint32_t member_begin, value_begin, value_end;
};

// Appends every value at one of the paths, sorted by value_begin (outer before inner). Array elements are addressed by index. Keys are compared
// unescaped. Errors: duplicate_governed_key with the pointer, when an object on the way has a wanted key twice; invalid_event when more than
// kFoundValuesMax values are at the paths. Precondition: `json` is valid minified JSON below 4 GiB.
inline constexpr std::size_t kFoundValuesMax = 4096;
[[nodiscard]] Status find_values(std::string_view json, const PathTree& tree, std::vector<FoundValue>& out);

}  // namespace licet::event
