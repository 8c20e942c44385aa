// One subscriber over all its connections: connects, reads (at times slowly, or not at all), is cut off or cuts itself off, and resumes by its
// cursor. Its Position judges what it receives. All of them live on one thread. Used by soak_client.cc.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

#include "tests/fault/http.h"
#include "tests/soak/desk.h"
#include "tests/soak/judge.h"

namespace soak {

class Chain {
  public:
    Chain(Desk& desk, Product& product, Taken& taken, Credentials& credentials, Transport transport, Habits habits)
        : desk_(desk),
          stats_(desk.stats),
          product_(product),
          credentials_(credentials),
          transport_(transport),
          habits_(habits),
          position_(desk.stats, product, taken) {
        plan_whim(now_ns());
        if (habits_.replays) again_ns_ = now_ns() + static_cast<std::int64_t>(2e9 + desk_.chance() * 4e9);
    }
    ~Chain() { close(); }
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;

    [[nodiscard]] bool streaming() const { return fd_ >= 0 && state_ == State::body; }
    [[nodiscard]] bool keeps_up() const { return habits_.keeps_up; }
    [[nodiscard]] bool replays() const { return habits_.replays; }
    [[nodiscard]] const Product& product() const { return product_; }
    [[nodiscard]] std::uint32_t next() const { return position_.next(); }
    [[nodiscard]] const char* way() const {
        static constexpr const char* kNames[] = {"WebSocket", "WebSocket, compressed", "SSE", "pull"};
        return kNames[static_cast<int>(transport_)];
    }
    // From here on it only reads to the end.
    void settle() {
        settled_ = true;
        if (habits_.replays) close();
        if (slow_until_ns_ != 0) recover(now_ns());
    }

    // About every ten milliseconds.
    void turn(std::int64_t now) {
        if (fd_ < 0) {
            if (now >= again_ns_ && !credentials_.stale && !(settled_ && habits_.replays)) connect(now);
            return;
        }
        if (slow_until_ns_ != 0) {
            if (now >= slow_until_ns_) return recover(now);
            const auto due = static_cast<std::int64_t>(static_cast<double>(now - slow_since_ns_) / 1e9 * slow_rate_);
            if (due > slow_read_ + 1024) {
                const auto n = static_cast<std::size_t>(due - slow_read_);
                slow_read_ = due;
                read(n);
            }
            return;
        }
        if (transport_ == Transport::pull && state_ == State::idle && now >= again_ns_) ask(now);
        if (!settled_ && !habits_.keeps_up && now >= whim_ns_) whim(now);
    }

    void readable() { read(desk_.scratch.size() - rest_.size()); }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
        slow_until_ns_ = 0;
        end_code_ = 0;  // last words that were half read are of that connection
        end_cursor_.clear();
        rest_.clear();
    }

  private:
    enum class State : std::uint8_t { idle, head, body };

    void plan_whim(std::int64_t now) {
        whim_ns_ = now + static_cast<std::int64_t>(std::exponential_distribution<>(1 / habits_.rest_s)(desk_.random) * 1e9);
    }
    void close_and_wait(double seconds) {
        close();
        again_ns_ = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    }

