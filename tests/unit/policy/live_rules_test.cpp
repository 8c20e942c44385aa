// What compilation settles before any event: which rules are left, and that reasons stay those of the rules left out.
#include "policy/program.h"
#include "tests/unit/policy/fixture.h"

#include <doctest/doctest.h>

namespace {

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

json leaf(const char* left, const char* op, json right) { return {{"leftOperand", left}, {"operator", op}, {"rightOperand", std::move(right)}}; }
const json kOptimise = leaf("purpose", "isA", "dpv:ServiceOptimisation"), kMarket = leaf("purpose", "isA", "dpv:Marketing");

struct Compiled {
    Compiled(json permissions, json prohibitions = json::array(), policy::Entitlement who = entitlement())
        : view(who, {policy_of("p", std::move(permissions), std::move(prohibitions))}, {mapping()}) {}
    const policy::LiveRules& live() const { return static_cast<const policy::CompiledProgram&>(*view.program).live.at(0); }
    std::string decided(const EventText& event = {}) {
        const auto decision = view.decider->decide(StoredText(event).event(), {1'790'000'000'000});
        return std::string(policy::reason_name(decision.reason)) + " by " +
               (decision.rule == policy::Decision::kNoRule ? "none" : view.program->rules()[decision.rule].rule);
    }
    static std::shared_ptr<const event::Mapping> mapping() {
        static const auto m = std::make_shared<const event::Mapping>(
            event::parse_mapping(
                json::parse(R"({"attributes":{"id":{"digest":true},"source":{"constant":"/t"},"type":{"constant":"t"}},"fields":[]})"), 1)
                .value());
        return m;
    }
    struct StoredText {
        explicit StoredText(const EventText& e) : record(make_record(*mapping(), e)) {}
        event::StoredEvent event() const { return event::StoredEvent::parse(record).value(); }
        std::string record;
    };
    View view;
};

EventText from(const char* jurisdiction) {
    EventText e;
    e.license = "CC0-1.0";
    e.jurisdiction = jurisdiction;
    e.data = "{}";
    return e;
}

}  // namespace

TEST_CASE("rules of another purpose are settled when compiled") {
    json permissions = json::array({rule("mine", json::array({kOptimise}))}), prohibitions = json::array();
    for (int i = 0; i < 50; ++i) {
        permissions.push_back(rule(("other" + std::to_string(i)).c_str(), json::array({kMarket, leaf("spatial", "eq", "DE")})));
        prohibitions.push_back(rule(("not" + std::to_string(i)).c_str(), json::array({leaf("spatial", "eq", "DE"), kMarket})));
    }
    Compiled c(permissions, prohibitions);
    CHECK(c.live().permissions.size() == 1);
    CHECK(c.live().prohibitions.empty());
    CHECK(c.live().telling.size() == 2);  // the one that may apply, and the first that cannot
    CHECK(c.view.program->rules().size() == 101);
    CHECK(c.decided(from("DE")) == "permitted by mine");
}

TEST_CASE("a rule that may apply to some event is kept") {
    for (const json& constraint :
         {json{{"or", json::array({kMarket, leaf("spatial", "eq", "DE")})}}, json{{"xone", json::array({kMarket, leaf("spatial", "eq", "DE")})}},
          leaf("purpose", "isNoneOf", {"dpv:Marketing"}), leaf("spatial", "eq", "DE")}) {
        CAPTURE(constraint.dump());
        Compiled c(json::array({rule("y")}), json::array({rule("n", json::array({constraint}))}));
        CHECK(c.live().prohibitions.size() == 1);
        CHECK(c.decided(from("DE")) == "prohibited by n");
    }
    // Stated more widely than prohibited: it may be meant, so it is kept; for a permission it never suffices.
    auto wide = entitlement();
    wide.purposes = {"dpv:Purpose"};
    Compiled c(json::array({rule("y", json::array({kMarket}))}), json::array({rule("n", json::array({kMarket}))}), wide);
    CHECK(c.live().prohibitions.size() == 1);
    CHECK(c.live().permissions.empty());
    CHECK(c.decided(from("DE")) == "prohibited by n");
}

TEST_CASE("the reason is that of the permission that came nearest, looked at or not") {
    Compiled none(json::array({rule("a", json::array({kMarket})), rule("b", json::array({kMarket}))}));
    CHECK(none.decided(from("DE")) == "purpose_not_permitted by a");
    Compiled near(json::array({rule("a", json::array({kMarket})), rule("b", json::array({leaf("spatial", "eq", "FR"), kMarket})),
                               rule("c", json::array({kOptimise, leaf("spatial", "eq", "FR")}))}));
    CHECK(near.live().telling.size() == 3);
    CHECK(near.decided(from("DE")) == "no_permission by b");  // fails first by its place
    Compiled later(json::array({rule("a", json::array({leaf("spatial", "eq", "FR"), kMarket})),
                                rule("c", json::array({kOptimise, leaf("licet:licence", "eq", "CC-BY-4.0")}))}));
    CHECK(later.decided(from("FR")) == "licence_forbids by c");  // a's place holds: it fails by its purpose
}

TEST_CASE("types and sources count by what they are compared with") {
    json permissions = json::array();
    for (const char* part : {"urn:shop", "/shop", "/shop/", "/shop/eu", "/s"})
        permissions.push_back(rule(part, json::array({leaf("licet:eventSource", "isPartOf", part)})));
    permissions.push_back(rule("exact", json::array({leaf("licet:eventSource", "eq", "/shop/us")})));
    Compiled c(permissions);
    const policy::TextMarks& marks = static_cast<const policy::CompiledProgram&>(*c.view.program).source_marks;
    const auto key = [&](const char* text) {
        std::string out;
        marks.append(text, out);
        return out;
    };
    CHECK(key("/shop/eu/1") == key("/shop/eu/2"));
    CHECK(key("/shop/eu/1") != key("/shop/eu"));
    CHECK(key("/shop/us") != key("/shop/us/1"));
    CHECK(key("/shop/fr/1") == key("/shop/fr"));
    CHECK(key("/shops") == key("/other"));
    CHECK(key("") != key("/other"));
    CHECK(key("urn:shop:1") == key("urn:shop:2"));
    CHECK(key("urn:shops") == key("/other"));
}
