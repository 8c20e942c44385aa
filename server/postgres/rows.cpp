#include "server/postgres/rows.h"

#include <algorithm>
#include <charconv>

#include "base/encoding.h"

namespace licet::postgres {

std::vector<std::string> text_array(const pqxx::field& field) {
    std::vector<std::string> out;
    pqxx::array_parser parser(field.c_str());
    for (auto item = parser.get_next(); item.first != pqxx::array_parser::done; item = parser.get_next())
        if (item.first == pqxx::array_parser::string_value) out.push_back(item.second);
    return out;
}

std::string array_literal(const std::vector<std::string>& items) {
    std::string out = "{";
    for (const auto& item : items) {
        if (out.size() > 1) out += ',';
        out += '"';
        for (const char c : item) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

nlohmann::json json_of(const pqxx::field& field) { return nlohmann::json::parse(field.c_str()); }

std::string bytea_literal(const SubjectKey& subject) { return "\\x" + hex(subject.bytes); }

SubjectKey subject_of(const pqxx::field& field) {
    SubjectKey out;
    const auto raw = parse_hex(std::string_view(field.c_str()).substr(2));
    if (raw && raw->size() == out.bytes.size()) std::copy(raw->begin(), raw->end(), reinterpret_cast<char*>(out.bytes.data()));
    return out;
}

metering::IntervalSet multirange_of(std::string_view text) {
    metering::IntervalSet out;
    for (std::size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at + 1)) {
        Offset from = 0, to = 0;
        const auto first = std::from_chars(text.data() + at + 1, text.data() + text.size(), from);
        if (first.ec != std::errc{}) continue;
        if (std::from_chars(first.ptr + 1, text.data() + text.size(), to).ec == std::errc{}) out.add(from, to);
    }
    return out;
}

std::string multirange_literal(const metering::IntervalSet& set) {
    std::string out = "{";
    for (const auto& [from, to] : set.all()) {
        if (out.size() > 1) out += ',';
        out += "[" + std::to_string(from) + "," + std::to_string(to) + ")";
    }
    return out + "}";
}

}  // namespace licet::postgres
