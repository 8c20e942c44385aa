// The transforms' own arithmetic: numbers, dates, addresses, patterns, and what is refused when a duty is read.
#include "policy/transform.h"

#include <random>

#include "base/limits.h"
#include "policy/transform_place.h"
#include "policy/transform_regex.h"
#include "tests/unit/policy/count_allocations.h"
#include "tests/unit/policy/fixture.h"

using namespace licet;
using namespace licet::testing;
using namespace licet::policy;

namespace {

Decimal decimal(const std::string& text) {
    const auto d = parse_decimal(text);
    REQUIRE_MESSAGE(d.has_value(), text);
    return *d;
}

// "where: what" of the first mistake; empty: none.
std::string mistake(const char* kind, const json& duty) {
    Transform out;
    out.kind = parse_transform_kind(kind).value();
    const auto found = read_parameters(
        [&](std::string_view term) -> const json* {
            const auto at = duty.find(std::string(term));
            return at == duty.end() ? nullptr : &*at;
        },
        out);
    return found ? found->where + ": " + found->what : "";
}

}  // namespace

TEST_CASE("numbers are read as JSON has them and compared by value") {
    for (const char* bad : {"", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1 ", " 1", "NaN", "1e9999999999", "--1", "1,5"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_decimal(bad).has_value());
    }
    static const char* ascending[] = {"-1e400",
                                      "-123456789012345678901",
                                      "-10",
                                      "-9.5",
                                      "-9.49",
                                      "-1e-400",
                                      "0",
                                      "1e-400",
                                      "0.1",
                                      "0.11",
                                      "1",
                                      "1.000000000000000000000000001",
                                      "9",
                                      "10",
                                      "1e2",
                                      "123456789012345678901",
                                      "123456789012345678902",
                                      "1E+400"};
    for (std::size_t i = 0; i < std::size(ascending); ++i)
        for (std::size_t k = 0; k < std::size(ascending); ++k) {
            CAPTURE(ascending[i]);
            CAPTURE(ascending[k]);
            CHECK((decimal(ascending[i]) <=> decimal(ascending[k])) == (i <=> k));
        }
    CHECK(decimal("-0") == decimal("0.00e7"));
    CHECK(decimal("1.50") == decimal("150e-2"));
    CHECK(format_decimal(decimal("-0.0150")) == "-0.015");
    CHECK(format_decimal(decimal("1200")) == "1200");
    CHECK(format_decimal(decimal("-120.5e1")) == "-1205");
}

TEST_CASE("rounding and buckets agree with whole-number arithmetic") {
    std::mt19937 random(3);
    const auto text = [](long long thousandths) {
        const long long size = thousandths < 0 ? -thousandths : thousandths;
        std::string fraction = std::to_string(1000 + size % 1000).substr(1);
        return std::string(thousandths < 0 ? "-" : "") + std::to_string(size / 1000) + "." + fraction;
    };
    for (int i = 0; i < 20000; ++i) {
        const long long value = static_cast<long long>(random() % 4'000'001) - 2'000'000, step = static_cast<long long>(random() % 5000 + 1);
        const long long size = value < 0 ? -value : value, rounded = (2 * size + step) / (2 * step) * step;
        CAPTURE(value);
        CAPTURE(step);
        const auto got = round_to(decimal(text(value)), decimal(text(step)));
        REQUIRE(got.has_value());
        REQUIRE(*got == decimal(text(value < 0 ? -rounded : rounded)));

        const long long lower = static_cast<long long>(random() % 2000) - 3'000'000, upper = 2'500'000;
        const long long begin = lower + (value - lower) / step * step;
        const auto range = bucket_of(decimal(text(value)), decimal(text(lower)), decimal(text(upper)), decimal(text(step)));
        REQUIRE(range.has_value());
        REQUIRE(range->begin == decimal(text(begin)));
        REQUIRE(range->end == decimal(text(std::min(begin + step, upper))));
    }
    CHECK_FALSE(round_to(decimal("1e50"), decimal("1")).has_value());
    CHECK(*round_to(decimal("0.49999999999999999999999999999999999999999999"), decimal("1")) == decimal("0"));
    CHECK(*round_to(decimal("-1e-500"), decimal("0.000001")) == decimal("0"));
}

TEST_CASE("dates keep their form") {
    std::string out;
    CHECK(shift_date("2026-03-01", -1, out));
    CHECK(out == "2026-02-28");
    CHECK(shift_date("2024-02-28T23:59:59.999999Z", 366, out));
    CHECK(out == "2025-02-28T23:59:59.999999Z");
    CHECK(shift_date("1969-12-31T00:00:00+14:00", 1, out));
    CHECK(out == "1970-01-01T00:00:00+14:00");
    CHECK_FALSE(shift_date("0001-01-01", -1, out));
    CHECK_FALSE(shift_date("2026-11-21T", 1, out));
    CHECK_FALSE(shift_date("2026-11-21 ", 1, out));
    const std::pair<const char*, const char*> weeks[] = {
        {"2021-01-03", "53"}, {"2021-01-04", "1"}, {"2020-12-31", "53"}, {"2018-12-31", "1"}, {"2026-12-28", "53"}};
    for (const auto& [date, week] : weeks) {
        CHECK(time_part(date, TimePart::week_of_year, out));
        CHECK(out == week);
    }
    CHECK(time_part("2026-11-22", TimePart::day_of_week, out));
    CHECK(out == "7");
}

TEST_CASE("every IPv6 prefix clears what is past it") {
    std::string out, again;
    for (int prefix = 0; prefix < 128; ++prefix) {
        REQUIRE(generalise_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 24, prefix, out));
        REQUIRE(event::is_of_type(out, event::InfoType::ip_address));
        REQUIRE(generalise_ip(out, 24, 127, again));
        REQUIRE(out == again);
    }
    CHECK(generalise_ip("1:0:0:2:0:0:0:3", 24, 127, out));
    CHECK(out == "1:0:0:2::2");
    CHECK(generalise_ip("::1:2:3:4:5:6:7", 24, 127, out));
    CHECK(out == "0:1:2:3:4:5:6:6");
    CHECK(generalise_ip("255.255.255.255", 31, 48, out));
    CHECK(out == "255.255.255.254");
}

