#include "server/stream/edge/head.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/limits.h"

namespace licet::stream {
namespace {

// Fields that frame, route, authenticate or type the request, or tell a stream where it is: given twice, two readers could each believe another one.
constexpr std::array<std::string_view, 12> kOnce{
    "host",          "content-length", "transfer-encoding", "content-type",          "authorization", "expect", "content-encoding",
    "last-event-id", "if-match",       "sec-websocket-key", "sec-websocket-version", "origin"};

Error bad(std::string what, std::string_view field = {}) {
    return {Errc::bad_request, std::move(what), field.empty() ? std::string() : "header:" + std::string(field)};
}

bool token(std::string_view text) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

bool control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

class Fields {
  public:
    Status take(std::string_view line) {
        const auto colon = line.find(':');
        if (line.front() == ' ' || line.front() == '\t') return bad("folded header lines are not read");
        if (colon == std::string_view::npos || !token(line.substr(0, colon))) return bad("a header's name is malformed");
        const std::string name = lower(line.substr(0, colon));
        const auto value = trimmed(line.substr(colon + 1));
        if (std::any_of(value.begin(), value.end(), control)) return bad("control characters are not allowed in headers", name);
        const auto once = std::find(kOnce.begin(), kOnce.end(), name);
        if (once == kOnce.end()) return success();
        bool& seen = seen_[static_cast<std::size_t>(once - kOnce.begin())];
        if (seen) return bad("a header is given twice", name);
        seen = true;
        if (name == "content-length" && (value.empty() || value.size() > 15 || value.find_first_not_of("0123456789") != std::string_view::npos))
            return bad("expected a number of bytes", name);
        if (name == "transfer-encoding" && lower(value) != "chunked") return bad("expected chunked", name);
        if (name == "host" && value.empty()) return bad("is required", name);
        return success();
    }
    [[nodiscard]] Status end() const {
        if (!seen_[0]) return bad("is required", "host");
        if (seen_[1] && seen_[2]) return bad("Content-Length and Transfer-Encoding exclude each other", "transfer-encoding");
        return success();
    }

  private:
    std::array<bool, kOnce.size()> seen_{};
};

}  // namespace

Result<std::size_t> find_head(std::string_view bytes) {
    const auto part = bytes.substr(0, limits::request_header_max_bytes);
    std::size_t line = 0;
    for (auto end = part.find('\n'); end != std::string_view::npos; end = part.find('\n', line)) {
        if (end == 0 || part[end - 1] != '\r') return bad("lines end with CRLF");
        if (end - line == 1) {
            if (line == 0) return bad("expected a request line");
            return end + 1;
        }
        line = end + 1;
    }
    if (bytes.size() >= limits::request_header_max_bytes)
        return Error{Errc::header_too_large, "at most " + std::to_string(limits::request_header_max_bytes) + " bytes", {}};
    return std::size_t{0};
}

Status check_head(std::string_view head) {
    Fields fields;
    bool first = true;
    std::size_t count = 0;
    while (head.size() > 2) {
        const auto end = head.find("\r\n");
        const auto line = head.substr(0, end);
        head.remove_prefix(end + 2);
        if (!first) {
            if (++count > limits::request_headers_max)
                return Error{Errc::header_too_large, "at most " + std::to_string(limits::request_headers_max) + " fields", {}};
            if (auto taken = fields.take(line); !taken) return taken;
        } else if (std::any_of(line.begin(), line.end(), control) || line.find('\t') != std::string_view::npos) {
            return bad("control characters are not allowed in the request line");
        }
        first = false;
    }
    return fields.end();
}

}  // namespace licet::stream
