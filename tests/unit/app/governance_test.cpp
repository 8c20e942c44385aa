// The node at the catalog's epoch: what is taken when, what the data plane and the cluster are told, and what time alone changes.
#include "tests/support/prices.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using namespace licet::testing;

namespace {

constexpr const char* kBroad = "dpv:ResearchAndDevelopment";
constexpr const char* kNarrow = "dpv:AcademicResearch";

ports::ConsentRow given(std::uint8_t who, const char* purpose = kNarrow, std::int64_t until = 0) {
    return {subject(who), purpose, "given", {until}, 0};
}
ports::ConsentRow withdrawn(std::uint8_t who, const char* purpose = kNarrow) { return {subject(who), purpose, "withdrawn", {}, 0}; }

}  // namespace

TEST_CASE("governance: loading takes the configuration and every consent") {
    Governed g;
    g.consent({given(1), given(2)});
    g.consent({withdrawn(2)});
    g.catalog->held.parties.push_back({"lab", "Lab", "DE", {}, {}});
    g.start();
    const auto snapshot = g.governance->snapshot();
    CHECK(snapshot->epoch.value == 3);
    CHECK(snapshot->global_epoch == 1);
    CHECK(snapshot->region == "eu");
    CHECK(snapshot->party("lab") != nullptr);
    CHECK(snapshot->consents->ready());
    CHECK(snapshot->consents->revision() == 2);
    CHECK(g.valid(subject(1), kNarrow));
    CHECK_FALSE(g.valid(subject(2), kNarrow));
    CHECK(g.cluster->acknowledged == 3);
}

TEST_CASE("governance: a node that cannot read its catalog does not start") {
    Governed g;
    g.catalog->configuration_away = true;
    CHECK(g.governance->load().error().code == Errc::unavailable);
    g.catalog->configuration_away = false;
    g.catalog->consents_away = true;
    CHECK(g.governance->load().error().code == Errc::unavailable);
}

TEST_CASE("governance: a change of consent reaches the index first, then the data plane, then the cluster") {
    Governed g;
    g.consent({given(1)});
    g.start();
    g.plane->hold_back = true;
    g.consent({withdrawn(1)});
    g.catalog->notify();
    const auto changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].epoch.value == 3);
    CHECK(changes[0].snapshot->epoch.value == 3);
    CHECK(changes[0].subject == subject(1));
    CHECK_FALSE(g.valid(subject(1), kNarrow));
    CHECK(g.cluster->acknowledged == 2);
    g.plane->waiting.at(0)();
    CHECK(g.cluster->acknowledged == 3);
    CHECK(g.governance->refresh().ok());
    CHECK(g.plane->take().empty());  // nothing moved
}

TEST_CASE("governance: changes of few subjects are given one by one, of many at once; only the last part is acknowledged") {
    Governed g;
    g.start();
    g.plane->hold_back = true;
    g.consent({given(1), given(2), given(3)});
    REQUIRE(g.governance->refresh());
    auto changes = g.plane->take();
    REQUIRE(changes.size() == 3);
    for (auto& acknowledge : g.plane->waiting) {
        CHECK(g.cluster->acknowledged == 1);
        acknowledge();
    }
    CHECK(g.cluster->acknowledged == 2);
    std::vector<ports::ConsentRow> many;
    for (std::uint8_t n = 0; n < 100; ++n) many.push_back(given(n));
    g.consent(many);
    REQUIRE(g.governance->refresh());
    changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK_FALSE(changes[0].subject.has_value());
    CHECK(changes[0].consents);
    CHECK(g.valid(subject(99), kNarrow));
}

TEST_CASE("governance: a change of configuration names no subject, and says whether consents changed with it") {
    Governed g;
    g.start();
    REQUIRE(g.catalog->put_party({"lab", "Lab", "DE", {}, {}}, {}));
    REQUIRE(g.governance->refresh());
    auto changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK_FALSE(changes[0].subject.has_value());
    CHECK_FALSE(changes[0].consents);
    CHECK(changes[0].snapshot->party("lab") != nullptr);
    REQUIRE(g.catalog->put_party({"lab", "Lab", "FR", {}, {}}, {}));
    g.consent({given(1)});
    REQUIRE(g.governance->refresh());
    changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].consents);
    CHECK(changes[0].epoch.value == 4);
}

