// A vocabulary with the licences an organisation defined itself laid over another one.
#include <map>

#include "policy/vocabulary.h"

namespace licet::policy {
namespace {

class WithLicences final : public Vocabulary {
  public:
    WithLicences(std::shared_ptr<const Vocabulary> base, std::vector<OwnLicence> licences, std::uint64_t revision)
        : base_(std::move(base)), revision_(revision), version_(std::string(base_->version()) + " own-licences-" + std::to_string(revision)) {
        for (const auto& l : licences) {
            const auto at = licences_.emplace("LicenseRef-" + l.name, LicenceTerms{{}, l.permits, l.requires_, l.prohibits}).first;
            at->second.id = at->first;
        }
    }

    std::string_view version() const noexcept override { return version_; }
    std::optional<PurposeId> purpose(std::string_view term) const noexcept override { return base_->purpose(term); }
    std::string_view purpose_name(PurposeId p) const noexcept override { return base_->purpose_name(p); }
    const PurposeSet& at_or_below(PurposeId p) const noexcept override { return base_->at_or_below(p); }
    const PurposeSet& at_or_above(PurposeId p) const noexcept override { return base_->at_or_above(p); }
    Ternary commercial(PurposeId p) const noexcept override { return base_->commercial(p); }
    Ternary training(PurposeId p) const noexcept override { return base_->training(p); }
    Ternary searching(PurposeId p) const noexcept override { return base_->searching(p); }
    const LicenceTerms* licence(std::string_view id) const noexcept override {
        const auto at = licences_.find(id);
        return at == licences_.end() ? base_->licence(id) : &at->second;
    }
    std::uint64_t licence_revision() const noexcept override { return revision_; }
    bool is_country(std::string_view code) const noexcept override { return base_->is_country(code); }
    Ternary in_eea(std::string_view country, UtcMillis at) const noexcept override { return base_->in_eea(country, at); }
    Ternary adequate(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept override {
        return base_->adequate(country, at, scheme);
    }
    std::string_view adequacy_decision(std::string_view country, UtcMillis at, std::string_view scheme) const noexcept override {
        return base_->adequacy_decision(country, at, scheme);
    }
    bool is_adequacy_scheme(std::string_view scheme) const noexcept override { return base_->is_adequacy_scheme(scheme); }
    std::uint32_t era(UtcMillis at) const noexcept override { return base_->era(at); }
    bool is_transfer_tool(std::string_view term) const noexcept override { return base_->is_transfer_tool(term); }
    bool is_category(std::string_view term) const noexcept override { return base_->is_category(term); }
    bool is_legal_basis(std::string_view term) const noexcept override { return base_->is_legal_basis(term); }
    Ternary consent_valid(std::string_view status) const noexcept override { return base_->consent_valid(status); }

  private:
    const std::shared_ptr<const Vocabulary> base_;
    const std::uint64_t revision_;
    const std::string version_;
    std::map<std::string, LicenceTerms, std::less<>> licences_;
};

}  // namespace

std::shared_ptr<const Vocabulary> with_licences(std::shared_ptr<const Vocabulary> base, std::vector<OwnLicence> licences, std::uint64_t revision) {
    return std::make_shared<WithLicences>(std::move(base), std::move(licences), revision);
}

}  // namespace licet::policy
