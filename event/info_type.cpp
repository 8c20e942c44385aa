#include "event/info_type.h"

#include <algorithm>
#include <array>

namespace licet::event {
namespace {

struct Named {
    InfoType type;
    std::string_view name;
};
constexpr std::array kNames{
    Named{InfoType::email_address, "EMAIL_ADDRESS"},
    Named{InfoType::ip_address, "IP_ADDRESS"},
    Named{InfoType::phone_number, "PHONE_NUMBER"},
    Named{InfoType::iban_code, "IBAN_CODE"},
    Named{InfoType::credit_card_number, "CREDIT_CARD_NUMBER"},
    Named{InfoType::person_name, "PERSON_NAME"},
    Named{InfoType::street_address, "STREET_ADDRESS"},
    Named{InfoType::location, "LOCATION"},
    Named{InfoType::date_of_birth, "DATE_OF_BIRTH"},
    Named{InfoType::generic_id, "GENERIC_ID"},
    Named{InfoType::free_text, "FREE_TEXT"},
};

constexpr bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool hex_digit(char c) noexcept { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Dotted quad, each part 0-255. Leading zeros count: some producers write them, and treating "010.0.0.1" as clear text would leak.
bool is_ipv4(std::string_view s) noexcept {
    if (s.size() < 7 || s.size() > 15) return false;
    int parts = 0;
    std::size_t at = 0;
    while (at < s.size()) {
        int value = 0, digits = 0;
        while (at < s.size() && digit(s[at]) && digits < 4) {
            value = value * 10 + (s[at] - '0');
            ++at;
            ++digits;
        }
        if (digits == 0 || digits > 3 || value > 255) return false;
        ++parts;
        if (at == s.size()) break;
        if (s[at] != '.' || parts == 4 || ++at == s.size()) return false;
    }
    return parts == 4;
}

// RFC 4291 section 2.2: eight groups, "::" once for one or more of zeros, the last two groups optionally as a dotted quad.
bool is_ipv6(std::string_view s) noexcept {
    if (s.size() < 2 || s.size() > 45) return false;
    int groups = 0;
    bool gap = false;
    std::size_t at = 0;
    if (s.starts_with("::")) {
        gap = true;
        at = 2;
        if (at == s.size()) return true;
    } else if (s[0] == ':') {
        return false;
    }
    while (at < s.size()) {
        if (is_ipv4(s.substr(at))) {
            groups += 2;
            at = s.size();
            break;
        }
        std::size_t digits = 0;
        while (at < s.size() && hex_digit(s[at])) {
            ++at;
            ++digits;
        }
        if (digits == 0 || digits > 4) return false;
        ++groups;
        if (at == s.size()) break;
        if (s[at] != ':') return false;
        ++at;
        if (at == s.size()) return false;
        if (s[at] == ':') {
            if (gap) return false;
            gap = true;
            if (++at == s.size()) break;
        }
    }
    return gap ? groups < 8 : groups == 8;
}

// Dot-atom local part, at least two labels in the domain (RFC 5321 sizes). Wider than strict on purpose where it hides more.
bool is_email(std::string_view s) noexcept {
    const auto at = s.rfind('@');
    if (at == std::string_view::npos || at == 0 || at > 64 || s.size() > 254) return false;
    const auto local = s.substr(0, at), domain = s.substr(at + 1);
    for (const char c : local)
        if (static_cast<unsigned char>(c) <= ' ' || c == '@' || c == '<' || c == '>' || c == ',' || c == ';') return false;
    std::size_t label = 0, labels = 0;
    for (std::size_t i = 0; i <= domain.size(); ++i) {
        if (i == domain.size() || domain[i] == '.') {
            if (label == 0 || label > 63) return false;
            ++labels;
            label = 0;
        } else if (digit(domain[i]) || alpha(domain[i]) || domain[i] == '-' || static_cast<unsigned char>(domain[i]) >= 0x80) {
            ++label;
        } else {
            return false;
        }
    }
    return labels >= 2;
}

}  // namespace

std::string_view info_type_name(InfoType type) noexcept {
    const auto at = std::find_if(kNames.begin(), kNames.end(), [&](const Named& n) { return n.type == type; });
    return at == kNames.end() ? std::string_view{} : at->name;
}

std::optional<InfoType> parse_info_type(std::string_view name) noexcept {
    const auto at = std::find_if(kNames.begin(), kNames.end(), [&](const Named& n) { return n.name == name; });
    return at == kNames.end() ? std::nullopt : std::optional(at->type);
}

bool detectable(InfoType type) noexcept { return type == InfoType::email_address || type == InfoType::ip_address; }

bool is_of_type(std::string_view value, InfoType type) noexcept {
    if (type == InfoType::ip_address) return is_ipv4(value) || is_ipv6(value);
    return type == InfoType::email_address && is_email(value);
}

}  // namespace licet::event