TEST_CASE("governance: a refresh that failed half way is made whole by the next one") {
    Governed g;
    g.consent({given(1)});
    g.start();
    // A withdrawal and a change of configuration, and PostgreSQL goes away between the two reads.
    g.consent({withdrawn(1)});
    REQUIRE(g.catalog->put_party({"lab", "Lab", "DE", {}, {}}, {}));
    g.catalog->configuration_away = true;
    CHECK_FALSE(g.governance->refresh());
    CHECK(g.plane->take().empty());
    CHECK(g.governance->snapshot()->epoch.value == 2);
    CHECK(g.cluster->acknowledged == 2);
    g.catalog->configuration_away = false;
    REQUIRE(g.governance->refresh());
    const auto changes = g.plane->take();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].consents);  // frames that name the subject must not go out
    CHECK(g.cluster->acknowledged == 4);
    CHECK_FALSE(g.valid(subject(1), kNarrow));
}

TEST_CASE("governance: what was read before there was a data plane reaches it, and is acknowledged by it") {
    Governed g;
    REQUIRE(g.governance->load());
    REQUIRE(g.catalog->put_party({"lab", "Lab", "DE", {}, {}}, {}));
    REQUIRE(g.governance->refresh());
    g.plane->hold_back = true;
    g.governance->start(g.plane);
    const auto changes = g.plane->await();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].snapshot->party("lab") != nullptr);
    CHECK(g.cluster->acknowledged == 0);
    g.plane->waiting.at(0)();
    CHECK(g.cluster->acknowledged == 2);
}

TEST_CASE("governance: no epoch is claimed whose consents were not read") {
    Governed g;
    g.consent({given(1)});
    g.start();
    REQUIRE(g.cluster->acknowledged == 2);
    // While this node reads change 3, a withdrawal makes 4 and another change of configuration 5: the newer configuration and the older consents add
    // up to 4, which neither is.
    REQUIRE(g.catalog->put_party({"lab", "Lab", "DE", {}, {}}, {}));
    g.catalog->before_configuration = [&] {
        g.consent({withdrawn(1)});
        REQUIRE(g.catalog->put_party({"lab", "Lab", "FR", {}, {}}, {}));
    };
    REQUIRE(g.governance->refresh());
    CHECK(g.valid(subject(1), kNarrow));
    CHECK(g.cluster->acknowledged == 3);
    CHECK(g.governance->snapshot()->party("lab")->country == "FR");
    REQUIRE(g.governance->refresh());
    CHECK_FALSE(g.valid(subject(1), kNarrow));
    CHECK(g.cluster->acknowledged == 5);
}

TEST_CASE("governance: the barrier holds, or says why not") {
    Governed g;
    g.start();
    g.consent({given(1)});
    CHECK(g.governance->hold({2}).complete());
    g.consent({given(2)});
    g.cluster->others = {"n2", "n3"};
    const auto held = g.governance->hold({3});
    CHECK_FALSE(held.complete());
    CHECK(held.nodes.outstanding == std::vector<std::string>{"n2", "n3"});
    CHECK(held.nodes.acknowledged == std::vector<std::string>{"self"});
    CHECK(held.missing().find("2 node(s)") != std::string::npos);
    // What was complete stays complete: who delivers later has read it.
    CHECK(g.governance->hold({2}).complete());
    g.cluster->away = true;
    CHECK(g.governance->hold({3}).missing().find("cluster state") != std::string::npos);
    g.catalog->epochs_away = true;
    CHECK(g.governance->hold({3}).missing().find("catalog") != std::string::npos);
    CHECK(g.governance->barrier({3}, 0).error().code == Errc::unavailable);
    g.catalog->epochs_away = false;
    g.cluster->away = false;
    g.cluster->others.clear();
    CHECK(g.governance->hold({3}).complete());
    g.plane->hold_back = true;  // a shard that has not applied it
    g.consent({withdrawn(1)});
    CHECK(g.governance->hold({4}).nodes.outstanding == std::vector<std::string>{"self"});
    CHECK_FALSE(g.governance->barrier({4}, 0)->complete());
    CHECK(g.governance->barrier({3}, 0)->complete());
    CHECK(g.governance->barrier({5}, 0).error().code == Errc::not_found);
}

