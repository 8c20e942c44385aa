#include "base/encoding.h"

#include <doctest/doctest.h>

using namespace licet;

namespace {
std::string bytes(std::initializer_list<int> values) {
    std::string out;
    for (const int v : values) out += static_cast<char>(v);
    return out;
}
}  // namespace

TEST_CASE("base64url: RFC 4648 section 10 without padding, and back") {
    const std::pair<std::string, std::string> cases[] = {{"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, text] : cases) {
        CHECK(base64url(as_bytes(plain)) == text);
        CHECK(parse_base64url(text) == plain);
    }
    CHECK(base64url(as_bytes(bytes({0xfb, 0xff, 0xfe}))) == "-__-");
}

TEST_CASE("base64url: what is not canonical is refused") {
    for (const char* text : {"Z", "Zg=", "Zg==", "Zh", "Zm9", "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_base64url(text).has_value());
    }
}

TEST_CASE("base64: padding belongs to it, and other alphabets do not") {
    CHECK(base64(as_bytes("f")) == "Zg==");
    CHECK(base64(as_bytes("fo")) == "Zm8=");
    CHECK(base64(as_bytes("foo")) == "Zm9v");
    CHECK(base64(as_bytes(bytes({0xfb, 0xff, 0xfe}))) == "+//+");
    CHECK(parse_base64("+//+") == bytes({0xfb, 0xff, 0xfe}));
    CHECK(parse_base64("Zg==") == "f");
    CHECK(parse_base64("") == "");
    for (const char* text : {"Zg", "Zg=", "Zh==", "====", "Zm9v====", "-__-", "Z===", "Zg==Zg==", "Zm=v"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_base64(text).has_value());
    }
}

TEST_CASE("hex is lower case, both ways") {
    CHECK(hex(as_bytes(bytes({0x00, 0xab, 0xff}))) == "00abff");
    CHECK(parse_hex("00abff") == bytes({0x00, 0xab, 0xff}));
    for (const char* text : {"0", "AB", "zz", "0x"}) CHECK_FALSE(parse_hex(text).has_value());
}

TEST_CASE("percent-decoding takes both cases of digits and refuses broken escapes") {
    CHECK(percent_decode("a%2Fb%2fc", false) == "a/b/c");
    CHECK(percent_decode("%41", false) == "A");
    CHECK(percent_decode("a+b", false) == "a+b");
    CHECK(percent_decode("a+b%2B", true) == "a b+");
    for (const char* text : {"%", "%4", "%g0", "%0g", "a%"}) CHECK_FALSE(percent_decode(text, false).has_value());
}
