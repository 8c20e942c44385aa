// Where something may be posted to: URLs as webhooks have them, and which network addresses are the public's. Pure. Used by app::Webhooks and
// server/beast.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace licet::ports {

struct WebAddress {
    bool tls = true;
    std::string host;  // a name or an address, without brackets
    std::uint16_t port = 0;
    std::string target;  // path and query
    bool operator==(const WebAddress&) const = default;
};

// https://host[:port][/path][?query], or http:// in its place (which only loopback is posted to). No user, no fragment, visible ASCII, at most
// limits::webhook_url_max_bytes. Errors: invalid_parameter.
[[nodiscard]] Result<WebAddress> parse_web_address(std::string_view url);
// As the Host header and the audit log say it: host, and the port where it is not the scheme's own.
[[nodiscard]] std::string authority_of(const WebAddress& address);

// never: multicast, link-local (where clouds keep their metadata), unspecified, broadcast, reserved, for documentation, or a tunnel to another
// address.
enum class Reach : std::uint8_t { everywhere, inside, loopback, never };
[[nodiscard]] Reach reach_of(const std::array<std::uint8_t, 4>& v4) noexcept;
// An IPv4 address within an IPv6 one is looked at as what it is.
[[nodiscard]] Reach reach_of(const std::array<std::uint8_t, 16>& v6) noexcept;

}  // namespace licet::ports
