#include "server/app/webhook_signing.h"

#include <algorithm>
#include <charconv>

#include "base/usage_limits.h"

namespace licet::app {

std::string webhook_signature(const ports::Crypto& crypto, Bytes secret, std::string_view id, std::int64_t timestamp_s, std::string_view body) {
    std::string said(id);
    said += '.';
    said += std::to_string(timestamp_s);
    said += '.';
    said += body;
    return "v1," + base64(crypto.hmac_sha256(secret, as_bytes(said)));
}

std::string webhook_secret_text(Bytes secret) { return "whsec_" + base64(secret); }

std::int64_t webhook_wait_ms(int attempt, std::int64_t first_ms, std::uint32_t random) noexcept {
    constexpr std::int64_t most = limits::webhook_retry_max_ms;
    std::int64_t wait = std::min(first_ms, most);
    for (int i = 1; i < attempt && wait < most; ++i) wait = std::min(wait * 2, most);
    return wait + static_cast<std::int64_t>(static_cast<double>(wait) / 2 * random / 4294967296.0);
}

std::int64_t retry_after_ms(std::string_view text) noexcept {
    std::int64_t seconds = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || seconds < 0) return 0;
    return std::min<std::int64_t>(seconds, limits::webhook_retry_max_ms / 1000) * 1000;
}

std::string webhook_secret_context(std::string_view endpoint_id) { return "licet/webhook-secret/1/" + std::string(endpoint_id); }

}  // namespace licet::app
