#include "policy/vocabulary.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/vocabulary_categories.h"
#include "policy/vocabulary_law.h"
#include "policy/vocabulary_licences.h"
#include "policy/vocabulary_places.h"
#include "policy/vocabulary_purposes.h"

namespace licet::policy {
namespace {

constexpr std::string_view kVersion = "dpv-2.3 spdx-695 aipref eu-adequacy-2026-01";

constexpr VocabularyTable kTables[] = {
    {"purposes", "W3C Data Privacy Vocabulary (DPV) with its sector extensions; IETF AI preferences", "2.3", "2025-10-10",
     std::size(tables::kPurposes)},
    {"categories", "W3C DPV, extension PD", "2.3", "2025-02-09", std::size(tables::kCategories)},
    {"legal bases", "W3C DPV with its EU GDPR extension", "2.3", "2024-12-17", std::size(tables::kLegalBases)},
    {"consent status", "W3C DPV", "2.3", "2022-06-22", std::size(tables::kConsentStatus)},
    {"transfer tools", "GDPR Art. 46", "(EU) 2016/679", "2016-04-27", std::size(tables::kTransferTools)},
    {"countries", "ISO 3166-1 alpha-2", "249 codes", "2024-08-03", tables::kCountries.size() / 3},
    {"EEA membership", "accession treaties, withdrawal agreement", "30 states", "2021-01-01", std::size(tables::kEea)},
    {"adequacy decisions", "decisions of the European Commission, GDPR Art. 45", "in force or annulled", "2026-01-27", std::size(tables::kAdequate)},
    {"licences", "SPDX licence list; ccREL statements of Creative Commons; the licences' texts", "695 ids", "2026-01-27",
     std::size(tables::kLicences)},
};

struct ActName {
    Act act;
    char letter;
    std::string_view name;
};
constexpr ActName kActs[] = {
    {Act::reproduction, 'R', "Reproduction"},
    {Act::distribution, 'D', "Distribution"},
    {Act::derivative_works, 'W', "DerivativeWorks"},
    {Act::commercial_use, 'C', "CommercialUse"},
    {Act::sharing, 'H', "Sharing"},
    {Act::notice, 'N', "Notice"},
    {Act::attribution, 'A', "Attribution"},
    {Act::share_alike, 'S', "ShareAlike"},
    {Act::source_code, 'O', "SourceCode"},
    {Act::copyleft, 'L', "Copyleft"},
    {Act::lesser_copyleft, 'l', "LesserCopyleft"},
    {Act::state_changes, 'T', "StateChanges"},
    {Act::ai_training, 'I', "TrainAI"},
    {Act::search, 'F', "Search"},
};

Acts acts(std::string_view letters) {
    Acts mask = 0;
    for (const auto& a : kActs)
        if (letters.find(a.letter) != std::string_view::npos) mask = static_cast<Acts>(mask | static_cast<Acts>(a.act));
    return mask;
}
// What may be reproduced may be indexed and shown as an excerpt: no licence of the table says otherwise.
Acts permitted(std::string_view letters) {
    const Acts mask = acts(letters);
    return has(mask, Act::reproduction) ? static_cast<Acts>(mask | static_cast<Acts>(Act::search)) : mask;
}

std::string_view term_of(std::string_view row) { return row.substr(0, row.find(' ')); }
template <std::size_t N>
const std::string_view* row_of(const std::string_view (&rows)[N], std::string_view term) {
    const auto at = std::find_if(std::begin(rows), std::end(rows), [&](std::string_view row) { return term_of(row) == term; });
    return at == std::end(rows) ? nullptr : at;
}

struct Span {
    UtcMillis from, until;
    const tables::Adequacy* decision;  // null: membership
};

class Builtin final : public Vocabulary {
  public:
    Builtin() {
        read_purposes();
        for (const auto& l : tables::kLicences)
            licences_.emplace(l.id, LicenceTerms{l.id, permitted(l.permits), acts(l.requires_), acts(l.prohibits)});
        for (std::size_t i = 0; i + 1 < tables::kCountries.size(); i += 3) countries_.insert(tables::kCountries.substr(i, 2));
        std::set<UtcMillis> edges;
        const auto read = [&](const auto& row, const tables::Adequacy* decision, auto& into) {
            const auto from = row.from.empty() ? UtcMillis{INT64_MIN} : parse_date(row.from).value_or(UtcMillis{INT64_MAX});
            const auto until = row.until.empty() ? UtcMillis{INT64_MAX} : parse_date(row.until).value_or(UtcMillis{});
            into.emplace(row.country, Span{from, until, decision});
            edges.insert(from);
            edges.insert(until);
        };
        for (const auto& m : tables::kEea) read(m, nullptr, eea_);
        for (const auto& d : tables::kAdequate) read(d, &d, adequate_);
        eras_.assign(edges.begin(), edges.end());
    }

