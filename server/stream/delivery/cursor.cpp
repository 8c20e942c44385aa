#include "server/stream/delivery/cursor.h"

#include <array>

#include "base/encoding.h"

namespace licet::stream {
namespace {

constexpr std::string_view kAssociated = "licet/cursor/1";

template <class Int>
void put(std::uint8_t*& p, Int v) noexcept {
    for (std::size_t i = 0; i < sizeof(Int); ++i) *p++ = static_cast<std::uint8_t>(static_cast<std::uint64_t>(v) >> (8 * i));
}
template <class Int>
void take(const std::uint8_t*& p, Int& v) noexcept {
    std::uint64_t u = 0;
    for (std::size_t i = 0; i < sizeof(Int); ++i) u |= std::uint64_t{*p++} << (8 * i);
    v = static_cast<Int>(u);
}

}  // namespace

bool seal_cursor(ports::Siv& siv, const CursorPosition& position, char* out) noexcept {
    std::array<std::uint8_t, kCursorBytes> plain;
    std::array<std::uint8_t, kCursorBytes + 16> sealed;
    std::uint8_t* p = plain.data();
    put(p, position.product.value);
    put(p, position.partition.value);
    put(p, position.stream_epoch.value);
    put(p, position.next);
    if (!siv.seal(plain, as_bytes(kAssociated), sealed)) return false;
    base64url_to(sealed, out);
    return true;
}

Result<CursorPosition> open_cursor(ports::Siv& siv, std::string_view text) {
    const Error refused{Errc::invalid_cursor, "not a cursor of this server", "query:from"};
    const auto raw = text.size() == kCursorText ? parse_base64url(text) : std::nullopt;
    std::array<std::uint8_t, kCursorBytes> plain;
    if (!raw || raw->size() != kCursorBytes + 16 || !siv.open(as_bytes(*raw), as_bytes(kAssociated), plain)) return refused;
    CursorPosition out;
    const std::uint8_t* p = plain.data();
    take(p, out.product.value);
    take(p, out.partition.value);
    take(p, out.stream_epoch.value);
    take(p, out.next);
    return out;
}

}  // namespace licet::stream
