// What a client sends, taken apart as RFC 6455 and RFC 7692 have it: good and bad, in one piece and byte by byte.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "server/stream/delivery/deflate.h"
#include "server/stream/delivery/websocket_reader.h"

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

struct Read {
    std::string reply;
    std::vector<WebsocketReader::Message> messages;
    bool closed = false;
    std::optional<CloseCode> error;
    std::size_t used = 0;  // bytes given until it ended
};
Read read_in_pieces(std::string_view bytes, std::size_t size, WebsocketReader::Compression compression) {
    WebsocketReader reader(compression);
    Read out;
    while (out.used < bytes.size() && !out.closed && !out.error) {
        auto one = reader.feed(bytes.substr(out.used, size));
        out.used += std::min(size, bytes.size() - out.used);
        out.reply += one.reply;
        for (auto& message : one.messages) out.messages.push_back(std::move(message));
        out.closed = one.closed;
        out.error = one.error;
    }
    return out;
}
// The same whole and in pieces.
Read read(std::string_view bytes, WebsocketReader::Compression compression = WebsocketReader::Compression::off) {
    const Read whole = read_in_pieces(bytes, bytes.size(), compression);
    for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{997}}) {
        const Read pieces = read_in_pieces(bytes, size, compression);
        CHECK(pieces.reply == whole.reply);
        CHECK(pieces.closed == whole.closed);
        CHECK(pieces.error == whole.error);
        REQUIRE(pieces.messages.size() == whole.messages.size());
        for (std::size_t i = 0; i < whole.messages.size(); ++i) {
            CHECK(pieces.messages[i].payload == whole.messages[i].payload);
            CHECK(pieces.messages[i].binary == whole.messages[i].binary);
        }
    }
    return whole;
}
std::string deflated(std::string_view text) {
    std::string out;
    REQUIRE(Deflater().compress(text, out));
    return out;
}
constexpr auto kDeflate = WebsocketReader::Compression::permessage_deflate;

}  // namespace

TEST_CASE("messages are handed on whole, whatever fragments they come in and whatever control frames come between") {
    auto out = read(client_frame(0x81, "whole") + client_frame(0x82, "\x00\xff"s) + client_frame(0x81, ""));
    REQUIRE(out.messages.size() == 3);
    CHECK(out.messages[0].payload == "whole");
    CHECK_FALSE(out.messages[0].binary);
    CHECK(out.messages[1].payload == "\x00\xff"s);
    CHECK(out.messages[1].binary);
    CHECK(out.messages[2].payload.empty());
    out = read(client_frame(0x01, "fra") + client_frame(0x89, "between") + client_frame(0x00, "") + client_frame(0x8a, "") +
               client_frame(0x00, "gme") + client_frame(0x80, "nt") + client_frame(0x82, "next"));
    REQUIRE(out.messages.size() == 2);
    CHECK(out.messages[0].payload == "fragment");
    CHECK(out.messages[1].payload == "next");
    CHECK(out.reply ==
          "\x8a\x07"
          "between");
    // All lengths of a head.
    for (const std::size_t size : {125, 126, 127, 65535})
        CHECK(read(client_frame(0x82, std::string(size, 'x'))).messages.at(0).payload.size() == size);
    CHECK(read(client_frame(0x82, std::string(limits::client_message_max_bytes, 'x'))).messages.size() == 1);
}

TEST_CASE("messages do not interleave, and nothing continues none") {
    CHECK(read(client_frame(0x01, "a") + client_frame(0x81, "b")).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0x01, "a") + client_frame(0x01, "b")).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0x02, "a") + client_frame(0x82, "b")).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0x80, "a")).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0x81, "a") + client_frame(0x00, "b")).error == CloseCode::protocol_error);
    const auto out = read(client_frame(0x01, "a") + client_frame(0x80, "b") + client_frame(0x80, "c"));
    CHECK(out.messages.size() == 1);
    CHECK(out.error == CloseCode::protocol_error);
}

