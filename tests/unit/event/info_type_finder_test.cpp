#include "event/info_type_finder.h"

#include <doctest/doctest.h>

#include <array>
#include <random>
#include <string>

#include "event/json_text.h"

using namespace licet::event;

namespace {

// "TYPE=text TYPE=text ..." of what is found.
std::string found(std::string_view text) {
    std::vector<InfoFinding> findings;
    find_info_types(text, findings);
    std::string out;
    for (const auto& f : findings) out += std::string(info_type_name(f.type)) + "=" + std::string(text.substr(f.begin, f.end - f.begin)) + "|";
    return out;
}

}  // namespace

TEST_CASE("e-mail addresses in text") {
    CHECK(found("write to ada@example.org, or bob.b+x@a-b.co.uk.") == "EMAIL_ADDRESS=ada@example.org|EMAIL_ADDRESS=bob.b+x@a-b.co.uk|");
    CHECK(found("<ada@example.org>") == "EMAIL_ADDRESS=ada@example.org|");
    CHECK(found("mailto:ada@example.org?subject=x") == "EMAIL_ADDRESS=ada@example.org|");
    CHECK(found("'o'neil@example.com'") == "EMAIL_ADDRESS=o'neil@example.com|");
    CHECK(found("z\xc3\xb6@m\xc3\xbc.de") == "EMAIL_ADDRESS=z\xc3\xb6@m\xc3\xbc.de|");
    CHECK(found("a@b.co@d.ef") == "EMAIL_ADDRESS=a@b.co|");
    // A label that runs on past its size is taken as far as it goes: what is left must not look like an address of its own.
    const std::string longest(63, 'z');
    CHECK(found("c@d." + longest + "zzz'c@d.ef") == "EMAIL_ADDRESS=c@d." + longest + "|EMAIL_ADDRESS=zzz'c@d.ef|");
    CHECK(found("c@d." + longest + "z") == "EMAIL_ADDRESS=c@d." + longest + "|");
    CHECK(found("c@" + longest + "z") == "");
    for (const char* none : {"", "@", "a@", "@b.co", "a@b", "a @b.co", "a@ b.co", "a@.co", "@@@@", "twitter @ada"}) {
        CAPTURE(none);
        CHECK(found(none) == "");
    }
}

TEST_CASE("IP addresses in text") {
    CHECK(found("from 192.0.2.1:8080 and 10.0.0.1.") == "IP_ADDRESS=192.0.2.1|IP_ADDRESS=10.0.0.1|");
    CHECK(found("addr:2001:db8::1, [fe80::1%eth0] ::1") == "IP_ADDRESS=2001:db8::1|IP_ADDRESS=fe80::1|IP_ADDRESS=::1|");
    CHECK(found("2001:db8::/32") == "IP_ADDRESS=2001:db8::|");
    CHECK(found("1:2:3:4:5:6:7:8.") == "IP_ADDRESS=1:2:3:4:5:6:7:8|");
    CHECK(found("x ::ffff:192.0.2.1 y") == "IP_ADDRESS=::ffff:192.0.2.1|");
    CHECK(found("IPv6:2001:db8::2") == "IP_ADDRESS=2001:db8::2|");
    for (const char* none : {"1.2.3", "1.2.3.4.5", "256.1.1.1", "12:34:56", "std::vector", "::", "a: b", "1.2.3.4567", "12345::"}) {
        CAPTURE(none);
        CHECK(found(none) == "");
    }
}

TEST_CASE("phone numbers with a country code in text") {
    CHECK(found("call +49 (30) 123-456 now") == "PHONE_NUMBER=+49 (30) 123-456|");
    CHECK(found("+14155550100") == "PHONE_NUMBER=+14155550100|");
    CHECK(found("0044 20 7946 0000") == "PHONE_NUMBER=0044 20 7946 0000|");
    CHECK(found("+1 415 555 0100 20261121") == "PHONE_NUMBER=+1 415 555 0100|");
    for (const char* none : {"+0 123 456 789", "+12", "1+14155550100", "030 123456", "+1234567890123456", "C++ 20", "00:00"}) {
        CAPTURE(none);
        CHECK(found(none) == "");
    }
}

TEST_CASE("IBANs by size and check digits") {
    CHECK(found("IBAN:DE89 3704 0044 0532 0130 00.") == "IBAN_CODE=DE89 3704 0044 0532 0130 00|");
    CHECK(found("gb82west12345698765432") == "IBAN_CODE=gb82west12345698765432|");
    for (const char* none :
         {"DE88370400440532013000", "DE8937040044053201300", "DE893704004405320130000", "XX89370400440532013000", "DE89  37040044053201300"}) {
        CAPTURE(none);
        CHECK(found(none).find("IBAN_CODE") == std::string::npos);
    }
}

TEST_CASE("payment cards by Luhn") {
    CHECK(found("card 4111 1111 1111 1111 ok") == "CREDIT_CARD_NUMBER=4111 1111 1111 1111|");
    CHECK(found("378282246310005") == "CREDIT_CARD_NUMBER=378282246310005|");
    CHECK(found("no 7 5555-5555-5555-4444") == "CREDIT_CARD_NUMBER=5555-5555-5555-4444|");
    CHECK(found("2345 4111 1111 1111 1111").find("4111 1111 1111 1111|") != std::string::npos);
    for (const char* none : {"4111 1111 1111 1112", "411111111111", "1411111111111111111111111", "4111  1111 1111 1111"}) {
        CAPTURE(none);
        CHECK(found(none) == "");
    }
}

TEST_CASE("findings lie within the text, on code points, in order, whatever the text") {
    static const char* pieces[] = {"@",         ".",         ":",        "::",           "+",    "00",   " ",    "-", "a", "ff", "1", "12",
                                   "192.0.2.1", "ada@x.org", "\xc3\xa9", "\xe8\xaf\xb7", "4111", "1111", "DE89", "(", "/", "_",  "'"};
    std::mt19937 random(7);
    std::size_t total = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (unsigned i = random() % 24; i > 0; --i) text += pieces[random() % std::size(pieces)];
        std::vector<InfoFinding> findings;
        find_info_types(text, findings);
        CAPTURE(text);
        std::size_t last = 0;
        std::array<std::size_t, 16> ends{};
        for (const auto& f : findings) {
            REQUIRE(f.begin < f.end);
            REQUIRE(f.end <= text.size());
            REQUIRE(f.begin >= last);
            REQUIRE(valid_utf8(std::string_view(text).substr(f.begin, f.end - f.begin)));
            REQUIRE(f.begin >= ends[static_cast<std::size_t>(f.type)]);
            ends[static_cast<std::size_t>(f.type)] = f.end;
            last = f.begin;
            ++total;
        }
    }
    CHECK(total > 5000);
}

TEST_CASE("hostile text takes no longer than its size allows") {
    for (const char* piece : {"@", "1:", "a@", "4 ", "+1", "00", "::", "DE89 ", "1.", "x@y.z@", "2-"}) {
        std::string text;
        while (text.size() < 400'000) text += piece;
        std::vector<InfoFinding> findings;
        find_info_types(text, findings);
        CHECK(findings.size() < text.size());
    }
}
