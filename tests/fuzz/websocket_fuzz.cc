// WebSocket bytes from a subscriber: taken whole or byte by byte, the reader says the same; a reply is a sequence of control frames.
#include "server/stream/delivery/frames.h"
#include "tests/fuzz/fuzz.h"

using licet::fuzz::require;
using licet::stream::WebsocketReader;

std::vector<std::string> licet::fuzz::seeds() {
    const std::string mask = "\x01\x02\x03\x04";
    return {"\x89\x82" + mask + "ab",
            "\x8a\x80" + mask,
            "\x88\x82" + mask + std::string("\x02\xea", 2),
            "\x89\x80" + mask + "\x89\x85" + mask + "hello" + "\x88\x80" + mask,
            "\x81\x82" + mask + "hi",
            std::string("\x89\xfe\x00\x7e", 4) + mask + std::string(126, 'x'),
            std::string("\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00", 10) + mask};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const auto text = licet::fuzz::as_text(bytes, size);
    WebsocketReader whole, drops;
    const auto one = whole.feed(text);
    WebsocketReader::Outcome sum;
    for (std::size_t i = 0; i < text.size() && !sum.closed && !sum.error; ++i) {
        const auto step = drops.feed(text.substr(i, 1));
        sum.reply += step.reply;
        sum.closed = step.closed;
        sum.error = step.error;
    }
    require(one.reply == sum.reply && one.closed == sum.closed && one.error == sum.error, "pieces make no difference");
    for (std::size_t at = 0; at < one.reply.size();) {
        require(one.reply.size() - at >= 2, "a frame has a head");
        const auto first = static_cast<unsigned char>(one.reply[at]), second = static_cast<unsigned char>(one.reply[at + 1]);
        require(first == 0x8a || first == 0x88, "replies are pongs and closes");
        require(second < 126 && one.reply.size() - at >= 2u + second, "of control frames' size, unmasked");
        at += 2u + second;
    }
    return 0;
}
