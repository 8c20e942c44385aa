#include "server/stream/edge/target.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"

namespace licet::stream {
namespace {

Error bad(std::string what) { return {Errc::bad_request, std::move(what), "target"}; }

bool equal_but_for_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

Result<std::string> decode_text(std::string_view text, bool plus_is_space) {
    auto out = percent_decode(text, plus_is_space);
    if (!out) return bad("malformed percent-encoding");
    for (const char c : *out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return bad("control characters are not allowed");
    return *std::move(out);
}

Result<std::map<std::string, std::string>> parse_form(std::string_view text) {
    std::map<std::string, std::string> out;
    while (!text.empty()) {
        const auto amp = text.find('&');
        const auto pair = text.substr(0, amp);
        const auto equals = pair.find('=');
        auto key = decode_text(pair.substr(0, equals), true);
        auto value = decode_text(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
        if (!key) return key.error();
        if (!value) return value.error();
        if (!out.emplace(*std::move(key), *std::move(value)).second) return bad("a parameter is given twice");
        if (amp == std::string_view::npos) break;
        text.remove_prefix(amp + 1);
    }
    return out;
}

Result<Target> parse_target(std::string_view text, std::string_view host) {
    if (text.size() > limits::request_target_max_bytes)
        return Error{Errc::uri_too_long, "at most " + std::to_string(limits::request_target_max_bytes) + " bytes", "target"};
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (!equal_but_for_case(text.substr(0, scheme.size()), scheme)) continue;
        text.remove_prefix(scheme.size());
        const auto authority = text.substr(0, text.find_first_of("/?"));
        if (!equal_but_for_case(authority, host)) return bad("the target is of another host than Host");
        text.remove_prefix(authority.size());
        break;
    }
    if (text.empty() || text.front() != '/') return bad("expected a path");
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '#' || c == '\\')
            return bad("a character that must be percent-encoded");
    Target out;
    const auto mark = text.find('?');
    out.path = text.substr(0, mark);
    if (mark != std::string_view::npos) out.raw_query = text.substr(mark + 1);
    for (std::string_view rest = std::string_view(out.path).substr(1);;) {
        const auto slash = rest.find('/');
        auto segment = decode_text(rest.substr(0, slash), false);
        if (!segment) return segment.error();
        if (segment->empty() || *segment == "." || *segment == ".." || segment->find('/') != std::string::npos) return bad("not a normal path");
        out.segments.push_back(*std::move(segment));
        if (slash == std::string_view::npos) break;
        rest.remove_prefix(slash + 1);
    }
    auto query = parse_form(out.raw_query);
    if (!query) return query.error();
    out.query = *std::move(query);
    return out;
}

}  // namespace licet::stream
