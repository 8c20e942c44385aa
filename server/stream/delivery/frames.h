// Wire framing of streams: server-side WebSocket frames (RFC 6455) and server-sent events (WHATWG HTML), written ready for a tape. Used by views and
// sessions; what a subscriber sends is taken apart in websocket_reader.h. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace licet::stream {

// Appends one unmasked text message frame.
void append_websocket_text(std::string_view payload, std::string& out);
// The same of what Deflater made of it, where permessage-deflate was agreed.
void append_websocket_compressed_text(std::string_view packed, std::string& out);
// Appends one unmasked binary message frame.
void append_websocket_binary(std::string_view payload, std::string& out);
// Appends `id: <cursor>\ndata: <payload>\n\n`. A line break within the payload (JSON is minified: there should be none) begins another `data:` line,
// so that no payload can write a field of its own.
void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out);

// How a stream ends. Codes from 4400 on are ours and follow HTTP's; docs/delivery.md says what each means for a subscriber.
enum class CloseCode : std::uint16_t {
    normal = 1000,  // `until` reached
    protocol_error = 1002,
    unsupported_data = 1003,  // a message from a subscriber that is no ack
    invalid_payload = 1007,   // text that is not UTF-8, compression that is not DEFLATE
    policy_violation = 1008,  // the contract ended or was suspended
    too_big = 1009,
    internal = 1011,
    service_restart = 1012,  // draining: reconnect with the last cursor
    try_again_later = 1013,  // this node may not deliver at the moment
    token_expired = 4401,
    token_revoked = 4403,
    lagging = 4408,          // behind the head for longer than subscriber_lag_max_ms
    cursor_gone = 4410,      // what comes next is no longer kept
    quota_exhausted = 4429,  // a hard quota of the contract is used up
};
// `reason`, "; retry=" and "; cursor=" (0 and empty: left out) are UTF-8; cut to 123 bytes at a character's end.
void append_websocket_close(CloseCode code, std::string_view reason, std::string_view cursor, int retry_ms, std::string& out);
// The same for SSE, as a comment. `retry:` (0: none) and, with a cursor (it may be empty), an `id:` field follow: they move the reconnection
// time and Last-Event-ID, and make no event.
void append_sse_end(CloseCode code, std::string_view reason, std::string_view cursor, int retry_ms, std::string& out);
void append_websocket_ping(std::string& out);
// Answers to the peer's.
void append_websocket_pong(std::string_view payload, std::string& out);
void append_websocket_close_reply(std::string_view code, std::string& out);  // two bytes, or none

}  // namespace licet::stream
