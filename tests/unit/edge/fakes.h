// The ports behind the edge, in memory.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "server/ports/event_log.h"
#include "server/ports/metrics.h"
#include "server/ports/tickets.h"
#include "server/stream/delivery/delivery.h"
#include "tests/unit/edge/client.h"

namespace edge_test {

using namespace licet;
using namespace licet::stream;

// UTC as the test sets it; the monotonic clock is real.
class TestClock final : public Clock {
  public:
    std::atomic<std::int64_t> utc{1'800'000'000'000};
    UtcMillis utc_now() const noexcept override { return {utc}; }
    std::int64_t monotonic_ns() const noexcept override { return std::chrono::steady_clock::now().time_since_epoch().count(); }
};

class CountedMetrics final : public ports::Metrics {
  public:
    class One final : public ports::Counter, public ports::Gauge {
      public:
        std::atomic<double> value{0};
        void add(double v) noexcept override { value = value + v; }
        void set(double v) noexcept override { value = v; }
    };
    ports::Counter& counter(const std::string& name, const std::string&, const Labels& labels) override { return one(name, labels); }
    ports::Gauge& gauge(const std::string& name, const std::string&, const Labels& labels) override { return one(name, labels); }
    std::string text() const override { return "licet_test 1\n"; }
    One& one(const std::string& name, const Labels& labels) {
        const std::lock_guard lock(mutex_);
        std::string key = name;
        for (const auto& [k, v] : labels) key += "|" + k + "=" + v;
        return ones_[key];
    }

  private:
    std::mutex mutex_;
    std::map<std::string, One> ones_;
};

// Answers appends on a thread of its own, as the real log does.
class MemoryLog final : public ports::EventLog {
  public:
    std::vector<std::string> records() const {
        const std::lock_guard lock(mutex_);
        return records_;
    }
    std::optional<Error> refuse;  // set before requests

    Status append(ports::LogPosition, std::vector<ports::AppendItem> items, AppendDone done) override {
        if (refuse && refuse->code == Errc::overloaded) return *refuse;
        std::thread([this, items = std::move(items), done = std::move(done)] {
            if (refuse) return done(*refuse);
            std::vector<ports::AppendOutcome> outcomes;
            {
                const std::lock_guard lock(mutex_);
                for (const auto& item : items) {
                    const bool fresh = seen_.insert(item.identity).second;
                    if (fresh) records_.push_back(item.record);
                    outcomes.push_back({!fresh, 0});
                }
            }
            done(std::move(outcomes));
        }).detach();
        return success();
    }
    Result<std::shared_ptr<const ports::LogBatch>> read(ports::LogPosition, Offset, std::size_t, std::size_t) override {
        return std::make_shared<const ports::LogBatch>();
    }
    ports::LogBounds bounds(ports::LogPosition) override { return {}; }
    UtcMillis settled() override { return {}; }
    Result<Offset> seek(ports::LogPosition, UtcMillis) override { return Offset{0}; }
    Result<Offset> find(ports::LogPosition, const EventIdentity&) override { return Error{Errc::not_found, "", {}}; }
    void on_appended(Appended) override {}
    void close() override {}

  private:
    mutable std::mutex mutex_;
    std::set<EventIdentity> seen_;
    std::vector<std::string> records_;
};

class MemoryTickets final : public ports::TicketStore {
  public:
    std::atomic<bool> down{false};
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return kept_.size();
    }
    Status put(const ports::Sha256& digest, const std::string& value, int) override {
        const std::lock_guard lock(mutex_);
        if (down) return Error{Errc::unavailable, "down", {}};
        kept_[digest] = value;
        return success();
    }
    Result<std::optional<std::string>> take(const ports::Sha256& digest) override { return get(digest, true); }
    Result<std::optional<std::string>> look(const ports::Sha256& digest) override { return get(digest, false); }

  private:
    Result<std::optional<std::string>> get(const ports::Sha256& digest, bool erase) {
        const std::lock_guard lock(mutex_);
        if (down) return Error{Errc::unavailable, "down", {}};
        std::optional<std::string> out;
        const auto found = kept_.find(digest);
        if (found == kept_.end()) return out;
        out = found->second;
        if (erase) kept_.erase(found);
        return out;
    }
    mutable std::mutex mutex_;
    std::map<ports::Sha256, std::string> kept_;
};

