#include "server/app/consents.h"

#include <algorithm>
#include <vector>

namespace licet::app {

std::optional<HeldConsent> held_consent(const ports::ConsentRow& row, const policy::Vocabulary& vocabulary) {
    const auto purpose = vocabulary.purpose(row.purpose);
    if (!purpose) return std::nullopt;
    const bool valid = row.status == "given" || row.status == "renewed";
    HeldConsent out{*purpose, valid, row.valid_until, {row.revision, row.position}, std::nullopt, row.recipient};
    if (row.withdrawn_revision != 0) out.withdrawn = {row.withdrawn_revision, row.withdrawn_position};
    if (!valid) out.withdrawn = out.given;
    return out;
}

ForRecipient purposes_for(policy::RecipientNo recipient, std::span<const HeldConsent> all, const policy::Vocabulary& vocabulary, UtcMillis now) {
    struct Step {
        HeldConsent::Order order;
        bool gives, named;
        policy::PurposeId purpose;
    };
    std::vector<Step> steps;
    for (const auto& held : all) {
        if (held.recipient != 0 && held.recipient != recipient) continue;
        const bool named = held.recipient != 0;
        if (held.withdrawn) steps.push_back({*held.withdrawn, false, named, held.purpose});
        // One that ran out gives nothing, and takes nothing that another consent gives.
        if (held.valid && (held.valid_until.value == 0 || now < held.valid_until)) steps.push_back({held.given, true, named, held.purpose});
    }
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.order < b.order; });
    ForRecipient out;
    for (const auto& step : steps) {
        const auto& below = vocabulary.at_or_below(step.purpose);
        if (step.gives) {
            out.given.add_all(below);
            out.withdrawn.remove_all(below);
            continue;
        }
        policy::PurposeSet taken = below;
        taken.add_all(vocabulary.at_or_above(step.purpose));
        out.given.remove_all(taken);
        if (step.named) out.withdrawn.add_all(taken);
    }
    return out;
}

policy::PurposeSet valid_purposes(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary, UtcMillis now) {
    return purposes_for(0, held, vocabulary, now).given;
}

}  // namespace licet::app
