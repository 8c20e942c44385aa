// The vocabularies decisions rest on: DPV purposes, licences, places, adequacy decisions. Versioned tables compiled into the binary, written
// from published facts. Used by policy parsing, compilation and the consent index. Pure, immutable, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/time.h"

namespace licet::policy {

struct PurposeId {
    std::uint16_t value{};
    auto operator<=>(const PurposeId&) const = default;
};

// A set of purposes as bits; room for every DPV purpose and an organisation's own.
class PurposeSet {
  public:
    void add(PurposeId p) noexcept { words_[p.value / 64] |= std::uint64_t{1} << (p.value % 64); }
    void remove(PurposeId p) noexcept { words_[p.value / 64] &= ~(std::uint64_t{1} << (p.value % 64)); }
    [[nodiscard]] bool has(PurposeId p) const noexcept { return (words_[p.value / 64] >> (p.value % 64)) & 1; }
    void add_all(const PurposeSet& other) noexcept {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    }
    [[nodiscard]] bool empty() const noexcept {
        for (auto w : words_)
            if (w) return false;
        return true;
    }
    [[nodiscard]] bool operator==(const PurposeSet&) const = default;
    [[nodiscard]] static PurposeSet of(const std::array<std::uint64_t, 4>& words) noexcept {
        PurposeSet set;
        set.words_ = words;
        return set;
    }
    [[nodiscard]] const std::array<std::uint64_t, 4>& words() const noexcept { return words_; }
    static constexpr std::size_t capacity = 256;

  private:
    std::array<std::uint64_t, 4> words_{};
};

// Acts of ccREL that a licence permits, requires or prohibits; bit masks.
enum class Act : std::uint16_t {
    reproduction = 1 << 0,
    distribution = 1 << 1,
    derivative_works = 1 << 2,
    commercial_use = 1 << 3,
    sharing = 1 << 4,
    notice = 1 << 5,
    attribution = 1 << 6,
    share_alike = 1 << 7,
    source_code = 1 << 8,
    copyleft = 1 << 9,
    lesser_copyleft = 1 << 10,
    state_changes = 1 << 11,
    ai_training = 1 << 12,
    search = 1 << 13,
};
struct LicenceTerms {
    std::string_view id;  // SPDX id
    std::uint16_t permits{}, requires_{}, prohibits{};
};

enum class Ternary : std::uint8_t { no, yes, unknown };

class Vocabulary {
  public:
    virtual ~Vocabulary() = default;
    [[nodiscard]] virtual std::string_view version() const noexcept = 0;

    // DPV purposes (a DAG): "dpv:AcademicResearch" or the full IRI.
    [[nodiscard]] virtual std::optional<PurposeId> purpose(std::string_view term) const noexcept = 0;
    [[nodiscard]] virtual std::string_view purpose_name(PurposeId purpose) const noexcept = 0;
    // P and all that is below it / above it (transitive, P included).
    [[nodiscard]] virtual const PurposeSet& at_or_below(PurposeId purpose) const noexcept = 0;
    [[nodiscard]] virtual const PurposeSet& at_or_above(PurposeId purpose) const noexcept = 0;
    // Purposes that are commercial uses for a licence's `prohibits CommercialUse`; unknown where DPV does not say.
    [[nodiscard]] virtual Ternary commercial(PurposeId purpose) const noexcept = 0;

    [[nodiscard]] virtual const LicenceTerms* licence(std::string_view spdx_id) const noexcept = 0;

    // Places: ISO 3166-1 alpha-2; "DE-BE" is in DE. unknown for what is not a country code.
    [[nodiscard]] virtual bool is_country(std::string_view code) const noexcept = 0;
    [[nodiscard]] virtual Ternary in_eea(std::string_view country, UtcMillis at) const noexcept = 0;
    // Whether an adequacy decision (GDPR Art. 45) covers the country at the time; partial decisions need `scheme`, the certification the
    // recipient holds (e.g. "eu-us-dpf").
    [[nodiscard]] virtual Ternary adequate(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept = 0;
    // Time is divided into eras at every date on which a membership or an adequacy decision starts or ends: equal era, equal answers above.
    [[nodiscard]] virtual std::uint32_t era(UtcMillis at) const noexcept = 0;

    [[nodiscard]] virtual bool is_transfer_tool(std::string_view term) const noexcept = 0;  // GDPR Art. 46 tools, "eu-gdpr:A46-2-c"
    [[nodiscard]] virtual bool is_category(std::string_view term) const noexcept = 0;       // personal-data categories, "pd:IPAddress"
};

// The tables of this build.
[[nodiscard]] std::shared_ptr<const Vocabulary> builtin_vocabulary();

}  // namespace licet::policy
