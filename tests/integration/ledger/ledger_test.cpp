// Billed once, whatever is sent again, lost or delivered twice; and everything delivered is on one side of the books.
#include <future>
#include <random>

#include "tests/integration/ledger/commit_thief.h"
#include "tests/integration/ledger/fixture.h"

using namespace licet;
using namespace licet::testing;
using Ranges = Books::Ranges;

TEST_CASE("ledger: records sent again, in part or whole, count once") {
    const Books b;
    Script script;
    for (Offset at = 0; at < 1000; at += 10) script.delivered(at, at + 10);
    const auto& all = script.records;
    b.flush({all.begin(), all.begin() + 50});
    b.flush({all.begin(), all.begin() + 50});
    b.flush({all.begin() + 20, all.begin() + 70});
    b.flush(all);
    b.flush(all);
    b.flush({});
    CHECK(b.billed() == Ranges{{0, 1000}});
    CHECK(b.total() == ports::UsageCount{1000, bytes_of(0, 1000)});
    CHECK(b.balance().unbilled.events == 0);
    CHECK(b.balance().suspense_offsets == 0);
}

TEST_CASE("ledger: a missing sequence stops the flush and is named; nothing behind it is taken") {
    const Books b;
    Script script;
    for (Offset at = 0; at < 50; at += 10) script.delivered(at, at + 10);
    auto records = script.take();
    b.flush({records.begin(), records.begin() + 2});
    const auto hole = b.ledger->flush("n1", "eu", {records.begin() + 3, records.end()});
    CHECK(hole.error().code == Errc::corrupt);
    CHECK(hole.error().detail.find("misses sequence 3 of start 1") != std::string::npos);
    records.erase(records.begin() + 3);
    CHECK(b.ledger->flush("n1", "eu", records).error().code == Errc::corrupt);
    CHECK(b.billed() == Ranges{{0, 20}});
    CHECK(b.ledger->flush("n2", "eu", {script.delivered(50, 60).records.back()}).error().code == Errc::corrupt);  // a start begins with 1
}

