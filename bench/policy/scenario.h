// What the scale figures are taken on: so many active policies, so many entitlements, events of 1 KiB of which three fields are changed. The same
// rules and data are given to the peer (opa.h).
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "event/mapping.h"
#include "event/record.h"
#include "policy/engine.h"

namespace licet::bench {

struct Scenario {
    static constexpr std::size_t kEvents = 4096, kSubjects = 100'000, kDataBytes = 1024;
    static constexpr const char* kCountries[] = {"DE", "FR", "US", "JP", "BR", "IN", "GB", "PL"};

    Scenario();
    Scenario(const Scenario&) = delete;
    Scenario& operator=(const Scenario&) = delete;

    std::shared_ptr<const policy::Vocabulary> vocabulary = policy::builtin_vocabulary();
    std::vector<std::shared_ptr<const event::Mapping>> mappings;
    std::vector<std::string> records, subjects;  // of each event
    std::vector<event::StoredEvent> events;
    policy::ConsentIndex consents;
    std::unique_ptr<policy::Pseudonymiser> pseudonymiser;

    // The first permits with consent and three transforms, the second prohibits for a country; those after, of several purposes and countries, bear
    // on no event here, but all are the product's. Of several entitlements each has its share of them, as their assignee.
    [[nodiscard]] static std::vector<nlohmann::json> documents(std::size_t policies, std::size_t entitlements);
    [[nodiscard]] static policy::Entitlement entitlement(std::size_t index);
    [[nodiscard]] std::vector<policy::PolicyVersion> read(const std::vector<std::string>& texts) const;
    [[nodiscard]] std::shared_ptr<const policy::Program> compile(const policy::Entitlement& who,
                                                                 const std::vector<policy::PolicyVersion>& policies) const;
    // Subjects and their valid purposes; which of the purposes that rules name cover the one stated, which hit it.
    [[nodiscard]] nlohmann::json peer_data(const std::vector<nlohmann::json>& documents) const;
    [[nodiscard]] nlohmann::json peer_input(std::size_t event) const;
};

}  // namespace licet::bench
