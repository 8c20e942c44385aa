// What of a contract that has begun is settled, and what of one that has not may still change.
#include <doctest/doctest.h>

#include "server/ports/contract_change.h"
#include "tests/support/prices.h"
#include "tests/unit/app/desk.h"

using namespace licet;
using namespace licet::testing;

namespace {

UtcMillis at(const char* text) { return *parse_rfc3339(text); }

// In the middle of a month, by prices that changed before and will again.
struct Held {
    ports::Contract held, wanted;
    UtcMillis now = at("2027-07-15T10:00:00Z");

    Held() {
        held.name = "lab";
        held.party = "lab";
        held.valid_from = at("2027-01-01T00:00:00Z");
        held.prices = {price("", "1"), price("2027-03-01", "2"), price("2027-07-15", "3"), price("2027-09-01", "4")};
        wanted = held;
    }
    static metering::DatedPrice price(const char* from, const char* per_event, const char* currency = "EUR") {
        return {from, flat_prices(currency, per_event, "0")[0].price};
    }
    // The pointer it is refused with; empty: it is not.
    [[nodiscard]] std::string refused() const {
        const auto allowed = ports::check_contract_change(held, wanted, now);
        if (allowed.ok()) return "";
        CHECK(allowed.error().code == Errc::conflict);
        CHECK_FALSE(allowed.error().detail.empty());
        return allowed.error().pointer;
    }
};

}  // namespace

TEST_CASE("contract change: what does not touch a day up to today is free") {
    Held c;
    CHECK(c.refused().empty());
    c.wanted.state = ports::ContractState::suspended;
    c.wanted.purposes = {"dpv:Marketing"};
    c.wanted.prices[3] = Held::price("2027-07-16", "9");  // tomorrow
    c.wanted.prices.push_back(Held::price("2028-01-01", "10"));
    CHECK(c.refused().empty());
    c.wanted.prices.resize(3);
    CHECK(c.refused().empty());
}

TEST_CASE("contract change: prices of days up to today stay, today's too") {
    const auto changed = [](auto&& change) {
        Held c;
        change(c);
        return c.refused();
    };
    CHECK(changed([](Held& c) { c.wanted.prices[0] = Held::price("", "5"); }) == "/price");
    CHECK(changed([](Held& c) { c.wanted.prices[1] = Held::price("2027-03-01", "5"); }) == "/priceChanges/0");
    CHECK(changed([](Held& c) { c.wanted.prices[1] = Held::price("2027-03-02", "2"); }) == "/priceChanges/0");
    CHECK(changed([](Held& c) { c.wanted.prices[2] = Held::price("2027-07-15", "5"); }) == "/priceChanges/1");
    CHECK(changed([](Held& c) { c.wanted.prices[2] = Held::price("2027-07-16", "3"); }) == "/priceChanges/1");
    CHECK(changed([](Held& c) { c.wanted.prices[3] = Held::price("2027-07-15", "4"); }) == "/priceChanges/2");  // one more for today
    CHECK(changed([](Held& c) { c.wanted.prices.erase(c.wanted.prices.begin() + 1); }) == "/priceChanges/0");
    CHECK(changed([](Held& c) { c.wanted.prices.resize(2); }) == "/priceChanges");
    CHECK(changed([](Held& c) { c.wanted.prices.insert(c.wanted.prices.begin() + 1, Held::price("2027-02-01", "1")); }) == "/priceChanges/0");
    CHECK(changed([](Held& c) { c.wanted.prices = {Held::price("", "1", "USD")}; }) == "/price/currency");
    CHECK(changed([](Held& c) { c.wanted.replays_billed = true; }) == "/price/replays");
    CHECK(changed([](Held& c) { c.wanted.party = "ads"; }) == "/party");
    CHECK(changed([](Held& c) { c.held.prices.clear(); }) == "/price");
    // The last moment of the day before is still that day's.
    CHECK(changed([](Held& c) {
              c.now = at("2027-07-14T23:59:59.999Z");
              c.wanted.prices[2] = Held::price("2027-07-15", "5");
          }).empty());
}

