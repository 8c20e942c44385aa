// Frames as RFC 6455 and the SSE specification have them.
#include <doctest/doctest.h>

#include <string>

#include "base/limits.h"
#include "server/stream/delivery/frames.h"

using namespace licet::stream;
namespace limits = licet::limits;
using namespace std::string_literals;

namespace {

// A client's frame; `head` has FIN and opcode, `mask` zero bytes: not masked.
std::string client_frame(unsigned char head, std::string payload, std::string mask = "\x11\x22\x33\x44") {
    std::string out(1, static_cast<char>(head));
    const unsigned masked = mask.empty() ? 0 : 0x80;
    if (payload.size() < 126) {
        out += static_cast<char>(masked | payload.size());
    } else if (payload.size() < 65536) {
        out += static_cast<char>(masked | 126);
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size());
    } else {
        out += static_cast<char>(masked | 127);
        for (int i = 7; i >= 0; --i) out += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> (8 * i));
    }
    out += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) out += mask.empty() ? payload[i] : static_cast<char>(payload[i] ^ mask[i % 4]);
    return out;
}
std::string close_payload(int code, std::string reason = "") { return std::string{static_cast<char>(code >> 8), static_cast<char>(code)} + reason; }
std::optional<CloseCode> error_of(std::string bytes) { return WebsocketReader().feed(bytes).error; }

}  // namespace

