// Keys of data subjects on a node: made once, found again, forgotten with an erasure, also by a read that was under way.
#include "server/app/subject_keys.h"

#include <doctest/doctest.h>

#include "base/limits.h"
#include "server/openssl/crypto.h"
#include "server/openssl/sealing.h"
#include "tests/support/memory_keys.h"
#include "tests/unit/app/fakes.h"

using namespace licet;
using testing::MemoryKeyStore;

namespace {

SubjectKey subject(std::uint32_t n) {
    SubjectKey key;
    key.bytes[0] = 1;
    for (int i = 0; i < 4; ++i) key.bytes[static_cast<std::size_t>(4 + i)] = static_cast<std::uint8_t>(n >> (8 * i));
    return key;
}

struct Node {
    std::shared_ptr<MemoryKeyStore> store;
    app::SubjectKeys keys;
    std::unique_ptr<ports::SealingCipher> cipher = openssl::make_sealing_cipher();

    explicit Node(std::shared_ptr<MemoryKeyStore> shared = std::make_shared<MemoryKeyStore>(),
                  std::vector<std::string> wrapping = {std::string(32, 'k')})
        : store(std::move(shared)),
          keys({store, openssl::make_key_wrapping(wrapping), openssl::make_crypto(), std::make_shared<testing::TestClock>()}) {}

    static std::string record_of(const SubjectKey& whose) {
        event::EventDraft d;
        d.subject = whose;
        d.data = R"({"name":"Ann"})";
        d.data_kind = event::DataKind::json;
        d.spans = {{0, event::ValueKind::string, event::InfoType::none, 1, 8, 13}};
        return event::encode_record(d);
    }
    std::string sealed(const SubjectKey& whose) {
        std::vector<ports::AppendItem> items{{{}, record_of(whose)}};
        REQUIRE(keys.provide({whose}).ok());
        REQUIRE(keys.seal({1}, items, *cipher).ok());
        return items[0].record;
    }
    app::SubjectKeys::State open(const std::string& record) {
        app::OpenedData out;
        app::open_event(&keys, *cipher, {1}, event::StoredEvent::parse(record).value(), out);
        CHECK((out.state != app::SubjectKeys::State::held || out.data == R"({"name":"Ann"})"));
        return out.state;
    }
    Status load(const std::string& record) {
        ports::LogBatch batch;
        batch.entries = {{0, {}, record}};
        return keys.load(batch);
    }
    void learn() { keys.forget(keys.erased().value()); }
};

using State = app::SubjectKeys::State;

}  // namespace

TEST_CASE("a subject has one key, made when first needed, the same on every node") {
    Node a, b(a.store);
    const auto record = a.sealed(subject(1));
    CHECK(record.find("Ann") == std::string::npos);
    CHECK(a.open(record) == State::held);
    CHECK(a.store->keys.size() == 1);
    const int reads = a.store->reads;
    (void)a.sealed(subject(1));
    CHECK(a.store->reads == reads);  // from memory
    CHECK(b.open(record) == State::absent);
    REQUIRE(b.load(record).ok());
    CHECK(b.open(record) == State::held);
    (void)b.sealed(subject(1));
    CHECK(a.store->keys.size() == 1);
    (void)b.sealed(subject(2));
    CHECK(a.store->keys.size() == 2);
}

TEST_CASE("an erased subject's events open nowhere; later ones have another key") {
    Node a, b(a.store);
    const auto before = a.sealed(subject(1)), other = a.sealed(subject(2));
    REQUIRE(b.load(before).ok());
    REQUIRE(a.store->erase(subject(1), {}).ok());
    for (Node* node : {&a, &b}) {
        node->learn();
        CHECK(node->open(before) == State::absent);
        REQUIRE(node->load(before).ok());
        CHECK(node->open(before) == State::erased);
        REQUIRE(node->load(other).ok());
        CHECK(node->open(other) == State::held);
    }
    const auto after = a.sealed(subject(1));
    CHECK(a.open(after) == State::held);
    CHECK(a.open(before) == State::erased);
    a.learn();  // nothing new: what is held stays
    CHECK(a.open(after) == State::held);
}