TEST_CASE("governance: a barrier that a call did not see complete is followed until it is, and reported once") {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<app::BarrierOutcome> ended;
    Governed g;
    g.governance =
        std::make_shared<app::Governance>(app::Governance::Parts{"eu", g.catalog, g.cluster, g.vocabulary, g.clock, [&](app::BarrierOutcome outcome) {
                                                                     const std::lock_guard lock(mutex);
                                                                     ended.push_back(std::move(outcome));
                                                                     changed.notify_all();
                                                                 }});
    g.start();
    g.cluster->others = {"n2"};
    g.consent({given(1)});
    CHECK_FALSE(g.governance->hold({2}).complete());
    g.cluster->away = true;
    g.consent({given(2)});
    CHECK_FALSE(g.governance->hold({3}).complete());
    g.cluster->others.clear();
    g.cluster->away = false;
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return ended.size() == 4; }));
    std::vector<std::pair<std::uint64_t, bool>> seen;
    for (const auto& e : ended) seen.emplace_back(e.epoch.value, e.late);
    CHECK(seen == std::vector<std::pair<std::uint64_t, bool>>{{2, false}, {3, false}, {2, true}, {3, true}});
    CHECK(ended[0].outstanding == std::vector<std::string>{"n2"});
    CHECK(ended[3].why.empty());
    lock.unlock();
    g.governance->stop();
}

TEST_CASE("governance: the data plane knows when the next consent ends, before the index holds it and after it ended") {
    Governed g;
    const std::int64_t now = g.clock->now;
    g.consent({given(1, kNarrow, now + 7'200'000)});
    REQUIRE(g.governance->load());
    g.governance->start(g.plane);
    CHECK(g.plane->ends == std::vector<std::int64_t>{now + 7'200'000});
    CHECK(g.plane->take().at(0).consents_until == UtcMillis{now + 7'200'000});
    g.consent({given(2, kNarrow, now + 3'600'000), given(3)});
    REQUIRE(g.governance->refresh());
    CHECK(g.plane->ends.back() == now + 3'600'000);
    auto changes = g.plane->take();
    REQUIRE(changes.size() == 2);
    CHECK_FALSE(changes[0].consents_until.has_value());  // only the last part says that all is applied
    CHECK(changes[1].consents_until == UtcMillis{now + 3'600'000});
    g.clock->now = now + 3'600'000;
    changes = g.plane->await();
    CHECK(changes.at(0).subject == subject(2));
    CHECK(changes.at(0).consents_until == UtcMillis{now + 7'200'000});
    g.clock->now = now + 7'200'000;
    CHECK(g.plane->await().at(0).consents_until == UtcMillis{});
}