// Takes connections over, writes `says` and gives them back; or refuses with `error`; or keeps them.
class ScriptedDelivery final : public Delivery {
  public:
    std::string says = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    std::optional<Error> error;
    std::atomic<bool> keep{false};
    std::vector<ReadRequest> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    void let_go() {
        const std::lock_guard lock(mutex_);
        kept_.clear();
    }

    void serve(std::size_t, ReadRequest request, std::unique_ptr<Transport> connection, Handback handback) override {
        const std::lock_guard lock(mutex_);
        asked_.push_back(request);
        if (keep) return kept_.push_back(std::move(connection));
        if (error) return handback(std::move(connection), error);
        const bool whole = connection->write_some({says.data(), says.size()}).bytes == says.size();
        if (whole) handback(std::move(connection), std::nullopt);
    }
    void on_appended(std::shared_ptr<const ports::LogBatch>) override {}
    void apply(app::EpochChange, std::function<void()> acknowledged) override { acknowledged(); }
    void drain(std::function<void()> done, int) override { done(); }
    void tick(std::function<void()>) override {}
    void consents_end_at(UtcMillis) override {}
    void set_delivering(bool, std::function<void()>) override {}

  private:
    mutable std::mutex mutex_;
    std::vector<ReadRequest> asked_;
    std::vector<std::unique_ptr<Transport>> kept_;
};

// The control plane: answers each request by `reply`, which is given the request's bytes; empty: closes.
class ScriptedControl {
  public:
    using Reply = std::function<std::string(const std::string& request)>;
    explicit ScriptedControl(Reply reply) : reply_(std::move(reply)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
        ::listen(socket_, 128);
        socklen_t size = sizeof address;
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        acceptor_ = std::thread([this] {
            for (int fd; (fd = ::accept(socket_, nullptr, nullptr)) >= 0;) {
                const std::lock_guard lock(mutex_);
                fds_.push_back(fd);
                workers_.emplace_back([this, fd] { serve(fd); });
            }
        });
    }
    ~ScriptedControl() {
        ::shutdown(socket_, SHUT_RDWR);
        ::close(socket_);
        acceptor_.join();
        for (const int fd : fds_) ::shutdown(fd, SHUT_RDWR);
        for (auto& worker : workers_) worker.join();
        for (const int fd : fds_) ::close(fd);
    }
    static std::string header(const std::string& request, const std::string& name) { return Answer{0, request, {}}.header(name); }
    static std::string answer(const std::string& request, const std::string& body, const std::string& more = {}, int status = 200) {
        return "HTTP/1.1 " + std::to_string(status) +
               " X\r\nContent-Type: application/json\r\nConnection: Keep-Alive\r\nLicet-Request-Id: " + header(request, "Licet-Request-Id") + "\r\n" +
               more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::uint16_t port = 0;
    std::size_t connections() const {
        const std::lock_guard lock(mutex_);
        return fds_.size();
    }

  private:
    void serve(int fd) {
        std::string bytes;
        char buffer[65536];
        for (;;) {
            auto end = bytes.find("\r\n\r\n");
            const std::size_t size = end == std::string::npos ? 0 : std::stoul("0" + header(bytes.substr(0, end + 2), "Content-Length"));
            if (end != std::string::npos && bytes.size() >= end + 4 + size) {
                const std::string said = reply_(bytes.substr(0, end + 4 + size));
                bytes.erase(0, end + 4 + size);
                if (said.empty()) break;
                for (std::string_view rest = said; !rest.empty();) {
                    const auto sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
                    if (sent <= 0) return;
                    rest.remove_prefix(static_cast<std::size_t>(sent));
                }
                continue;
            }
            const auto got = ::recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) break;
            bytes.append(buffer, static_cast<std::size_t>(got));
        }
        ::shutdown(fd, SHUT_RDWR);
    }

    const Reply reply_;
    const int socket_;
    mutable std::mutex mutex_;
    std::vector<int> fds_;
    std::vector<std::thread> workers_;
    std::thread acceptor_;
};

}  // namespace edge_test
