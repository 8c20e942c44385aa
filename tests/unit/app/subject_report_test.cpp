// The page for people: whatever producers, admins or policies wrote shows as text, and does nothing else.
#include "server/app/subject_report.h"

#include <doctest/doctest.h>

using namespace licet;
using nlohmann::json;

namespace {

constexpr const char* kHostile = R"(<script>alert("1")</script>&amp;'x' onload=)";
constexpr const char* kShown = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;&#39;x&#39; onload=";

// Every string of the report but the names of members is `kHostile`.
json hostile_report() {
    const json recipient{{"party", kHostile},
                         {"contract", kHostile},
                         {"purposes", {kHostile, kHostile}},
                         {"delivery", kHostile},
                         {"decidedAt", kHostile},
                         {"reason", kHostile},
                         {"consentRevision", 7},
                         {"policies", json::array({{{"name", kHostile}, {"version", 1}}})},
                         {"transforms", json::array({{{"pointer", kHostile}, {"transform", kHostile}}})}};
    return {{"subject", kHostile},
            {"controller", kHostile},
            {"region", kHostile},
            {"at", kHostile},
            {"epoch", 5},
            {"consents",
             json::array({{{"purpose", kHostile}, {"recipient", kHostile}, {"status", kHostile}, {"validUntil", kHostile}, {"revision", 7}}})},
            {"held", json::array({{{"product", kHostile},
                                   {"shreddable", true},
                                   {"from", 0},
                                   {"to", 310},
                                   {"events", 1},
                                   {"encrypted", 1},
                                   {"firstAccepted", kHostile},
                                   {"lastAccepted", kHostile},
                                   {"categories", {kHostile}},
                                   {"infoTypes", {kHostile}}}})},
            {"events", json::array({{{"product", kHostile},
                                     {"offset", 41},
                                     {"source", kHostile},
                                     {"id", kHostile},
                                     {"accepted", kHostile},
                                     {"values", kHostile},
                                     {"fields", {kHostile}},
                                     {"recipients", json::array({recipient})}}})},
            {"elsewhere", json::array({{{"product", kHostile}, {"region", kHostile}}})},
            {"next", {{"product", kHostile}, {"offset", 9}}}};
}

std::size_t strings_in(const json& value) {
    if (value.is_string()) return 1;
    std::size_t n = 0;
    if (value.is_structured())
        for (const auto& item : value) n += strings_in(item);
    return n;
}

std::size_t occurrences(const std::string& text, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size())) ++n;
    return n;
}

}  // namespace

TEST_CASE("no text of a report becomes markup") {
    const json report = hostile_report();
    const std::string html = app::to_html(report);
    for (const char* markup : {"<script", "alert(\"", "</script", "'x'", "\"1\""}) CHECK(html.find(markup) == std::string::npos);
    // Each is shown; product and id of an event twice, with its recipient too. What is left to read is written as JSON text, escaped.
    CHECK(occurrences(html, kShown) + occurrences(html, "alert(\\&quot;1\\&quot;)") == strings_in(report) + 2);
    CHECK(occurrences(html, "alert(\\&quot;1\\&quot;)") == 1);
    CHECK(occurrences(html, "<table>") == occurrences(html, "</table>"));
    CHECK(occurrences(html, "<table>") == 5);
}

TEST_CASE("a report of nothing says so") {
    json report = hostile_report();
    for (const char* list : {"consents", "held", "events", "elsewhere"}) report[list] = json::array();
    report["next"] = nullptr;
    report["controller"] = "trust";
    const std::string html = app::to_html(report);
    CHECK(occurrences(html, "<table>") == 0);
    CHECK(occurrences(html, "None.") == 4);
    CHECK(html.find("<dd>trust</dd>") != std::string::npos);
    CHECK(html.find("one page") == std::string::npos);
    CHECK(html.compare(0, 15, "<!DOCTYPE html>") == 0);
}
