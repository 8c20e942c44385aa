#include "bench/support/check.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/support/feed.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

std::uint64_t check_frame(std::string_view payload, std::uint64_t n, bool governed) {
    const auto event = nlohmann::json::parse(payload, nullptr, false);
    const std::string id = event_id(n);
    if (!event.is_object() || event.value("id", "") != id || event.at("data").value("n", "") != id)
        die("expected event " + id + ": " + std::string(payload));
    if (!governed) {
        if (event.at("data").value("user", "") != subject_name(subject_of(n)))
            die("a value was changed that nothing governs: " + std::string(payload));
    } else if (event.at("data").value("user", "").size() != 43 || payload.find(subject_name(subject_of(n))) != std::string_view::npos)
        die("an address left in clear: " + std::string(payload));
    return event.at("data").dump().size();
}

// The number of the event in a frame, from its id.
std::uint64_t number_of(std::string_view payload) {
    constexpr std::string_view kId = R"("id":")";
    const auto at = payload.find(kId);
    if (at == std::string_view::npos) die("not an event: " + std::string(payload));
    return std::strtoull(payload.data() + at + kId.size(), nullptr, 10);
}

}  // namespace

std::uint64_t check_frames(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t batches, std::uint64_t batch_events,
                           bool governed) {
    std::uint64_t billed = 0;
    std::vector<bool> seen(batches);
    const auto next = [&] {
        if (frames.size() < frame_bytes) die("an event is missing at the end");
        const auto frame = frames.substr(0, frame_bytes);
        return frame.substr(frame.find('{'));
    };
    for (std::uint64_t b = 0; b < batches; ++b) {
        const std::uint64_t batch = (number_of(next()) - first) / batch_events;
        if (batch >= batches || seen[batch]) die("a batch came twice, or was not published");
        seen[batch] = true;
        for (std::uint64_t n = first + batch * batch_events; n < first + (batch + 1) * batch_events; ++n) {
            if (governed && !consented(subject_of(n))) continue;
            billed += check_frame(next(), n, governed);
            frames.remove_prefix(frame_bytes);
        }
    }
    if (!frames.empty()) die("more than the consented events was delivered");
    return billed;
}

}  // namespace licet::bench