TEST_CASE("ledger: a server that ends in the middle of a flush took nothing; one whose reply was lost took all; both can be sent again") {
    const Books b;
    Script script;
    b.flush(script.intent(0, 1000).delivered(0, 10).take());

    // The backend is ended while it works: held up by a lock until then.
    const auto records = script.delivered(10, 20).delivered(20, 30).take();
    {
        pqxx::connection other(b.database.dsn);
        pqxx::work lock(other);
        lock.exec("LOCK TABLE usage_delivered IN ACCESS EXCLUSIVE MODE");
        auto flushed = std::async(std::launch::async, [&] { return b.ledger->flush("n1", "eu", records); });
        while (b.database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'usage_delivered'::regclass") == "0")
            std::this_thread::yield();
        b.database.exec("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'usage_delivered'::regclass");
        CHECK(flushed.get().error().code == Errc::unavailable);
    }
    CHECK(b.billed() == Ranges{{0, 10}});
    b.flush(records);
    CHECK(b.billed() == Ranges{{0, 30}});

    // The commit is done, its reply never arrives.
    CommitThief thief(static_cast<std::uint16_t>(std::stoi(b.database.value("SHOW port"))));
    const auto through = postgres::make_ledger(postgres::make_pool("host=127.0.0.1 sslmode=disable gssencmode=disable dbname=" + b.database.name +
                                                                   " user=node_" + b.database.name + " port=" + std::to_string(thief.port)));
    const auto more = script.delivered(30, 40).intent(1000, 2000).delivered(40, 50).take();
    thief.armed = true;
    CHECK(through->flush("n1", "eu", more).error().code == Errc::unavailable);
    CHECK(thief.stolen == 1);
    CHECK(b.billed() == Ranges{{0, 50}});
    REQUIRE(through->flush("n1", "eu", more).ok());
    thief.armed = true;
    CHECK(through->settle_ended_boots("n1", 2, [](const UsageOf&, Offset to) { return to; }).error().code == Errc::unavailable);
    REQUIRE(through->settle_ended_boots("n1", 2, [](const UsageOf&, Offset to) { return to; }).ok());
    CHECK(b.billed() == Ranges{{0, 50}});
    CHECK(b.suspense() == Ranges{{50, 2000}});
    CHECK(b.total() == ports::UsageCount{50, bytes_of(0, 50)});
    CHECK(b.balance().delivered.events == 50);
}

TEST_CASE("ledger: what two nodes delivered of the same offsets is billed once; the rest of a record is billed when it is counted anew") {
    const Books b;
    Script one, two;
    b.settle(1, ~Offset{0}, "n1");
    const auto known = *b.ledger->ranges(kOf);  // n1's meter
    b.flush(one.delivered(0, 100).take(), "n1");
    b.flush(two.delivered(0, 100).take(), "n2");  // all of it again
    CHECK(b.balance().unbilled.events == 100);
    CHECK(known.unbilled->take().empty());
    b.flush(two.delivered(100, 150).take(), "n2");
    b.flush(one.delivered(120, 200).take(), "n1");  // a part of it again: what the rest comes to is not known here
    CHECK(b.billed() == Ranges{{0, 150}});
    CHECK(b.suspense().empty());
    CHECK(b.balance().billed.events == 150);
    CHECK(b.balance().unbilled.events == 180);
    // The node hears of it, and counts it.
    const auto refused = known.unbilled->take();
    REQUIRE(refused.size() == 1);
    CHECK(refused[0].record.from == 120);
    CHECK(refused[0].record.events == 80);
    CHECK(refused[0].record.at.value == kNoon);
    CHECK(refused[0].rest.all() == Ranges{{150, 200}});
    CHECK(known.unbilled->take().empty());
    const auto counted = [&](Offset from, Offset to) {
        one.add(UsageKind::recounted, from, to);
        one.records.back().events = to - from;
        one.records.back().bytes = bytes_of(from, to);
    };
    // Somebody else may bill a part of it before.
    b.flush(two.delivered(150, 160).take(), "n2");
    counted(150, 200);
    b.flush(one.take(), "n1");
    CHECK(b.balance().unbilled.events == 180);
    counted(160, 180);
    counted(180, 200);
    counted(180, 200);  // once
    const auto records = one.take();
    b.flush(records, "n1");
    b.flush(records, "n1");
    CHECK(b.billed() == Ranges{{0, 200}});
    CHECK(b.total() == ports::UsageCount{200, bytes_of(0, 200)});
    const auto balance = b.balance();
    CHECK(balance.delivered == ports::UsageCount{340, bytes_of(0, 100) * 2 + bytes_of(100, 150) + bytes_of(120, 200) + bytes_of(150, 160)});
    CHECK(balance.billed.events == 200);
    CHECK(balance.unbilled == ports::UsageCount{140, bytes_of(0, 100) + bytes_of(120, 150) + bytes_of(150, 160)});
    // Another node's record is not for this one to count.
    two.add(UsageKind::recounted, 200, 210);
    b.flush(two.take(), "n2");
    CHECK(b.billed() == Ranges{{0, 200}});
    // Adjacent records of one flush are one row only where nothing of them is billed.
    b.flush(one.delivered(190, 210).delivered(210, 220).delivered(220, 230).take(), "n1");
    CHECK(b.billed() == Ranges{{0, 200}, {210, 230}});
    // The next start of the node knows what the last one left.
    const auto again = postgres::make_ledger(postgres::make_pool(b.database.serving_dsn()));
    REQUIRE(again->settle_ended_boots("n1", 2, [](const UsageOf&, Offset to) { return to; }).ok());
    const auto left = again->ranges(kOf)->unbilled->take();
    REQUIRE(left.size() == 2);
    for (const auto& one_of : left) CHECK((one_of.rest.all() == Ranges{{150, 160}} || one_of.rest.all() == Ranges{{200, 210}}));
    CHECK(postgres::make_ledger(postgres::make_pool(b.database.serving_dsn()))->ranges(kOf)->unbilled->take().empty());  // of no node
    CHECK_THROWS(b.database.exec("UPDATE usage_unbilled SET events = events + 1"));
    CHECK_THROWS(b.database.exec("UPDATE usage_unbilled SET rest = '{[0,1000)}'"));
}

TEST_CASE("ledger: meters are apart by contract, product, partition and incarnation of the log") {
    const Books b;
    Script script;
    auto others = std::vector<UsageOf>{kOf, kOf, kOf, kOf, kOf};
    others[1].contract = {9};
    others[2].product = {9};
    others[3].partition = {9};
    others[4].stream_epoch = {9};
    for (const auto& of : others) script.delivered(0, 10, of);
    b.flush(script.take());
    for (const auto& of : others) CHECK(b.billed(of) == Ranges{{0, 10}});
    CHECK(b.total().events == 50);
}

TEST_CASE("ledger: nodes that race for the same offsets bill each of them once") {
    const Books b;
    constexpr Offset kEnd = 3000;
    std::vector<std::future<int>> nodes;
    for (int n = 0; n < 3; ++n)
        nodes.push_back(std::async(std::launch::async, [&, n] {
            const auto ledger = postgres::make_ledger(postgres::make_pool(b.database.serving_dsn()));
            std::mt19937 random(static_cast<unsigned>(n));
            Script script;
            int retries = 0;
            for (Offset at = 0; at < kEnd;) {
                for (int r = 0; r < 4 && at < kEnd; ++r) {
                    const Offset to = std::min<Offset>(kEnd, at + 1 + random() % 40);
                    script.delivered(at, to);
                    at = to;
                }
                const auto records = script.take();
                while (!ledger->flush("n" + std::to_string(n), "eu", records).ok())
                    if (++retries > 10'000) return -1;
            }
            // It ends with intents open that others have billed, or are about to.
            const std::string ended = "n" + std::to_string(n);
            while (!ledger->flush(ended, "eu", script.intent(0, kEnd).take()).ok())
                if (++retries > 10'000) return -1;
            while (!ledger->settle_ended_boots(ended, 2, [](const UsageOf&, Offset to) { return to; }).ok())
                if (++retries > 10'000) return -1;
            return retries;
        }));
    for (auto& n : nodes) CHECK(n.get() >= 0);
    const auto ranges = *b.ledger->ranges(kOf);
    // All that was delivered is billed, in suspense or still to be counted; nothing is billed twice, or billed and in suspense.
    auto all = ranges.billed;
    for (const auto& [from, to] : ranges.suspense.all()) {
        CHECK(all.covered_until(from) == from);
        all.add(from, to);
    }
    CHECK(all.all() == Ranges{{0, kEnd}});
    CHECK(b.database.value("SELECT count(*) FROM usage_unbilled u, unnest(u.rest) r JOIN usage_billed b ON b.range && r WHERE b.node = u.node") ==
          "0");
    CHECK(b.total().events == ranges.billed.total());
    std::uint64_t bytes = 0;
    for (const auto& [from, to] : ranges.billed.all()) bytes += bytes_of(from, to);
    CHECK(b.total().bytes == bytes);
    CHECK(b.balance().delivered.events == 3 * kEnd);
}

TEST_CASE("ledger: what an ended start intended and did not account for is suspense, as far as the log reaches") {
    const Books b;
    Script first(1);
    b.flush(first.intent(0, 100).delivered(0, 30).intent(100, 200).delivered(30, 60).take());
    CHECK(b.suspense().empty());  // it may still be running
    b.settle(2, 150);
    CHECK(b.suspense() == Ranges{{60, 150}});
    b.settle(2, 150);  // again, nothing new
    CHECK(b.suspense() == Ranges{{60, 150}});
    CHECK(b.balance().suspense_offsets == 90);
    // The next start: the subscriber's cursor said 80, so that 60 to 80 was delivered by the first one.
    Script second(2);
    b.flush(second.delivered(60, 80).intent(80, 180).delivered(80, 90).take());
    CHECK(b.suspense() == Ranges{{90, 150}});
    // It stops in order: what it did not send it takes back.
    b.flush(second.aborted(90, 180).take());
    b.settle(3, 1000);
    CHECK(b.suspense() == Ranges{{90, 150}});  // of the first start, still
    Script third(3);
    b.flush(third.delivered(90, 150).take());
    CHECK(b.suspense().empty());
    CHECK(b.billed() == Ranges{{0, 150}});
}

TEST_CASE("ledger: intents taken back and made again within one flush and between flushes") {
    const Books b;
    Script script;
    b.flush(script.intent(0, 100).aborted(0, 100).intent(50, 120).aborted(110, 120).take());
    b.flush(script.intent(200, 300).take());
    b.flush(script.aborted(250, 300).intent(290, 310).take());
    b.settle(2);
    CHECK(b.suspense() == Ranges{{50, 110}, {200, 250}, {290, 310}});
    // Of its own log a start knows where it ends, of others nothing.
    const UsageOf own{{1}, {1}, {0}, {9}};
    Script other(2);
    b.flush(other.intent(0, 10, own).take(), "n2");
    REQUIRE(b.ledger->settle_ended_boots("n2", 3, [&](const UsageOf& of, Offset to) { return of == own ? Offset{0} : to; }).ok());
    CHECK(b.suspense(own).empty());
    CHECK(b.suspense() == Ranges{{50, 110}, {200, 250}, {290, 310}});
}

TEST_CASE("ledger: a journal that starts to count anew is refused, before its records are taken for known ones") {
    const Books b;
    b.settle(1);
    b.settle(1);  // a start that wrote nothing and tries again
    Script first(1);
    b.flush(first.delivered(0, 10).take());
    const auto nothing = [](const UsageOf&, Offset to) { return to; };
    const auto lost = b.ledger->settle_ended_boots("n1", 1, nothing);
    CHECK(lost.error().code == Errc::conflict);
    b.settle(7);
    CHECK(b.ledger->settle_ended_boots("n1", 6, nothing).error().code == Errc::conflict);
    b.settle(1, ~Offset{0}, "n2");  // another node counts for itself
    b.settle(8);
}

TEST_CASE("ledger: totals by day and region; a day is UTC's, half open") {
    const Books b;
    constexpr std::int64_t kDay = 86'400'000;
    const std::int64_t midnight = kNoon - kDay / 2;
    Script script;
    b.flush(script.delivered(0, 10, kOf, midnight - 1).delivered(10, 20, kOf, midnight).delivered(20, 30, kOf, midnight + kDay - 1).take(), "n1",
            "eu");
    b.flush(Script().delivered(30, 40, kOf, midnight).take(), "n2", "us");
    const auto totals = *b.ledger->totals(kMonthFrom, kMonthTo, {});
    REQUIRE(totals.size() == 3);
    CHECK(totals[0].day == "2026-11-20");
    CHECK(totals[0].events == 10);
    CHECK(totals[1].day == "2026-11-21");
    CHECK(totals[1].region == "eu");
    CHECK(totals[1].events == 20);
    CHECK(totals[2].region == "us");
    CHECK(b.ledger->totals({midnight}, {midnight + kDay}, {})->size() == 2);
    CHECK(b.ledger->totals({midnight - kDay}, {midnight}, {})->size() == 1);
    CHECK(b.ledger->totals(kMonthFrom, kMonthTo, {{1}})->size() == 3);
    CHECK(b.ledger->totals(kMonthFrom, kMonthTo, {{9}, {8}})->empty());
    CHECK(b.ledger->totals({0}, {kDay}, {})->empty());
}

TEST_CASE("ledger: the database itself refuses an offset billed twice") {
    const Books b;
    b.flush(Script().delivered(0, 10).take());
    pqxx::connection connection(b.database.dsn);
    pqxx::work t(connection);
    CHECK_THROWS(t.exec(
        "INSERT INTO usage_billed SELECT contract, product, partition, stream_epoch, '[9,12)', 1, 1, day, region, 'n2', 1, 1 FROM usage_billed"));
}

TEST_CASE("ledger: usage is told apart by view; what was noted before views were is under none") {
    const Books b;
    constexpr metering::ViewDigest kOne{0xfedcba9876543210}, kTwo{2};
    Script script;
    script.delivered(0, 10);
    script.add(UsageKind::delivered, 10, 20, kOf, kNoon, kOne).add(UsageKind::delivered, 20, 25, kOf, kNoon, kOne);
    script.add(UsageKind::delivered, 25, 30, kOf, kNoon, kTwo);
    b.flush(script.take());
    const auto lines = b.lines();
    REQUIRE(lines.size() == 3);
    std::map<std::string, std::uint64_t> events;
    for (const auto& line : lines) events[line.view] = line.events;
    CHECK(events == std::map<std::string, std::uint64_t>{{"", 10}, {"fedcba9876543210", 15}, {"0000000000000002", 5}});
    CHECK(b.database.value("SELECT count(*) FROM usage_billed") == "3");
    CHECK(b.database.value("SELECT count(*) FROM usage_balance WHERE delivered_events <> billed_events + unbilled_events") == "0");
    CHECK(b.database.value("SELECT count(*) FROM usage_balance") == "3");
}

TEST_CASE("ledger: an active minute counts once for a contract and product, whatever the meter, view, node or how often it is sent") {
    const Books b;
    constexpr std::int64_t kMinute = 60'000;
    auto other = kOf, another = kOf;
    other.stream_epoch = {9};
    another.contract = {7};
    Script one, two;
    one.add(UsageKind::delivered, 0, 1, kOf, kNoon - 1, {1});  // the minute before noon
    one.add(UsageKind::delivered, 1, 2, kOf, kNoon, {1}).add(UsageKind::delivered, 2, 3, kOf, kNoon + 59'999, {2});
    one.add(UsageKind::delivered, 3, 4, kOf, kNoon + 3 * kMinute, {2});
    one.records.push_back(one.records.back());  // withheld in between: nothing was delivered in that minute
    one.records.back().sequence++;
    one.records.back().from = 4, one.records.back().to = 90, one.records.back().events = 0, one.records.back().bytes = 0;
    one.records.back().at = {kNoon + 9 * kMinute};
    b.flush(one.records, "n1");
    b.flush(one.records, "n1");
    two.add(UsageKind::delivered, 0, 1, other, kNoon + 30'000, {3}).add(UsageKind::delivered, 1, 2, other, kNoon + 5 * kMinute, {3});
    two.add(UsageKind::delivered, 0, 1, another, kNoon, {3});
    two.add(UsageKind::delivered, 0, 4, kOf, kNoon + 20 * kMinute, {1});  // billed before: the minute is not active
    b.flush(two.take(), "n2");
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> minutes;
    for (const auto& line : b.lines()) minutes[{line.contract.value, line.view.substr(15)}] += line.minutes;
    CHECK(minutes == std::map<std::pair<std::uint32_t, std::string>, std::uint64_t>{{{1, "1"}, 2}, {{1, "2"}, 1}, {{1, "3"}, 1}, {{7, "3"}, 1}});
}

TEST_CASE("ledger: a day ends at midnight UTC, whatever a clock that steps says") {
    const Books b;
    constexpr std::int64_t kDay = 86'400'000, kMidnight = kNoon + kDay / 2;
    Script script;
    script.delivered(0, 1, kOf, kMidnight - 1)
        .delivered(1, 2, kOf, kMidnight)
        .delivered(2, 3, kOf, kMidnight - 5)
        .delivered(3, 4, kOf, kMidnight + kDay);
    b.flush(script.take());
    std::map<std::string, std::uint64_t> events;
    for (const auto& line : b.lines()) events[line.day] += line.events;
    CHECK(events == std::map<std::string, std::uint64_t>{{"2026-11-21", 2}, {"2026-11-22", 1}, {"2026-11-23", 1}});
    CHECK(b.billed() == Ranges{{0, 4}});
    CHECK(b.balance().billed.events == 4);
}

TEST_CASE("ledger: paid replays are counted each time, apart from what is billed once") {
    const Books b;
    Script script;
    script.delivered(0, 10).add(UsageKind::replayed, 0, 10, kOf, kNoon, {5}).add(UsageKind::replayed, 4, 10, kOf, kNoon + 86'400'000, {5});
    b.flush(script.records);
    b.flush(script.records);
    ports::UsageCount replayed;
    for (const auto& line : b.lines()) {
        replayed.events += line.replayed_events;
        replayed.bytes += line.replayed_bytes;
    }
    CHECK(replayed == ports::UsageCount{16, bytes_of(0, 10) + bytes_of(4, 10)});
    CHECK(b.total() == ports::UsageCount{10, bytes_of(0, 10)});
    CHECK(b.balance().delivered.events == 10);
}

TEST_CASE("ledger: what partners said they received is kept, and settles nothing by itself") {
    const Books b;
    Script script;
    b.flush(script.intent(0, 100).add(UsageKind::acked, 0, 30).add(UsageKind::acked, 90, 90).take());
    b.flush(script.add(UsageKind::acked, 50, 60).add(UsageKind::acked, 10, 40).take());
    b.settle(2);
    CHECK(b.ledger->ranges(kOf)->acked.all() == Ranges{{0, 40}, {50, 60}});
    CHECK(b.suspense() == Ranges{{0, 100}});
}

TEST_CASE("ledger: what is billed stays so: nobody takes ranges back in silence") {
    const Books b;
    Script script;
    b.flush(script.delivered(0, 100).take());
    CHECK_THROWS(b.database.exec("UPDATE usage_covered SET ranges = '{[0,50)}'"));
    CHECK(b.billed() == Ranges{{0, 100}});
}

TEST_CASE("ledger: suspense is of the day its start was last heard of, and on the books of that month alone, however it is settled") {
    const Books b;
    constexpr std::int64_t kDay = 86'400'000;
    Script first(1);
    b.settle(1);
    b.flush(first.intent(0, 100).delivered(0, 10, kOf, kNoon - 40 * kDay).delivered(10, 20).take());
    b.settle(2, 60);
    auto ranges = *b.ledger->ranges(kOf);
    REQUIRE(ranges.suspended.size() == 1);
    CHECK(ranges.suspended[0].from == 20);
    CHECK(ranges.suspended[0].to == 60);
    CHECK(ranges.suspended[0].at.value == kNoon);
    CHECK(b.balance().suspense_offsets == 40);
    CHECK(b.ledger->balance(kMonthTo, {kMonthTo.value + 31 * kDay})->empty());
    // What the next start leaves of the same offsets is still of the first; the rest is its own.
    Script second(2);
    b.flush(second.intent(20, 90).delivered(20, 30, kOf, kNoon + 15 * kDay).take());
    b.settle(3, 80);
    ranges = *b.ledger->ranges(kOf);
    REQUIRE(ranges.suspended.size() == 2);
    CHECK(b.database.value("SELECT string_agg(day || ' ' || ranges::text, ';' ORDER BY day) FROM usage_suspense") ==
          "2026-11-21 {[30,60)};2026-12-06 {[60,80)}");
    CHECK(b.balance().suspense_offsets == 30);
    CHECK(b.ledger->balance(kMonthTo, {kMonthTo.value + 31 * kDay})->at(0).suspense_offsets == 20);
    b.flush(Script(3).delivered(30, 50).take());  // settled, by its time
    CHECK(b.balance().suspense_offsets == 10);
    // What a node had brought before its last word was delivered before.
    b.flush(Script(4).intent(80, 200).take(), "n1");
    b.database.exec("UPDATE usage_nodes SET boot = 4, flushed_until = " + std::to_string(kNoon + 20 * kDay) + " WHERE node = 'n1'");
    b.settle(5, 100);
    CHECK(b.database.value("SELECT day FROM usage_suspense WHERE ranges @> 90::bigint") == "2026-12-11");
    CHECK_THROWS(b.database.exec("DELETE FROM usage_suspense WHERE NOT isempty(ranges)"));
}

TEST_CASE("ledger: beginnings of streams are kept with the suspense they bound, and with no other") {
    const Books b;
    Script first(1);
    b.settle(1);
    b.flush(first.intent(0, 100).add(UsageKind::begun, 40, 40).add(UsageKind::begun, 70, 70).delivered(0, 10).delivered(40, 50).take());
    b.flush(first.delivered(60, 70).add(UsageKind::begun, 41, 41).add(UsageKind::begun, 90, 90).take());
    CHECK(b.ledger->ranges(kOf)->begun.ranges() == 0);  // it runs
    b.settle(2);
    CHECK(b.suspense() == Ranges{{10, 40}, {50, 60}, {70, 100}});
    CHECK(b.ledger->ranges(kOf)->begun.all() == Ranges{{40, 41}, {90, 91}});
    // A node that comes back after it was written off brings some that its intents had gone without.
    b.database.exec("UPDATE usage_nodes SET state = 'written-off' WHERE node = 'n1'");
    b.flush(Script(2).add(UsageKind::begun, 80, 80).take());
    b.settle(3);
    CHECK(b.ledger->ranges(kOf)->begun.all() == Ranges{{40, 41}, {80, 81}, {90, 91}});
    // A start that ended in order leaves nothing that a cursor could settle.
    Script second(3);
    b.flush(second.intent(100, 200).add(UsageKind::begun, 150, 150).aborted(100, 200).take());
    b.settle(4);
    CHECK(b.ledger->ranges(kOf)->begun.all() == Ranges{{40, 41}, {80, 81}, {90, 91}});
}

TEST_CASE("ledger: what is told of billed ranges is made anew from what is billed, when it is found to differ, and the flush goes through") {
    const Books b;
    Script script;
    b.flush(script.delivered(0, 100).take());
    // Told too little: a node of an earlier version billed without saying so.
    b.database.exec(
        "ALTER TABLE usage_covered DISABLE TRIGGER billed_stays; UPDATE usage_covered SET ranges = '{[0,50)}'; "
        "ALTER TABLE usage_covered ENABLE TRIGGER billed_stays");
    b.flush(Script().delivered(80, 120).take(), "n2");
    CHECK(b.billed() == Ranges{{0, 100}});
    CHECK(b.balance().unbilled.events == 40);
    // Told too much: what nobody billed would be left unbilled.
    b.database.exec("UPDATE usage_covered SET ranges = '{[0,1000)}'");
    b.flush(script.delivered(100, 200).take());
    CHECK(b.billed() == Ranges{{0, 200}});
    CHECK(b.balance().unbilled.events == 40);
    // Nobody takes them back otherwise, in whatever search path.
    CHECK_THROWS(b.database.exec("CREATE TEMP TABLE usage_billed (LIKE public.usage_billed); UPDATE usage_covered SET ranges = '{}'"));
}

TEST_CASE("ledger: what a node that was written off may have sent is cut at the end of its log when it comes back") {
    const Books b;
    Script script;
    b.settle(1);
    b.flush(script.intent(0, 65'536).delivered(0, 100).take());
    b.database.exec("INSERT INTO usage_suspense (contract, product, partition, stream_epoch, at, ranges) VALUES (1, 2, 0, 4, " +
                    std::to_string(kNoon) + ", '{[100,65536)}'); DELETE FROM usage_intent");
    b.settle(2, 180);
    CHECK(b.suspense() == Ranges{{100, 180}});
    b.settle(3, 90);
    CHECK(b.suspense().empty());
    CHECK(b.database.value("SELECT count(*) FROM usage_suspense") == "0");
}
