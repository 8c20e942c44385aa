#include "event/json_text.h"

#include <cstdint>
#include <optional>

namespace licet::event {
namespace {

void append_utf8(std::uint32_t c, std::string& out) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xC0 | (c >> 6));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        out += static_cast<char>(0xE0 | (c >> 12));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    } else {
        out += static_cast<char>(0xF0 | (c >> 18));
        out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
        out += static_cast<char>(0x80 | (c & 0x3F));
    }
}

std::optional<std::uint32_t> hex4(std::string_view s) {
    if (s.size() < 4) return std::nullopt;
    std::uint32_t v = 0;
    for (int i = 0; i < 4; ++i) {
        const char c = s[static_cast<std::size_t>(i)];
        std::uint32_t d;
        if (c >= '0' && c <= '9')
            d = static_cast<std::uint32_t>(c - '0');
        else if (c >= 'a' && c <= 'f')
            d = static_cast<std::uint32_t>(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            d = static_cast<std::uint32_t>(c - 'A' + 10);
        else
            return std::nullopt;
        v = v << 4 | d;
    }
    return v;
}

// after(i): what stands at `i` of the token has been appended.
template <class After>
bool unescape(std::string_view token, std::string& out, After&& after) {
    out.clear();
    if (token.size() < 2 || token.front() != '"' || token.back() != '"') return false;
    const std::string_view body = token.substr(1, token.size() - 2);
    for (std::size_t i = 0; i < body.size(); ++i) {
        const std::size_t begin = i + 1;
        const char c = body[i];
        if (c == '"' || static_cast<unsigned char>(c) < 0x20) return false;
        if (c != '\\') {
            out += c;
            after(begin);
            continue;
        }
        if (++i == body.size()) return false;
        switch (body[i]) {
            case '"':
                out += '"';
                break;
            case '\\':
                out += '\\';
                break;
            case '/':
                out += '/';
                break;
            case 'b':
                out += '\b';
                break;
            case 'f':
                out += '\f';
                break;
            case 'n':
                out += '\n';
                break;
            case 'r':
                out += '\r';
                break;
            case 't':
                out += '\t';
                break;
            case 'u': {
                auto unit = hex4(body.substr(i + 1));
                if (!unit) return false;
                i += 4;
                std::uint32_t point = *unit;
                if (point >= 0xDC00 && point < 0xE000) return false;
                if (point >= 0xD800 && point < 0xDC00) {
                    if (body.substr(i + 1, 2) != "\\u") return false;
                    const auto low = hex4(body.substr(i + 3));
                    if (!low || *low < 0xDC00 || *low >= 0xE000) return false;
                    point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00);
                    i += 6;
                }
                append_utf8(point, out);
                break;
            }
            default:
                return false;
        }
        after(begin);
    }
    return true;
}

}  // namespace

bool unescape_json(std::string_view token, std::string& out) {
    return unescape(token, out, [](std::size_t) {});
}

bool unescape_json(std::string_view token, std::string& out, std::vector<std::uint32_t>& positions) {
    positions.clear();
    const bool done = unescape(token, out, [&](std::size_t at) { positions.resize(out.size(), static_cast<std::uint32_t>(at)); });
    if (done) positions.push_back(static_cast<std::uint32_t>(token.size() - 1));
    return done;
}

void append_json_escaped(std::string_view text, std::string& out) {
    static constexpr char digits[] = "0123456789abcdef";
    std::size_t plain = 0;  // where what needs no escape began
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto u = static_cast<unsigned char>(text[i]);
        if (u >= 0x20 && u != '"' && u != '\\') continue;
        out.append(text, plain, i - plain);
        plain = i + 1;
        if (u >= 0x20) {
            out += '\\';
            out += text[i];
        } else {
            out += "\\u00";
            out += digits[u >> 4];
            out += digits[u & 15];
        }
    }
    out.append(text, plain);
}

void append_json_string(std::string_view text, std::string& out) {
    out += '"';
    append_json_escaped(text, out);
    out += '"';
}

std::size_t code_point_size(std::string_view text) noexcept {
    if (text.empty()) return 0;
    const auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return 1;
    const std::size_t size = lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
    if (size == 0 || size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
    const auto second = static_cast<unsigned char>(text[1]);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) || (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90))
        return 0;
    return size;
}

bool valid_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto size = code_point_size(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::size_t count_code_points(std::string_view text) noexcept {
    std::size_t count = 0;
    while (!text.empty()) {
        const auto size = code_point_size(text);
        if (size == 0) return 0;
        text.remove_prefix(size);
        ++count;
    }
    return count;
}

bool clean_text(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x20 || c == 0x7F) return false;
        if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return false;
    }
    return true;
}

std::string pointer_token(std::string_view token) {
    std::string out;
    for (const char c : token) {
        if (c == '~')
            out += "~0";
        else if (c == '/')
            out += "~1";
        else
            out += c;
    }
    return out;
}

}  // namespace licet::event
