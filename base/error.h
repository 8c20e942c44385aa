// The one error vocabulary of the project: what went wrong, in a form the edge can show as RFC 9457 problem+json.
// Used by every folder. The catalogue is base/errors.def; api/errors.json documents the same list (a test compares them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace licet {

enum class Errc : std::uint16_t {
#define LICET_ERROR(name, slug, status, title) name,
#include "base/errors.def"
#undef LICET_ERROR
};

struct ErrorEntry {
    std::string_view slug;  // stable; last segment of the problem `type`
    std::uint16_t http_status;
    std::string_view title;
};

// Catalogue entry of a code; never fails.
[[nodiscard]] const ErrorEntry& catalogue_entry(Errc code) noexcept;
[[nodiscard]] std::size_t catalogue_size() noexcept;

// `detail` may be shown to clients: no payload, token or subject id in it.
// `pointer` is an RFC 6901 JSON Pointer (or "header:Name", "query:name") to the offending input, or empty.
struct Error {
    Error() = default;
    // A constructor, not an aggregate: GCC 12 destroys aggregate temporaries of a co_await expression twice.
    Error(Errc of, std::string why, std::string where) : code(of), detail(std::move(why)), pointer(std::move(where)) {}
    Errc code{};
    std::string detail;
    std::string pointer;
    std::string members;  // further members of the problem document, as the text of a JSON object; empty: none
};

}  // namespace licet