    std::string_view version() const noexcept override { return kVersion; }

    std::optional<PurposeId> purpose(std::string_view term) const noexcept override {
        std::string_view prefix;
        for (const auto& p : tables::kPrefixes) {
            if (!term.starts_with(p.iri)) continue;
            prefix = p.prefix;
            term.remove_prefix(p.iri.size());
            break;
        }
        // Names are compared with prefix and term together.
        const auto order = [&](std::string_view name) {
            const int head = name.substr(0, prefix.size()).compare(prefix);
            return head != 0 ? head : name.substr(prefix.size()).compare(term);
        };
        const auto at = std::partition_point(names_.begin(), names_.end(), [&](std::string_view name) { return order(name) < 0; });
        if (at == names_.end() || order(*at) != 0) return std::nullopt;
        return PurposeId{static_cast<std::uint16_t>(at - names_.begin())};
    }
    std::string_view purpose_name(PurposeId p) const noexcept override { return names_[p.value]; }
    const PurposeSet& at_or_below(PurposeId p) const noexcept override { return below_[p.value]; }
    const PurposeSet& at_or_above(PurposeId p) const noexcept override { return above_[p.value]; }
    Ternary commercial(PurposeId p) const noexcept override {
        if (commercial_.has(p)) return Ternary::yes;
        return non_commercial_.has(p) ? Ternary::no : Ternary::unknown;
    }
    Ternary training(PurposeId p) const noexcept override { return use_of(p, training_, above_training_); }
    Ternary searching(PurposeId p) const noexcept override { return use_of(p, searching_, above_searching_); }

    const LicenceTerms* licence(std::string_view id) const noexcept override {
        const auto at = licences_.find(id);
        return at == licences_.end() ? nullptr : &at->second;
    }
    std::uint64_t licence_revision() const noexcept override { return 0; }

