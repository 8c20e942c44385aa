// Parameters of the transforms, read from duties and checked: nothing is ignored, nothing is guessed.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "event/json_text.h"
#include "policy/transform.h"
#include "policy/transform_regex.h"

namespace licet::policy {
namespace {

using nlohmann::json;
using Member = std::function<const json*(std::string_view)>;

constexpr std::int64_t kDaysMax = 36'500;

class ParameterReader {
  public:
    ParameterReader(const Member& member, Transform& out) : member_(member), out_(out) {}

    std::optional<TransformMistake> read() {
        switch (out_.kind) {
            case TransformKind::replace: {
                std::string text;
                if (string("licet:replacement", text, true)) event::append_json_string(text, out_.replacement);
                break;
            }
            case TransformKind::character_mask:
                mask();
                break;
            case TransformKind::bucketing:
                buckets();
                break;
            case TransformKind::fixed_size_bucketing:
                fixed();
                break;
            case TransformKind::rounding:
                (void)positive("licet:roundTo", out_.step);
                break;
            case TransformKind::date_shift:
                days();
                break;
            case TransformKind::time_part:
                part();
                break;
            case TransformKind::generalise_email:
                email();
                break;
            case TransformKind::generalise_ip:
                // Something must go, or nothing was generalised.
                prefix("licet:ipv4Prefix", 31, out_.ipv4_prefix);
                prefix("licet:ipv6Prefix", 127, out_.ipv6_prefix);
                break;
            case TransformKind::regex_replace:
                regex();
                break;
            default:
                break;
        }
        return mistake_;
    }

  private:
    bool fail(std::string where, std::string what) {
        if (!mistake_) mistake_ = TransformMistake{std::move(where), std::move(what)};
        return false;
    }
    static std::string at(std::string_view term) { return "/" + std::string(term); }

    // True when it was there and is a string.
    bool string(std::string_view term, std::string& into, bool required) {
        const json* v = member_(term);
        if (v == nullptr) return required && fail(at(term), "expected a string");
        if (!v->is_string()) return fail(at(term), "expected a string");
        into = v->get<std::string>();
        return true;
    }
    bool integer(std::string_view term, std::int64_t min, std::int64_t max, bool required, std::int64_t& into) {
        const json* v = member_(term);
        if (v == nullptr && !required) return false;
        const auto what = "expected an integer from " + std::to_string(min) + " to " + std::to_string(max);
        if (v == nullptr || !v->is_number_integer() || (v->is_number_unsigned() && v->get<std::uint64_t>() > static_cast<std::uint64_t>(max)))
            return fail(at(term), what);
        into = v->get<std::int64_t>();
        return (into >= min && into <= max) || fail(at(term), what);
    }
    bool number(const json* v, const std::string& where, Decimal& into) {
        const auto read = v != nullptr && v->is_number() ? parse_decimal(v->dump()) : std::nullopt;
        if (!read || !bounded_parameter(*read)) return fail(where, "expected a number of at most 12 digits before and 6 after the point");
        into = *read;
        return true;
    }
    bool positive(std::string_view term, Decimal& into) {
        if (!number(member_(term), at(term), into)) return false;
        return (!into.zero() && !into.negative) || fail(at(term), "expected a number above zero");
    }

    void mask() {
        std::string text;
        if (string("licet:maskingCharacter", text, false)) {
            if (event::count_code_points(text) != 1)
                fail("/licet:maskingCharacter", "expected one character");
            else
                out_.masking_character = text;
        } else if (mistake_) {
            mistake_->what = "expected one character";
        }
        if (const json* v = member_("licet:numberToMask")) {
            if (!v->is_number_unsigned() || v->get<std::uint64_t>() == 0 || v->get<std::uint64_t>() > limits::event_max_bytes)
                fail("/licet:numberToMask", "expected a positive integer");
            else
                out_.number_to_mask = v->get<std::uint32_t>();
        }
        if (const json* v = member_("licet:reverseOrder")) {
            if (v->is_boolean())
                out_.reverse_order = v->get<bool>();
            else
                fail("/licet:reverseOrder", "expected true or false");
        }
        (void)string("licet:charactersToSkip", out_.characters_to_skip, false);
    }

