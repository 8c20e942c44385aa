// Where one subscriber stands in its product, over all its connections, and whether what arrives may arrive. Used by chain.h.
//
//   - Numbers grow: one that was received comes again only where the subscriber went back on purpose.
//   - A number that was passed over is a gap, unless it may have been withheld: its person's consent did not stand the whole time from before the
//   event
//     was published until now.
//   - Late is an event of a person whose withdrawal was acknowledged before the event was published, or before the connection was asked for.
//   - The e-mail address looks as a policy says that was in force at some moment between the event (or the connection) and now; it is never the raw
//   one.
//   - `data` has the size that was published.
#pragma once

#include <cstring>

#include "tests/soak/stats.h"
#include "tests/soak/world.h"

namespace soak {

// Of a replay between two moments: what must be in it, what may be in it (milliseconds since Product::origin_ms).
struct Window {
    std::uint32_t since_ms, until_ms;
};

class Position {
  public:
    Position(Stats& stats, Product& product, Taken& taken) : stats_(stats), product_(product), taken_(taken) {}

    [[nodiscard]] std::uint32_t next() const { return next_; }
    [[nodiscard]] const std::string& cursor() const { return cursor_; }
    void set_cursor(std::string_view cursor) { cursor_.assign(cursor); }
    void keep() { kept_next_ = next_, kept_cursor_ = cursor_; }
    // Back to what was kept, on purpose.
    bool go_back() {
        if (kept_cursor_.empty()) return false;
        next_ = kept_next_, cursor_ = kept_cursor_;
        return true;
    }
    void begin(const Window& window) {
        next_ = product_.first_not_before(&Event::begun_ms, window.since_ms, product_.begun);
        window_ = window, replay_ = true, early_ = 0;
        cursor_.clear();
    }
    // A replay that ended by itself has everything that was acknowledged before its end.
    void ended() {
        const auto end = product_.first_not_before(&Event::acknowledged_ms, window_.until_ms, product_.acknowledged);
        passed_over(end, now_ns());
    }

    // `event` is a delivered event's JSON text. `connected_ns`: when the connection, or page, was asked for. `latency_us` may be null. Whether it is
    // one.
    bool received(std::string_view event, std::int64_t connected_ns, std::int64_t now, Histogram* latency_us) {
        static constexpr std::string_view kHead = R"({"specversion":"1.0","id":")", kCursor = R"(,"cursor":")", kData = R"(","data":)";
        if (!event.starts_with(kHead)) return malformed(event);
        std::uint32_t n = 0;
        std::size_t at = kHead.size();
        for (; at < event.size() && event[at] >= '0' && event[at] <= '9'; ++at) n = n * 10 + static_cast<std::uint32_t>(event[at] - '0');
        // The attributes between are of one length.
        if (event.substr(std::min(at + between_, event.size()), kCursor.size()) != kCursor) {
            const auto found = event.find(kCursor, at);
            if (found == std::string_view::npos) return malformed(event);
            between_ = found - at;
        }
        const auto cursor = at + between_ + kCursor.size(), data = cursor + kCursorSize + kData.size();
        if (event.size() < data + kBeforeEmail + kEmailSize || event.substr(cursor + kCursorSize, kData.size()) != kData || event.back() != '}')
            return malformed(event);
        if (n >= product_.begun) {
            stats_.wrong.report("invented", "%s %u, of %u published", product_.name.c_str(), n, product_.begun.load());
            return true;
        }
        const auto size = event.size() - 1 - data;
        judge(n, size, event.substr(data + kBeforeEmail, kEmailSize), connected_ns, now);
        cursor_.assign(event.substr(cursor, kCursorSize));
        if (latency_us != nullptr && stats_.measuring) latency_us->add((now - product_.at(n).begun_ns) / 1000);
        return true;
    }

  private:
    static constexpr std::size_t kCursorSize = 46, kBeforeEmail = std::string_view(R"({"user":{"email":")").size();

    bool malformed(std::string_view event) {
        stats_.wrong.report("malformed", "%s: %.200s", product_.name.c_str(), std::string(event).c_str());
        return false;
    }

