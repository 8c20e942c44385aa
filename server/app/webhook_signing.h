// How a webhook is signed (Standard Webhooks, version 1) and when it is tried again. Pure but for the digests, which are passed in. Used by
// app::WebhookSender and app::Webhooks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/ports/crypto.h"

namespace licet::app {

// "v1,<base64 of HMAC-SHA256 over id.timestamp.body>". `secret`: its bytes.
[[nodiscard]] std::string webhook_signature(const ports::Crypto& crypto, Bytes secret, std::string_view id, std::int64_t timestamp_s,
                                            std::string_view body);
// As its owner sees it: "whsec_<base64>".
[[nodiscard]] std::string webhook_secret_text(Bytes secret);

// After the attempt of this number (from 1) failed: `first_ms` doubled with each, at most limits::webhook_retry_max_ms, and up to a half of that
// more, as `random` has it.
[[nodiscard]] std::int64_t webhook_wait_ms(int attempt, std::int64_t first_ms, std::uint32_t random) noexcept;
// What Retry-After says in seconds, in milliseconds, at most limits::webhook_retry_max_ms; 0: nothing that is understood.
[[nodiscard]] std::int64_t retry_after_ms(std::string_view text) noexcept;

// What is authenticated with a wrapped secret: it is good for this endpoint alone.
[[nodiscard]] std::string webhook_secret_context(std::string_view endpoint_id);

}  // namespace licet::app
