#include "server/postgres/watcher.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <pqxx/pqxx>

#include "base/limits.h"
#include "server/ports/log.h"

namespace licet::postgres {
namespace {

class Receiver final : public pqxx::notification_receiver {
  public:
    explicit Receiver(pqxx::connection_base& connection) : pqxx::notification_receiver(connection, "licet_epoch") {}
    void operator()(const std::string&, int) override { heard = true; }
    bool heard = false;
};

}  // namespace

void Watcher::start(std::function<void()> changed) {
    changed_ = std::move(changed);
    thread_ = std::thread([this] { run(); });
}

void Watcher::stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
}

void Watcher::run() {
    std::string last;
    bool lost = false;
    while (!stopping_) {
        try {
            pqxx::connection connection(dsn_);
            connection.set_variable("statement_timeout", std::to_string(limits::catalog_statement_timeout_ms));
            Receiver receiver(connection);
            while (!stopping_) {
                std::string now;
                receiver.heard = false;
                {
                    pqxx::nontransaction look(connection);
                    now = look.exec1(query_)[0].as<std::string>();
                }
                if (now != last || lost) changed_();
                last = now;
                lost = false;
                // One may have come in with the answer to the look itself.
                if (!receiver.heard) connection.await_notification(1, 0);
            }
        } catch (const std::exception&) {
            if (!lost) log::error("catalog.watch_lost");
            lost = true;
            std::mutex mutex;
            std::unique_lock lock(mutex);
            std::condition_variable pause;
            pause.wait_for(lock, std::chrono::milliseconds(200), [&] { return stopping_.load(); });
        }
    }
}

}  // namespace licet::postgres
