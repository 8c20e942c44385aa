#include "event/info_type.h"

#include <doctest/doctest.h>

using namespace licet::event;

TEST_CASE("IP addresses: both families, every written form, and nothing that only looks like one") {
    for (const char* ip :
         {"0.0.0.0", "255.255.255.255", "192.0.2.1", "010.0.0.1", "::", "::1", "1::", "2001:db8::1", "2001:0DB8:0000:0000:0000:0000:0000:0001",
          "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "::ffff:192.0.2.1", "64:ff9b::192.0.2.33", "1:2:3:4:5:6:192.0.2.1", "fe80::a:b:c:d"}) {
        CAPTURE(ip);
        CHECK(is_of_type(ip, InfoType::ip_address));
    }
    for (const char* other : {"",
                              "1",
                              "1.2.3",
                              "1.2.3.4.5",
                              "256.0.0.1",
                              "1.2.3.",
                              ".1.2.3",
                              "1..2.3",
                              "1.2.3.4 ",
                              " 1.2.3.4",
                              "1.2.3.4:80",
                              "0001.2.3.4",
                              ":",
                              ":::",
                              "1:2:3:4:5:6:7",
                              "1:2:3:4:5:6:7:8:9",
                              "1::2::3",
                              "12345::",
                              "g::",
                              "fe80::1%eth0",
                              "[::1]",
                              "1:2:3:4:5:6:7:8::",
                              "::1.2.3.4:5",
                              "1.2.3.4::",
                              "1:2:3:4:5:6:7:1.2.3.4",
                              "Wikibot",
                              "12:34",
                              "2001:db8::/32",
                              "1:"}) {
        CAPTURE(other);
        CHECK_FALSE(is_of_type(other, InfoType::ip_address));
    }
}

TEST_CASE("e-mail addresses") {
    for (const char* mail : {"a@b.co", "first.last+tag@sub.example.org", "o'neil@example.com", "\xc3\xa4@b\xc3\xbc.de"})
        CHECK(is_of_type(mail, InfoType::email_address));
    for (const char* other : {"", "@", "a@", "@b.co", "a@b", "a b@c.de", "a@b..co", "a@b.co.", "<a@b.co>", "a@b_c.de", "a@@b.co"}) {
        CAPTURE(other);
        CHECK_FALSE(is_of_type(other, InfoType::email_address));
    }
}

TEST_CASE("names go both ways; only some types have a detector") {
    for (int i = 1; i <= static_cast<int>(InfoType::free_text); ++i) {
        const auto type = static_cast<InfoType>(i);
        CHECK_FALSE(info_type_name(type).empty());
        CHECK(parse_info_type(info_type_name(type)) == type);
        if (!detectable(type)) CHECK_FALSE(is_of_type("192.0.2.1", type));
    }
    CHECK(info_type_name(InfoType::none).empty());
    CHECK_FALSE(parse_info_type("").has_value());
    CHECK_FALSE(parse_info_type("ip_address").has_value());
}
