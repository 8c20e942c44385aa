#include "event/info_type_finder.h"

#include <algorithm>
#include <array>

namespace licet::event {
namespace {

constexpr bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool alpha(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool alnum(char c) noexcept { return digit(c) || alpha(c); }
constexpr bool hex_digit(char c) noexcept { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
constexpr bool beyond_ascii(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }
constexpr bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
constexpr char at(std::string_view s, std::size_t i) noexcept { return i < s.size() ? s[i] : '\0'; }

// ---- e-mail: around every '@', as far as the characters go

constexpr bool local_character(char c) noexcept {
    return alnum(c) || beyond_ascii(c) || std::string_view("!#$%&'*+/=?^_`{|}~.-").find(c) != std::string_view::npos;
}

std::size_t email(std::string_view text, std::size_t sign, std::size_t floor, std::size_t& begin) noexcept {
    constexpr std::size_t kLocal = 64, kDomain = 253, kLabel = 63;
    begin = sign;
    while (begin > floor && sign - begin < kLocal && local_character(text[begin - 1])) --begin;
    while (begin < sign && continues(text[begin])) ++begin;
    while (begin < sign && !alnum(text[begin]) && !beyond_ascii(text[begin]) && text[begin] != '_') ++begin;
    if (begin == sign) return 0;
    std::size_t end = sign + 1, last = 0, label = end;
    int labels = 0;
    for (;; ++end) {
        const char c = at(text, end);
        const bool inside = end < text.size() && end - sign <= kDomain;
        if (inside && (alnum(c) || c == '-' || beyond_ascii(c))) continue;
        // A label ends here. One that runs on past the sizes is taken as far as they go.
        if (end == label) break;
        ++labels;
        last = std::min(end, label + kLabel);
        if (last < end || !inside || c != '.') break;
        label = end + 1;
    }
    while (last > sign && last < text.size() && continues(text[last])) --last;
    return labels >= 2 ? last : 0;
}

// ---- IP addresses

// Bytes of the dotted quad at the start; 0: none.
std::size_t ipv4_prefix(std::string_view s) noexcept {
    std::size_t i = 0;
    for (int part = 0; part < 4; ++part) {
        if (part > 0 && at(s, i++) != '.') return 0;
        int value = 0, digits = 0;
        for (; digit(at(s, i)) && digits < 4; ++i, ++digits) value = value * 10 + (s[i] - '0');
        if (digits == 0 || digits > 3 || value > 255) return 0;
    }
    return digit(at(s, i)) || (at(s, i) == '.' && digit(at(s, i + 1))) ? 0 : i;
}

// Bytes of the longest IPv6 address at the start that ends where a group does; 0: none.
std::size_t ipv6_prefix(std::string_view s) noexcept {
    int groups = 0;
    bool gap = false, digits_seen = false;
    std::size_t i = 0, valid = 0;
    if (s.starts_with("::")) {
        gap = true;
        i = 2;
    }
    while (groups < 8) {
        if (const auto quad = ipv4_prefix(s.substr(i)); quad != 0 && groups <= 6 && (gap ? groups < 6 : groups == 6)) return i + quad;
        std::size_t digits = 0;
        while (digits < 5 && hex_digit(at(s, i + digits))) ++digits;
        if (digits == 0 || digits > 4 || alnum(at(s, i + digits))) break;
        digits_seen = true;
        i += digits;
        ++groups;
        if (gap ? groups < 8 : groups == 8) valid = i;
        if (at(s, i) != ':') break;
        if (at(s, i + 1) == ':') {
            if (gap) break;
            gap = true;
            i += 2;
            if (groups < 8 && !alnum(at(s, i))) valid = i;
        } else {
            ++i;
        }
    }
    return digits_seen ? valid : 0;
}

// ---- numbers in groups: phone, card, IBAN

constexpr bool separator(char c) noexcept { return c == ' ' || c == '-'; }

// "+" or "00", a country code, 7 to 15 digits in all, grouped by at most two of space - . / ( ).
std::size_t phone(std::string_view text, std::size_t begin) noexcept {
    constexpr int kMin = 7, kMax = 15;
    const bool plus = text[begin] == '+';
    std::size_t i = begin + (plus ? 1 : 2);
    if (at(text, i) < '1' || at(text, i) > '9') return 0;
    int digits = 0;
    std::size_t end = 0;
    for (;;) {
        while (digit(at(text, i)) && digits <= kMax) ++i, ++digits;
        if (digits > kMax) break;
        if (digits >= kMin) end = i;
        std::size_t gap = 0;
        while (gap < 3 && std::string_view(" -./()").find(at(text, i + gap)) != std::string_view::npos && i + gap < text.size()) ++gap;
        if (gap == 0 || gap > 2 || !digit(at(text, i + gap))) break;
        i += gap;
    }
    return end;
}

bool luhn(std::string_view digits) noexcept {
    int sum = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        int d = digits[digits.size() - 1 - i] - '0';
        if (i % 2 == 1) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return sum % 10 == 0;
}

// 13 to 19 digits, single separators between groups, first digit of a card scheme (2 to 6).
std::size_t card(std::string_view text, std::size_t begin) noexcept {
    constexpr std::size_t kMin = 13, kMax = 19;
    if (text[begin] < '2' || text[begin] > '6') return 0;
    std::array<char, kMax> digits{};
    std::array<std::size_t, kMax + 1> ends{};  // of so many digits, where a group ends; 0: none
    std::size_t count = 0;
    for (std::size_t i = begin; count < kMax && digit(at(text, i));) {
        digits[count++] = text[i++];
        if (!digit(at(text, i))) ends[count] = i;
        if (separator(at(text, i)) && digit(at(text, i + 1))) ++i;
    }
    for (std::size_t n = count; n >= kMin; --n)
        if (ends[n] != 0 && luhn(std::string_view(digits.data(), n))) return ends[n];
    return 0;
}

// Sizes by country, from the registry of ISO 13616.
constexpr std::string_view kIbanSizes =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28"
    "IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24"
    "SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::size_t iban(std::string_view text, std::size_t begin) noexcept {
    if (!alpha(at(text, begin)) || !alpha(at(text, begin + 1)) || !digit(at(text, begin + 2)) || !digit(at(text, begin + 3))) return 0;
    std::size_t size = 0;
    for (std::size_t i = 0; i < kIbanSizes.size() && size == 0; i += 4)
        if (kIbanSizes[i] == upper(text[begin]) && kIbanSizes[i + 1] == upper(text[begin + 1]))
            size = static_cast<std::size_t>((kIbanSizes[i + 2] - '0') * 10 + (kIbanSizes[i + 3] - '0'));
    std::array<char, 34> characters{};
    std::size_t count = 0, i = begin;
    while (count < size && alnum(at(text, i))) {
        characters[count++] = upper(text[i++]);
        if (count < size && separator(at(text, i)) && alnum(at(text, i + 1))) ++i;
    }
    if (size == 0 || count < size || alnum(at(text, i))) return 0;
    int remainder = 0;
    for (std::size_t k = 0; k < size; ++k) {
        const char c = characters[(k + 4) % size];
        remainder = digit(c) ? (remainder * 10 + (c - '0')) % 97 : (remainder * 100 + (c - 'A' + 10)) % 97;
    }
    return remainder == 1 ? i : 0;
}

}  // namespace

void find_info_types(std::string_view text, std::vector<InfoFinding>& out) {
    const std::size_t first = out.size();
    std::size_t email_end = 0, ip_end = 0, phone_end = 0, iban_end = 0, card_end = 0;
    const auto found = [&](InfoType type, std::size_t begin, std::size_t end, std::size_t& ends) {
        if (end == 0) return;
        out.push_back({type, begin, end});
        ends = end;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i], before = i == 0 ? '\0' : text[i - 1];
        if (c == '@' && i >= email_end) {
            std::size_t begin = i;
            const std::size_t end = email(text, i, email_end, begin);
            found(InfoType::email_address, begin, end, email_end);
        }
        if (i >= ip_end && digit(c) && !digit(before) && !(before == '.' && i >= 2 && digit(text[i - 2])))
            if (const auto size = ipv4_prefix(text.substr(i)); size != 0) found(InfoType::ip_address, i, i + size, ip_end);
        if (i >= ip_end && (hex_digit(c) || c == ':') && !alnum(before) && !(c == ':' && before == ':'))
            if (const auto size = ipv6_prefix(text.substr(i)); size != 0) found(InfoType::ip_address, i, i + size, ip_end);
        // What a check digit proves is not also taken for something else.
        if (i >= phone_end && i >= iban_end && i >= card_end && !alnum(before) && before != '+' && (c == '+' || (c == '0' && at(text, i + 1) == '0')))
            found(InfoType::phone_number, i, phone(text, i), phone_end);
        if (i >= iban_end && alpha(c) && !alnum(before)) found(InfoType::iban_code, i, iban(text, i), iban_end);
        if (i >= card_end && i >= iban_end && digit(c) && !digit(before)) found(InfoType::credit_card_number, i, card(text, i), card_end);
    }
    std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                     [](const InfoFinding& a, const InfoFinding& b) { return a.begin < b.begin; });
}

}  // namespace licet::event
