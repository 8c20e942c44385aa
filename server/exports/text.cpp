#include "server/exports/text.h"

#include <nlohmann/json.hpp>

namespace licet::exports {

using nlohmann::json;

namespace {

// How many bytes of its beginning are a character that HTML text cannot carry (controls, noncharacters); 0: none.
std::size_t not_text(std::string_view rest) {
    const auto at = [&](std::size_t i) { return i < rest.size() ? static_cast<unsigned char>(rest[i]) : 0u; };
    const auto first = at(0);
    if (first < 0x20) return first == '\n' || first == '\t' ? 0 : 1;
    if (first == 0x7f) return 1;
    if (first == 0xc2 && at(1) >= 0x80 && at(1) <= 0x9f) return 2;
    if (first == 0xef && at(1) == 0xb7 && at(2) >= 0x90 && at(2) <= 0xaf) return 3;
    if (first == 0xef && at(1) == 0xbf && at(2) >= 0xbe) return 3;
    if (first >= 0xf0 && at(1) % 16 == 15 && at(2) == 0xbf && at(3) >= 0xbe) return 4;
    return 0;
}

}  // namespace

std::string json_text(std::string_view text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

std::string html_text(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (const auto dropped = not_text(text.substr(at)); dropped > 0) {
            out += ' ';
            at += dropped - 1;
            continue;
        }
        const char c = text[at];
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string date_time(UtcMillis at) { return format_rfc3339(at).substr(0, 19) + "Z"; }
std::string date(UtcMillis at) { return format_rfc3339(at).substr(0, 10); }

std::string account_json(const ports::Account& a) {
    const auto count = [](const ports::UsageCount& c) { return json{{"events", c.events}, {"bytes", c.bytes}}; };
    json out{{"contract", a.contract},
             {"party", a.party},
             {"partyTitle", a.party_title},
             {"partyCountry", a.party_country},
             {"period", a.period},
             {"from", date_time(a.from)},
             {"to", date_time(a.to)},
             {"currency", a.currency},
             {"total", a.total.text(a.exponent)},
             {"lines", a.lines},
             {"status", a.closed ? "closed" : "open"},
             {"books",
              {{"delivered", count(a.books.delivered)},
               {"billed", count(a.books.billed)},
               {"unbilled", count(a.books.unbilled)},
               {"replayed", count(a.books.replayed)},
               {"suspenseOffsets", a.books.suspense_offsets}}}};
    if (a.closed)
        out["statement"] = {{"number", a.statement},   {"closedAt", date_time(a.closed_at)},
                            {"root", a.root},          {"previous", a.previous},
                            {"hash", a.hash},          {"keyId", a.key_id},
                            {"signature", a.signature}};
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace licet::exports
