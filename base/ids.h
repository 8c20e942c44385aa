// Strong identifiers. Names (slugs) identify things to people and APIs; numbers identify them on the data path and on disk.
// Numbers are assigned by the catalog, never reused, equal in every region.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string_view>

namespace licet {

template <class Tag, class Int>
struct Number {
    Int value{};
    constexpr auto operator<=>(const Number&) const = default;
};

using ProductNo = Number<struct ProductTag, std::uint32_t>;
using ContractNo = Number<struct ContractTag, std::uint32_t>;
using Partition = Number<struct PartitionTag, std::uint16_t>;
using StreamEpoch = Number<struct StreamEpochTag, std::uint32_t>;     // incarnation of one product partition's log
using GovernanceEpoch = Number<struct GovernanceTag, std::uint64_t>;  // counts every change of policy, consent, contract or token
using Offset = std::uint64_t;                                         // position of an event in a partition, from 0, dense

// 128-bit keyed digests: pseudonymised data subjects and event identities. All zero means "none".
template <class Tag>
struct Digest128 {
    std::array<std::uint8_t, 16> bytes{};
    constexpr auto operator<=>(const Digest128&) const = default;
    [[nodiscard]] bool none() const noexcept { return *this == Digest128{}; }
    [[nodiscard]] std::uint64_t low64() const noexcept {
        std::uint64_t v;
        std::memcpy(&v, bytes.data(), sizeof v);
        return v;
    }
};
using SubjectKey = Digest128<struct SubjectTag>;      // HMAC(subject key, controller, raw subject id)
using EventIdentity = Digest128<struct IdentityTag>;  // digest of (product, source, id): the deduplication key
using DataKeyId = Digest128<struct DataKeyTag>;       // random: a key that values of one data subject are encrypted under

// A slug: 1-64 characters of [a-z0-9._-], starting with a letter or digit.
[[nodiscard]] constexpr bool valid_slug(std::string_view s) noexcept {
    if (s.empty() || s.size() > 64) return false;
    for (std::size_t i = 0; i < s.size(); ++i) {
        const char c = s[i];
        const bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-'))) return false;
    }
    return true;
}

}  // namespace licet

template <class Tag, class Int>
struct std::hash<licet::Number<Tag, Int>> {
    std::size_t operator()(licet::Number<Tag, Int> n) const noexcept { return std::hash<Int>{}(n.value); }
};
template <class Tag>
struct std::hash<licet::Digest128<Tag>> {
    std::size_t operator()(const licet::Digest128<Tag>& d) const noexcept { return static_cast<std::size_t>(d.low64()); }
};