    void connect(std::int64_t now) {
        if (habits_.replays && !window_) open_window();
        again_ns_ = now + 200 * kMs;
        if ((fd_ = race::dial(desk_.world.port)) < 0) return;
        ++stats_.connections;
        calm_from_ns_ = now_ns() + 5 * kSecond;
        ask(now);
        if (fd_ < 0) return;
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
        watch(true);
    }
    void watch(bool on) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = const_cast<Chain*>(this);
        ::epoll_ctl(desk_.epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd_, &event);
    }

    // A past window: recent ones mostly, any now and then, or one that ends shortly.
    void open_window() {
        const auto now = static_cast<std::uint32_t>(wall_ms() - product_.origin_ms);
        const auto length = 500 + desk_.below(4500);
        const auto back = length + desk_.below(desk_.below(4) == 0 ? now : std::min(now, 20'000U));
        const auto since = back > now ? 0 : now - back;
        window_ = Window{since, since + length + (desk_.below(8) == 0 ? 1500 : 0)};
        position_.begin(*window_);
    }
    [[nodiscard]] static std::string rfc3339(std::int64_t ms) {
        const std::time_t seconds = ms / 1000;
        std::tm parts{};
        ::gmtime_r(&seconds, &parts);
        char text[40];
        const auto n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
        std::snprintf(text + n, sizeof text - n, ".%03dZ", static_cast<int>(ms % 1000));
        return text;
    }

    void ask(std::int64_t) {
        const auto& cursor = position_.cursor();
        const bool by_header = transport_ == Transport::sse && !cursor.empty() && desk_.below(2) == 0;
        std::string head = "GET /v1/products/" + product_.name + "/events?contract=" + credentials_.contract->name;
        if (!cursor.empty() && !by_header)
            head += "&from=" + cursor;
        else if (window_ && cursor.empty())
            head += "&since=" + rfc3339(product_.origin_ms + window_->since_ms);
        else if (cursor.empty())
            head += "&from=earliest";
        if (window_) head += "&until=" + rfc3339(product_.origin_ms + window_->until_ms);
        if (transport_ == Transport::pull) head += "&wait=1000&limit=" + std::to_string(50 + desk_.below(3000));
        head += " HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + *credentials_.token() + "\r\n";
        if (by_header) head += "Last-Event-ID: " + cursor + "\r\n";
        if (transport_ == Transport::sse) head += "Accept: text/event-stream\r\n";
        if (transport_ == Transport::websocket || transport_ == Transport::deflate)
            head +=
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                "Sec-WebSocket-Protocol: cloudevents.json\r\n";
        if (transport_ == Transport::deflate) head += "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        asked_ns_ = now_ns();
        state_ = State::head;
        if (!race::send_all(fd_, head + "\r\n")) close_and_wait(0.2);
    }

    // At most `most` bytes.
    void read(std::size_t most) {
        if (fd_ < 0) return;
        auto& scratch = desk_.scratch;
        std::memcpy(scratch.data(), rest_.data(), rest_.size());
        const auto n = ::recv(fd_, scratch.data() + rest_.size(), std::min(most, scratch.size() - rest_.size()), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return close_and_wait(0.05);
        const std::string_view in(scratch.data(), rest_.size() + static_cast<std::size_t>(n));
        const auto left = parse(in, now_ns());
        if (fd_ < 0) return;
        rest_.assign(in.substr(in.size() - left));
        if (rest_.size() >= scratch.size()) {
            stats_.wrong.report("malformed", "%s: a frame of more than %zu bytes", way(), rest_.size());
            close_and_wait(1);
        }
    }

    // Returns how many bytes at the end belong to what is not whole. The connection may be closed afterwards.
    std::size_t parse(std::string_view in, std::int64_t now) {
        if (state_ == State::head) {
            const auto end = in.find("\r\n\r\n");
            if (end == std::string_view::npos) return in.size();
            if (!head(in.substr(0, end + 2))) return 0;
            in.remove_prefix(end + 4);
        }
        if (transport_ == Transport::websocket || transport_ == Transport::deflate) return messages(in, now);
        return lines(in, now);
    }

    [[nodiscard]] static std::string_view header(std::string_view head, std::string_view name) {
        const auto at = head.find(std::string("\r\n").append(name).append(": "));
        if (at == std::string_view::npos) return {};
        const auto from = at + name.size() + 4;
        return head.substr(from, head.find("\r\n", from) - from);
    }
    bool head(std::string_view head) {
        int status = 0;
        std::from_chars(head.data() + 9, head.data() + 12, status);
        const bool websocket = transport_ == Transport::websocket || transport_ == Transport::deflate;
        if (status != (websocket ? 101 : 200)) return refused(status, head);
        state_ = State::body;
        if (transport_ == Transport::deflate && header(head, "Sec-WebSocket-Extensions").empty())
            stats_.wrong.report("malformed", "%s", "compression was declined");
        if (transport_ == Transport::pull) {
            const auto length = header(head, "Content-Length");
            page_left_ = 0;
            std::from_chars(length.data(), length.data() + length.size(), page_left_);
            page_cursor_ = header(head, "Licet-Cursor");
            if (page_left_ == 0) page_ended();
        }
        return true;
    }
    bool refused(int status, std::string_view head) {
        ++stats_.refused[status];
        if (status == 401) credentials_.stale = true;
        // A suspended contract is 403; 503 is the server's word for later. Nothing else is expected of these requests.
        if (status != 401 && status != 403 && status != 503) stats_.wrong.report("refused", "%s: %.400s", way(), std::string(head).c_str());
        close_and_wait(0.2 + desk_.chance() * 0.3);
        return false;
    }

    // Where the event's latency counts, if it does.
    [[nodiscard]] Histogram* latency(std::int64_t now) const {
        if (now <= calm_from_ns_ || habits_.replays || transport_ == Transport::pull) return nullptr;
        return habits_.keeps_up ? &stats_.kept_up_us : &stats_.latency_us;
    }

    std::size_t messages(std::string_view in, std::int64_t now) {
        while (true) {
            const auto frame = websocket_frame(in);
            if (frame.size == 0) return in.size();
            if (frame.opcode == 1) {
                auto text = frame.payload;
                if (frame.compressed) {
                    ++stats_.compressed;
                    text = desk_.inflater.inflate(text);
                }
                position_.received(text, asked_ns_, now, latency(now));
            } else if (frame.opcode == 9) {
                ++stats_.pings;
                race::send_all(fd_, masked_frame(10, frame.payload.substr(0, 125)));
            } else if (frame.opcode == 8) {
                closed(frame.payload);
                return 0;
            } else {
                stats_.wrong.report("malformed", "opcode %d", frame.opcode);
            }
            in.remove_prefix(frame.size);
        }
    }
    void closed(std::string_view payload) {
        const int code = payload.size() < 2 ? 1005 : static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
        if (const auto at = payload.find("cursor="); at != std::string_view::npos && payload.size() - at - 7 == 46)
            end_cursor_ = payload.substr(at + 7);
        race::send_all(fd_, masked_frame(8, payload.substr(0, std::min<std::size_t>(payload.size(), 2))));
        ended(code);
    }
    // The server's last words.
    void ended(int code) {
        ++stats_.closed[code];
        if (code == 4401 || code == 4403) credentials_.stale = true;
        if (window_ && code == 1000) return replayed();
        if (code != 1000 && code != 1008 && code != 1013 && code != 4401 && code != 4403 && code != 4408)
            stats_.wrong.report("closed", "%s with %d", way(), code);
        if (!end_cursor_.empty() && desk_.below(2) == 0) position_.set_cursor(end_cursor_);
        end_cursor_.clear();
        close_and_wait(0.05 + desk_.chance() * 0.2);
    }
    void replayed() {
        position_.ended();
        ++stats_.replays;
        window_.reset();
        end_cursor_.clear();
        close_and_wait(desk_.chance() * habits_.rest_s / 10);
    }

    // Server-sent events, and pages.
    std::size_t lines(std::string_view in, std::int64_t now) {
        while (true) {
            if (transport_ == Transport::pull && state_ != State::body) return in.size();
            const auto* end = static_cast<const char*>(std::memchr(in.data(), '\n', in.size()));
            if (end == nullptr) return in.size();
            const auto line = in.substr(0, static_cast<std::size_t>(end - in.data()));
            in.remove_prefix(line.size() + 1);
            if (transport_ == Transport::pull) {
                page_left_ -= std::min(page_left_, line.size() + 1);
                position_.received(line, asked_ns_, now, nullptr);
                if (page_left_ == 0) page_ended();
            } else if (line.starts_with("data: ")) {
                position_.received(line.substr(6), asked_ns_, now, latency(now));
            } else if (line.starts_with("id: ")) {
                // Counts with the event it belongs to, whose own cursor it is; behind the last words it stands alone.
                if (end_code_ != 0) {
                    end_cursor_ = line.substr(4);
                    ended(std::exchange(end_code_, 0));
                    return 0;
                }
            } else if (line.starts_with(": ") && line.size() > 5 && line[2] >= '0' && line[2] <= '9') {
                std::from_chars(line.data() + 2, line.data() + 6, end_code_);
            }
        }
    }
    void page_ended() {
        ++stats_.pages;
        if (page_cursor_.size() == 46) position_.set_cursor(page_cursor_);
        state_ = State::idle;
        again_ns_ = now_ns() + static_cast<std::int64_t>(settled_ ? 0 : desk_.chance() * 0.3 * 1e9);
    }

    // One of the things a subscriber does to a server.
    void whim(std::int64_t now) {
        plan_whim(now);
        switch (desk_.below(10)) {
            case 0:
            case 1:
            case 2:
                return slow(now, desk_.below(2) == 0 ? 0 : 4096.0 + desk_.below(256 * 1024));
            case 3:
                return ack();
            case 4:
                return rewind();
            default:
                return cut();
        }
    }
    void slow(std::int64_t now, double rate) {
        ++stats_.slow;
        watch(false);
        slow_rate_ = rate;
        slow_read_ = 0;
        slow_since_ns_ = now;
        slow_until_ns_ = now + static_cast<std::int64_t>((1 + desk_.chance() * (rate == 0 ? 5 : 10)) * 1e9);
    }
    void recover(std::int64_t now) {
        slow_until_ns_ = 0;
        calm_from_ns_ = now + 5 * kSecond;
        watch(true);
    }
    void ack() {
        if (transport_ != Transport::websocket && transport_ != Transport::deflate) return;
        if (state_ != State::body || position_.cursor().empty()) return;
        ++stats_.acks;
        race::send_all(fd_, masked_frame(1, "{\"ack\":\"" + position_.cursor() + "\"}"));
    }
    // Goes back on purpose, to where it was at the last such whim.
    void rewind() {
        const bool far = position_.next() > kept_at_ + 20'000;
        if (!habits_.replays && !far && position_.go_back()) {
            ++stats_.rewinds;
            return close_and_wait(0.1);
        }
        if (!habits_.replays) position_.keep();
        kept_at_ = position_.next();
    }
    void cut() {
        static constexpr const char* kWays[] = {"fin", "rst", "in a frame, fin", "in a frame, rst", "fin after silence", "close frame"};
        auto way = desk_.below(6);
        if (way == 5 && (habits_.replays || transport_ == Transport::sse || transport_ == Transport::pull)) way = 0;
        ++stats_.disconnects;
        ++stats_.ways[kWays[way]];
        if (way == 2 || way == 3) {
            // Some of what is there, so that the last frame is most likely not whole.
            int there = 0;
            ::ioctl(fd_, FIONREAD, &there);
            if (there > 1) read(1 + desk_.below(static_cast<std::uint32_t>(there) - 1));
            if (fd_ < 0) return;
        }
        if (way == 4) {
            // Says that it will send nothing more, reads on for the moment: the server may end, or not.
            ::shutdown(fd_, SHUT_WR);
            calm_from_ns_ = now_ns() + 5 * kSecond;
            whim_ns_ = now_ns() + kSecond;
            return;
        }
        if (way == 5) {
            race::send_all(fd_, masked_frame(8, std::string_view("\x03\xe8", 2)));
            return;
        }
        if (way == 1 || way == 3) {
            const linger at_once{1, 0};
            ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        close_and_wait(desk_.below(2) == 0 ? 0 : desk_.chance() * 2);
    }

    Desk& desk_;
    Stats& stats_;
    Product& product_;
    Credentials& credentials_;
    const Transport transport_;
    const Habits habits_;
    Position position_;
    std::optional<Window> window_;
    State state_ = State::idle;
    int fd_ = -1, end_code_ = 0;
    bool settled_ = false;
    std::int64_t again_ns_ = 0, asked_ns_ = 0, calm_from_ns_ = 0, whim_ns_ = 0, slow_until_ns_ = 0, slow_since_ns_ = 0, slow_read_ = 0;
    double slow_rate_ = 0;
    std::uint32_t kept_at_ = 0;
    std::size_t page_left_ = 0;
    std::string rest_, page_cursor_, end_cursor_;
};

}  // namespace soak
