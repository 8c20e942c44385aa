// Wire framing of streams: server-side WebSocket frames (RFC 6455) and server-sent events (WHATWG HTML), written ready for a tape; and the little a
// server must read from a subscriber: WebSocket control frames. Used by views and sessions. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace licet::stream {

// Appends one unmasked text message frame.
void append_websocket_text(std::string_view payload, std::string& out);
// Appends `id: <cursor>\ndata: <payload>\n\n`. Precondition: no line breaks in either (JSON is minified, cursors are base64url).
void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out);

// Close codes beyond RFC 6455's, documented in docs/wire-formats.md.
enum class CloseCode : std::uint16_t {
    normal = 1000,            // `until` reached
    unsupported_data = 1003,  // a data frame from a subscriber
    policy_violation = 1008,  // the contract ended or was suspended
    too_big = 1009,
    internal = 1011,
    service_restart = 1012,  // draining: reconnect with the last cursor
    try_again_later = 1013,  // this node may not deliver at the moment
    token_expired = 4401,
    token_revoked = 4403,
};
void append_websocket_close(CloseCode code, std::string_view reason, std::string& out);
void append_websocket_ping(std::string& out);

// Takes client bytes apart. Data frames are not accepted; control frames may be answered.
class WebsocketReader {
  public:
    struct Outcome {
        std::string reply;               // pong or close frames to send
        bool closed = false;             // the peer closed: send `reply`, then end
        std::optional<CloseCode> error;  // a violation: close with this code
    };
    [[nodiscard]] Outcome feed(std::string_view bytes);

  private:
    std::string buffer_;
};

}  // namespace licet::stream
