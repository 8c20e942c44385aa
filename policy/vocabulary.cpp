#include "policy/vocabulary.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "policy/vocabulary_tables.h"

namespace licet::policy {
namespace {

constexpr std::string_view kDpvPrefix = "dpv:";
constexpr std::string_view kDpvIri = "https://w3id.org/dpv#";

std::uint16_t acts(std::string_view letters) {
    std::uint16_t mask = 0;
    for (const char c : letters) {
        switch (c) {
            case 'R':
                mask |= static_cast<std::uint16_t>(Act::reproduction);
                break;
            case 'D':
                mask |= static_cast<std::uint16_t>(Act::distribution);
                break;
            case 'W':
                mask |= static_cast<std::uint16_t>(Act::derivative_works);
                break;
            case 'C':
                mask |= static_cast<std::uint16_t>(Act::commercial_use);
                break;
            case 'N':
                mask |= static_cast<std::uint16_t>(Act::notice);
                break;
            case 'A':
                mask |= static_cast<std::uint16_t>(Act::attribution);
                break;
            case 'S':
                mask |= static_cast<std::uint16_t>(Act::share_alike);
                break;
            case 'T':
                mask |= static_cast<std::uint16_t>(Act::state_changes);
                break;
        }
    }
    return mask;
}

struct Span {
    UtcMillis from, until;
    std::string_view scheme;
};

class Builtin final : public Vocabulary {
  public:
    Builtin() {
        read_purposes();
        for (const auto& l : tables::kLicences) licences_.emplace(l.id, LicenceTerms{l.id, acts(l.permits), acts(l.requires_), acts(l.prohibits)});
        for (std::size_t i = 0; i + 1 < tables::kCountries.size(); i += 3) countries_.insert(tables::kCountries.substr(i, 2));
        std::set<UtcMillis> edges;
        const auto read = [&](const tables::Period& p, auto& into) {
            const auto from = p.from.empty() ? UtcMillis{INT64_MIN} : parse_date(p.from).value_or(UtcMillis{INT64_MIN});
            const auto until = p.until.empty() ? UtcMillis{INT64_MAX} : parse_date(p.until).value_or(UtcMillis{});
            into.emplace(p.country, Span{from, until, p.scheme});
            edges.insert(from);
            edges.insert(until);
        };
        for (const auto& p : tables::kEea) read(p, eea_);
        for (const auto& p : tables::kAdequate) read(p, adequate_);
        eras_.assign(edges.begin(), edges.end());
    }

    std::string_view version() const noexcept override { return tables::kVersion; }

    std::optional<PurposeId> purpose(std::string_view term) const noexcept override {
        if (term.starts_with(kDpvPrefix))
            term.remove_prefix(kDpvPrefix.size());
        else if (term.starts_with(kDpvIri))
            term.remove_prefix(kDpvIri.size());
        else
            return std::nullopt;
        const auto at =
            std::lower_bound(names_.begin(), names_.end(), term, [](const std::string& n, std::string_view t) { return n.substr(4) < t; });
        if (at == names_.end() || std::string_view(*at).substr(4) != term) return std::nullopt;
        return PurposeId{static_cast<std::uint16_t>(at - names_.begin())};
    }
    std::string_view purpose_name(PurposeId p) const noexcept override { return names_[p.value]; }
    const PurposeSet& at_or_below(PurposeId p) const noexcept override { return below_[p.value]; }
    const PurposeSet& at_or_above(PurposeId p) const noexcept override { return above_[p.value]; }
    Ternary commercial(PurposeId p) const noexcept override {
        if (commercial_.has(p)) return Ternary::yes;
        return non_commercial_.has(p) ? Ternary::no : Ternary::unknown;
    }

    const LicenceTerms* licence(std::string_view id) const noexcept override {
        const auto at = licences_.find(id);
        return at == licences_.end() ? nullptr : &at->second;
    }

    bool is_country(std::string_view code) const noexcept override { return countries_.contains(code); }
    Ternary in_eea(std::string_view country, UtcMillis at) const noexcept override {
        const auto code = country_of(country);
        if (!is_country(code)) return Ternary::unknown;
        const auto [first, last] = eea_.equal_range(code);
        return std::any_of(first, last, [&](const auto& e) { return e.second.from <= at && at < e.second.until; }) ? Ternary::yes : Ternary::no;
    }
    Ternary adequate(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept override {
        const auto code = country_of(country);
        if (!is_country(code)) return Ternary::unknown;
        const auto [first, last] = adequate_.equal_range(code);
        return std::any_of(first, last,
                           [&](const auto& e) {
                               return e.second.from <= at && at < e.second.until && (e.second.scheme.empty() || e.second.scheme == scheme);
                           })
                   ? Ternary::yes
                   : Ternary::no;
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

  private:
    // "DE-BE" is in DE.
    static std::string_view country_of(std::string_view place) noexcept { return place.size() > 3 && place[2] == '-' ? place.substr(0, 2) : place; }

    void read_purposes() {
        const std::size_t n = std::size(tables::kPurposes);
        static_assert(std::size(tables::kPurposes) <= PurposeSet::capacity);
        for (const auto row : tables::kPurposes) names_.push_back("dpv:" + std::string(row.substr(0, row.find(' '))));
        std::vector<std::vector<PurposeId>> broader(n);
        for (std::size_t i = 0; i < n; ++i) {
            std::string_view list = tables::kPurposes[i].substr(tables::kPurposes[i].find(' ') + 1);
            while (!list.empty()) {
                const auto comma = list.find(',');
                if (const auto id = purpose("dpv:" + std::string(list.substr(0, comma)))) broader[i].push_back(*id);
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
        // DPV places commercial and non-commercial purposes; of the rest, selling and marketing are commercial by what they are.
        for (const char* term :
             {"dpv:CommercialPurpose", "dpv:Marketing", "dpv:CommercialResearch", "dpv:SellProducts", "dpv:SellDataToThirdParties"})
            if (const auto p = purpose(term)) commercial_.add_all(at_or_below(*p));
        for (const char* term : {"dpv:NonCommercialPurpose", "dpv:NonCommercialResearch"})
            if (const auto p = purpose(term)) non_commercial_.add_all(at_or_below(*p));
    }

    std::vector<std::string> names_;
    std::vector<PurposeSet> above_, below_;
    PurposeSet commercial_, non_commercial_;
    std::map<std::string_view, LicenceTerms> licences_;
    std::set<std::string_view> countries_;
    std::multimap<std::string_view, Span> eea_, adequate_;
    std::vector<UtcMillis> eras_;
};

}  // namespace

std::shared_ptr<const Vocabulary> builtin_vocabulary() { return std::make_shared<Builtin>(); }

}  // namespace licet::policy
