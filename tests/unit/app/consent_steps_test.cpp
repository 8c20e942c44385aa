// Consents over random histories: what the index answers beside a reading of the whole history that knows neither steps nor bits.
#include <doctest/doctest.h>

#include <map>
#include <random>

#include "server/app/consent_steps.h"

using namespace licet;

namespace {

constexpr const char* kTerms[] = {"dpv:Purpose",      "dpv:ResearchAndDevelopment", "dpv:AcademicResearch", "dpv:CommercialResearch",
                                  "dpv:Marketing",    "dpv:DirectMarketing",        "dpv:ServiceProvision", "dpv:ServiceOptimisation",
                                  "dpv:NoSuchPurpose"};

struct Record {
    std::string purpose, status;
    std::int64_t until;
};
struct Subject {
    std::vector<Record> history;
    std::map<std::string, ports::ConsentRow> rows;  // as the catalog keeps them

    void record(const SubjectKey& key, const Record& r, std::uint64_t revision) {
        history.push_back(r);
        auto& row = rows[r.purpose];
        row = {key, r.purpose, r.status, {r.until}, revision, 0, row.withdrawn_revision, row.withdrawn_position};
        if (r.status == "withdrawn" || r.status == "expired") row.withdrawn_revision = revision;
    }
    // Record by record: a withdrawal takes the purpose, what is below and what is above; a consent counts while it is the last word on its purpose
    // and has not run out.
    [[nodiscard]] bool consents(const policy::Vocabulary& v, policy::PurposeId asked, std::int64_t now) const {
        bool yes = false;
        for (std::size_t i = 0; i < history.size(); ++i) {
            const auto& r = history[i];
            const auto purpose = v.purpose(r.purpose);
            if (!purpose) continue;
            const bool below = v.at_or_below(*purpose).has(asked), above = v.at_or_below(asked).has(*purpose);
            if (r.status == "withdrawn" || r.status == "expired") {
                if (below || above) yes = false;
                continue;
            }
            bool last = true;
            for (std::size_t j = i + 1; j < history.size(); ++j) last = last && history[j].purpose != r.purpose;
            if (last && below && (r.until == 0 || now < r.until)) yes = true;
        }
        return yes;
    }
};

SubjectKey key(std::uint8_t n) {
    SubjectKey out;
    out.bytes[3] = n;
    out.bytes[9] = 1;
    return out;
}

}  // namespace

TEST_CASE("consents: the index agrees with the whole history, at any time, whatever the clock does") {
    const auto vocabulary = policy::builtin_vocabulary();
    std::mt19937_64 random(20'260'728);
    const auto below = [&](std::uint64_t n) { return random() % n; };
    std::size_t yes = 0, no = 0, told = 0;
    for (int run = 0; run < 60; ++run) {
        policy::ConsentIndex index;
        std::map<std::uint8_t, Subject> subjects;
        std::int64_t now = 10'000, ended = 0;
        for (std::uint64_t revision = 1; revision <= 150; ++revision) {
            const auto who = static_cast<std::uint8_t>(below(4));
            const char* const statuses[] = {"given", "given", "renewed", "withdrawn", "expired"};
            auto& subject = subjects[who];
            const Record r{kTerms[below(std::size(kTerms))], statuses[below(5)],
                           below(2) == 0 ? 0 : now - 50 + static_cast<std::int64_t>(below(400))};
            subject.record(key(who), r, revision);
            std::vector<app::HeldConsent> held;
            for (const auto& [purpose, row] : subject.rows)
                if (const auto one = app::held_consent(row, *vocabulary)) held.push_back(*one);
            index.set_steps(key(who), app::consent_steps(held, *vocabulary));

            now += static_cast<std::int64_t>(below(60)) - (below(10) == 0 ? 100 : 0);  // it is set back at times
            if (below(3) == 0) {
                const auto next = index.next_end();
                const auto changed = index.advance({now});
                told += changed.size();
                if (!changed.empty()) REQUIRE((next && next->value <= now));
                ended = std::max(ended, now);
            }
            for (const auto& [n, s] : subjects)
                for (const auto* term : kTerms) {
                    const auto asked = vocabulary->purpose(term);
                    if (!asked) continue;
                    const bool expected = s.consents(*vocabulary, *asked, std::max(now, ended));
                    ++(expected ? yes : no);
                    REQUIRE(index.valid_purposes(key(n), {now}).has(*asked) == expected);
                }
        }
    }
    CHECK(yes > 1000);
    CHECK(no > 1000);
    CHECK(told > 100);
}

TEST_CASE("consents: steps are as few as tell the difference, and hold to the millisecond") {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto held = [&](const char* purpose, std::int64_t until, std::uint64_t revision) {
        return app::held_consent({key(1), purpose, "given", {until}, revision}, *vocabulary).value();
    };
    const std::vector<app::HeldConsent> some{held("dpv:AcademicResearch", 500, 1), held("dpv:ResearchAndDevelopment", 0, 2),
                                             held("dpv:Marketing", 700, 3)};
    const auto steps = app::consent_steps(some, *vocabulary);
    REQUIRE(steps.size() == 2);  // the first end makes no difference: the broad consent stands
    CHECK(steps[0].until.value == 700);
    CHECK(steps[0].purposes.has(vocabulary->purpose("dpv:Marketing").value()));
    CHECK_FALSE(steps[1].purposes.has(vocabulary->purpose("dpv:Marketing").value()));
    CHECK(steps[1].until == policy::ConsentStep::forever);
    CHECK(app::consent_steps({}, *vocabulary).size() == 1);
}
