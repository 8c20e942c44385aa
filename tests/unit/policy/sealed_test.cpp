// Decisions and redaction of events whose governed values are encrypted: the same as of the event in clear, and without the key nothing of a value.
#include <doctest/doctest.h>

#include "event/sealed.h"
#include "tests/unit/policy/fixture.h"

using namespace licet;
using namespace licet::testing;
using nlohmann::json;

namespace {

// Reversible, and unlike the values.
class Turned final : public event::ValueCipher {
  public:
    bool derive(Bytes) noexcept override { return true; }
    bool seal(Bytes plain, Bytes, std::string& out) noexcept override {
        out.append(kOverheadBytes, 'n');
        for (const auto byte : plain) out += static_cast<char>(~byte);
        return true;
    }
    bool open(Bytes sealed, Bytes, std::string& out) noexcept override {
        for (std::size_t i = kOverheadBytes; i < sealed.size(); ++i) out += static_cast<char>(~sealed[i]);
        return true;
    }
};

struct Sealed {
    std::shared_ptr<const event::Mapping> mapping = mapping_of({{{"pointer", "/user"}, {"category", "pd:Name"}},
                                                                {{"pointer", "/user/ip"}, {"infoType", "IP_ADDRESS"}},
                                                                {{"pointer", "/note"}, {"scan", true}}});
    std::string plain, record;
    Turned cipher;

    explicit Sealed(std::string data) {
        plain = make_record(*mapping, {.license = "CC0-1.0", .jurisdiction = "DE", .subject = "ann", .data = std::move(data)});
        record = event::seal_record(event::StoredEvent::parse(plain).value(), {1}, {}, cipher).value();
    }
    struct Outcome {
        bool needs = false, clear = false, keyless = false;
        std::string of_clear, of_keyless;
    };
    [[nodiscard]] Outcome under(json duties) {
        View view(entitlement(), {policy_of("p", {rule("r", json::array(), std::move(duties))})}, {mapping});
        const auto clear = event::StoredEvent::parse(plain).value(), sealed = event::StoredEvent::parse(record).value();
        const auto a = view.decider->decide(clear, {}), b = view.decider->decide(sealed, {});
        REQUIRE(a.deliver);
        CHECK(a.reason == b.reason);
        CHECK(a.plan == b.plan);
        Outcome out;
        CHECK_FALSE(view.decider->needs_values(clear, a));
        out.needs = view.decider->needs_values(sealed, b);
        out.clear = view.decider->redact(clear, a, out.of_clear);
        out.keyless = view.decider->redact(sealed, b, out.of_keyless);
        // Opened it is the event it was.
        std::string data, again;
        REQUIRE(event::open_data(sealed, {1}, cipher, data));
        CHECK(view.decider->redact(sealed.with_data(data), b, again) == out.clear);
        CHECK(again == out.of_clear);
        const auto grounds = policy::explain(*view.program, sealed, view.consents, {});
        CHECK(grounds["deliver"] == !out.needs);
        if (out.needs) CHECK(grounds["reason"] == "key_unavailable");
        return out;
    }
};

const std::string kData = R"({"a":1,"user":{"ip":"192.0.2.7","name":"Ann"},"note":"mail ann@example.org","z":2})";

}  // namespace

TEST_CASE("what drops or replaces every sealed value whole needs no key") {
    Sealed s(kData);
    for (const char* kind : {"redact", "null"}) {
        const auto done = s.under({transform(kind, "licet:pointer", "/user"), transform("redact", "licet:pointer", "/note")});
        CHECK_FALSE(done.needs);
        REQUIRE(done.keyless);
        CHECK(done.of_keyless == done.of_clear);
        CHECK(done.of_keyless == (kind == std::string("redact") ? R"({"a":1,"z":2})" : R"({"a":1,"user":null,"z":2})"));
    }
    const auto done =
        s.under({transform("replace", "licet:pointer", "/user", {{"licet:replacement", "someone"}}), transform("null", "licet:pointer", "/note")});
    CHECK(done.of_keyless == R"({"a":1,"user":"someone","note":null,"z":2})");
    CHECK(done.of_keyless == done.of_clear);
}

TEST_CASE("what lets anything of a sealed value be seen, or looks at it, needs the key; nothing comes out without") {
    Sealed s(kData);
    const auto all = [](json last) { return json::array({transform("redact", "licet:pointer", "/note"), std::move(last)}); };
    for (const auto& duties : {json::array(), json::array({transform("redact", "licet:pointer", "/user")}),  // the note stays clear
                               all(transform("redact", "licet:pointer", "/user/ip")),                        // a part of the sealed value
                               all(transform("cryptoHash", "licet:pointer", "/user")),
                               json::array({transform("redact", "licet:infoType", "EMAIL_ADDRESS"), transform("null", "licet:pointer", "/user")})}) {
        const auto done = s.under(duties);
        CHECK(done.needs);
        CHECK_FALSE(done.keyless);
        CHECK(done.of_keyless.empty());
        CHECK(done.clear);
    }
}

TEST_CASE("fields that are not in the event need no key") {
    Sealed s(R"({"note":"n o t e","z":2})");
    const auto done = s.under({transform("redact", "licet:pointer", "/note")});
    CHECK_FALSE(done.needs);
    CHECK(done.of_keyless == R"({"z":2})");
}