TEST_CASE("patterns are bounded, and so is what they make") {
    CHECK(make_regex("(a", "").error().pointer == "/licet:pattern");
    CHECK(make_regex("", "").error().pointer == "/licet:pattern");
    CHECK(make_regex("a*", "").error().pointer == "/licet:pattern");
    CHECK(make_regex(std::string(limits::policy_regex_max_bytes + 1, 'a'), "").error().pointer == "/licet:pattern");
    CHECK(make_regex("((a{1,100}){1,100}){1,100}", "").error().pointer == "/licet:pattern");
    CHECK(make_regex("(\\pL{1,20}){1,20}x", "").error().pointer == "/licet:pattern");
    CHECK(make_regex("(a)\\1", "").error().pointer == "/licet:pattern");
    CHECK(make_regex("(a)", "\\2").error().pointer == "/licet:replacement");
    const auto word = make_regex("\\b", "|").value();
    std::string out;
    CHECK(word->replace("ab \xc3\xa9 c", out));
    CHECK(out == "|ab| \xc3\xa9 |c|");
    const auto grow = make_regex("a", std::string(500, 'b')).value();
    CHECK(grow->replace(std::string(2000, 'a'), out));
    CHECK_FALSE(grow->replace(std::string(20'000, 'a'), out));
    // What takes other engines for ever.
    const auto evil = make_regex("(x+x+)+y", "z").value();
    CHECK(evil->replace(std::string(100'000, 'x'), out));
    CHECK(out.size() == 100'000);
}

TEST_CASE("parameters that cannot be meant are refused where they are") {
    CHECK(mistake("rounding", {{"licet:roundTo", 10}}) == "");
    CHECK(mistake("rounding", json::object()).starts_with("/licet:roundTo: "));
    for (const json& bad : {json(0), json(-1), json("10"), json(1e13), json(0.0000001), json(true)})
        CHECK(mistake("rounding", {{"licet:roundTo", bad}}) != "");
    const auto buckets = [](const char* text) { return mistake("bucketing", {{"licet:buckets", json::parse(text)}}).substr(0, 26); };
    CHECK(buckets(R"([{"licet:max":1,"licet:replacement":"a"},{"licet:min":1,"licet:replacement":"b"}])") == "");
    CHECK(buckets("[]") == "/licet:buckets: expected a");
    CHECK(buckets("7") == "/licet:buckets: expected a");
    CHECK(buckets(R"([{"licet:max":1}])") == "/licet:buckets/0/licet:rep");
    CHECK(buckets(R"([{"licet:max":1,"licet:min":1,"licet:replacement":"a"}])") == "/licet:buckets/0/licet:max");
    CHECK(buckets(R"([{"licet:max":2,"licet:replacement":"a"},{"licet:min":1,"licet:replacement":"b"}])") == "/licet:buckets/1/licet:min");
    CHECK(buckets(R"([{"licet:min":2,"licet:replacement":"a"},{"licet:min":3,"licet:replacement":"b"}])") == "/licet:buckets/1/licet:min");
    CHECK(buckets(R"([{"licet:max":2,"x":1,"licet:replacement":"a"}])").starts_with("/licet:buckets/0/x"));
    const json fixed{{"licet:lowerBound", 1}, {"licet:upperBound", 9}, {"licet:bucketSize", 2}};
    CHECK(mistake("fixedSizeBucketing", fixed) == "");
    for (const auto& [term, bad] : {std::pair<const char*, json>{"licet:upperBound", 1}, {"licet:bucketSize", 0}, {"licet:lowerBound", nullptr}}) {
        json other = fixed;
        other[term] = bad;
        CHECK(mistake("fixedSizeBucketing", other) != "");
    }
    CHECK(mistake("dateShift", {{"licet:lowerBoundDays", -3}, {"licet:upperBoundDays", 3}}) == "");
    for (const auto& [lower, upper] : {std::pair<json, json>{0, 0}, {3, -3}, {1.5, 3}, {1, 36501}, {1, 18446744073709551615ull}, {nullptr, 1}})
        CHECK(mistake("dateShift", {{"licet:lowerBoundDays", lower}, {"licet:upperBoundDays", upper}}) != "");
    CHECK(mistake("timePart", {{"licet:partToExtract", "MINUTE"}}).starts_with("/licet:partToExtract: "));
    CHECK(mistake("generaliseEmail", {{"licet:keep", "local"}}).starts_with("/licet:keep: "));
    CHECK(mistake("generaliseIp", {{"licet:ipv4Prefix", 32}}).starts_with("/licet:ipv4Prefix: "));
    CHECK(mistake("generaliseIp", {{"licet:ipv6Prefix", -1}}).starts_with("/licet:ipv6Prefix: "));
    CHECK(mistake("regexReplace", {{"licet:pattern", "a"}}).starts_with("/licet:replacement: "));
    CHECK(mistake("characterMask", {{"licet:maskingCharacter", "ab"}}) == "/licet:maskingCharacter: expected one character");
    CHECK(mistake("characterMask", {{"licet:maskingCharacter", 7}}) == "/licet:maskingCharacter: expected one character");
}

TEST_CASE("names go both ways") {
    for (std::size_t i = 0; i < kTransformKinds; ++i) {
        const auto kind = static_cast<TransformKind>(i);
        CHECK(parse_transform_kind(transform_name(kind)) == kind);
    }
    CHECK_FALSE(parse_transform_kind("mask").has_value());
}

TEST_CASE("a keyed transform parts views; a shift is one for a subject and another for the next contract") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/born"}}}));
    const json bounds{{"licet:lowerBoundDays", -300}, {"licet:upperBoundDays", 300}};
    const auto view_of = [&](const char* contract, const char* kind, const json& more) {
        auto who = entitlement();
        who.contract = contract;
        who.pseudonym_scope = contract;
        return std::make_unique<View>(
            who, std::vector{policy_of("p", json::array({rule("r", json::array(), json::array({transform(kind, "licet:pointer", "/born", more)}))}))},
            std::vector{mapping});
    };
    CHECK(view_of("a", "dateShift", bounds)->program->view_key() != view_of("b", "dateShift", bounds)->program->view_key());
    CHECK(view_of("a", "cryptoDeterministic", json::object())->program->view_key() !=
          view_of("b", "cryptoDeterministic", json::object())->program->view_key());
    CHECK(view_of("a", "timePart", {{"licet:partToExtract", "YEAR"}})->program->view_key() ==
          view_of("b", "timePart", {{"licet:partToExtract", "YEAR"}})->program->view_key());
    const auto shifted = [&](View& view, const char* born) {
        EventText e{"CC0-1.0", "DE", "ada"};
        e.data = std::string(R"({"born":")") + born + "\"}";
        const auto record = make_record(*mapping, e);
        const auto stored = event::StoredEvent::parse(record).value();
        std::string out;
        REQUIRE(view.decider->redact(stored, view.decider->decide(stored, {}), out));
        return parse_date(json::parse(out)["born"].get<std::string>()).value().value / 86'400'000;
    };
    const auto a = view_of("a", "dateShift", bounds), b = view_of("b", "dateShift", bounds);
    CHECK(shifted(*a, "2000-01-31") - shifted(*a, "2000-01-01") == 30);
    CHECK(shifted(*a, "2000-01-01") != shifted(*b, "2000-01-01"));
}

TEST_CASE("longer arrays and more findings are no new decision, and a warm one allocates nothing") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/tags/*"}}, {{"pointer", "/note"}, {"scan", true}}}));
    const json duties =
        json::array({transform("null", "licet:pointer", "/tags/*"), transform("replaceWithInfoType", "licet:infoType", "EMAIL_ADDRESS")});
    View view(entitlement(), {policy_of("p", json::array({rule("r", json::array(), duties)}))}, {mapping});
    std::vector<std::string> records;
    for (const char* data :
         {R"({"tags":[1],"note":"a@b.co"})", R"({"tags":[1,"2",{}],"note":"a@b.co c@d.ef \n g@h.ij"})", R"({"note":["x a@b.co"],"tags":[[],[]]})"}) {
        EventText e{"CC0-1.0"};
        e.data = data;
        records.push_back(make_record(*mapping, e));
    }
    std::vector<event::StoredEvent> events;
    for (const auto& r : records) events.push_back(event::StoredEvent::parse(r).value());
    CHECK(events[0].static_attributes() == events[1].static_attributes());
    CHECK(events[0].static_attributes() == events[2].static_attributes());
    std::string out;
    out.reserve(4096);
    REQUIRE(view.decider->redact(events[0], view.decider->decide(events[0], {}), out));
    const auto before = allocations();
    bool all = true;
    for (const auto& e : events) {
        out.clear();
        all = all && view.decider->redact(e, view.decider->decide(e, {}), out);
    }
    CHECK(allocations() == before);
    CHECK(all);
}

TEST_CASE("text that is not UTF-8 is withheld by what lets some of it be seen, and hidden by what hides all") {
    const auto mapping = mapping_of(json::array({{{"pointer", "/born"}}}));
    const auto out_of = [&](const char* kind, const json& more) -> std::string {
        View view(entitlement(),
                  {policy_of("p", json::array({rule("r", json::array(), json::array({transform(kind, "licet:pointer", "/born", more)}))}))},
                  {mapping});
        EventText e{"CC0-1.0", "DE", "ada"};
        e.data = "{\"born\":\"secret\xff\xc3@x.org\"}";
        const auto record = make_record(*mapping, e);
        const auto stored = event::StoredEvent::parse(record).value();
        std::string out;
        return view.decider->redact(stored, view.decider->decide(stored, {}), out) ? out : "withheld" + out;
    };
    CHECK(out_of("characterMask", json::object()) == "withheld");
    CHECK(out_of("regexReplace", {{"licet:pattern", "secret"}, {"licet:replacement", ""}}) == "withheld");
    CHECK(out_of("generaliseEmail", json::object()) == "withheld");
    CHECK(out_of("rounding", {{"licet:roundTo", 1}}) == "withheld");
    CHECK(out_of("null", json::object()) == R"({"born":null})");
    CHECK(out_of("redact", json::object()) == "{}");
    CHECK(out_of("cryptoHash", json::object()).find("secret") == std::string::npos);
}
