// Request heads and targets: what is accepted has one framing and one spelling.
#include "base/limits.h"
#include "server/stream/edge/head.h"
#include "server/stream/edge/target.h"
#include "tests/fuzz/fuzz.h"

using namespace licet;
using fuzz::require;

std::vector<std::string> licet::fuzz::seeds() {
    return {"GET /v1/products/wiki/events?from=latest&limit=5 HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
            "POST /a%2fb HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX: a\r\n b\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "/v1/../x?a=%00&a=1",
            "/v1/%e9/a+b?q=a+b&r=%2B"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const auto text = fuzz::as_text(bytes, size);
    if (const auto found = stream::find_head(text); found && *found > 0) {
        const auto head = text.substr(0, *found);
        require(head.ends_with("\r\n\r\n") && head.size() <= limits::request_header_max_bytes, "a head ends with an empty line, within its limit");
        require(stream::find_head(head).value() == head.size(), "and is found again");
        if (stream::check_head(head)) {
            require(head.find("\r\n ") == std::string_view::npos && head.find("\r\n\t") == std::string_view::npos, "no folded line");
            for (std::size_t i = 0; i < head.size(); ++i) {
                require(head[i] != '\r' || head[i + 1] == '\n', "no lone CR");
                require(head[i] != '\n' || head[i - 1] == '\r', "no lone LF");
                require(head[i] != '\0', "no NUL");
            }
        }
    }
    if (const auto target = stream::parse_target(text, "edge")) {
        for (const auto& segment : target->segments) {
            require(!segment.empty() && segment != "." && segment != "..", "no segment that moves");
            for (const char c : segment)
                require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '/', "no separator, no control character");
        }
        require(stream::parse_target(target->path, "edge").value().segments == target->segments, "the path alone reads the same");
    }
    return 0;
}
