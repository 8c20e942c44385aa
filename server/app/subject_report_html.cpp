// A subject's report as a page for people: plain HTML, no script, every text escaped.
#include "server/app/subject_report.h"

namespace licet::app {
namespace {

using nlohmann::json;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string text_of(const json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return escaped(value.get_ref<const std::string&>());
    if (!value.is_array()) return escaped(value.dump());
    std::string out;
    for (const auto& item : value) {
        if (!out.empty()) out += ", ";
        if (item.is_object() && item.contains("version"))
            out += text_of(item.at("name")) + "@" + text_of(item.at("version"));
        else if (item.is_object() && item.contains("transform"))
            out += text_of(item.at("pointer")) + ": " + text_of(item.at("transform"));
        else
            out += text_of(item);
    }
    return out;
}

struct Column {
    const char* title;
    const char* member;
};

void table(std::string& out, const char* caption, const json& rows, std::initializer_list<Column> columns) {
    out += "<h2>" + escaped(caption) + "</h2>\n";
    if (rows.empty()) {
        out += "<p>None.</p>\n";
        return;
    }
    out += "<table><thead><tr>";
    for (const auto& column : columns) out += "<th scope=\"col\">" + escaped(column.title) + "</th>";
    out += "</tr></thead><tbody>\n";
    for (const auto& row : rows) {
        out += "<tr>";
        for (const auto& column : columns) out += "<td>" + (row.contains(column.member) ? text_of(row.at(column.member)) : std::string()) + "</td>";
        out += "</tr>\n";
    }
    out += "</tbody></table>\n";
}

}  // namespace

std::string to_html(const json& report) {
    std::string out =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Report on a data subject</title>\n<style>"
        "body{font:1rem/1.4 sans-serif;margin:2rem;max-width:80rem}table{border-collapse:collapse}th,td{border:1px solid;padding:.2rem .5rem;"
        "text-align:left;vertical-align:top}</style></head><body>\n<h1>Report on a data subject</h1>\n<dl>";
    for (const auto& [title, member] : {std::pair("Controller", "controller"), std::pair("Subject (keyed digest)", "subject"),
                                        std::pair("Region", "region"), std::pair("Moment", "at"), std::pair("Governance epoch", "epoch")})
        out += std::string("<dt>") + title + "</dt><dd>" + text_of(report.at(member)) + "</dd>";
    out += "</dl>\n";
    table(out, "Consents, as last recorded", report.at("consents"),
          {{"Purpose", "purpose"}, {"Limited to", "recipient"}, {"Status", "status"}, {"Valid until", "validUntil"}, {"Revision", "revision"}});
    table(out, "What is held", report.at("held"),
          {{"Product", "product"},
           {"Read from", "from"},
           {"to", "to"},
           {"Events of the subject", "events"},
           {"of them encrypted", "encrypted"},
           {"First accepted", "firstAccepted"},
           {"Last accepted", "lastAccepted"},
           {"Categories", "categories"},
           {"Kinds of values", "infoTypes"}});
    json received = json::array();
    for (const auto& event : report.at("events"))
        for (auto recipient : event.at("recipients")) {
            recipient["event"] = event.at("id");
            recipient["product"] = event.at("product");
            received.push_back(std::move(recipient));
        }
    table(out, "Events", report.at("events"),
          {{"Product", "product"}, {"Source", "source"}, {"Event", "id"}, {"Accepted", "accepted"}, {"Values", "values"}, {"Fields", "fields"}});
    out +=
        "<p>Who read the stretch of the log an event is in is on record. Whether the event itself was delivered or withheld, and with what done to "
        "its values, is derived from the consents and policies of the moment named.</p>\n";
    table(out, "Who was served, and how it was decided", received,
          {{"Product", "product"},
           {"Event", "event"},
           {"Party", "party"},
           {"Contract", "contract"},
           {"Purposes", "purposes"},
           {"Outcome", "delivery"},
           {"Decided as of", "decidedAt"},
           {"Reason", "reason"},
           {"Policies", "policies"},
           {"Transforms", "transforms"}});
    if (!report.at("elsewhere").empty())
        table(out, "Resident in other regions", report.at("elsewhere"), {{"Product", "product"}, {"Region", "region"}});
    if (!report.at("next").is_null()) out += "<p>This is one page: more follows from " + escaped(report.at("next").dump()) + ".</p>\n";
    return out + "</body></html>\n";
}

}  // namespace licet::app
