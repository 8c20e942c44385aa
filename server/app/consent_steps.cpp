#include "server/app/consent_steps.h"

#include <algorithm>

namespace licet::app {

std::vector<policy::ConsentStep> consent_steps(std::span<const HeldConsent> held, const policy::Vocabulary& vocabulary) {
    std::vector<UtcMillis> ends;
    for (const auto& h : held)
        if (h.valid && h.valid_until.value != 0) ends.push_back(h.valid_until);
    ends.push_back(policy::ConsentStep::forever);
    std::sort(ends.begin(), ends.end());
    std::vector<policy::ConsentStep> steps;
    for (const UtcMillis end : ends) {
        // Nothing changes within a step: its last millisecond stands for all of it.
        const auto purposes = valid_purposes(held, vocabulary, {end.value - 1});
        if (!steps.empty() && (steps.back().until == end || steps.back().purposes == purposes))
            steps.back().until = end;
        else
            steps.push_back({end, purposes});
    }
    return steps;
}

}  // namespace licet::app
