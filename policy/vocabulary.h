// The vocabularies decisions rest on: purposes, licences, places, adequacy decisions, terms of data protection law. Versioned tables compiled into
// the binary, written from published facts, and the licences an organisation defined itself laid over them. Used by policy parsing, compilation and
// the consent index. Pure, immutable, thread-safe. Described in docs/vocabularies.md and docs/licences.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace licet::policy {

struct PurposeId {
    std::uint16_t value{};
    auto operator<=>(const PurposeId&) const = default;
};

// A set of purposes as bits; room for every purpose of DPV, its sector extensions and the AI preferences.
class PurposeSet {
  public:
    static constexpr std::size_t word_count = 5;
    static constexpr std::size_t capacity = word_count * 64;
    using Words = std::array<std::uint64_t, word_count>;
    void add(PurposeId p) noexcept { words_[p.value / 64] |= std::uint64_t{1} << (p.value % 64); }
    void remove(PurposeId p) noexcept { words_[p.value / 64] &= ~(std::uint64_t{1} << (p.value % 64)); }
    [[nodiscard]] bool has(PurposeId p) const noexcept { return (words_[p.value / 64] >> (p.value % 64)) & 1; }
    void add_all(const PurposeSet& other) noexcept {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    }
    void remove_all(const PurposeSet& other) noexcept {
        for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
    }
    [[nodiscard]] bool empty() const noexcept {
        for (auto w : words_)
            if (w) return false;
        return true;
    }
    [[nodiscard]] bool operator==(const PurposeSet&) const = default;
    [[nodiscard]] static PurposeSet of(const Words& words) noexcept {
        PurposeSet set;
        set.words_ = words;
        return set;
    }
    [[nodiscard]] const Words& words() const noexcept { return words_; }

  private:
    Words words_{};
};

// Acts that a licence permits, requires or prohibits, in ccREL's words, and the two uses of the IETF's AI preferences; bit masks.
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
using Acts = std::uint16_t;
[[nodiscard]] constexpr Acts operator|(Act a, Act b) noexcept { return static_cast<Acts>(static_cast<Acts>(a) | static_cast<Acts>(b)); }
[[nodiscard]] constexpr bool has(Acts acts, Act act) noexcept { return (acts & static_cast<Acts>(act)) != 0; }
[[nodiscard]] std::string_view act_name(Act act) noexcept;                   // "DerivativeWorks"
[[nodiscard]] std::optional<Act> parse_act(std::string_view name) noexcept;  // exactly as act_name writes it
[[nodiscard]] std::vector<std::string_view> act_names(Acts acts);            // in the order of Act
[[nodiscard]] constexpr Acts operator|(Acts a, Act b) noexcept { return static_cast<Acts>(a | static_cast<Acts>(b)); }
// What a licence permits or prohibits; the other acts it requires.
inline constexpr Acts kUses =
    Act::reproduction | Act::distribution | Act::derivative_works | Act::commercial_use | Act::sharing | Act::ai_training | Act::search;

struct LicenceTerms {
    std::string_view id;  // SPDX id, or LicenseRef-...
    Acts permits{}, requires_{}, prohibits{};
    [[nodiscard]] bool share_alike() const noexcept { return has(requires_, Act::share_alike) || has(requires_, Act::copyleft); }
};

enum class Ternary : std::uint8_t { no, yes, unknown };

class Vocabulary {
  public:
    virtual ~Vocabulary() = default;
    [[nodiscard]] virtual std::string_view version() const noexcept = 0;

