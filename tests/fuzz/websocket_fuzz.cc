// WebSocket bytes from a subscriber: taken whole or byte by byte, the reader says the same; a reply is a sequence of control frames, text is UTF-8
// and no message larger than it may be. The first byte says whether compression was agreed on.
#include "base/limits.h"
#include "event/json_text.h"
#include "server/stream/delivery/websocket_reader.h"
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
            std::string("\x82\xff\x00\x00\x00\x01\x00\x00\x00\x00", 10) + mask,
            "\x01\x83" + mask + "frag" + "\x89\x80" + mask + "\x80\x84" + mask + "ment",
            "\xc1\x87" + mask + std::string("\xf3\x4a\xce\xcd\xc8\x05\x03", 7)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    auto text = licet::fuzz::as_text(bytes, size);
    const bool compressed = !text.empty() && text.front() == '\xc1';
    const auto compression = compressed ? WebsocketReader::Compression::permessage_deflate : WebsocketReader::Compression::off;
    WebsocketReader whole(compression), drops(compression);
    const auto one = whole.feed(text);
    WebsocketReader::Outcome sum;
    for (std::size_t i = 0; i < text.size() && !sum.closed && !sum.error; ++i) {
        auto step = drops.feed(text.substr(i, 1));
        sum.reply += step.reply;
        for (auto& message : step.messages) sum.messages.push_back(std::move(message));
        sum.closed = step.closed;
        sum.error = step.error;
    }
    require(one.reply == sum.reply && one.closed == sum.closed && one.error == sum.error, "pieces make no difference");
    require(one.messages.size() == sum.messages.size(), "nor to messages");
    for (std::size_t i = 0; i < one.messages.size(); ++i) {
        const auto& message = one.messages[i];
        require(message.payload == sum.messages[i].payload && message.binary == sum.messages[i].binary, "nor to what is in them");
        require(message.payload.size() <= licet::limits::client_message_max_bytes, "a message is bounded");
        require(message.binary || licet::event::valid_utf8(message.payload), "text is UTF-8");
    }
    for (std::size_t at = 0; at < one.reply.size();) {
        require(one.reply.size() - at >= 2, "a frame has a head");
        const auto first = static_cast<unsigned char>(one.reply[at]), second = static_cast<unsigned char>(one.reply[at + 1]);
        require(first == 0x8a || first == 0x88, "replies are pongs and closes");
        require(second < 126 && one.reply.size() - at >= 2u + second, "of control frames' size, unmasked");
        at += 2u + second;
    }
    return 0;
}
