// The admin use cases over an in-memory catalog and registry, with what most of their tests need. Private to this folder.
#pragma once

#include "server/app/admin.h"
#include "server/openssl/crypto.h"
#include "tests/unit/app/fake_registry.h"
#include "tests/unit/app/test_tokens.h"

namespace licet::testing {

inline const app::Actor kActor{"ada", "operator", {"admin"}};

class NoLog final : public ports::EventLog {
  public:
    Status append(ports::LogPosition, std::vector<ports::AppendItem>, AppendDone) override { return {Errc::unavailable, ""}; }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition, Offset, std::size_t, std::size_t) override {
        return std::shared_ptr<const ports::LogBatch>(std::make_shared<ports::LogBatch>());
    }
    ports::LogBounds bounds(ports::LogPosition) override { return {}; }
    UtcMillis settled() override { return {}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis) override { return Offset{0}; }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return {Errc::not_found, "no such event in the log"}; }
    void on_appended(Appended) override {}
    void close() override {}
};

struct Desk : Governed {
    app::Admin::Parts parts;
    std::shared_ptr<MemoryRegistry> registry = std::make_shared<MemoryRegistry>(catalog);
    std::shared_ptr<app::Tokens> tokens = test_tokens(clock);
    std::unique_ptr<app::Admin> admin;

    explicit Desk(bool authoring = true) {
        start();
        parts.catalog = catalog;
        parts.registry = registry;
        parts.tokens = tokens;
        parts.governance = governance;
        parts.log = std::make_shared<NoLog>();
        parts.crypto = openssl::make_crypto();
        parts.vocabulary = vocabulary;
        parts.clock = clock;
        parts.shadow = std::make_shared<app::ShadowCounts>();
        parts.subject_digest = [](std::string_view controller, std::string_view who) {
            return subject(static_cast<std::uint8_t>(controller.size() * 16 + who.size()));
        };
        parts.event_digest = [](ProductNo, std::string_view, std::string_view) { return EventIdentity{}; };
        parts.open_cursor = [](std::string_view, ports::LogPosition, StreamEpoch) { return Result<Offset>(Errc::invalid_cursor, "not a cursor"); };
        parts.authoring = authoring;
        admin = std::make_unique<app::Admin>(parts);
    }
    // A region, two parties, a product and a contract.
    void furnish() {
        done(admin->put_region(kActor, "eu", {{"endpoint", "https://eu.example"}}));
        done(admin->put_party(kActor, "press", {{"title", "Press"}, {"country", "DE"}}));
        done(admin->put_party(kActor, "lab", {{"title", "Lab"}, {"country", "FR"}}));
        done(admin->put_product(kActor, "wiki", product()));
        done(admin->put_contract(kActor, "lab-wiki", contract()));
    }
    static json product() { return {{"title", "Wiki"}, {"owner", "press"}, {"controller", "press"}, {"mapping", mapping_document()}}; }
    static json contract() {
        return {{"party", "lab"},
                {"products", {"wiki"}},
                {"purposes", {"dpv:AcademicResearch"}},
                {"price", {{"currency", "EUR"}, {"perEvent", "0.0005"}, {"perMb", "0.10"}}}};
    }
    static json done(const Result<app::Reply>& reply) {
        REQUIRE_MESSAGE(reply.ok(), (reply.ok() ? "" : reply.error().detail + " at " + reply.error().pointer));
        return reply->body;
    }
    static std::string refused(const Result<app::Reply>& reply, Errc code = Errc::invalid_document) {
        REQUIRE_FALSE(reply.ok());
        CHECK(reply.error().code == code);
        return reply.error().pointer;
    }
};

inline json with(json body, const char* key, json value) {
    body[key] = std::move(value);
    return body;
}

}  // namespace licet::testing
