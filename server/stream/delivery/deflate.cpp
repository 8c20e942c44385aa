#include "server/stream/delivery/deflate.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/beast/zlib/inflate_stream.hpp>
#include <charconv>
#include <set>

namespace licet::stream {

namespace beast = boost::beast;
namespace zlib = boost::beast::zlib;

namespace {

constexpr int kLevel = 1, kMemoryLevel = 6;  // of zlib: the fastest that still finds repetitions; its tables are cleared for every message

// RFC 7692 section 7.1: a decimal number without leading zeros.
std::optional<int> window_bits(std::string_view text) {
    int value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || text.front() == '0' || value < 8 || value > 15) return std::nullopt;
    return value;
}

bool acceptable(const beast::http::param_list& parameters) {
    std::set<std::string> seen;
    for (const auto& [name, raw] : parameters) {
        const std::string_view value(raw.data(), raw.size());
        if (!seen.insert(std::string(name)).second) return false;
        if (beast::iequals(name, "server_no_context_takeover") || beast::iequals(name, "client_no_context_takeover")) {
            if (!value.empty()) return false;
        } else if (beast::iequals(name, "client_max_window_bits")) {
            if (!value.empty() && !window_bits(value)) return false;
        } else if (beast::iequals(name, "server_max_window_bits")) {
            if (value.empty() || window_bits(value) != 15) return false;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace

std::optional<std::string> accept_deflate(std::string_view offers) {
    // One by one: Boost 1.81 gives an extension without parameters those of the one before. No value we accept has a comma in it.
    while (!offers.empty()) {
        const auto one = offers.substr(0, offers.find(','));
        offers.remove_prefix(std::min(offers.size(), one.size() + 1));
        for (const auto& [name, parameters] : beast::http::ext_list{{one.data(), one.size()}})
            if (beast::iequals(name, "permessage-deflate") && acceptable(parameters)) {
                std::string out = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
                for (const auto& [parameter, value] : parameters)  // section 7.1.2.1: accepted by saying it again
                    if (beast::iequals(parameter, "server_max_window_bits")) out += "; server_max_window_bits=15";
                return out;
            }
    }
    return std::nullopt;
}

struct Deflater::Stream {
    zlib::deflate_stream deflate;
};
Deflater::Deflater() : stream_(std::make_unique<Stream>()) { stream_->deflate.reset(kLevel, 15, kMemoryLevel, zlib::Strategy::normal); }
Deflater::~Deflater() = default;

bool Deflater::compress(std::string_view message, std::string& out) {
    // With four bytes more than the message the tail fits that comes off again.
    out.resize(message.size() + 4);
    zlib::z_params io;
    io.next_in = message.data();
    io.avail_in = message.size();
    io.next_out = out.data();
    io.avail_out = out.size();
    beast::error_code error;
    stream_->deflate.write(io, zlib::Flush::sync, error);
    const bool whole = !error && io.avail_in == 0 && io.avail_out > 0;
    out.resize(out.size() - io.avail_out);
    stream_->deflate.reset();
    if (!whole || !out.ends_with(std::string_view("\x00\x00\xff\xff", 4))) return false;
    out.resize(out.size() - 4);
    return out.size() < message.size();
}

struct Inflater::Stream {
    zlib::inflate_stream inflate;
};
Inflater::Inflater() : stream_(std::make_unique<Stream>()) { stream_->inflate.reset(15); }
Inflater::~Inflater() = default;

Inflater::Fed Inflater::feed(std::string_view piece, std::string& out, std::size_t most) {
    std::array<char, 4096> room;
    zlib::z_params io;
    io.next_in = piece.data();
    io.avail_in = piece.size();
    for (;;) {
        io.next_out = room.data();
        io.avail_out = room.size();
        beast::error_code error;
        stream_->inflate.write(io, zlib::Flush::sync, error);
        const std::size_t made = room.size() - io.avail_out;
        if (out.size() + made > most) return Fed::too_big;
        out.append(room.data(), made);
        if (error == zlib::error::end_of_stream)
            stream_->inflate.reset(15);  // RFC 7692 section 7.2.3.4: a block marked as the last, and what follows it
        else if (error && error != zlib::error::need_buffers)
            return Fed::malformed;
        if (io.avail_in == 0 && made < room.size()) return Fed::taken;
        if (error == zlib::error::need_buffers && made == 0) return Fed::taken;
    }
}

}  // namespace licet::stream
