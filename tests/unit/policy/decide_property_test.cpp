// Random policies, contracts, events and consents: what must hold of every decision, and that memo, cold evaluation and explanation agree.
#include <random>

#include "tests/unit/policy/fixture.h"

namespace {

using namespace licet;
using namespace licet::testing;

struct Generator {
    std::mt19937 random;
    int pick(std::size_t n) { return static_cast<int>(random() % n); }
    template <std::size_t N>
    const char* one(const char* const (&of)[N]) {
        return of[pick(N)];
    }

    static constexpr const char* purposes[] = {"dpv:Purpose",
                                               "dpv:Marketing",
                                               "dpv:Advertising",
                                               "dpv:TargetedAdvertising",
                                               "dpv:ResearchAndDevelopment",
                                               "dpv:AcademicResearch",
                                               "dpv:NonCommercialResearch",
                                               "dpv:ServiceOptimisation"};
    static constexpr const char* countries[] = {"DE", "FR", "GB", "US", "CH", "JP", "", "XX"};
    static constexpr const char* licences[] = {"CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-ND-4.0", "", "Beer-1.0"};
    static constexpr const char* classes[] = {"", "public", "secret"};
    static constexpr const char* subjects[] = {"", "ada", "bob", "cleo"};
    static constexpr const char* times[] = {"2015-09-12", "2020-06-01", "2021-03-01", "2026-06-01"};

    json leaf() {
        switch (pick(6)) {
            case 0:
                return constraint("purpose", pick(2) == 0 ? "isA" : "neq", one(purposes));
            case 1:
                return constraint("licet:consent", pick(2) == 0 ? "eq" : "neq", "valid");
            case 2:
                return constraint("spatial", pick(2) == 0 ? "isPartOf" : "neq", pick(2) == 0 ? "EEA" : "US");
            case 3:
                return constraint("licet:licence", "isAnyOf", json::array({"CC0-1.0", "CC-BY-4.0"}));
            case 4:
                return constraint("licet:classification", pick(2) == 0 ? "eq" : "neq", "public");
            default:
                return constraint("licet:category", "eq", "pd:IPAddress");
        }
    }
    json tree(int depth) {
        if (depth == 0 || pick(3) != 0) return leaf();
        json list = json::array();
        for (int i = 1 + pick(3); i > 0; --i) list.push_back(tree(depth - 1));
        return {{pick(3) == 0 ? "xone" : pick(2) == 0 ? "and" : "or", list}};
    }
    json rules(const char* prefix, std::size_t most, bool duties) {
        json out = json::array();
        for (int i = pick(most + 1); i > 0; --i) {
            json constraints = json::array();
            for (int k = pick(3); k > 0; --k) constraints.push_back(tree(2));
            json transforms = json::array();
            if (duties && pick(2) == 0)
                transforms.push_back(transform(pick(2) == 0 ? "redact" : "null", "licet:pointer", pick(2) == 0 ? "/ip" : "/email"));
            if (duties && pick(3) == 0) transforms.push_back(transform("cryptoHash", "licet:infoType", "IP_ADDRESS"));
            out.push_back(rule((prefix + std::to_string(i)).c_str(), constraints, transforms));
        }
        return out;
    }
    EventText event() {
        EventText e;
        e.license = one(licences);
        e.jurisdiction = one(countries);
        e.subject = one(subjects);
        e.classification = one(classes);
        e.time = parse_date(one(times)).value();
        static constexpr const char* data[] = {"{}", R"({"ip":"192.0.2.1","n":1})", R"({"ip":"Old Mill"})",
                                               R"({"email":"ada@example.org","ip":"::1"})"};
        e.data = one(data);
        return e;
    }
};

}  // namespace

