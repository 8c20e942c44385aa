// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of journal records. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace licet::metering {

[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;

}  // namespace licet::metering
