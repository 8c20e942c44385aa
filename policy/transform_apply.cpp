#include "policy/transform_apply.h"

#include <array>
#include <vector>

#include "base/encoding.h"
#include "event/json_text.h"
#include "policy/transform_place.h"
#include "policy/transform_regex.h"

namespace licet::policy {

using event::ValueKind;

bool TransformApplier::hides_all(const Transform& t) noexcept {
    if (t.kind == TransformKind::character_mask) return t.number_to_mask == 0 && t.characters_to_skip.empty();
    return strictness(t.kind) >= kHashStrictness;
}

bool TransformApplier::value(const Transform& t, ValueKind kind, std::string_view token, event::InfoType type, const TransformContext& with,
                             std::string& out) {
    switch (t.kind) {
        case TransformKind::redact:
        case TransformKind::null:
            out += "null";
            return true;
        case TransformKind::replace:
            out += t.replacement;
            return true;
        case TransformKind::replace_with_info_type:
            out += "\"[";
            out += event::info_type_name(type);
            out += "]\"";
            return type != event::InfoType::none;
        case TransformKind::keep:
            out += token;
            return true;
        default:
            break;
    }
    const bool string = kind == ValueKind::string;
    std::string_view value = token;
    if (string) {
        // Most values carry no escape: their bytes are between the quotes.
        value = token.substr(1, token.size() - 2);
        if (value.find('\\') != std::string_view::npos) {
            if (!event::unescape_json(token, text_)) return false;
            value = text_;
        }
    }
    if (t.kind == TransformKind::crypto_hash || t.kind == TransformKind::crypto_deterministic) {
        if (!(t.kind == TransformKind::crypto_hash ? hash(value, with) : encrypt(string ? 's' : 'j', value, with))) return false;
        out += '"';
        out += result_;
        out += '"';
        return true;
    }
    // There is nothing in a null to hide by parts.
    if (kind == ValueKind::null) {
        out += token;
        return true;
    }
    const bool numeric = t.kind == TransformKind::bucketing || t.kind == TransformKind::fixed_size_bucketing || t.kind == TransformKind::rounding;
    if (!string && !(numeric && kind == ValueKind::number)) return false;
    if (!text(t, value, with)) return false;
    const bool bare = t.kind == TransformKind::time_part || (t.kind == TransformKind::rounding && !string);
    if (bare)
        out += result_;
    else
        event::append_json_string(result_, out);
    return true;
}

bool TransformApplier::part(const Transform& t, std::string_view escaped, event::InfoType type, const TransformContext& with, std::string& out) {
    switch (t.kind) {
        case TransformKind::redact:
        case TransformKind::null:
            return true;
        case TransformKind::replace:
            out.append(t.replacement, 1, t.replacement.size() - 2);
            return true;
        case TransformKind::replace_with_info_type:
            out += '[';
            out += event::info_type_name(type);
            out += ']';
            return type != event::InfoType::none;
        case TransformKind::keep:
            out += escaped;
            return true;
        default:
            break;
    }
    sealed_.assign(1, '"');
    sealed_ += escaped;
    sealed_ += '"';
    if (!event::unescape_json(sealed_, text_)) return false;
    if (t.kind == TransformKind::crypto_hash) {
        if (!hash(text_, with)) return false;
    } else if (t.kind == TransformKind::crypto_deterministic) {
        if (!encrypt('s', text_, with)) return false;
    } else if (!text(t, text_, with)) {
        return false;
    }
    event::append_json_escaped(result_, out);
    return true;
}

bool TransformApplier::text(const Transform& t, std::string_view value, const TransformContext& with) {
    if (!event::valid_utf8(value)) return false;
    result_.clear();
    switch (t.kind) {
        case TransformKind::character_mask:
            return mask(t, value);
        case TransformKind::bucketing:
        case TransformKind::fixed_size_bucketing:
        case TransformKind::rounding:
            return number(t, value);
        case TransformKind::date_shift:
            return shift(t, value, with);
        case TransformKind::time_part:
            return time_part(value, t.part, result_);
        case TransformKind::generalise_email:
            return generalise_email(value, t.keep_domain, result_);
        case TransformKind::generalise_ip:
            return generalise_ip(value, t.ipv4_prefix, t.ipv6_prefix, result_);
        case TransformKind::regex_replace:
            return t.pattern.regex != nullptr && t.pattern.regex->replace(value, result_);
        default:
            return false;
    }
}

bool TransformApplier::mask(const Transform& t, std::string_view text) {
    std::vector<std::string_view> points;
    for (std::string_view rest = text; !rest.empty();) {
        const auto size = event::code_point_size(rest);
        if (size == 0) return false;
        points.push_back(rest.substr(0, size));
        rest.remove_prefix(size);
    }
    std::size_t left = t.number_to_mask == 0 ? points.size() : t.number_to_mask;
    std::vector<bool> masked(points.size());
    for (std::size_t i = 0; i < points.size() && left > 0; ++i) {
        const std::size_t at = t.reverse_order ? points.size() - 1 - i : i;
        if (t.characters_to_skip.find(points[at]) != std::string::npos) continue;
        masked[at] = true;
        --left;
    }
    for (std::size_t i = 0; i < points.size(); ++i) result_ += masked[i] ? std::string_view(t.masking_character) : points[i];
    return true;
}

bool TransformApplier::number(const Transform& t, std::string_view text) {
    const auto value = parse_decimal(text);
    if (!value) return false;
    if (t.kind == TransformKind::rounding) {
        const auto rounded = round_to(*value, t.step);
        if (rounded) result_ = format_decimal(*rounded);
        return rounded.has_value();
    }
    if (t.kind == TransformKind::bucketing) {
        for (const Bucket& b : t.buckets) {
            if ((b.min && *value < *b.min) || (b.max && *value >= *b.max)) continue;
            result_ = b.replacement;
            return true;
        }
        return false;
    }
    if (*value < t.lower) {
        result_ = "-" + format_decimal(t.lower);
    } else if (*value >= t.upper) {
        result_ = format_decimal(t.upper) + "+";
    } else {
        const auto range = bucket_of(*value, t.lower, t.upper, t.step);
        if (!range) return false;
        result_ = format_decimal(range->begin) + "-" + format_decimal(range->end);
    }
    return true;
}

bool TransformApplier::hash(std::string_view value, const TransformContext& with) {
    std::array<std::uint8_t, 32> digest;
    if (!with.pseudonymiser.hash(with.key_scope, value, digest)) return false;
    std::array<char, 43> text;
    base64url_to(digest, text.data());
    result_.assign(text.data(), text.size());
    return true;
}

// The form, a string or JSON text, is sealed with the value, so that the owner gets back what it was.
bool TransformApplier::encrypt(char form, std::string_view value, const TransformContext& with) {
    std::string plain;
    plain.reserve(value.size() + 1);
    plain += form;
    plain += value;
    if (!with.pseudonymiser.encrypt(with.key_scope, plain, sealed_)) return false;
    result_ = base64url(as_bytes(sealed_));
    return true;
}

// So many days for one subject under one key scope, whichever event: intervals stay. Never none.
bool TransformApplier::shift(const Transform& t, std::string_view text, const TransformContext& with) {
    if (with.subject.none()) return false;
    sealed_.assign(with.key_scope);
    sealed_ += "\ndateShift";  // a key of its own: no pseudonym under the scope's key tells the shift
    std::array<std::uint8_t, 32> digest;
    const std::string_view subject(reinterpret_cast<const char*>(with.subject.bytes.data()), with.subject.bytes.size());
    if (!with.pseudonymiser.hash(sealed_, subject, digest)) return false;
    const bool spans_zero = t.lower_days <= 0 && t.upper_days >= 0;
    const auto choices = static_cast<std::uint64_t>(t.upper_days - t.lower_days + (spans_zero ? 0 : 1));
    std::uint64_t random = 0;
    for (int i = 0; i < 8; ++i) random = random << 8 | digest[static_cast<std::size_t>(i)];
    std::int64_t days = t.lower_days + static_cast<std::int64_t>(random % choices);
    if (spans_zero && days >= 0) ++days;
    return shift_date(text, days, result_);
}

}  // namespace licet::policy
