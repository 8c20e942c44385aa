// Info types: what kind of personal or sensitive value a field holds, under the names Google DLP uses, and detectors that say
// whether a whole string value is of a type. Used by mappings, ingest (to mark spans) and policies (to choose transforms). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace licet::event {

enum class InfoType : std::uint8_t {
    none = 0,
    email_address,
    ip_address,
    phone_number,
    iban_code,
    credit_card_number,
    person_name,
    street_address,
    location,
    date_of_birth,
    generic_id,
    free_text,
};

// "EMAIL_ADDRESS", "IP_ADDRESS", ...; empty for none.
[[nodiscard]] std::string_view info_type_name(InfoType type) noexcept;
[[nodiscard]] std::optional<InfoType> parse_info_type(std::string_view name) noexcept;

// True for types with a detector of whole values: EMAIL_ADDRESS, IP_ADDRESS (IPv4 dotted quad or RFC 4291 IPv6 text, no zone, no port).
[[nodiscard]] bool detectable(InfoType type) noexcept;
// Whether the whole (unescaped) value is of the type. False for types without a detector.
[[nodiscard]] bool is_of_type(std::string_view value, InfoType type) noexcept;

}  // namespace licet::event