TEST_CASE("a message is as large as its limit, all fragments together, and refused from the head that goes past it") {
    const std::string half(limits::client_message_max_bytes / 2, 'x');
    CHECK(read(client_frame(0x02, half) + client_frame(0x80, half)).messages.size() == 1);
    CHECK(read(client_frame(0x02, half) + client_frame(0x00, half) + client_frame(0x80, "x").substr(0, 6)).error == CloseCode::too_big);
    CHECK(read("\x82\xff\x00\x00\x00\x00\x00\x01\x00\x01mask"s).error == CloseCode::too_big);
    CHECK(read("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask"s).error == CloseCode::too_big);
}

TEST_CASE("a length has its shortest form") {
    CHECK(read("\x82\xfe\x00\x7dmask"s).error == CloseCode::protocol_error);
    CHECK(read("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffmask"s).error == CloseCode::protocol_error);
    CHECK(read("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask"s).error == CloseCode::protocol_error);
}

TEST_CASE("text is UTF-8, and what is not is refused with the byte that settles it") {
    for (const auto& good :
         {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"s, "\x00"s, "\xc2\x80"s, "\xe0\xa0\x80"s, "\xf0\x90\x80\x80"s, "\x7f"s, "\xdf\xbf"s,
          "\xef\xbf\xbf"s, "\xf4\x8f\xbf\xbf"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xef\xbf\xbd"s, "\xf0\x9f\xbf\xbe"s}) {
        CAPTURE(good);
        CHECK(read(client_frame(0x81, good)).messages.size() == 1);
        // Characters may be cut by fragments.
        CHECK(read(client_frame(0x01, good.substr(0, 1)) + client_frame(0x80, good.substr(1))).messages.size() == 1);
        CHECK(read(client_frame(0x82, good.substr(0, 1))).messages.size() == 1);
    }
    for (const auto& bad : {"\x80"s,
                            "\xbf"s,
                            "\xc0\x80"s,
                            "\xc1\xbf"s,
                            "\xc2"s,
                            "\xc3\x28"s,
                            "\xe0\x80\x80"s,
                            "\xe0\x9f\xbf"s,
                            "\xe2\x82"s,
                            "\xed\xa0\x80"s,
                            "\xed\xbf\xbf"s,
                            "\xf0\x80\x80\x80"s,
                            "\xf0\x8f\xbf\xbf"s,
                            "\xf4\x90\x80\x80"s,
                            "\xf5\x80\x80\x80"s,
                            "\xf8\x88\x80\x80\x80"s,
                            "\xfc\x84\x80\x80\x80\x80"s,
                            "\xfe"s,
                            "\xff"s,
                            "\xed\xa0\x80\xed\xb0\x80"s,
                            "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80 edited"s}) {
        CAPTURE(bad);
        CHECK(read(client_frame(0x81, bad)).error == CloseCode::invalid_payload);
        CHECK(read(client_frame(0x81, "text before " + bad)).error == CloseCode::invalid_payload);
        CHECK(read(client_frame(0x01, bad.substr(0, 1)) + client_frame(0x80, bad.substr(1))).error == CloseCode::invalid_payload);
        CHECK(read(client_frame(0x82, bad)).messages.size() == 1);
    }
    // Known before the frame, or the message, ends.
    const std::string cut = "abc\xf4\x90";
    const auto out = read_in_pieces(client_frame(0x01, cut + std::string(100, 'x')), 1, WebsocketReader::Compression::off);
    CHECK(out.error == CloseCode::invalid_payload);
    CHECK(out.used == 6 + cut.size());
}

TEST_CASE("compressed messages are taken where that was agreed, in fragments and with control frames between") {
    const std::string text(3000, 'a');
    const std::string packed = deflated(text);
    CHECK(packed.size() < 100);
    auto out = read(client_frame(0xc1, packed), kDeflate);
    REQUIRE(out.messages.size() == 1);
    CHECK(out.messages[0].payload == text);
    out = read(client_frame(0x41, packed.substr(0, 3)) + client_frame(0x89, "p") + client_frame(0x00, "") + client_frame(0x80, packed.substr(3)) +
                   client_frame(0x81, "plain"),
               kDeflate);
    REQUIRE(out.messages.size() == 2);
    CHECK(out.messages[0].payload == text);
    CHECK(out.messages[1].payload == "plain");
    // RFC 7692 section 7.2.3: "Hello" in one block, in two, without compression, in a block marked as the last; 7.2.3.6: an empty message.
    for (const auto& hello : {"\xf2\x48\xcd\xc9\xc9\x07\x00"s, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s,
                              "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s}) {
        out = read(client_frame(0xc1, hello), kDeflate);
        CHECK_FALSE(out.error);
        REQUIRE(out.messages.size() == 1);
        CHECK(out.messages[0].payload == "Hello");
    }
    CHECK(read(client_frame(0xc1, "\x00"s), kDeflate).messages.at(0).payload.empty());
}

TEST_CASE("compression is refused where it was not agreed, where it has no place, and where it lies") {
    const std::string packed = deflated(std::string(3000, 'a'));
    CHECK(read(client_frame(0xc1, packed)).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0xc9, "ping"), kDeflate).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0x41, packed.substr(0, 3)) + client_frame(0xc0, packed.substr(3)), kDeflate).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0xa1, packed), kDeflate).error == CloseCode::protocol_error);
    CHECK(read(client_frame(0xc1, "\xff\xff\xff\xff"), kDeflate).error == CloseCode::invalid_payload);
    CHECK(read(client_frame(0xc1, deflated(std::string(400, '\xff'))), kDeflate).error == CloseCode::invalid_payload);  // not UTF-8
    // A bomb is given up where it passes the limit.
    const std::string bomb = deflated(std::string(limits::client_message_max_bytes + 1, 'x'));
    CHECK(bomb.size() < 2000);
    CHECK(read(client_frame(0xc2, bomb), kDeflate).error == CloseCode::too_big);
    CHECK(read(client_frame(0xc2, deflated(std::string(limits::client_message_max_bytes, 'x'))), kDeflate).messages.size() == 1);
}