TEST_CASE("governance: consents and withdrawals apply in the order they were recorded") {
    Governed g;
    g.consent({given(1, kBroad)});                                // broad covers narrow
    g.consent({given(2, kBroad), withdrawn(2, kNarrow)});         // of one request, in this order
    g.consent({withdrawn(3, kNarrow), given(3, kBroad)});         // and in that
    g.consent({given(4, kNarrow), withdrawn(4, "dpv:Purpose")});  // all is withdrawn
    g.consent({given(5, kBroad)});
    g.consent({withdrawn(5, kNarrow)});
    g.consent({given(5, kNarrow)});
    g.start();
    CHECK(g.valid(subject(1), kBroad));
    CHECK(g.valid(subject(1), kNarrow));
    CHECK_FALSE(g.valid(subject(2), kNarrow));
    CHECK_FALSE(g.valid(subject(2), kBroad));  // it would still cover what was withdrawn
    CHECK(g.valid(subject(3), kNarrow));
    CHECK_FALSE(g.valid(subject(4), kNarrow));
    CHECK(g.valid(subject(5), kNarrow));
    CHECK_FALSE(g.valid(subject(5), kBroad));
    CHECK_FALSE(g.valid(subject(9), kNarrow));
    // The same when it comes as news.
    g.consent({given(6, kBroad), withdrawn(6, kNarrow)});
    g.consent({given(1, "dpv:Marketing"), {subject(1), kBroad, "expired", {}, 0}});
    REQUIRE(g.governance->refresh());
    CHECK_FALSE(g.valid(subject(6), kNarrow));
    CHECK_FALSE(g.valid(subject(1), kNarrow));
    CHECK(g.valid(subject(1), "dpv:Marketing"));
}

TEST_CASE("governance: what a withdrawal ended only a later consent gives back") {
    Governed g;
    const std::int64_t now = g.clock->now;
    g.consent({given(1, kBroad), given(2, kBroad)});
    g.consent({withdrawn(1), withdrawn(2)});
    g.consent({given(1, kNarrow, now + 3'600'000), given(2)});
    g.consent({given(3, kBroad)});
    g.consent({withdrawn(3), given(3)});  // both in one request
    g.start();
    CHECK(g.valid(subject(1), kNarrow));
    CHECK_FALSE(g.valid(subject(1), kBroad));
    CHECK_FALSE(g.valid(subject(3), kBroad));
    CHECK(g.valid(subject(3), kNarrow));
    g.clock->now = now + 3'600'000;
    g.plane->await();
    CHECK_FALSE(g.valid(subject(1), kNarrow));  // the broad one does not stand in for it
    g.consent({given(2, kBroad)});
    REQUIRE(g.governance->refresh());
    CHECK(g.valid(subject(2), kBroad));
}

TEST_CASE("governance: a purpose this build does not know is consented to by nobody, and disturbs nothing") {
    Governed g;
    g.consent({given(1), {subject(1), "dpv:FromTheFuture", "given", {}, 0}, {subject(1), "dpv:FromTheFuture2", "withdrawn", {}, 0}});
    g.start();
    CHECK(g.valid(subject(1), kNarrow));
}

TEST_CASE("governance: a consent runs out on time, also while the catalog does not answer") {
    Governed g;
    const std::int64_t now = g.clock->now;
    g.consent({given(1, kNarrow, now + 3'600'000), given(2, kNarrow, now - 1), given(3, kNarrow, now + 7'200'000)});
    REQUIRE(g.governance->load());
    g.governance->start(g.plane);
    CHECK(g.valid(subject(1), kNarrow));
    CHECK_FALSE(g.valid(subject(2), kNarrow));
    // All that was loaded, and what had run out before: together or one after the other.
    for (bool told = false; !told;)
        for (const auto& change : g.plane->await()) told = told || change.subject == subject(2);
    g.catalog->block(true);
    std::thread stuck([&] { (void)g.governance->refresh(); });
    g.clock->now = now + 3'600'000;  // the clock jumps to the very moment: no longer valid
    const auto changes = g.plane->await();
    CHECK(changes.at(0).subject == subject(1));
    CHECK_FALSE(g.valid(subject(1), kNarrow));
    CHECK(g.valid(subject(3), kNarrow));
    g.catalog->block(false);
    stuck.join();
}

TEST_CASE("governance: a consent that was renewed does not run out when the one before it would have") {
    Governed g;
    const std::int64_t now = g.clock->now;
    g.consent({given(1, kNarrow, now + 1000)});
    g.start();
    g.consent({{subject(1), kNarrow, "renewed", {now + 1'000'000}, 0}});
    REQUIRE(g.governance->refresh());
    g.plane->take();
    g.clock->now = now + 2000;
    const auto changes = g.plane->await();  // it held its breath at what it was told: nobody's ended, and the next does later
    CHECK_FALSE(changes.at(0).subject);
    CHECK(changes.at(0).consents_until == UtcMillis{now + 1'000'000});
    CHECK(g.valid(subject(1), kNarrow));
}

