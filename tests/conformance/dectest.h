// Reads the cases of General Decimal Arithmetic's .decTest files (speleotrove.com/decimal). Private to this folder.
#pragma once

#include <cctype>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace licet::testing {

struct DecCase {
    std::string id, operation, result, rounding;
    std::vector<std::string> operands;
    std::set<std::string> conditions;  // lower case
};

// Fields of a line: by spaces, quotes kept together and taken off; nothing behind `--`.
inline std::vector<std::string> dec_fields(const std::string& line) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < line.size();) {
        if (std::isspace(static_cast<unsigned char>(line[i])) != 0) {
            ++i;
        } else if (line.compare(i, 2, "--") == 0) {
            break;
        } else if (line[i] == '\'' || line[i] == '"') {
            const auto end = line.find(line[i], i + 1);
            out.push_back(line.substr(i + 1, end - i - 1));
            i = end == std::string::npos ? line.size() : end + 1;
        } else {
            const auto start = i;
            while (i < line.size() && std::isspace(static_cast<unsigned char>(line[i])) == 0) ++i;
            out.push_back(line.substr(start, i - start));
        }
    }
    return out;
}

inline std::string lower(std::string text) {
    for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

inline std::vector<DecCase> read_dectest(const std::string& path) {
    std::vector<DecCase> out;
    std::ifstream file(path);
    std::string line, rounding;
    while (std::getline(file, line)) {
        const auto colon = line.find(':');
        auto fields = dec_fields(line);
        if (fields.empty()) continue;
        if (colon != std::string::npos && line.find("->") == std::string::npos) {
            if (lower(fields[0]).starts_with("rounding")) rounding = lower(dec_fields(line.substr(colon + 1)).at(0));
            continue;
        }
        std::size_t arrow = 2;
        while (arrow < fields.size() && fields[arrow] != "->") ++arrow;
        if (arrow + 1 >= fields.size()) continue;
        DecCase c{fields[0], lower(fields[1]), fields[arrow + 1], rounding, {fields.begin() + 2, fields.begin() + static_cast<std::ptrdiff_t>(arrow)},
                  {}};
        for (std::size_t i = arrow + 2; i < fields.size(); ++i) c.conditions.insert(lower(fields[i]));
        out.push_back(std::move(c));
    }
    return out;
}

// A finite number as its digits and exponent: [-]digits x 10^exponent.
struct DecNumber {
    bool minus = false;
    std::string digits;
    int exponent = 0;
    // Without an exponent, as our decimals are written; zero has no sign.
    [[nodiscard]] std::string plain() const {
        std::string out = digits;
        if (exponent > 0) out.append(static_cast<std::size_t>(exponent), '0');
        const auto places = exponent < 0 ? static_cast<std::size_t>(-exponent) : 0;
        if (out.size() <= places) out.insert(0, places + 1 - out.size(), '0');
        const auto first = out.find_first_not_of('0');
        out.erase(0, std::min(first == std::string::npos ? out.size() : first, out.size() - places - 1));
        if (places > 0) out.insert(out.size() - places, ".");
        const bool zero = out.find_first_not_of("0.") == std::string::npos;
        return (minus && !zero ? "-" : "") + out;
    }
};

// nullopt: not a finite number, or an exponent no decimal of ours comes near.
inline std::optional<DecNumber> dec_number(std::string text) {
    DecNumber out;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        out.minus = text[0] == '-';
        text.erase(0, 1);
    }
    if (const auto e = text.find_first_of("eE"); e != std::string::npos) {
        const std::string exponent = text.substr(e + 1);
        if (exponent.empty() || exponent.size() > 4 || exponent.find_first_not_of("+-0123456789") != std::string::npos) return std::nullopt;
        out.exponent = std::stoi(exponent);
        text.erase(e);
    }
    if (const auto point = text.find('.'); point != std::string::npos) {
        out.exponent -= static_cast<int>(text.size() - point - 1);
        text.erase(point, 1);
    }
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || out.exponent > 60 || out.exponent < -60) return std::nullopt;
    out.digits = text;
    return out;
}

}  // namespace licet::testing
