#include "server/app/privacy_strings.h"

#include <algorithm>

#include "base/limits.h"

namespace licet::app {
namespace {

constexpr unsigned kTcfEu = 2, kUsPrivacy = 6, kUsNational = 7;
constexpr unsigned kVendorsMax = 65'535, kSectionsMax = 64;

// Bits of one segment, six to a character (RFC 4648 section 5), most significant first. Reading past the end is remembered and gives zeros.
class Bits {
  public:
    explicit Bits(std::string_view text) : text_(text) {}

    // The first character that is none of the alphabet; npos: all are.
    [[nodiscard]] std::size_t foreign() const { return text_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"); }
    bool bit() {
        const std::size_t at = next_ / 6;
        if (at >= text_.size()) {
            short_ = true;
            return false;
        }
        const char c = text_[at];
        const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                          : c >= 'a' && c <= 'z' ? c - 'a' + 26
                          : c >= '0' && c <= '9' ? c - '0' + 52
                          : c == '-'             ? 62
                                                 : 63;
        return (value >> (5 - next_++ % 6)) & 1;
    }
    std::uint64_t number(unsigned bits) {
        std::uint64_t out = 0;
        while (bits-- > 0) out = out << 1 | (bit() ? 1 : 0);
        return out;
    }
    unsigned small(unsigned bits) { return static_cast<unsigned>(number(bits)); }
    // Two letters of six bits each.
    std::string letters() {
        std::string out;
        for (int i = 0; i < 2; ++i) {
            const unsigned letter = small(6);
            if (letter > 25) wrong_ = true;
            out += static_cast<char>('A' + letter);
        }
        return out;
    }
    std::vector<unsigned> flags(unsigned count) {
        std::vector<unsigned> out;
        for (unsigned i = 1; i <= count; ++i)
            if (bit()) out.push_back(i);
        return out;
    }
    // Zeckendorf sum, least first, ended by a second 1.
    unsigned fibonacci() {
        std::uint64_t sum = 0, a = 1, b = 2;
        for (bool last = false;;) {
            const bool one = bit();
            if (one && last) return static_cast<unsigned>(sum);
            if (one) sum += a;
            last = one;
            b += a;
            a = b - a;
            if (short_ || sum > kVendorsMax || b > 2 * std::uint64_t{kVendorsMax} + 2) {
                wrong_ = true;
                return 0;
            }
        }
    }
    [[nodiscard]] bool cut() const noexcept { return short_; }
    [[nodiscard]] bool wrong() const noexcept { return wrong_; }
    void spoil() noexcept { wrong_ = true; }
    // What fills up the last characters is zero.
    [[nodiscard]] bool rest_is_zero() {
        while (next_ < text_.size() * 6)
            if (bit()) return false;
        return true;
    }

  private:
    std::string_view text_;
    std::size_t next_ = 0;
    bool short_ = false, wrong_ = false;
};

Error bad(std::string what) { return {Errc::invalid_document, std::move(what), {}}; }

std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> out;
    for (;;) {
        const auto at = text.find(by);
        out.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return out;
        text.remove_prefix(at + 1);
    }
}

// Single numbers and ranges within 1..max, in whatever order, each told to `take(first, last)`. No more than there are numbers.
template <class Take>
void ranges(Bits& bits, unsigned max, Take&& take) {
    std::size_t numbers = 0;
    for (unsigned entries = bits.small(12); entries > 0 && !bits.cut() && !bits.wrong(); --entries) {
        const bool range = bits.bit();
        const unsigned first = bits.small(16), last = range ? bits.small(16) : first;
        if (first == 0 || last < first || last > max || numbers + (last - first) >= max) bits.spoil();
        if (bits.wrong()) return;
        numbers += last - first + 1;
        take(first, last);
    }
}
std::vector<unsigned> vendors(Bits& bits) {
    const unsigned max = bits.small(16);
    if (!bits.bit()) return bits.flags(max);
    std::vector<unsigned> out;
    ranges(bits, max, [&](unsigned first, unsigned last) {
        for (unsigned v = first; v <= last; ++v) out.push_back(v);
    });
    return out;
}

std::optional<Error> refuse_segment(Bits& bits, std::string_view what, bool padding = true) {
    if (bits.cut()) return bad(std::string(what) + " is cut off");
    if (bits.wrong()) return bad(std::string(what) + " holds a value that is not allowed");
    if (padding && !bits.rest_is_zero()) return bad(std::string(what) + " goes on after its end");
    return std::nullopt;
}

Result<TcString> read_core(std::string_view segment) {
    Bits bits(segment);
    if (bits.foreign() != std::string_view::npos) return bad("not base64url at character " + std::to_string(bits.foreign() + 1));
    if (const unsigned version = bits.small(6); bits.cut() || version != 2)
        return bad(bits.cut() ? "is empty" : "expected version 2 of the TC string, not " + std::to_string(version));
    TcString out;
    out.created = {static_cast<std::int64_t>(bits.number(36) * 100)};
    out.updated = {static_cast<std::int64_t>(bits.number(36) * 100)};
    out.cmp = bits.small(12);
    out.cmp_version = bits.small(12);
    bits.number(6);  // screen
    out.language = bits.letters();
    out.vendor_list = bits.small(12);
    out.policy_version = bits.small(6);
    out.service_specific = bits.bit();
    bits.bit();       // texts that are not the standard ones
    bits.number(12);  // special features
    out.consents = bits.flags(24);
    out.legitimate_interests = bits.flags(24);
    bits.bit();  // purpose one was not asked for
    out.publisher_country = bits.letters();
    out.vendor_consents = vendors(bits);
    (void)vendors(bits);  // legitimate interests
    for (unsigned left = bits.small(12); left > 0 && !bits.cut() && !bits.wrong(); --left) {
        bits.number(6 + 2);  // purpose, kind of restriction
        ranges(bits, kVendorsMax, [](unsigned, unsigned) {});
    }
    if (auto error = refuse_segment(bits, "the core segment")) return *error;
    if (out.updated < out.created) return bad("was updated before it was created");
    return out;
}

// Segments after the core: 1 disclosed vendors, 2 allowed vendors, 3 the publisher's own purposes. They change nothing here, but must be whole.
std::optional<Error> refuse_other(std::string_view segment, unsigned& seen) {
    Bits bits(segment);
    if (segment.empty() || bits.foreign() != std::string_view::npos) return bad("a segment is not base64url");
    const unsigned type = bits.small(3);
    if (type == 0 || type > 3 || (seen & 1u << type) != 0) return bad("segment type " + std::to_string(type) + " is unknown or there twice");
    seen |= 1u << type;
    if (type == 3) {
        bits.number(24 + 24);
        const unsigned own = bits.small(6);
        (void)bits.flags(2 * own);
    } else {
        (void)vendors(bits);
    }
    return refuse_segment(bits, "segment type " + std::to_string(type));
}

struct Header {
    std::vector<unsigned> sections;
};
Result<Header> read_header(std::string_view text) {
    Bits bits(text);
    if (bits.foreign() != std::string_view::npos) return bad("the header is not base64url");
    const unsigned type = bits.small(6), version = bits.small(6);
    if (bits.cut() || type != 3 || version != 1) return bad("expected the header of version 1 of a GPP string");
    Header out;
    for (unsigned entries = bits.small(12); entries > 0 && !bits.cut() && !bits.wrong(); --entries) {
        const bool range = bits.bit();
        const unsigned before = out.sections.empty() ? 0 : out.sections.back();
        const unsigned first = before + bits.fibonacci();
        const unsigned last = range ? first + bits.fibonacci() : first;
        if (first <= before || last - before > kSectionsMax || out.sections.size() > kSectionsMax) bits.spoil();
        for (unsigned id = first; id <= last && !bits.wrong(); ++id) out.sections.push_back(id);
    }
    if (auto error = refuse_segment(bits, "the header")) return *error;
    return out;
}

// "1YNN": version, notice given, opted out of sale, a limited service provider agreement.
std::optional<Error> read_us_privacy(std::string_view text, UsChoices& into) {
    const auto answers = text.size() == 4 ? text.substr(1) : std::string_view{};
    if (answers.empty() || text[0] != '1' || answers.find_first_not_of("YNyn-") != std::string_view::npos)
        return bad("section 6 is not a USPrivacy string");
    into.sale_opt_out = into.sale_opt_out || answers[1] == 'Y' || answers[1] == 'y';
    return std::nullopt;
}

std::optional<Error> read_us_national(std::string_view text, UsChoices& into) {
    const auto segments = split(text, '.');
    if (segments.size() > 2) return bad("section 7 has too many segments");
    Bits core(segments[0]);
    if (core.foreign() != std::string_view::npos) return bad("section 7 is not base64url");
    const unsigned version = core.small(6);
    if (version != 1 && version != 2) return bad("section 7 is of an unknown version");
    std::vector<unsigned> answers;
    // Notices and opt-outs, sensitive data, children, personal data, the agreement.
    // There are more kinds of sensitive data since 2024, whatever the version; strings made before are shorter.
    const bool longer = segments[0].size() >= 12;
    for (unsigned left = longer ? 9 + 16 + 3 + 4 : 9 + 12 + 2 + 4; left > 0; --left) {
        answers.push_back(core.small(2));
        if (answers.back() == 3) core.spoil();
    }
    if (auto error = refuse_segment(core, "section 7")) return error;
    into.sale_opt_out = into.sale_opt_out || answers[6] == 1;
    into.sharing_opt_out = into.sharing_opt_out || answers[7] == 1;
    into.targeted_advertising_opt_out = into.targeted_advertising_opt_out || answers[8] == 1;
    if (segments.size() == 1) return std::nullopt;
    Bits signal(segments[1]);
    if (signal.foreign() != std::string_view::npos || signal.small(2) != 1) return bad("section 7 has an unknown segment");
    if (signal.bit()) into = {true, true, true};  // Global Privacy Control
    return refuse_segment(signal, "section 7");
}

}  // namespace

Result<TcString> read_tc_string(std::string_view text) {
    const auto segments = split(text, '.');
    auto out = read_core(segments[0]);
    if (!out) return out;
    unsigned seen = 0;
    for (std::size_t i = 1; i < segments.size(); ++i)
        if (auto error = refuse_other(segments[i], seen)) return *error;
    return out;
}

Result<GppString> read_gpp_string(std::string_view text) {
    const auto parts = split(text, '~');
    auto header = read_header(parts[0]);
    if (!header) return header.error();
    GppString out{std::move(header->sections), {}, {}};
    if (parts.size() != out.sections.size() + 1)
        return bad("the header lists " + std::to_string(out.sections.size()) + " sections, not those that follow");
    for (std::size_t i = 0; i < out.sections.size(); ++i) {
        std::optional<Error> error;
        UsChoices us = out.us.value_or(UsChoices{});
        if (out.sections[i] == kTcfEu) {
            auto tc = read_tc_string(parts[i + 1]);
            if (!tc) return bad("section 2: " + tc.error().detail);
            out.tcf_eu = *std::move(tc);
        } else if (out.sections[i] == kUsPrivacy || out.sections[i] == kUsNational) {
            error = out.sections[i] == kUsPrivacy ? read_us_privacy(parts[i + 1], us) : read_us_national(parts[i + 1], us);
            out.us = us;
        }
        if (error) return *error;
    }
    if (!out.tcf_eu && !out.us) return bad("has none of the sections 2 (EU), 6 (USPrivacy) and 7 (United States, national)");
    return out;
}

}  // namespace licet::app
