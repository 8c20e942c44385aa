#include "base/fair_queue.h"

#include <doctest/doctest.h>

#include <string>

using namespace licet;

TEST_CASE("a fair queue: in order within a key, the keys in turn") {
    FairQueue<int, std::string> queue;
    for (const char* item : {"a1", "a2", "a3"}) queue.push(1, item);
    queue.push(2, "b1");
    CHECK(queue.size() == 4);
    std::string order;
    CHECK(queue.front() == "a1");
    order += queue.pop();
    queue.push(3, "c1");
    queue.push(2, "b2");
    while (!queue.empty()) {
        const auto next = queue.front();
        CHECK(queue.pop() == next);
        order += next;
    }
    CHECK(order == "a1b1a2c1b2a3");
}