TEST_CASE("text frames carry the shortest length that holds") {
    const auto head = [](std::size_t size) {
        std::string out;
        append_websocket_text(std::string(size, 'x'), out);
        return out.substr(0, out.size() - size);
    };
    CHECK(head(0) == "\x81\x00"s);
    CHECK(head(125) == "\x81\x7d"s);
    CHECK(head(126) == "\x81\x7e\x00\x7e"s);
    CHECK(head(65535) == "\x81\x7e\xff\xff"s);
    CHECK(head(65536) == "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST_CASE("a close frame's reason is cut at a character") {
    std::string out;
    append_websocket_close(CloseCode::service_restart, "going", out);
    CHECK(out == "\x88\x07\x03\xf4going"s);
    out.clear();
    append_websocket_close(CloseCode::normal, std::string(122, 'a') + "\xc3\xa9", out);  // é would end at 124
    CHECK(out.size() == 2 + 2 + 122);
    out.clear();
    append_websocket_close(CloseCode::normal, std::string(121, 'a') + "\xc3\xa9", out);
    CHECK(out.size() == 2 + 2 + 123);
}

TEST_CASE("a payload cannot write SSE fields of its own") {
    std::string out;
    append_sse_event("CUR", R"({"a":1})", out);
    CHECK(out == "id: CUR\ndata: {\"a\":1}\n\n");
    out.clear();
    append_sse_event("CUR", "{\n\"a\":\r\n1\r}\nid: forged", out);
    CHECK(out == "id: CUR\ndata: {\ndata: \"a\":\ndata: 1\ndata: }\ndata: id: forged\n\n");
    out.clear();
    append_sse_event("CUR", "{}\n", out);
    CHECK(out == "id: CUR\ndata: {}\ndata: \n\n");
}

TEST_CASE("the end of an SSE stream is a comment and an id, never an event") {
    std::string out;
    append_sse_end(CloseCode::lagging, "slower than the stream", "CUR", out);
    CHECK(out == ": 4408 slower than the stream\nid: CUR\n\n");
    out.clear();
    append_sse_end(CloseCode::internal, "why", "", out);
    CHECK(out == ": 1011 why\n\n");
}

TEST_CASE("pings are answered with their payload, pongs are taken") {
    WebsocketReader reader;
    auto out = reader.feed(client_frame(0x89, "hello"));
    CHECK(out.reply == "\x8a\x05hello");
    CHECK_FALSE(out.closed);
    CHECK_FALSE(out.error);
    out = reader.feed(client_frame(0x8a, "whatever") + client_frame(0x89, "") + client_frame(0x89, std::string(125, 'p')));
    CHECK(out.reply == "\x8a\x00"s + "\x8a\x7d" + std::string(125, 'p'));
}

TEST_CASE("frames are read whatever pieces they come in") {
    const std::string bytes = client_frame(0x89, "one") + client_frame(0x8a, "") + client_frame(0x89, std::string(125, '2')) +
                              client_frame(0x88, close_payload(1000, "bye"));
    const auto whole = WebsocketReader().feed(bytes);
    REQUIRE(whole.closed);
    for (std::size_t size = 1; size <= 9; ++size) {
        WebsocketReader reader;
        std::string replies;
        bool closed = false;
        for (std::size_t at = 0; at < bytes.size(); at += size) {
            REQUIRE_FALSE(closed);
            const auto out = reader.feed(std::string_view(bytes).substr(at, size));
            REQUIRE_FALSE(out.error);
            replies += out.reply;
            closed = out.closed;
        }
        CHECK(closed);
        CHECK(replies == whole.reply);
    }
}

TEST_CASE("what a client may not send is a protocol error") {
    CHECK(error_of(client_frame(0x89, "x", "")) == CloseCode::protocol_error);                             // not masked
    CHECK(error_of(client_frame(0x81, "x", "")) == CloseCode::protocol_error);                             //
    CHECK(error_of(client_frame(0x89, std::string(126, 'x'))) == CloseCode::protocol_error);               // control frame too long
    CHECK(error_of(client_frame(0x89, std::string(126, 'x')).substr(0, 2)) == CloseCode::protocol_error);  // known from its first bytes
    CHECK(error_of(client_frame(0x09, "x")) == CloseCode::protocol_error);                                 // control frame in fragments
    CHECK(error_of(client_frame(0x08, "")) == CloseCode::protocol_error);
    for (const int bit : {0x40, 0x20, 0x10})
        for (const int opcode : {0x81, 0x89})
            CHECK(error_of(client_frame(static_cast<unsigned char>(opcode | bit), "x")) == CloseCode::protocol_error);
    for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
        CHECK(error_of(client_frame(static_cast<unsigned char>(0x80 | opcode), "")) == CloseCode::protocol_error);
    CHECK(error_of(client_frame(0x80, "x")) == CloseCode::protocol_error);  // a continuation of nothing
    CHECK(error_of(client_frame(0x00, "x")) == CloseCode::protocol_error);
}

TEST_CASE("data from a subscriber is refused from its head alone, in fragments or not") {
    CHECK(error_of(client_frame(0x81, "hi").substr(0, 2)) == CloseCode::unsupported_data);
    CHECK(error_of(client_frame(0x82, "")) == CloseCode::unsupported_data);
    CHECK(error_of(client_frame(0x01, "begin")) == CloseCode::unsupported_data);
    CHECK(error_of(client_frame(0x81, std::string(limits::client_frame_max_bytes, 'x')).substr(0, 10)) == CloseCode::unsupported_data);
    CHECK(error_of(client_frame(0x81, std::string(limits::client_frame_max_bytes + 1, 'x')).substr(0, 10)) == CloseCode::too_big);
    CHECK(error_of("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"s) == CloseCode::too_big);
    CHECK_FALSE(error_of("\x82\xff\x80\x00"s));  // the length is not complete
    // What came before still gets its answer.
    const auto out = WebsocketReader().feed(client_frame(0x89, "p") + client_frame(0x81, "x") + client_frame(0x89, "q"));
    CHECK(out.reply == "\x8a\x01p");
    CHECK(out.error == CloseCode::unsupported_data);
}

TEST_CASE("a close is answered with its code; codes and reasons are checked") {
    const auto reply = [](std::string payload) {
        const auto out = WebsocketReader().feed(client_frame(0x88, payload));
        CHECK(out.closed);
        CHECK_FALSE(out.error);
        return out.reply;
    };
    CHECK(reply("") == "\x88\x00"s);
    CHECK(reply(close_payload(1000)) == "\x88\x02\x03\xe8"s);
    CHECK(reply(close_payload(1001, "gr\xc3\xbc\xc3\x9f")) == "\x88\x02\x03\xe9"s);
    for (const int code : {1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
        CHECK(reply(close_payload(code)).size() == 4);
    CHECK(error_of(client_frame(0x88, "\x03")) == CloseCode::protocol_error);
    for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535})
        CHECK(error_of(client_frame(0x88, close_payload(code))) == CloseCode::protocol_error);
    CHECK(error_of(client_frame(0x88, close_payload(1000, "\xff"))) == CloseCode::invalid_payload);
    CHECK(error_of(client_frame(0x88, close_payload(1000, "\xc3"))) == CloseCode::invalid_payload);
    CHECK(error_of(client_frame(0x88, close_payload(1000, "\xed\xa0\x80"))) == CloseCode::invalid_payload);  // a surrogate
    // Nothing counts after it.
    const auto out = WebsocketReader().feed(client_frame(0x88, "") + client_frame(0x89, "late"));
    CHECK(out.closed);
    CHECK(out.reply == "\x88\x00"s);
}
