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
// Appends `id: <cursor>\ndata: <payload>\n\n`. A line break within the payload (JSON is minified: there should be none) begins another `data:` line,
// so that no payload can write a field of its own.
void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out);

// How a stream ends. Codes from 4400 on are ours and follow HTTP's; docs/delivery.md says what each means for a subscriber.
enum class CloseCode : std::uint16_t {
    normal = 1000,  // `until` reached
    protocol_error = 1002,
    unsupported_data = 1003,  // a data frame from a subscriber
    invalid_payload = 1007,   // a close reason that is not UTF-8
    policy_violation = 1008,  // the contract ended or was suspended
    too_big = 1009,
    internal = 1011,
    service_restart = 1012,  // draining: reconnect with the last cursor
    try_again_later = 1013,  // this node may not deliver at the moment
    token_expired = 4401,
    token_revoked = 4403,
    lagging = 4408,      // behind the head for longer than subscriber_lag_max_ms
    cursor_gone = 4410,  // what comes next is no longer kept
};
// `reason` is UTF-8; cut to 123 bytes at a character's end.
void append_websocket_close(CloseCode code, std::string_view reason, std::string& out);
// The same for SSE, as a comment. With a cursor (it may be empty) an `id:` field follows: it moves Last-Event-ID and makes no event.
void append_sse_end(CloseCode code, std::string_view reason, std::string_view cursor, std::string& out);
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
    struct Head {
        std::uint8_t opcode = 0;
        std::size_t bytes = 0;  // of the head and the masking key
        std::uint64_t payload = 0;
    };
    // nullopt: more bytes are needed, or `out.error` says what is wrong.
    [[nodiscard]] std::optional<Head> read_head(std::size_t at, Outcome& out) const;
    void take(const Head& head, std::string_view payload, Outcome& out);

    std::string buffer_;  // at most one unfinished control frame between calls
};

}  // namespace licet::stream