TEST_CASE("snapshot: which contract a party reads a product under") {
    Governed g;
    auto& held = g.catalog->held;
    held.parties = {{"lab", "Lab", "DE", {}, {}}, {"ads", "Ads", "US", {}, {}}};
    held.products.push_back({{1}, "wiki", "Wiki", "lab", "lab", "", 1, {mapping_document()}});
    ports::Contract c{{1}, "one", "lab", {"wiki"}, {kNarrow}, {}, "contract", ports::ContractState::active, {}, {}, flat_prices("EUR", "0", "0")};
    held.contracts.push_back(c);
    c.no = {2}, c.name = "old", c.valid_until = {1000};
    held.contracts.push_back(c);
    c.no = {3}, c.name = "coming", c.valid_until = {}, c.valid_from = {g.clock->now + 1};
    held.contracts.push_back(c);
    c.no = {4}, c.name = "suspended", c.valid_from = {}, c.state = ports::ContractState::suspended;
    held.contracts.push_back(c);
    g.start();
    const auto snapshot = g.governance->snapshot();
    const UtcMillis now = g.clock->utc_now();
    CHECK((*snapshot->contract_for("lab", "wiki", "", now))->name == "one");
    CHECK(snapshot->contract_for("ads", "wiki", "", now).error().code == Errc::no_contract);
    CHECK(snapshot->contract_for("lab", "other", "", now).error().code == Errc::no_contract);
    for (const char* name : {"old", "coming", "suspended", "none"})
        CHECK(snapshot->contract_for("lab", "wiki", name, now).error().code == Errc::no_contract);
    const auto later = snapshot->contract_for("lab", "wiki", "", {now.value + 1});
    CHECK(later.error().code == Errc::invalid_parameter);
    CHECK(later.error().pointer == "query:contract");
    CHECK((*snapshot->contract_for("lab", "wiki", "coming", {now.value + 1}))->name == "coming");
    CHECK(snapshot->program({1}, {1}).ok());
    CHECK(snapshot->program({1}, {2}).error().code == Errc::no_contract);
}

TEST_CASE("snapshot: an active policy that cannot be read withholds everything") {
    Governed g;
    auto& held = g.catalog->held;
    held.parties = {{"lab", "Lab", "DE", {}, {}}};
    held.products.push_back({{1}, "wiki", "Wiki", "lab", "lab", "", 1, {mapping_document()}});
    held.contracts.push_back(
        {{1}, "one", "lab", {"wiki"}, {kNarrow}, {}, "contract", ports::ContractState::active, {}, {}, flat_prices("EUR", "0", "0")});
    g.catalog->rows = {{"good", 1, "active", policy_document("wiki", kNarrow)}, {"bad", 1, "active", {{"@type", "Unheard"}}}};
    g.start();
    CHECK(g.governance->snapshot()->program({1}, {1}).error().code == Errc::internal);
    REQUIRE(g.catalog->retire_policy("bad", {}));
    REQUIRE(g.governance->refresh());
    CHECK(g.governance->snapshot()->program({1}, {1}).ok());
}

TEST_CASE("governance: a change that could not be read is read as soon as it can be, without another one") {
    Governed g;
    g.consent({given(1)});
    g.start();
    g.consent({withdrawn(1)});
    g.catalog->consents_away = true;
    std::thread watcher([&] { g.catalog->notify(); });  // the only one
    CHECK_FALSE(g.governance->refresh());
    CHECK(g.valid(subject(1), kNarrow));
    g.catalog->consents_away = false;
    watcher.join();
    CHECK_FALSE(g.valid(subject(1), kNarrow));
    CHECK(g.cluster->acknowledged == 3);
}
