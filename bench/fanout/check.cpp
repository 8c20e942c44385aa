#include "bench/fanout/check.h"

#include <nlohmann/json.hpp>

#include "bench/support/feed.h"
#include "bench/support/machine.h"

namespace licet::bench {

std::uint64_t check_frames(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t count) {
    std::uint64_t billed = 0;
    for (std::uint64_t n = first; n < first + count; ++n) {
        if (!consented(subject_of(n))) continue;
        if (frames.size() < frame_bytes) die("an event is missing at the end");
        const auto frame = frames.substr(0, frame_bytes);
        frames.remove_prefix(frame_bytes);
        const auto payload = frame.substr(frame.find('{'));
        const auto event = nlohmann::json::parse(payload, nullptr, false);
        const std::string id = event_id(n);
        if (!event.is_object() || event.value("id", "") != id || event.at("data").value("n", "") != id)
            die("expected event " + id + ": " + std::string(payload));
        if (event.at("data").value("user", "").size() != 43 || payload.find(subject_name(subject_of(n))) != std::string_view::npos)
            die("an address left in clear: " + std::string(payload));
        billed += event.at("data").dump().size();
    }
    if (!frames.empty()) die("more than the consented events was delivered");
    return billed;
}

}  // namespace licet::bench
