// Consents limited to recipients: the order of records, and how they reach the entitlements of those recipients and nobody else.
#include "server/app/consent_steps.h"
#include "tests/support/prices.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

constexpr const char* kPurpose = "dpv:AcademicResearch";
constexpr policy::RecipientNo kLab = 1, kUniversities = 2, kShop = 3;

struct Says {
    const char* status;
    policy::RecipientNo recipient = 0;
    const char* purpose = kPurpose;
    std::int64_t until = 0;
};

// What holds after these, said one after another.
std::vector<app::HeldConsent> held(const std::vector<Says>& all) {
    MemoryCatalog catalog;
    for (const auto& said : all) {
        ports::ConsentRow row{subject(1), said.purpose, said.status, {said.until}};
        row.recipient = said.recipient;
        REQUIRE(catalog.put_consents({row}, {}));
    }
    std::vector<app::HeldConsent> out;
    for (const auto& row : catalog.consents) out.push_back(*app::held_consent(row, *policy::builtin_vocabulary()));
    return out;
}

bool valid(const std::vector<Says>& all, std::vector<policy::RecipientNo> recipients, const char* purpose = kPurpose) {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto& v = *vocabulary;
    policy::ConsentIndex index;
    app::put_entries(index, app::consent_entries(subject(1), held(all), v));
    CHECK(policy::consented_purposes(index, subject(2), recipients, {1000}).empty());
    return policy::consented_purposes(index, subject(1), recipients, {1000}).has(*v.purpose(purpose));
}

}  // namespace

TEST_CASE("recipients: a consent that names one is for it alone") {
    CHECK(valid({{"given", kLab}}, {kLab}));
    CHECK_FALSE(valid({{"given", kLab}}, {}));
    CHECK_FALSE(valid({{"given", kLab}}, {kShop}));
    CHECK(valid({{"given", kUniversities}}, {kLab, kUniversities}));
    CHECK(valid({{"given"}}, {kLab}));
    CHECK(valid({{"given"}}, {}));
}

TEST_CASE("recipients: a withdrawal that names none is from all, one that names one is from it alone and stays until consent names it or all") {
    CHECK_FALSE(valid({{"given", kLab}, {"withdrawn"}}, {kLab}));
    CHECK_FALSE(valid({{"given"}, {"withdrawn", kLab}}, {kLab}));
    CHECK(valid({{"given"}, {"withdrawn", kLab}}, {kShop}));
    CHECK(valid({{"given"}, {"withdrawn", kLab}}, {}));
    CHECK_FALSE(valid({{"given"}, {"withdrawn", kLab}}, {kUniversities, kLab}));
    // Withdrawn from a party: consent for a category it belongs to does not give it back, whichever came first.
    CHECK_FALSE(valid({{"given", kUniversities}, {"withdrawn", kLab}}, {kLab, kUniversities}));
    CHECK_FALSE(valid({{"withdrawn", kLab}, {"given", kUniversities}}, {kLab, kUniversities}));
    CHECK(valid({{"withdrawn", kLab}, {"given", kUniversities}}, {kUniversities}));
    CHECK(valid({{"withdrawn", kLab}, {"given", kLab}}, {kLab}));
    CHECK(valid({{"withdrawn", kLab}, {"given"}}, {kLab}));
    CHECK(valid({{"withdrawn"}, {"given", kLab}}, {kLab}));
    CHECK_FALSE(valid({{"withdrawn", kLab}, {"given"}, {"withdrawn"}}, {kLab}));
}

TEST_CASE("recipients: purposes below and above, and the end of a consent, count as without recipients") {
    CHECK(valid({{"given", kLab, "dpv:ResearchAndDevelopment"}}, {kLab}));
    CHECK_FALSE(valid({{"given", kLab, "dpv:ResearchAndDevelopment"}, {"withdrawn", kLab}}, {kLab}));
    CHECK_FALSE(valid({{"given", 0, "dpv:ResearchAndDevelopment"}, {"withdrawn", kLab}}, {kLab}, "dpv:ResearchAndDevelopment"));
    CHECK(valid({{"given", 0, "dpv:ResearchAndDevelopment"}, {"withdrawn", kLab}}, {kLab}, "dpv:NonCommercialResearch"));
    CHECK_FALSE(valid({{"given", kLab, kPurpose, 1000}}, {kLab}));
    CHECK(valid({{"given", kLab, kPurpose, 1001}}, {kLab}));
    CHECK(valid({{"given"}, {"given", kLab, kPurpose, 999}}, {kLab}));
}

