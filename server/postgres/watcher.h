// Waits for epoch notifications on a connection of its own, and looks itself once a second: a notification may be lost with a connection. Private to
// this folder.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

namespace licet::postgres {

class Watcher {
  public:
    // `epoch_query` yields one number; `changed` runs when it moved or could not be read for a while.
    Watcher(std::string dsn, std::string epoch_query) : dsn_(std::move(dsn)), query_(std::move(epoch_query)) {}
    ~Watcher() { stop(); }
    void start(std::function<void()> changed);
    void stop();  // within a second

  private:
    void run();
    const std::string dsn_, query_;
    std::function<void()> changed_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace licet::postgres