    // DPV purposes (a DAG): "dpv:AcademicResearch" or the full IRI.
    // Also the purposes of DPV's sector extensions ("sector-health:...", "sector-finance:...", "eu-ehds:...") and of the AI preferences
    // ("aipref:train-ai", "aipref:search").
    [[nodiscard]] virtual std::optional<PurposeId> purpose(std::string_view term) const noexcept = 0;
    [[nodiscard]] virtual std::string_view purpose_name(PurposeId purpose) const noexcept = 0;
    // P and all that is below it / above it (transitive, P included).
    [[nodiscard]] virtual const PurposeSet& at_or_below(PurposeId purpose) const noexcept = 0;
    [[nodiscard]] virtual const PurposeSet& at_or_above(PurposeId purpose) const noexcept = 0;
    // Purposes that are commercial uses for a licence's `prohibits CommercialUse`; unknown where DPV does not say.
    [[nodiscard]] virtual Ternary commercial(PurposeId purpose) const noexcept = 0;

    // Whether it is training of AI models, or search, as a licence's TrainAI and Search mean them; unknown for what may include it.
    [[nodiscard]] virtual Ternary training(PurposeId purpose) const noexcept = 0;
    [[nodiscard]] virtual Ternary searching(PurposeId purpose) const noexcept = 0;

    // One licence, by its SPDX id as SPDX writes it or by LicenseRef-<name>; for what an event's `license` may say, see policy/licence.h.
    [[nodiscard]] virtual const LicenceTerms* licence(std::string_view id) const noexcept = 0;
    // Moves with every change of the organisation's own licences; what was decided under another revision may be decided otherwise now.
    [[nodiscard]] virtual std::uint64_t licence_revision() const noexcept = 0;

    // Places: ISO 3166-1 alpha-2; "DE-BE" is in DE. unknown for what is not a country code.
    [[nodiscard]] virtual bool is_country(std::string_view code) const noexcept = 0;
    [[nodiscard]] virtual Ternary in_eea(std::string_view country, UtcMillis at) const noexcept = 0;
    // Whether an adequacy decision (GDPR Art. 45) covers the country at the time; partial decisions need `scheme`, the certification the
    // recipient holds (e.g. "eu-us-dpf").
    [[nodiscard]] virtual Ternary adequate(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept = 0;
    // The decision that answers yes above ("(EU) 2023/1795"); empty when none does.
    [[nodiscard]] virtual std::string_view adequacy_decision(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept = 0;
    [[nodiscard]] virtual bool is_adequacy_scheme(std::string_view scheme) const noexcept = 0;
    // Time is divided into eras at every date on which a membership or an adequacy decision starts or ends: equal era, equal answers above.
    [[nodiscard]] virtual std::uint32_t era(UtcMillis at) const noexcept = 0;

    [[nodiscard]] virtual bool is_transfer_tool(std::string_view term) const noexcept = 0;  // GDPR Art. 46 tools, "eu-gdpr:A46-2-c"
    [[nodiscard]] virtual bool is_category(std::string_view term) const noexcept = 0;       // personal-data categories, "pd:IPAddress"
    [[nodiscard]] virtual bool is_legal_basis(std::string_view term) const noexcept = 0;    // "dpv:LegitimateInterest", "eu-gdpr:A6-1-f"
    // Whether consent of this status ("dpv:RenewedConsentGiven") allows processing; unknown for what is no status.
    [[nodiscard]] virtual Ternary consent_valid(std::string_view status) const noexcept = 0;
};

// The tables of this build.
[[nodiscard]] std::shared_ptr<const Vocabulary> builtin_vocabulary();

// Where each table comes from, and how current it is.
struct VocabularyTable {
    std::string_view name, source, version, date;  // date: of the state of the source that the table shows
    std::size_t entries;
};
[[nodiscard]] std::span<const VocabularyTable> vocabulary_tables();

// A licence an organisation defined itself; events name it LicenseRef-<name>.
struct OwnLicence {
    std::string name;
    Acts permits{}, requires_{}, prohibits{};
};
// `base` and these. `revision`: see Vocabulary::licence_revision.
[[nodiscard]] std::shared_ptr<const Vocabulary> with_licences(std::shared_ptr<const Vocabulary> base, std::vector<OwnLicence> licences,
                                                              std::uint64_t revision);

}  // namespace licet::policy
