#include "policy/consent_recipients.h"

#include <cstring>

namespace licet::policy {

SubjectKey key_for_recipient(const SubjectKey& subject, RecipientNo recipient, Restriction what) noexcept {
    const std::uint64_t number = std::uint64_t{recipient} * 2 + (what == Restriction::withdrawn ? 1 : 0);
    std::uint64_t halves[2];
    std::memcpy(halves, subject.bytes.data(), sizeof halves);
    halves[0] ^= number * 0x9e3779b97f4a7c15;  // odd: no two numbers meet; and away from the subject's own slot
    halves[1] ^= number;
    SubjectKey out;
    std::memcpy(out.bytes.data(), halves, sizeof halves);
    return out;
}

PurposeSet consented_purposes(const ConsentIndex& consents, const SubjectKey& subject, std::span<const RecipientNo> recipients,
                              UtcMillis now) noexcept {
    if (recipients.empty()) return consents.valid_purposes(subject, now);
    for (;;) {
        const auto before = consents.related_changes();
        PurposeSet valid = consents.valid_purposes(subject, now), withdrawn;
        for (const RecipientNo recipient : recipients) {
            valid.add_all(consents.valid_purposes(key_for_recipient(subject, recipient, Restriction::given), now));
            withdrawn.add_all(consents.valid_purposes(key_for_recipient(subject, recipient, Restriction::withdrawn), now));
        }
        if ((before & 1) != 0 || consents.related_changes() != before) continue;
        valid.remove_all(withdrawn);
        return valid;
    }
}

}  // namespace licet::policy
