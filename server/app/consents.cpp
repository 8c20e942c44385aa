#include "server/app/consents.h"

#include <algorithm>
#include <vector>

namespace licet::app {

std::optional<HeldConsent> held_consent(const ports::ConsentRow& row, const policy::Vocabulary& vocabulary) {
    const auto purpose = vocabulary.purpose(row.purpose);
    if (!purpose) return std::nullopt;
    const bool valid = row.status == "given" || row.status == "renewed";
    HeldConsent out{*purpose, valid, row.valid_until, {row.revision, row.position}, std::nullopt};
    if (row.withdrawn_revision != 0) out.withdrawn = {row.withdrawn_revision, row.withdrawn_position};
    if (!valid) out.withdrawn = out.given;
    return out;
}

policy::PurposeSet valid_purposes(std::span<const HeldConsent> all, const policy::Vocabulary& vocabulary, UtcMillis now) {
    struct Step {
        HeldConsent::Order order;
        bool gives;
        policy::PurposeId purpose;
    };
    std::vector<Step> steps;
    for (const auto& held : all) {
        if (held.withdrawn) steps.push_back({*held.withdrawn, false, held.purpose});
        // One that ran out gives nothing, and takes nothing that another consent gives.
        if (held.valid && (held.valid_until.value == 0 || now < held.valid_until)) steps.push_back({held.given, true, held.purpose});
    }
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.order < b.order; });
    policy::PurposeSet valid;
    for (const auto& step : steps) {
        const auto &below = vocabulary.at_or_below(step.purpose), &above = vocabulary.at_or_above(step.purpose);
        if (step.gives)
            valid.add_all(below);
        else
            for (std::uint16_t p = 0; p < policy::PurposeSet::capacity; ++p)
                if (below.has({p}) || above.has({p})) valid.remove({p});
    }
    return valid;
}

}  // namespace licet::app
