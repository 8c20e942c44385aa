#include "server/ports/web_address.h"

#include <algorithm>
#include <charconv>

#include "base/usage_limits.h"

namespace licet::ports {
namespace {

Error refused(const char* why) { return {Errc::invalid_parameter, why, {}}; }

bool is_visible(char c) { return c > 0x20 && c < 0x7f; }
bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_'; }
bool is_v6(char c) { return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' || c == '.'; }

// The first `bits` of the address are those of the network.
template <std::size_t N>
bool within(const std::array<std::uint8_t, N>& address, std::array<std::uint8_t, N> network, unsigned bits) noexcept {
    for (unsigned i = 0; i < bits; ++i) {
        const auto bit = [i](const std::array<std::uint8_t, N>& of) { return of[i / 8] >> (7 - i % 8) & 1; };
        if (bit(address) != bit(network)) return false;
    }
    return true;
}

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;
struct V4Network {
    V4 network;
    unsigned bits;
    Reach reach;
};
// IANA's registry of special-purpose IPv4 addresses (RFC 6890 and after).
constexpr V4Network kV4[] = {
    {{127, 0, 0, 0}, 8, Reach::loopback},  {{10, 0, 0, 0}, 8, Reach::inside},    {{172, 16, 0, 0}, 12, Reach::inside},
    {{192, 168, 0, 0}, 16, Reach::inside}, {{100, 64, 0, 0}, 10, Reach::inside}, {{0, 0, 0, 0}, 8, Reach::never},
    {{169, 254, 0, 0}, 16, Reach::never},  {{192, 0, 0, 0}, 24, Reach::never},   {{192, 0, 2, 0}, 24, Reach::never},
    {{192, 88, 99, 0}, 24, Reach::never},  {{198, 18, 0, 0}, 15, Reach::never},  {{198, 51, 100, 0}, 24, Reach::never},
    {{203, 0, 113, 0}, 24, Reach::never},  {{224, 0, 0, 0}, 3, Reach::never},
};

}  // namespace

Result<WebAddress> parse_web_address(std::string_view url) {
    if (url.size() > limits::webhook_url_max_bytes) return refused("the URL is too long");
    if (!std::all_of(url.begin(), url.end(), is_visible)) return refused("a URL is of visible ASCII characters");
    WebAddress out;
    out.tls = url.starts_with("https://");
    if (!out.tls && !url.starts_with("http://")) return refused("expected https://host[:port]/path");
    auto rest = url.substr(out.tls ? 8 : 7);
    if (rest.find('#') != std::string_view::npos) return refused("a URL that is posted to has no fragment");
    const auto end = rest.find_first_of("/?");
    auto authority = rest.substr(0, end);
    out.target = end == std::string_view::npos ? "/" : std::string(rest.substr(end));
    if (out.target.front() == '?') out.target.insert(0, "/");
    if (authority.find('@') != std::string_view::npos) return refused("user and password have no place in the URL");
    std::string_view host, port;
    if (authority.starts_with('[')) {
        const auto bracket = authority.find(']');
        if (bracket == std::string_view::npos) return refused("the host is malformed");
        host = authority.substr(1, bracket - 1);
        port = authority.substr(bracket + 1);
        if (host.find(':') == std::string_view::npos || !std::all_of(host.begin(), host.end(), is_v6)) return refused("the host is malformed");
    } else {
        const auto colon = std::min(authority.find(':'), authority.size());
        host = authority.substr(0, colon);
        port = authority.substr(colon);
        if (host.empty() || host.size() > 253 || !std::all_of(host.begin(), host.end(), is_name)) return refused("the host is malformed");
    }
    out.host = host;
    out.port = out.tls ? 443 : 80;
    if (port.empty()) return out;
    const auto* last = port.data() + port.size();
    const auto read = std::from_chars(port.data() + 1, last, out.port);
    if (port.front() != ':' || port.size() < 2 || read.ec != std::errc{} || read.ptr != last || out.port == 0)
        return refused("the port is malformed");
    return out;
}

std::string authority_of(const WebAddress& address) {
    std::string out = address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]";
    if (address.port != (address.tls ? 443 : 80)) out += ":" + std::to_string(address.port);
    return out;
}

Reach reach_of(const V4& v4) noexcept {
    for (const auto& special : kV4)
        if (within(v4, special.network, special.bits)) return special.reach;
    return Reach::everywhere;
}

Reach reach_of(const V6& v6) noexcept {
    if (within(v6, V6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96)) return reach_of(V4{v6[12], v6[13], v6[14], v6[15]});
    if (v6 == V6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}) return Reach::loopback;
    if (within(v6, V6{0xfc}, 7)) return Reach::inside;
    // Of all else only global unicast, without Teredo and what else 2001::/23 has, 6to4 and documentation.
    if (!within(v6, V6{0x20}, 3) || within(v6, V6{0x20, 0x01}, 23) || within(v6, V6{0x20, 0x01, 0x0d, 0xb8}, 32) || within(v6, V6{0x20, 0x02}, 16) ||
        within(v6, V6{0x3f, 0xff}, 20))
        return Reach::never;
    return Reach::everywhere;
}

}  // namespace licet::ports
