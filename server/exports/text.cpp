#include "server/exports/text.h"

#include <nlohmann/json.hpp>

namespace licet::exports {

using nlohmann::json;

std::string json_text(std::string_view text) { return json(text).dump(-1, ' ', false, json::error_handler_t::replace); }

std::string html_text(std::string_view text) {
    std::string out;
    for (const char c : text) switch (c) {
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
                if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
                    out += ' ';
                else
                    out += c;
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
