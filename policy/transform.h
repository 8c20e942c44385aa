// What may be done to a governed value, how strict it is, and which values it selects. Written by policy authors as duties (docs/transforms.md), read
// by compilation, explain and redaction. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "event/mapping.h"
#include "event/record.h"
#include "policy/transform_number.h"

namespace licet::policy {

enum class TransformKind : std::uint8_t {
    character_mask,
    crypto_hash,
    replace,
    replace_with_info_type,
    null,
    redact,
    keep,
    crypto_deterministic,
    bucketing,
    fixed_size_bucketing,
    rounding,
    date_shift,
    time_part,
    generalise_email,
    generalise_ip,
    regex_replace,
};
inline constexpr std::size_t kTransformKinds = 16;

// Drop > null > constant > hash > mask > generalise > clear. Of equal rank only the very same are comparable.
[[nodiscard]] constexpr int strictness(TransformKind kind) noexcept {
    switch (kind) {
        case TransformKind::redact:
            return 6;
        case TransformKind::null:
            return 5;
        case TransformKind::replace:
        case TransformKind::replace_with_info_type:
            return 4;
        case TransformKind::crypto_hash:
        case TransformKind::crypto_deterministic:
            return 3;
        case TransformKind::character_mask:
            return 2;
        case TransformKind::keep:
            return 0;
        default:
            return 1;
    }
}
inline constexpr int kHashStrictness = 3;
// Whether the result depends on the contract's key scope: such contracts do not share a view.
[[nodiscard]] constexpr bool keyed(TransformKind kind) noexcept {
    return kind == TransformKind::crypto_hash || kind == TransformKind::crypto_deterministic || kind == TransformKind::date_shift;
}
// The profile's name: "characterMask".
[[nodiscard]] std::string_view transform_name(TransformKind kind) noexcept;
[[nodiscard]] std::optional<TransformKind> parse_transform_kind(std::string_view name) noexcept;

// One bucket: values from `min` (none: whatever is below) to just below `max`.
struct Bucket {
    std::optional<Decimal> min, max;
    std::string replacement;
    bool operator==(const Bucket&) const = default;
};

enum class TimePart : std::uint8_t { year, month, day_of_month, day_of_week, week_of_year, hour_of_day };

class Regex;  // policy/transform_regex.h
struct RegexHandle {
    std::shared_ptr<const Regex> regex;
    std::string pattern;
    bool operator==(const RegexHandle& other) const { return pattern == other.pattern; }
};

// The parameters of all kinds; those of other kinds keep their defaults.
struct TransformParameters {
    std::string replacement;  // replace: a JSON string token; regex_replace: RE2's rewrite text
    std::string masking_character = "*";
    std::uint32_t number_to_mask = 0;  // 0: all
    bool reverse_order = false;
    std::string characters_to_skip;
    std::vector<Bucket> buckets;
    Decimal lower, upper, step;  // fixed_size_bucketing; rounding: step
    std::int32_t lower_days = 0, upper_days = 0;
    TimePart part{};
    std::uint8_t ipv4_prefix = 24, ipv6_prefix = 48;
    bool keep_domain = true;  // generalise_email: else only its last label
    RegexHandle pattern;
    bool operator==(const TransformParameters&) const = default;
};

struct Transform : TransformParameters {
    TransformKind kind{};
    // Exactly one selector.
    std::string pointer;
    bool by_pointer = false;
    event::InfoType info_type = event::InfoType::none;
    std::string category;
    bool operator==(const Transform&) const = default;
};

// Whether the value of `field`, in which `detected` was recognised, or the part of its text (`part`) that is a `detected`, is one the transform is
// for.
[[nodiscard]] bool selects(const Transform& transform, const event::GovernedField& field, event::InfoType detected, bool part) noexcept;
// Whether two transforms do the same, however they select.
[[nodiscard]] bool same_effect(const Transform& a, const Transform& b) noexcept;

// ---- reading duties: policy/transform_read.cpp

// The parameters a kind knows, as terms of a duty.
[[nodiscard]] std::span<const std::string_view> parameter_terms(TransformKind kind) noexcept;
struct TransformMistake {
    std::string where;  // below the duty: "/licet:buckets/0/max"
    std::string what;
};
// Reads the parameters of `out.kind`. member(term): the duty's member, null when absent. nullopt: all is well.
[[nodiscard]] std::optional<TransformMistake> read_parameters(const std::function<const nlohmann::json*(std::string_view term)>& member,
                                                              Transform& out);

}  // namespace licet::policy