    bool is_country(std::string_view code) const noexcept override { return countries_.contains(code); }
    Ternary in_eea(std::string_view country, UtcMillis at) const noexcept override {
        const auto code = country_of(country);
        if (!is_country(code)) return Ternary::unknown;
        const auto [first, last] = eea_.equal_range(code);
        return std::any_of(first, last, [&](const auto& e) { return e.second.from <= at && at < e.second.until; }) ? Ternary::yes : Ternary::no;
    }
    Ternary adequate(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept override {
        if (!is_country(country_of(country))) return Ternary::unknown;
        return adequacy_decision(country, at, scheme).empty() ? Ternary::no : Ternary::yes;
    }
    std::string_view adequacy_decision(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept override {
        const auto [first, last] = adequate_.equal_range(country_of(country));
        const auto found = std::find_if(first, last, [&](const auto& e) {
            const Span& s = e.second;
            return s.from <= at && at < s.until && (s.decision->scheme.empty() || s.decision->scheme == scheme);
        });
        return found == last ? std::string_view{} : found->second.decision->decision;
    }
    bool is_adequacy_scheme(std::string_view scheme) const noexcept override {
        return !scheme.empty() &&
               std::any_of(std::begin(tables::kAdequate), std::end(tables::kAdequate), [&](const auto& d) { return d.scheme == scheme; });
    }
    std::uint32_t era(UtcMillis at) const noexcept override {
        return static_cast<std::uint32_t>(std::upper_bound(eras_.begin(), eras_.end(), at) - eras_.begin());
    }

    bool is_transfer_tool(std::string_view term) const noexcept override {
        return std::find(std::begin(tables::kTransferTools), std::end(tables::kTransferTools), term) != std::end(tables::kTransferTools);
    }
    bool is_category(std::string_view term) const noexcept override {
        return term.starts_with("pd:") && std::binary_search(std::begin(tables::kCategories), std::end(tables::kCategories), term.substr(3));
    }
    bool is_legal_basis(std::string_view term) const noexcept override { return row_of(tables::kLegalBases, term) != nullptr; }
    Ternary consent_valid(std::string_view status) const noexcept override {
        const auto* row = row_of(tables::kConsentStatus, status);
        if (row == nullptr) return Ternary::unknown;
        if (row->ends_with("ConsentStatusValidForProcessing")) return Ternary::yes;
        return row->ends_with("ConsentStatusInvalidForProcessing") ? Ternary::no : Ternary::unknown;
    }

  private:
    // "DE-BE" is in DE.
    static std::string_view country_of(std::string_view place) noexcept { return place.size() > 3 && place[2] == '-' ? place.substr(0, 2) : place; }
    static Ternary use_of(PurposeId p, const PurposeSet& uses, const PurposeSet& above) noexcept {
        return uses.has(p) ? Ternary::yes : above.has(p) ? Ternary::unknown : Ternary::no;
    }

    void read_purposes() {
        const std::size_t n = std::size(tables::kPurposes);
        static_assert(std::size(tables::kPurposes) <= PurposeSet::capacity);
        for (const auto row : tables::kPurposes) names_.push_back(term_of(row));
        std::vector<std::vector<PurposeId>> broader(n);
        for (std::size_t i = 0; i < n; ++i) {
            std::string_view list = tables::kPurposes[i].substr(tables::kPurposes[i].find(' ') + 1);
            while (!list.empty()) {
                const auto comma = list.find(',');
                if (const auto id = purpose(list.substr(0, comma))) broader[i].push_back(*id);
                list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
            }
        }
        above_.resize(n);
        below_.resize(n);
        for (std::size_t i = 0; i < n; ++i) {
            std::vector<PurposeId> pending{PurposeId{static_cast<std::uint16_t>(i)}};
            while (!pending.empty()) {
                const auto p = pending.back();
                pending.pop_back();
                if (above_[i].has(p)) continue;
                above_[i].add(p);
                below_[p.value].add(PurposeId{static_cast<std::uint16_t>(i)});
                pending.insert(pending.end(), broader[p.value].begin(), broader[p.value].end());
            }
        }
        const auto gather = [&](const auto& terms, PurposeSet& below, PurposeSet* above) {
            for (const auto term : terms)
                if (const auto p = purpose(term)) {
                    below.add_all(at_or_below(*p));
                    if (above != nullptr) above->add_all(at_or_above(*p));
                }
        };
        gather(tables::kCommercial, commercial_, nullptr);
        gather(tables::kNonCommercial, non_commercial_, nullptr);
        gather(tables::kTraining, training_, &above_training_);
        gather(tables::kSearching, searching_, &above_searching_);
    }

    std::vector<std::string_view> names_;
    std::vector<PurposeSet> above_, below_;
    PurposeSet commercial_, non_commercial_, training_, above_training_, searching_, above_searching_;
    std::map<std::string_view, LicenceTerms> licences_;
    std::set<std::string_view> countries_;
    std::multimap<std::string_view, Span> eea_, adequate_;
    std::vector<UtcMillis> eras_;
};

}  // namespace

std::shared_ptr<const Vocabulary> builtin_vocabulary() { return std::make_shared<Builtin>(); }

std::span<const VocabularyTable> vocabulary_tables() { return kTables; }

std::string_view act_name(Act act) noexcept {
    for (const auto& a : kActs)
        if (a.act == act) return a.name;
    return {};
}
std::optional<Act> parse_act(std::string_view name) noexcept {
    for (const auto& a : kActs)
        if (a.name == name) return a.act;
    return std::nullopt;
}
std::vector<std::string_view> act_names(Acts acts) {
    std::vector<std::string_view> out;
    for (const auto& a : kActs)
        if (has(acts, a.act)) out.push_back(a.name);
    return out;
}

}  // namespace licet::policy