    void buckets() {
        const json* list = member_("licet:buckets");
        if (list == nullptr || !list->is_array() || list->empty() || list->size() > limits::policy_list_max) {
            fail("/licet:buckets", "expected a list of buckets");
            return;
        }
        for (std::size_t i = 0; i < list->size(); ++i)
            if (!bucket((*list)[i], "/licet:buckets/" + std::to_string(i))) return;
    }
    bool bucket(const json& in, const std::string& where) {
        if (!in.is_object()) return fail(where, "expected an object with licet:min, licet:max and licet:replacement");
        Bucket out;
        for (const auto& [key, value] : in.items()) {
            const std::string here = where + "/" + event::pointer_token(key);
            if (key == "licet:min" || key == "licet:max") {
                if (!number(&value, here, (key == "licet:min" ? out.min : out.max).emplace())) return false;
            } else if (key == "licet:replacement") {
                if (!value.is_string()) return fail(here, "expected a string");
                out.replacement = value.get<std::string>();
            } else {
                return fail(here, "unknown term");
            }
        }
        if (!in.contains("licet:replacement")) return fail(where + "/licet:replacement", "expected a string");
        if (out.min && out.max && !(*out.min < *out.max)) return fail(where + "/licet:max", "expected more than licet:min");
        if (!out_.buckets.empty()) {
            const auto& before = out_.buckets.back().max;
            if (!before || !out.min || *out.min < *before) return fail(where + "/licet:min", "expected buckets in order that do not overlap");
        }
        out_.buckets.push_back(std::move(out));
        return true;
    }

    void fixed() {
        if (!number(member_("licet:lowerBound"), "/licet:lowerBound", out_.lower) ||
            !number(member_("licet:upperBound"), "/licet:upperBound", out_.upper) || !positive("licet:bucketSize", out_.step))
            return;
        if (!(out_.lower < out_.upper)) fail("/licet:upperBound", "expected more than licet:lowerBound");
    }

    void days() {
        std::int64_t lower = 0, upper = 0;
        if (!integer("licet:lowerBoundDays", -kDaysMax, kDaysMax, true, lower) || !integer("licet:upperBoundDays", -kDaysMax, kDaysMax, true, upper))
            return;
        if (lower > upper || (lower == 0 && upper == 0)) fail("/licet:upperBoundDays", "expected a range of days that is not just zero");
        out_.lower_days = static_cast<std::int32_t>(lower);
        out_.upper_days = static_cast<std::int32_t>(upper);
    }

    void part() {
        static constexpr std::string_view names[] = {"YEAR", "MONTH", "DAY_OF_MONTH", "DAY_OF_WEEK", "WEEK_OF_YEAR", "HOUR_OF_DAY"};
        std::string name;
        if (!string("licet:partToExtract", name, true)) return;
        const auto found = std::find(std::begin(names), std::end(names), name);
        if (found == std::end(names))
            fail("/licet:partToExtract", "expected YEAR, MONTH, DAY_OF_MONTH, DAY_OF_WEEK, WEEK_OF_YEAR or HOUR_OF_DAY");
        else
            out_.part = static_cast<TimePart>(found - std::begin(names));
    }

    void email() {
        std::string keep;
        if (!string("licet:keep", keep, false)) return;
        if (keep != "domain" && keep != "topLevelDomain") fail("/licet:keep", "expected domain or topLevelDomain");
        out_.keep_domain = keep == "domain";
    }

    void prefix(std::string_view term, std::int64_t max, std::uint8_t& into) {
        std::int64_t bits = 0;
        if (integer(term, 0, max, false, bits)) into = static_cast<std::uint8_t>(bits);
    }

    void regex() {
        if (!string("licet:pattern", out_.pattern.pattern, true) || !string("licet:replacement", out_.replacement, true)) return;
        auto made = make_regex(out_.pattern.pattern, out_.replacement);
        if (made)
            out_.pattern.regex = *std::move(made);
        else
            fail(made.error().pointer, made.error().detail);
    }

    const Member& member_;
    Transform& out_;
    std::optional<TransformMistake> mistake_;
};

}  // namespace

std::span<const std::string_view> parameter_terms(TransformKind kind) noexcept {
    static constexpr std::string_view mask[] = {"licet:maskingCharacter", "licet:numberToMask", "licet:reverseOrder", "licet:charactersToSkip"},
                                      replace[] = {"licet:replacement"}, bucketing[] = {"licet:buckets"},
                                      fixed[] = {"licet:lowerBound", "licet:upperBound", "licet:bucketSize"}, rounding[] = {"licet:roundTo"},
                                      shift[] = {"licet:lowerBoundDays", "licet:upperBoundDays"}, part[] = {"licet:partToExtract"},
                                      email[] = {"licet:keep"}, ip[] = {"licet:ipv4Prefix", "licet:ipv6Prefix"},
                                      regex[] = {"licet:pattern", "licet:replacement"};
    switch (kind) {
        case TransformKind::character_mask:
            return mask;
        case TransformKind::replace:
            return replace;
        case TransformKind::bucketing:
            return bucketing;
        case TransformKind::fixed_size_bucketing:
            return fixed;
        case TransformKind::rounding:
            return rounding;
        case TransformKind::date_shift:
            return shift;
        case TransformKind::time_part:
            return part;
        case TransformKind::generalise_email:
            return email;
        case TransformKind::generalise_ip:
            return ip;
        case TransformKind::regex_replace:
            return regex;
        default:
            return {};
    }
}

std::optional<TransformMistake> read_parameters(const std::function<const json*(std::string_view)>& member, Transform& out) {
    return ParameterReader(member, out).read();
}

}  // namespace licet::policy
