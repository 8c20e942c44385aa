// Frames as RFC 6455 and the SSE specification have them, as a server sends them.
#include <doctest/doctest.h>

#include <string>

#include "server/stream/delivery/frames.h"

using namespace licet::stream;
using namespace std::string_literals;

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
    std::string binary;
    append_websocket_binary("\x00\xff"s, binary);
    CHECK(binary == "\x82\x02\x00\xff"s);
}

TEST_CASE("a close frame's reason is cut at a character") {
    std::string out;
    append_websocket_close(CloseCode::service_restart, "going", "", 0, out);
    CHECK(out == "\x88\x07\x03\xf4going"s);
    out.clear();
    append_websocket_close(CloseCode::normal, std::string(122, 'a') + "\xc3\xa9", "", 0, out);  // é would end at 124
    CHECK(out.size() == 2 + 2 + 122);
    out.clear();
    append_websocket_close(CloseCode::normal, std::string(121, 'a') + "\xc3\xa9", "", 0, out);
    CHECK(out.size() == 2 + 2 + 123);
    out.clear();
    std::string whole, half;
    append_websocket_close(CloseCode::normal, std::string(52, 'a'), std::string(62, 'c'), 0, whole);
    CHECK(whole.size() == 2 + 2 + 52 + 9 + 62);
    append_websocket_close(CloseCode::normal, std::string(53, 'a'), std::string(62, 'c'), 0, half);  // half a cursor is none
    CHECK(half.size() == 2 + 2 + 53);
    append_websocket_close(CloseCode::service_restart, "going", "CUR", 1500, out);
    CHECK(out == "\x88\x1f\x03\xf4going; retry=1500; cursor=CUR"s);
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
    append_sse_end(CloseCode::lagging, "slower than the stream", "CUR", 0, out);
    CHECK(out == ": 4408 slower than the stream\nid: CUR\n\n");
    out.clear();
    append_sse_end(CloseCode::service_restart, "going", "CUR", 1500, out);
    CHECK(out == ": 1012 going\nretry: 1500\nid: CUR\n\n");
    out.clear();
    append_sse_end(CloseCode::internal, "why", "", 0, out);
    CHECK(out == ": 1011 why\n\n");
}
