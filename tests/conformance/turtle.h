// Files of others' policy cases as text and triples, for the tests that decide them. The product itself reads no Turtle.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace licet::testing {

namespace fs = std::filesystem;

// A file as UTF-8; some of them are UTF-16 with a byte order mark.
inline std::string text_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    if (!bytes.starts_with("\xff\xfe")) return bytes.starts_with("\xef\xbb\xbf") ? bytes.substr(3) : bytes;
    std::string out;
    for (std::size_t i = 2; i + 1 < bytes.size(); i += 2) {
        const unsigned c = static_cast<unsigned char>(bytes[i]) | static_cast<unsigned>(static_cast<unsigned char>(bytes[i + 1])) << 8;
        out += c < 0x80 ? static_cast<char>(c) : '?';  // the terms are ASCII
    }
    return out;
}

// Turtle as far as these files use it: prefixes, IRIs, typed strings, `a`, lists by `,` and `;`. Subject -> predicate -> objects, prefixes kept.
using Graph = std::map<std::string, std::map<std::string, std::vector<std::string>>>;
inline void read_turtle(const fs::path& path, Graph& into) {
    const std::string text = text_of(path);
    std::vector<std::string> tokens;
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            ++i;
        } else if (c == '<' || c == '"') {
            const std::size_t end = text.find(c == '<' ? '>' : '"', i + 1);
            tokens.push_back((c == '<' ? "" : "\"") + text.substr(i + 1, end - i - 1));
            i = end + 1;
            if (c == '"' && text.compare(i, 2, "^^") == 0)
                for (i += 2; i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == ':'); ++i) continue;
        } else if (c == '.' || c == ';' || c == ',') {
            tokens.emplace_back(1, c);
            ++i;
        } else {
            const std::size_t start = i;
            while (i < text.size() && std::isspace(static_cast<unsigned char>(text[i])) == 0 &&
                   std::string(".;,<\"").find(text[i]) == std::string::npos)
                ++i;
            tokens.push_back(text.substr(start, i - start));
        }
    }
    std::string subject, predicate;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        const auto& t = tokens[i];
        if (t == "@prefix") {
            while (tokens[i] != ".") ++i;
        } else if (t.find_first_of("[](){}") == 0) {
            throw std::runtime_error("Turtle this reader does not know: " + t);
        } else if (t == ".") {
            subject.clear();
            predicate.clear();
        } else if (t == ";") {
            predicate.clear();
        } else if (t != ",") {
            if (subject.empty())
                subject = t;
            else if (predicate.empty())
                predicate = t;
            else
                into[subject][predicate].push_back(t);
        }
    }
}

}  // namespace licet::testing
