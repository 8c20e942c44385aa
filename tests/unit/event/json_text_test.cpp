#include "event/json_text.h"

#include <doctest/doctest.h>

#include "event/json_fault.h"

using namespace licet::event;

namespace {
std::string unescaped(std::string_view token) {
    std::string out;
    return unescape_json(token, out) ? out : "refused";
}
std::string escaped(std::string_view text) {
    std::string out;
    append_json_string(text, out);
    return out;
}
std::string fault(std::string_view text) {
    const auto found = find_json_fault(text);
    return found ? found->pointer + "@" + std::to_string(found->byte) : "none";
}
}  // namespace

TEST_CASE("strings are unescaped to UTF-8; surrogates must come in pairs") {
    CHECK(unescaped(R"("")") == "");
    CHECK(unescaped(R"("a\"\\\/\b\f\n\r\tz")") == "a\"\\/\b\f\n\r\tz");
    CHECK(unescaped(R"("\u0041\u00e4\u20AC\ud83d\ude42")") == "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82");
    CHECK(unescaped(R"("\u0000")") == std::string(1, '\0'));
    for (const char* bad :
         {"", "\"", "a", R"("\x")", R"("\u12")", R"("\ud800")", R"("\udc00")", R"("\ud800\ud800")", R"("\ud800a")", "\"\\\"", "\"\n\"", R"("a"b")"}) {
        CAPTURE(bad);
        CHECK(unescaped(bad) == "refused");
    }
}

TEST_CASE("strings are escaped so that they come back") {
    std::string all;
    for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
    all += "\xc3\xa4\xf0\x9f\x99\x82";
    CHECK(unescaped(escaped(all)) == all);
    CHECK(escaped("a\"\\\n\x01") == R"("a\"\\\u000a\u0001")");
    CHECK(escaped("") == R"("")");
}

TEST_CASE("code points: strictly RFC 3629") {
    CHECK(code_point_size("a") == 1);
    CHECK(code_point_size("\xc3\xa4") == 2);
    CHECK(code_point_size("\xe2\x82\xac") == 3);
    CHECK(code_point_size("\xf0\x9f\x99\x82") == 4);
    for (const char* bad : {"", "\x80", "\xc0\xaf", "\xc1\x80", "\xc3", "\xc3z", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"})
        CHECK(code_point_size(bad) == 0);
    CHECK(count_code_points("a\xc3\xa4\xf0\x9f\x99\x82") == 3);
    CHECK(valid_utf8("a\xc3\xa4"));
    CHECK_FALSE(valid_utf8("a\xc3"));
    CHECK(clean_text("a\xc3\xa4\xc2\xa0"));
    CHECK_FALSE(clean_text("a\x1f"));
    CHECK_FALSE(clean_text("a\x7f"));
    CHECK_FALSE(clean_text("a\xc2\x85"));
}

TEST_CASE("a fault in JSON text is pointed at, to the value and the byte") {
    CHECK(fault("") == "@0");
    CHECK(fault("  ") == "@2");
    CHECK(fault("nul") == "@0");
    CHECK(fault("[1,2,]") == "/2@5");
    CHECK(fault(R"({"a":{"b":[0,01]}})") == "/a/b/1@14");
    CHECK(fault(R"({"a":1,"a/b":tru})") == "/a~1b@13");
    CHECK(fault(R"({"a":1 "b":2})") == "/a@7");
    CHECK(fault(R"({"a":1,})") == "@7");
    CHECK(fault(R"({"a")") == "/a@4");
    CHECK(fault(R"({"a":"x)") == "/a@7");
    CHECK(fault("[\"a\nb\"]") == "/0@3");
    CHECK(fault("\"\\u12g4\"") == "@5");
    CHECK(fault("\"\\ud800\"") == "@7");
    CHECK(fault("\"\xff\"") == "@1");
    CHECK(fault("1 2") == "@2");
    CHECK(fault("[1]]") == "@3");
    CHECK(fault("\xef\xbb\xbf{}") == "@0");
    CHECK(fault(std::string("[1]\0", 4)) == "@3");
    CHECK(fault(std::string("\0", 1)) == "@0");
    CHECK(fault("-") == "@1");
    CHECK(fault("1.") == "@2");
    CHECK(fault("1e+") == "@3");
    CHECK(fault("[") == "/0@1");
    CHECK(fault(std::string(100'000, '[')) == "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0@1025");
    for (const char* good :
         {"null", " [ ] ", "{ }", "1E400", "-0", "123456789012345678901234567890", R"({"a":{"b":[1,{"c":""}]},"d":"\ud834\udd1e"})", "\"\x7f\""}) {
        CAPTURE(good);
        CHECK(fault(good) == "none");
    }
    CHECK(fault(std::string(1024, '[') + std::string(1024, ']')) == "none");
    CHECK(fault(std::string(1025, '[') + std::string(1025, ']')) != "none");
}

TEST_CASE("unescaping tells where each byte came from") {
    std::string out;
    std::vector<std::uint32_t> at;
    REQUIRE(unescape_json(R"("a\n\u00e9\ud83d\ude00z")", out, at));
    CHECK(out == "a\n\xc3\xa9\xf0\x9f\x98\x80z");
    CHECK(at == std::vector<std::uint32_t>{1, 2, 4, 4, 10, 10, 10, 10, 22, 23});
    CHECK_FALSE(unescape_json(R"("\ud83d")", out, at));
    REQUIRE(unescape_json("\"\"", out, at));
    CHECK(at == std::vector<std::uint32_t>{1});
}
