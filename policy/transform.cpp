#include "policy/transform.h"

#include <algorithm>
#include <array>

namespace licet::policy {
namespace {

constexpr std::array<std::string_view, kTransformKinds> kNames{
    "characterMask", "cryptoHash",         "replace",  "replaceWithInfoType", "null",     "redact",          "keep",         "cryptoDeterministic",
    "bucketing",     "fixedSizeBucketing", "rounding", "dateShift",           "timePart", "generaliseEmail", "generaliseIp", "regexReplace"};

// The first reference token of a pointer, which is cut off.
std::string_view next_token(std::string_view& pointer) noexcept {
    pointer.remove_prefix(1);
    const auto token = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(token.size());
    return token;
}

bool element(std::string_view token) noexcept {
    if (token == "*" || token == "0") return true;
    return !token.empty() && token[0] != '0' && std::all_of(token.begin(), token.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether every value at `field` is one at `wanted`.
bool covers(std::string_view wanted, std::string_view field) noexcept {
    while (!wanted.empty() && !field.empty()) {
        const auto a = next_token(wanted), b = next_token(field);
        if (a != b && !(a == "*" && element(b))) return false;
    }
    return wanted.empty() && field.empty();
}

}  // namespace

std::string_view transform_name(TransformKind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<TransformKind> parse_transform_kind(std::string_view name) noexcept {
    const auto at = std::find(kNames.begin(), kNames.end(), name);
    return at == kNames.end() ? std::nullopt : std::optional(static_cast<TransformKind>(at - kNames.begin()));
}

bool selects(const Transform& t, const event::GovernedField& field, event::InfoType detected, bool part) noexcept {
    if (t.by_pointer) return !part && covers(t.pointer, field.pointer);
    if (!t.category.empty()) return !part && field.category == t.category;
    if (field.scan && detected == t.info_type) return true;
    return !part && field.info_type == t.info_type && (!event::detectable(t.info_type) || detected == t.info_type);
}

bool same_effect(const Transform& a, const Transform& b) noexcept {
    return a.kind == b.kind && static_cast<const TransformParameters&>(a) == static_cast<const TransformParameters&>(b);
}

}  // namespace licet::policy
