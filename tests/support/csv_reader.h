// CSV read strictly by RFC 4180: what a lenient reader would let pass is an error. For tests.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace licet::testing {

using CsvRecords = std::vector<std::vector<std::string>>;

// nullopt: a quote within a bare cell, something behind a closing quote, a quote that is not closed, a lone CR, or (with `one_width`) records of
// different widths. `line`: "\r\n" or "\n", what ends a record; the last may lack it.
inline std::optional<CsvRecords> read_csv(std::string_view text, std::string_view line = "\r\n", bool one_width = true) {
    CsvRecords out;
    std::size_t at = 0;
    while (at < text.size()) {
        std::vector<std::string> record;
        for (;;) {
            std::string cell;
            if (at < text.size() && text[at] == '"') {
                for (++at;; ++at) {
                    if (at >= text.size()) return std::nullopt;
                    if (text[at] != '"') {
                        cell += text[at];
                    } else if (at + 1 < text.size() && text[at + 1] == '"') {
                        cell += '"';
                        ++at;
                    } else {
                        break;
                    }
                }
                ++at;
                if (at < text.size() && text[at] != ',' && !text.substr(at).starts_with(line)) return std::nullopt;
            } else {
                while (at < text.size() && text[at] != ',' && !text.substr(at).starts_with(line)) {
                    if (text[at] == '"' || text[at] == '\r' || text[at] == '\n') return std::nullopt;
                    cell += text[at++];
                }
            }
            record.push_back(std::move(cell));
            if (at < text.size() && text[at] == ',') {
                ++at;
                continue;
            }
            break;
        }
        at = std::min(text.size(), at + (at < text.size() ? line.size() : 0));
        if (one_width && !out.empty() && out.front().size() != record.size()) return std::nullopt;
        out.push_back(std::move(record));
    }
    return out;
}

}  // namespace licet::testing
