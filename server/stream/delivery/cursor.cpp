#include "server/stream/delivery/cursor.h"

#include <array>
#include <span>

#include "base/encoding.h"

namespace licet::stream {
namespace {

constexpr std::string_view kAssociated = "licet/cursor/1", kReaderAssociated = "licet/cursor/reader/1";

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

void put_position(std::uint8_t*& p, const CursorPosition& position) noexcept {
    put(p, position.product.value);
    put(p, position.partition.value);
    put(p, position.stream_epoch.value);
    put(p, position.next);
}

}  // namespace

bool seal_cursor(ports::Siv& siv, const CursorPosition& position, char* out) noexcept {
    std::array<std::uint8_t, kCursorBytes> plain;
    std::array<std::uint8_t, kCursorBytes + 16> sealed;
    std::uint8_t* p = plain.data();
    put_position(p, position);
    if (!siv.seal(plain, as_bytes(kAssociated), sealed)) return false;
    base64url_to(sealed, out);
    return true;
}

std::string seal_reader_cursor(ports::Siv& siv, const CursorPosition& position) {
    std::array<std::uint8_t, kReaderCursorBytes> plain;
    std::array<std::uint8_t, kReaderCursorBytes + 16> sealed;
    std::uint8_t* p = plain.data();
    put_position(p, position);
    put(p, position.since.value_or(position.next));
    put(p, position.contract.value);
    if (!siv.seal(plain, as_bytes(kReaderAssociated), sealed)) return {};
    std::string out(kReaderCursorText, '\0');
    base64url_to(sealed, out.data());
    return out;
}

Result<CursorPosition> open_cursor(ports::Siv& siv, std::string_view text) {
    const Error refused{Errc::invalid_cursor, "not a cursor of this server", "query:from"};
    const bool of_reader = text.size() == kReaderCursorText;
    const auto raw = of_reader || text.size() == kCursorText ? parse_base64url(text) : std::nullopt;
    std::array<std::uint8_t, kReaderCursorBytes> plain;
    const std::span<std::uint8_t> into(plain.data(), of_reader ? kReaderCursorBytes : kCursorBytes);
    if (!raw || raw->size() != into.size() + 16 || !siv.open(as_bytes(*raw), as_bytes(of_reader ? kReaderAssociated : kAssociated), into))
        return refused;
    CursorPosition out;
    const std::uint8_t* p = plain.data();
    take(p, out.product.value);
    take(p, out.partition.value);
    take(p, out.stream_epoch.value);
    take(p, out.next);
    if (!of_reader) return out;
    take(p, out.since.emplace());
    take(p, out.contract.value);
    if (*out.since > out.next) return refused;
    return out;
}

}  // namespace licet::stream
