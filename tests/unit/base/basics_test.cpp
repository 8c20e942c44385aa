#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/bounded_queue.h"
#include "base/error.h"
#include "base/ids.h"
#include "base/result.h"

using namespace licet;

TEST_CASE("slugs") {
    for (const char* good : {"a", "wiki-edits", "0", "a.b_c-d"}) CHECK(valid_slug(good));
    for (const char* bad : {"", "-a", ".a", "A", "a b", "a/b", "\xc3\xa4"}) CHECK_FALSE(valid_slug(bad));
    CHECK(valid_slug(std::string(64, 'a')));
    CHECK_FALSE(valid_slug(std::string(65, 'a')));
}

TEST_CASE("every error has a slug of its own and a status a problem may have") {
    std::set<std::string_view> slugs;
    for (std::size_t i = 0; i < catalogue_size(); ++i) {
        const auto& entry = catalogue_entry(static_cast<Errc>(i));
        CHECK(slugs.insert(entry.slug).second);
        CHECK(entry.http_status >= 400);
        CHECK(entry.http_status < 600);
        CHECK_FALSE(entry.title.empty());
    }
}

TEST_CASE("a result holds a value or an error") {
    const Result<int> good = 7;
    const Result<int> bad = Error{Errc::gone, "no more", "/x"};
    CHECK(good.ok());
    CHECK(*good == 7);
    CHECK_FALSE(bad.ok());
    CHECK(bad.error().code == Errc::gone);
    Result<std::unique_ptr<int>> moved = std::make_unique<int>(3);
    CHECK(*std::move(moved).value() == 3);
}

TEST_CASE("a bounded queue refuses when full, keeps order, and drains after close") {
    BoundedQueue<int> queue(2);
    CHECK(queue.try_push(1));
    CHECK(queue.try_push(2));
    CHECK_FALSE(queue.try_push(3));
    CHECK(queue.pop() == 1);
    CHECK(queue.try_push(4));
    queue.close();
    CHECK_FALSE(queue.try_push(5));
    CHECK(queue.pop_some(10) == std::vector<int>{2, 4});
    CHECK(queue.pop_some(10).empty());
    CHECK_FALSE(queue.pop().has_value());
}

TEST_CASE("a bounded queue leaves what it refuses to its owner") {
    BoundedQueue<std::unique_ptr<int>> queue(0);
    auto item = std::make_unique<int>(1);
    CHECK_FALSE(queue.try_push(std::move(item)));
    CHECK(item != nullptr);
}

TEST_CASE("a bounded queue wakes who waits when it is closed") {
    BoundedQueue<int> queue(1);
    bool ended = false;
    std::thread waiting([&] { ended = !queue.pop().has_value(); });
    queue.close();
    waiting.join();
    CHECK(ended);
}
