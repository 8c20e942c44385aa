// Finds where governed values are in JSON text that was validated and minified before: positions only, no values, no validation. Used by ingest for a
// mapping's fields and attributes. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "event/record.h"

namespace licet::event {

// The paths one is looking for, as a tree of reference tokens.
class PathTree {
  public:
    // `target` is returned with each value found at the path.
    void add(const std::vector<std::string>& path, std::size_t target);

  private:
    friend class SpanScanner;
    struct Node {
        std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
        std::vector<std::size_t> targets;
    };
    Node root_;
};

struct FoundValue {
    std::size_t target;
    ValueKind kind;
    std::uint32_t member_begin, value_begin, value_end;
};

// Appends every value at one of the paths, sorted by value_begin (outer before inner). Array elements are addressed by index.
// Error: duplicate_governed_key with the pointer, when an object on the way has a wanted key twice.
// Precondition: `json` is valid minified JSON, nested no deeper than 1024.
[[nodiscard]] Status find_values(std::string_view json, const PathTree& tree, std::vector<FoundValue>& out);

}  // namespace licet::event