TEST_CASE("an offer of compression is accepted with the memory that is ours to give") {
    const std::string yes = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (const auto* offer :
         {"permessage-deflate", "permessage-deflate; client_max_window_bits",
          "permessage-deflate; client_max_window_bits=9; server_max_window_bits=15",
          "x-unknown, permessage-deflate; server_no_context_takeover; client_no_context_takeover",
          "permessage-deflate; server_max_window_bits=10, permessage-deflate", "permessage-deflate; client_max_window_bits=\"12\""}) {
        CAPTURE(std::string(offer));
        CHECK(accept_deflate(offer) ==
              yes + (std::string_view(offer).find("server_max_window_bits=15") != std::string_view::npos ? "; server_max_window_bits=15" : ""));
    }
    for (const auto* offer : {"", "x-webkit-deflate-frame", "permessage-deflate; server_max_window_bits=10",
                              "permessage-deflate; server_max_window_bits", "permessage-deflate; client_max_window_bits=7",
                              "permessage-deflate; client_max_window_bits=016", "permessage-deflate; server_no_context_takeover=1",
                              "permessage-deflate; unknown", "permessage-deflate; client_max_window_bits; client_max_window_bits"}) {
        CAPTURE(std::string(offer));
        CHECK_FALSE(accept_deflate(offer));
    }
}

TEST_CASE("a message compressed once is the same for everybody, and one that would not shrink stays as it is") {
    Deflater deflater;
    std::string first, second, third;
    const std::string event =
        R"({"specversion":"1.0","id":"1","source":"https://example.org/source","type":"org.example.event","data":{"example":"example"}})";
    CHECK(deflater.compress(event, first));
    CHECK(deflater.compress(std::string(5000, 'b'), second));
    CHECK(deflater.compress(event, third));
    CHECK(first == third);  // nothing of the one between
    CHECK_FALSE(deflater.compress("x", first));
    CHECK_FALSE(deflater.compress("", first));
    const auto out = read(client_frame(0xc1, third), kDeflate);
    CHECK(out.messages.at(0).payload == event);
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
