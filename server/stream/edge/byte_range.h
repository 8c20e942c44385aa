// The part of a representation a request asks for (RFC 9110, section 14): one range of bytes, or the whole. Pure; used for downloads.
#pragma once

#include <cstdint>
#include <string_view>

namespace licet::stream {

struct ByteRange {
    bool part = false;
    std::uint64_t from = 0, to = 0;  // [from, to)
    bool operator==(const ByteRange&) const = default;
};

// `range` and `if_range`: the headers, empty when not given. What is malformed, of another unit, of several ranges or for another `etag` (strong,
// with its quotes) asks for the whole.
[[nodiscard]] ByteRange byte_range(std::string_view range, std::string_view if_range, std::string_view etag, std::uint64_t bytes) noexcept;

}  // namespace licet::stream