TEST_CASE("over random policies, contracts, events and consents") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/email"}, {"category", "pd:EmailAddress"}, {"infoType", "EMAIL_ADDRESS"}},
                                                 {{"pointer", "/ip"}, {"category", "pd:IPAddress"}, {"infoType", "IP_ADDRESS"}}}));
    const auto vocabulary = policy::builtin_vocabulary();
    Generator g{std::mt19937(99)};
    int delivered = 0, withheld = 0;
    for (int round = 0; round < 300; ++round) {
        auto who = entitlement();
        who.recipient_country = g.one(Generator::countries);
        who.purposes.clear();
        for (int i = g.pick(4); i > 0; --i) who.purposes.push_back(g.one(Generator::purposes));
        const json permissions = g.rules("y", 3, true), prohibitions = g.rules("n", 2, false);
        if (permissions.empty() && prohibitions.empty()) continue;
        const auto policy = policy_of("p", permissions, prohibitions);
        const auto closed =
            policy_of("closed", json::array(), json::array({rule("never", json::array({constraint("purpose", "isA", "dpv:Purpose")}))}));
        View warm(who, {policy}, {mapping}),
            stricter(who, {policy, policy_of("q", json::array(), json::array({rule("q", json::array({g.tree(2)}))}))}, {mapping});
        View none(who, {policy, closed}, {mapping});
        for (int i = 0; i < 60; ++i) {
            if (i % 10 == 0) {
                policy::PurposeSet set;
                if (g.pick(3) != 0) set = vocabulary->at_or_below(vocabulary->purpose(g.one(Generator::purposes)).value());
                const auto subject = subject_key(g.one(Generator::subjects));
                const bool ready = g.pick(5) != 0;
                for (View* v : {&warm, &stricter, &none}) {
                    v->consents.set(subject, set);
                    v->consents.set_ready(ready);
                }
            }
            const EventText e = g.event();
            const auto record = make_record(*mapping, e);
            const auto stored = event::StoredEvent::parse(record).value();
            const auto d = warm.decider->decide(stored, {});
            CAPTURE(round);
            CAPTURE(e.data);
            REQUIRE(d.deliver == (d.reason == policy::Reason::permitted));
            ++(d.deliver ? delivered : withheld);

            // The memo changes nothing.
            policy::ConsentIndex& consents = warm.consents;
            const auto cold = policy::make_decider(warm.program, consents, warm.pseudonymiser);
            const auto again = cold->decide(stored, {});
            REQUIRE(again.reason == d.reason);
            REQUIRE(again.rule == d.rule);
            std::string first, second;
            if (d.deliver) {
                REQUIRE(warm.decider->redact(stored, d, first));
                REQUIRE(cold->redact(stored, again, second));
                REQUIRE(first == second);
            }
            // The explanation agrees.
            const json grounds = policy::explain(*warm.program, stored, consents, {});
            REQUIRE(grounds.at("reason") == policy::reason_name(d.reason));
            REQUIRE(grounds.at("deliver") == d.deliver);
            bool any_prohibition = false, every_purpose = true;
            for (const auto& p : grounds.at("purposes")) {
                bool permitted = false;
                for (const auto& r : p.at("rules")) {
                    any_prohibition = any_prohibition || (r.at("kind") == "prohibition" && r.at("value") != "false");
                    permitted = permitted || (r.at("kind") == "permission" && r.at("value") == "true");
                }
                every_purpose = every_purpose && permitted;
            }
            if (any_prohibition || !every_purpose) REQUIRE_FALSE(d.deliver);

            // Another prohibition never lets more through; one of the root purpose lets nothing through.
            if (stricter.decider->decide(stored, {}).deliver) REQUIRE(d.deliver);
            REQUIRE_FALSE(none.decider->decide(stored, {}).deliver);
            // What the licence or the place leaves open is not delivered.
            if (vocabulary->licence(e.license) == nullptr) REQUIRE_FALSE(d.deliver);
            const bool outside = vocabulary->in_eea(who.recipient_country, e.time) != policy::Ternary::yes;
            if (!e.subject.empty() && outside && vocabulary->in_eea(e.jurisdiction, e.time) == policy::Ternary::unknown) REQUIRE_FALSE(d.deliver);
        }
    }
    CHECK(delivered > 300);
    CHECK(withheld > 3000);
}