    void judge(std::uint32_t n, std::size_t size, std::string_view address, std::int64_t connected_ns, std::int64_t now) {
        const Event& event = product_.at(n);
        ++stats_.deliveries;
        stats_.bytes += size;
        if (size != event.data_bytes) stats_.wrong.report("size", "%s %u: %zu bytes, not %u", product_.name.c_str(), n, size, event.data_bytes);
        if (address[kEmailMark] == '@') stats_.wrong.report("not redacted", "%s %u", product_.name.c_str(), n);
        const char kind = address[0] == '*' || address[0] == '#' ? address[0] : 'h';
        if (!product_.may_look(kind, std::max(event.begun_ns, connected_ns), now))
            stats_.wrong.report("outdated policy", "%s %u: '%c', published %.3f s, connected %.3f s ago", product_.name.c_str(), n, kind,
                                static_cast<double>(now - event.begun_ns) / 1e9, static_cast<double>(now - connected_ns) / 1e9);
        bool stood = true;
        if (product_.kind != Class::steady) {
            const Subject& subject = product_.subjects[event.subject];
            stood = subject.stood_since(event.begun_ns);
            const auto withdrawn = subject.withdrawn_since();
            if (withdrawn != kNever && (event.begun_ns > withdrawn || connected_ns > withdrawn))
                stats_.wrong.report("late", "%s %u of %u: published %.3f s, connected %.3f s after the withdrawal", product_.name.c_str(), n,
                                    event.subject, static_cast<double>(event.begun_ns - withdrawn) / 1e9,
                                    static_cast<double>(connected_ns - withdrawn) / 1e9);
        }
        step(n, now);
        count(n, size, stood);
    }

    void step(std::uint32_t n, std::int64_t now) {
        const Event& event = product_.at(n);
        if (replay_ && event.begun_ms >= window_.until_ms) return stats_.wrong.report("after until", "%s %u", product_.name.c_str(), n);
        if (n < next_) {
            // Of a replay: what was under way at its beginning may be before or after it.
            if (replay_ && event.acknowledged_ms >= window_.since_ms && n + 1 > early_) {
                early_ = n + 1;
                return;
            }
            return stats_.wrong.report(replay_ ? "before since, or a duplicate" : "duplicate", "%s %u, after %u", product_.name.c_str(), n,
                                       next_ - 1);
        }
        passed_over(n, now);
        next_ = n + 1;
    }

    void passed_over(std::uint32_t end, std::int64_t now) {
        for (; next_ < end; ++next_) {
            const Event& event = product_.at(next_);
            ++stats_.withheld;
            if (product_.kind == Class::steady || product_.subjects[event.subject].stood_since(event.begun_ns))
                stats_.wrong.report("gap", "%s %u, published %.3f s ago, before %u%s", product_.name.c_str(), next_,
                                    static_cast<double>(now - event.begun_ns) / 1e9, end, where(event).c_str());
        }
    }

    // Where a number that is missing lies in the moments a replay is of.
    [[nodiscard]] std::string where(const Event& event) const {
        if (!replay_) return {};
        return ", of a replay: accepted between " + std::to_string(event.begun_ms) + " and " + std::to_string(event.acknowledged_ms) +
               ", wanted from " + std::to_string(window_.since_ms) + " to " + std::to_string(window_.until_ms) + " ms";
    }

    void count(std::uint32_t n, std::size_t size, bool stood) {
        if (n >= taken_.numbers.size()) taken_.numbers.resize(n + Product::kChunk);
        if (taken_.numbers[n]) return;
        taken_.numbers[n] = true;
        ++taken_.events;
        taken_.bytes += size;
        if (!stood) return;
        ++taken_.certain_events;
        taken_.certain_bytes += size;
    }

    Stats& stats_;
    Product& product_;
    Taken& taken_;
    std::uint32_t next_ = 0, kept_next_ = 0, early_ = 0;
    std::string cursor_, kept_cursor_;
    std::size_t between_ = 0;
    Window window_{};
    bool replay_ = false;
};

}  // namespace soak
