// Tickets against a real Redis, started and killed here: one of many who ask has one, and without Redis nobody.
#include "server/redis/tickets.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "server/main/system_clock.h"
#include "tests/integration/redis/server.h"

using namespace licet;

namespace {

ports::Sha256 digest(std::uint8_t n) {
    ports::Sha256 out{};
    out.fill(n);
    return out;
}

// Of many who ask at once one has it, and nobody after.
void check_single_use(const std::vector<std::shared_ptr<ports::TicketStore>>& nodes) {
    constexpr int kTickets = 100;
    for (std::uint8_t n = 0; n < kTickets; ++n) REQUIRE(nodes[0]->put(digest(n), "value " + std::to_string(n), 30'000).ok());
    std::vector<std::atomic<int>> had(kTickets);
    std::vector<std::thread> threads;
    for (const auto& node : nodes)
        for (int i = 0; i < 2; ++i)
            threads.emplace_back([&had, node] {
                for (std::uint8_t n = 0; n < kTickets; ++n) {
                    const auto got = node->take(digest(n));
                    if (got.ok() && *got && **got == "value " + std::to_string(n)) ++had[n];
                }
            });
    for (auto& thread : threads) thread.join();
    for (const auto& times : had) CHECK(times == 1);
    CHECK_FALSE(nodes.back()->look(digest(0)).value().has_value());
}

}  // namespace

TEST_CASE("tickets: one of all nodes takes one, once") {
    RedisServer server;
    std::vector<std::shared_ptr<ports::TicketStore>> nodes;
    for (int i = 0; i < 3; ++i) nodes.push_back(redis::make_ticket_store("127.0.0.1", server.port, "eu"));
    check_single_use(nodes);
    REQUIRE(nodes[0]->put(digest(200), "kept", 30'000).ok());
    CHECK(nodes[1]->look(digest(200)).value() == "kept");
    // Nobody's else, and not another's: a region of its own.
    CHECK_FALSE(redis::make_ticket_store("127.0.0.1", server.port, "us")->take(digest(200)).value().has_value());
    CHECK(nodes[2]->take(digest(200)).value() == "kept");
    // Never changed by a second.
    REQUIRE(nodes[0]->put(digest(201), "first", 30'000).ok());
    CHECK_FALSE(nodes[1]->put(digest(201), "second", 30'000).ok());
    CHECK(nodes[1]->take(digest(201)).value() == "first");
    // Ends by itself.
    REQUIRE(nodes[0]->put(digest(202), "short", 1).ok());
    while (nodes[1]->look(digest(202)).value().has_value()) std::this_thread::yield();
}

TEST_CASE("tickets: without Redis none is issued nor taken, and what it forgot is gone") {
    RedisServer server;
    const auto node = redis::make_ticket_store("127.0.0.1", server.port, "eu");
    REQUIRE(node->put(digest(1), "lost", 30'000).ok());
    server.kill();
    CHECK(node->take(digest(1)).error().code == Errc::unavailable);
    CHECK(node->look(digest(1)).error().code == Errc::unavailable);
    CHECK(node->put(digest(2), "x", 30'000).error().code == Errc::unavailable);
    server.start();
    // By itself, once it is tried again.
    Result<std::optional<std::string>> after = node->take(digest(1));
    while (!after.ok()) after = node->take(digest(1));
    CHECK_FALSE(after->has_value());
    CHECK(node->put(digest(2), "x", 30'000).ok());
    CHECK(node->take(digest(2)).value() == "x");
}

TEST_CASE("tickets: a node alone keeps its own") {
    const auto clock = std::make_shared<SystemClock>();
    const auto node = redis::make_single_node_ticket_store(clock);
    check_single_use({node, node, node});
    REQUIRE(node->put(digest(1), "short", 1).ok());
    while (node->look(digest(1)).value().has_value()) std::this_thread::yield();
    CHECK_FALSE(node->take(digest(1)).value().has_value());
    REQUIRE(node->put(digest(2), "kept", 30'000).ok());
    CHECK(node->look(digest(2)).value() == "kept");
    CHECK(node->take(digest(2)).value() == "kept");
}
