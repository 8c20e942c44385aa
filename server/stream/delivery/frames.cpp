#include "server/stream/delivery/frames.h"

#include <algorithm>

namespace licet::stream {
namespace {

constexpr std::size_t kControlMaxBytes = 125, kReasonMaxBytes = kControlMaxBytes - 2;

constexpr unsigned kFin = 0x80, kCompressed = 0x40;  // RFC 6455 section 5.2, RFC 7692 section 6

enum Opcode : unsigned { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

void append_frame(unsigned first, std::string_view payload, std::string& out) {
    out += static_cast<char>(kFin | first);
    if (payload.size() < 126) {
        out += static_cast<char>(payload.size());
    } else if (payload.size() < 65536) {
        out += static_cast<char>(126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size());
    } else {
        out += static_cast<char>(127);
        for (int i = 7; i >= 0; --i) out += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
    }
    out += payload;
}

}  // namespace

void append_websocket_text(std::string_view payload, std::string& out) { append_frame(text, payload, out); }

void append_websocket_compressed_text(std::string_view packed, std::string& out) { append_frame(kCompressed | text, packed, out); }

void append_websocket_binary(std::string_view payload, std::string& out) { append_frame(binary, payload, out); }

void append_sse_event(std::string_view cursor, std::string_view payload, std::string& out) {
    out += "id: ";
    out += cursor;
    for (;;) {
        out += "\ndata: ";
        const auto line_end = std::min(payload.find('\n'), payload.find('\r'));
        out += payload.substr(0, line_end);
        if (line_end == std::string_view::npos) break;
        payload.remove_prefix(line_end + (payload.substr(line_end, 2) == "\r\n" ? 2 : 1));
    }
    out += "\n\n";
}

void append_sse_end(CloseCode code, std::string_view reason, std::string_view cursor, int retry_ms, std::string& out) {
    out += ": " + std::to_string(static_cast<int>(code)) + " ";
    out += reason;
    if (retry_ms > 0) out += "\nretry: " + std::to_string(retry_ms);
    if (!cursor.empty()) out.append("\nid: ").append(cursor);
    out += "\n\n";
}

void append_websocket_close(CloseCode code, std::string_view what, std::string_view cursor, int retry_ms, std::string& out) {
    std::string payload, reason(what);
    payload += static_cast<char>(static_cast<std::uint16_t>(code) >> 8);
    payload += static_cast<char>(static_cast<std::uint16_t>(code));
    if (retry_ms > 0) reason += "; retry=" + std::to_string(retry_ms);
    // Half a cursor is none.
    constexpr std::string_view kCursor = "; cursor=";
    if (!cursor.empty() && reason.size() + kCursor.size() + cursor.size() <= kReasonMaxBytes) reason.append(kCursor).append(cursor);
    std::size_t size = std::min(reason.size(), kReasonMaxBytes);
    while (size < reason.size() && size > 0 && (static_cast<unsigned char>(reason[size]) & 0xc0) == 0x80) --size;
    payload += reason.substr(0, size);
    append_frame(close, payload, out);
}

void append_websocket_ping(std::string& out) { append_frame(ping, {}, out); }

void append_websocket_pong(std::string_view payload, std::string& out) { append_frame(pong, payload, out); }

void append_websocket_close_reply(std::string_view code, std::string& out) { append_frame(close, code, out); }

}  // namespace licet::stream