TEST_CASE("an answer that was on its way when the subject was erased is not kept") {
    Node a, b(a.store);
    const auto record = a.sealed(subject(1));
    b.store->after_read = [&] {
        REQUIRE(b.store->erase(subject(1), {}).ok());
        b.learn();
    };
    REQUIRE(b.load(record).ok());
    CHECK(b.open(record) == State::erased);
    // The same at ingest: the key that was read is gone, the event gets a new one.
    Node c(a.store);
    const auto anew = a.sealed(subject(1));
    c.store->after_read = [&] {
        REQUIRE(c.store->erase(subject(1), {}).ok());
        c.learn();
    };
    const auto later = c.sealed(subject(1));
    REQUIRE(c.load(anew).ok());
    CHECK(c.open(anew) == State::erased);
    CHECK(c.open(later) == State::held);
}

TEST_CASE("without the store, or the key-encryption key, nothing is sealed or opened") {
    Node a;
    const auto record = a.sealed(subject(1));
    Node other(a.store, {std::string(32, 'x')});
    CHECK(other.load(record).error().code == Errc::unavailable);
    CHECK(other.open(record) == State::absent);
    Node away(a.store);
    a.store->reachable = false;
    CHECK(away.load(record).error().code == Errc::unavailable);
    CHECK(away.keys.provide({subject(3)}).error().code == Errc::unavailable);
    std::vector<ports::AppendItem> items{{{}, Node::record_of(subject(3))}};
    CHECK(away.keys.seal({1}, items, *away.cipher).error().code == Errc::unavailable);
    CHECK_FALSE(away.keys.erased().ok());
    CHECK(a.open(record) == State::held);  // what is in memory serves on
    CHECK(app::load_keys(nullptr, {{}, {{0, {}, record}}, 1, {}}).error().code == Errc::unavailable);
    CHECK(app::load_keys(nullptr, {{}, {{0, {}, Node::record_of(subject(1))}}, 1, {}}).ok());
}

TEST_CASE("a key that was put in the place of another subject's does not open") {
    Node a;
    const auto record = a.sealed(subject(1));
    (void)a.sealed(subject(2));
    auto one = a.store->keys.begin();
    auto two = std::next(one);
    std::swap(one->second.wrapped, two->second.wrapped);
    Node b(a.store);
    CHECK(b.load(record).error().code == Errc::unavailable);
    CHECK(b.open(record) == State::absent);
}

TEST_CASE("keys are wrapped anew under the next key-encryption key; events stay as they are") {
    Node a;
    std::vector<std::string> records;
    for (std::uint32_t n = 0; n < 5; ++n) records.push_back(a.sealed(subject(n)));
    REQUIRE(a.store->erase(subject(4), {}).ok());
    Node turning(a.store, {std::string(32, 'n'), std::string(32, 'k')});
    CHECK(turning.keys.rewrap().value() == 4);
    CHECK(turning.keys.rewrap().value() == 0);
    Node next(a.store, {std::string(32, 'n')});
    for (std::uint32_t n = 0; n < 5; ++n) {
        REQUIRE(next.load(records[n]).ok());
        CHECK(next.open(records[n]) == (n == 4 ? State::erased : State::held));
    }
    Node old(a.store);
    CHECK_FALSE(old.load(records[0]).ok());
}

TEST_CASE("no more keys are in memory than may be") {
    Node a;
    const auto record = a.sealed(subject(0));
    std::vector<SubjectKey> many;
    for (std::uint32_t n = 1; n <= limits::subject_keys_cached_max; ++n) many.push_back(subject(n));
    // Of the store only what is asked for: this would be slow otherwise.
    REQUIRE(a.keys.provide({many.begin(), many.begin() + 10}).ok());
    CHECK(a.open(record) == State::held);
    ports::LogBatch unknown;
    std::vector<std::string> records;
    for (std::uint32_t n = 0; n < limits::subject_keys_cached_max; ++n) {
        DataKeyId id;
        id.bytes[0] = 9;
        for (int i = 0; i < 4; ++i) id.bytes[static_cast<std::size_t>(1 + i)] = static_cast<std::uint8_t>(n >> (8 * i));
        records.push_back(event::StoredEvent::parse(Node::record_of(subject(1)))->encode_sealed(id, R"({"name":"----"})"));
    }
    for (const auto& r : records) unknown.entries.push_back({0, {}, r});
    REQUIRE(a.keys.load(unknown).ok());
    CHECK(a.open(record) == State::absent);  // the longest unused went
    REQUIRE(a.load(record).ok());
    CHECK(a.open(record) == State::held);
}
