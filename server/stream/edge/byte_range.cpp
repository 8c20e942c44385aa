#include "server/stream/edge/byte_range.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace licet::stream {
namespace {

std::optional<std::uint64_t> number(std::string_view text) noexcept {
    std::uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

}  // namespace

ByteRange byte_range(std::string_view range, std::string_view if_range, std::string_view etag, std::uint64_t bytes) noexcept {
    const ByteRange whole{false, 0, bytes};
    constexpr std::string_view kUnit = "bytes=";
    if (!range.starts_with(kUnit) || (!if_range.empty() && if_range != etag)) return whole;
    range.remove_prefix(kUnit.size());
    const auto dash = range.find('-');
    if (dash == std::string_view::npos) return whole;
    const auto first = range.substr(0, dash), last = range.substr(dash + 1);
    if (first.empty()) {
        const auto suffix = number(last);
        if (!suffix || *suffix == 0 || bytes == 0) return whole;
        return {true, bytes - std::min(*suffix, bytes), bytes};
    }
    const auto from = number(first);
    const auto to = last.empty() ? std::optional<std::uint64_t>(UINT64_MAX - 1) : number(last);
    if (!from || !to || *to < *from || *from >= bytes) return whole;
    return {true, *from, std::min(*to, bytes - 1) + 1};
}

}  // namespace licet::stream