TEST_CASE("contract change: the days it stood on are settled") {
    const auto changed = [](auto&& change) {
        Held c;
        change(c);
        return c.refused();
    };
    const auto from = [](const char* text) { return [text](Held& c) { c.wanted.valid_from = *text == 0 ? UtcMillis{} : at(text); }; };
    CHECK(changed(from("")) == "/validFrom");
    CHECK(changed(from("2026-12-31T00:00:00Z")) == "/validFrom");
    CHECK(changed(from("2027-07-10T00:00:00Z")) == "/validFrom");
    CHECK(changed(from("2027-08-01T00:00:00Z")) == "/validFrom");
    const auto until = [](const char* held, const char* wanted) {
        return [held, wanted](Held& c) {
            c.held.valid_until = *held == 0 ? UtcMillis{} : at(held);
            c.wanted.valid_until = *wanted == 0 ? UtcMillis{} : at(wanted);
        };
    };
    CHECK(changed(until("", "2027-07-02T00:00:00Z")) == "/validUntil");
    CHECK(changed(until("", "2027-07-14T00:00:00Z")) == "/validUntil");
    CHECK(changed(until("2027-07-10T00:00:00Z", "")) == "/validUntil");
    CHECK(changed(until("2027-07-10T00:00:00Z", "2027-07-12T00:00:00Z")) == "/validUntil");
    CHECK(changed(until("", "2027-07-15T09:00:00Z")).empty());  // today, to the moment
    CHECK(changed(until("2027-07-15T09:00:00Z", "")).empty());  // and back again
    CHECK(changed(until("2027-12-31T00:00:00Z", "2027-08-01T00:00:00Z")).empty());
    CHECK(changed(until("2027-08-01T00:00:00Z", "")).empty());
}

TEST_CASE("contract change: one that has not begun is changed at will, but does not begin in the past") {
    Held c;
    c.held.valid_from = at("2027-08-01T00:00:00Z");
    c.wanted.valid_from = c.held.valid_from;
    c.wanted.prices = {Held::price("", "7", "USD")};
    c.wanted.replays_billed = true;
    c.wanted.party = "ads";
    CHECK(c.refused().empty());
    c.wanted.valid_from = at("2027-07-15T00:00:00Z");
    CHECK(c.refused().empty());
    c.wanted.valid_from = at("2027-07-14T23:59:59Z");
    CHECK(c.refused() == "/validFrom");
    c.wanted.valid_from = {};
    CHECK(c.refused() == "/validFrom");
    // Begun this very moment.
    c.held.valid_from = c.now;
    c.wanted = c.held;
    c.wanted.prices = {Held::price("", "7")};
    CHECK(c.refused() == "/price");
}

TEST_CASE("admin: prices change from tomorrow on, and an ended contract says since when") {
    Desk d;
    d.furnish();
    const auto today = format_rfc3339(d.clock->utc_now()).substr(0, 10);
    const auto tomorrow = format_rfc3339({d.clock->utc_now().value + 86'400'000}).substr(0, 10);
    const auto dearer = json{{"currency", "EUR"}, {"perEvent", "0.02"}, {"perMb", "0.10"}};
    const auto put = [&](const json& body) { return d.admin->put_contract(kActor, "lab-wiki", body); };
    const auto from = [&](const std::string& day) { return with(Desk::contract(), "priceChanges", json::array({with(dearer, "from", day)})); };
    CHECK(Desk::refused(put(with(Desk::contract(), "price", dearer)), Errc::conflict) == "/price");
    CHECK(Desk::refused(put(from(today)), Errc::conflict) == "/priceChanges/0");
    CHECK(Desk::done(put(from(tomorrow)))["priceChanges"][0]["from"] == tomorrow);
    CHECK(Desk::done(put(Desk::contract())).contains("priceChanges") == false);

    auto ended = with(Desk::contract(), "state", "ended");
    const auto said = Desk::done(put(ended));
    CHECK(said["validUntil"] == format_rfc3339(d.clock->utc_now()));
    CHECK(d.catalog->held.contracts.back().valid_until == d.clock->utc_now());
    // Said again two days later, it ended when it did.
    d.clock->now += 2 * 86'400'000;
    d.catalog->now = d.clock->utc_now();
    CHECK(Desk::done(put(ended))["validUntil"] == said["validUntil"]);
    CHECK(Desk::refused(put(Desk::contract()), Errc::conflict) == "/validUntil");
    CHECK(Desk::refused(put(with(ended, "validUntil", format_rfc3339({d.clock->utc_now().value + 1}))), Errc::conflict) == "/validUntil");
    // One that never began.
    auto never = with(Desk::contract(), "validFrom", format_rfc3339({d.clock->utc_now().value + 86'400'000}));
    Desk::done(d.admin->put_contract(kActor, "never", never));
    const auto held = Desk::done(d.admin->put_contract(kActor, "never", with(never, "state", "ended")));
    CHECK(held["validUntil"] == format_rfc3339(d.clock->utc_now()));
    auto again = held;
    for (const char* member : {"name", "epoch"}) again.erase(member);
    Desk::done(d.admin->put_contract(kActor, "never", again));
}