TEST_CASE("recipients: keys of one subject are distinct, and not the subject's own") {
    std::map<SubjectKey, int> keys{{subject(1), 0}};
    for (unsigned no = 1; no <= 4096; ++no)
        for (const auto what : {policy::Restriction::given, policy::Restriction::withdrawn})
            CHECK(keys.emplace(policy::key_for_recipient(subject(1), static_cast<policy::RecipientNo>(no), what), 1).second);
}

TEST_CASE("recipients: a recipient first named by a consent parts the rights of those who shared them") {
    Governed g;
    auto& c = g.catalog->held;
    c.parties = {{"press", "Press", "DE", {}, {}}, {"lab", "Lab", "DE", {}, {}}, {"uni", "Uni", "DE", {"universities"}, {}}};
    c.products = {{{1}, "wiki", "Wiki", "press", "press", "", 1, {mapping_document()}}};
    for (std::uint32_t i = 0; i < 2; ++i)
        c.contracts.push_back({{i + 1},
                               i == 0 ? "lab" : "uni",
                               i == 0 ? "lab" : "uni",
                               {"wiki"},
                               {kPurpose},
                               {},
                               "shared",
                               ports::ContractState::active,
                               {},
                               {},
                               flat_prices("EUR", "1", "0")});
    g.catalog->rows.push_back({"research", 1, "active", policy_document("wiki", kPurpose, true)});
    g.start();
    const auto key = [&](std::uint32_t contract) { return g.governance->snapshot()->program({contract}, {1}).value()->view_key(); };
    CHECK(key(1) == key(2));
    g.consent({{subject(1), kPurpose, "given", {}}});
    g.catalog->notify();
    CHECK(key(1) == key(2));
    const auto numbers = *g.catalog->number_recipients({"party:lab", "category:universities", "party:nobody-here"});
    g.plane->take();
    ports::ConsentRow row{subject(2), kPurpose, "given", {}};
    row.recipient = numbers[0];
    g.consent({row});
    g.catalog->notify();
    CHECK(key(1) != key(2));
    const auto changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK_FALSE(changes[0].subject.has_value());  // the rights changed too: everything is decided again
    CHECK(changes[0].consents);
    CHECK(g.governance->snapshot()->knows_recipient(numbers[1]));
    // One known by then is a change of that subject alone.
    row.recipient = numbers[1];
    g.consent({row});
    g.catalog->notify();
    const auto next = g.plane->take();
    REQUIRE(next.size() == 1);
    CHECK(next[0].subject == subject(2));
}

TEST_CASE("recipients: a node that starts knows those that consents name") {
    Governed g;
    g.catalog->held.parties = {{"lab", "Lab", "DE", {}, {}}};
    const auto numbers = *g.catalog->number_recipients({"party:lab"});
    ports::ConsentRow row{subject(1), kPurpose, "given", {}};
    row.recipient = numbers[0];
    g.consent({row});
    g.start();
    const auto snapshot = g.governance->snapshot();
    CHECK(snapshot->knows_recipient(numbers[0]));
    CHECK_FALSE(g.valid(subject(1), kPurpose));
    CHECK(policy::consented_purposes(*snapshot->consents, subject(1), numbers, g.clock->utc_now()).has(*g.vocabulary->purpose(kPurpose)));
}

TEST_CASE("recipients: what ends for one of them ends by itself, and is told of the subject") {
    const auto vocabulary = policy::builtin_vocabulary();
    const auto purpose = *vocabulary->purpose(kPurpose);
    policy::ConsentIndex index;
    // From the lab it was withdrawn, until consent for everybody; that one ends, and what was withdrawn stays withdrawn.
    app::put_entries(
        index, app::consent_entries(subject(1),
                                    held({{"given"}, {"given", kLab, kPurpose, 100}, {"withdrawn", kShop}, {"given", kUniversities, kPurpose, 200}}),
                                    *vocabulary));
    const auto asks = [&](policy::RecipientNo recipient, std::int64_t at) {
        return policy::consented_purposes(index, subject(1), {{recipient}}, {at}).has(purpose);
    };
    CHECK(asks(kLab, 99));
    CHECK(asks(kLab, 100));  // everybody may
    CHECK_FALSE(asks(kShop, 99));
    app::put_entries(index,
                     app::consent_entries(subject(1), held({{"given", kLab, kPurpose, 100}, {"given", kUniversities, kPurpose, 200}}), *vocabulary));
    CHECK(asks(kLab, 99));
    CHECK_FALSE(asks(kLab, 100));
    CHECK(asks(kUniversities, 199));
    CHECK_FALSE(asks(kUniversities, 200));
    for (const std::int64_t end : {100, 200}) {
        CHECK(index.next_end() == UtcMillis{end});
        const auto ended = index.advance({end});
        CHECK(std::find(ended.begin(), ended.end(), subject(1)) != ended.end());
    }
    CHECK_FALSE(index.next_end());
}
