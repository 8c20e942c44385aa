#include "server/postgres/pool.h"

namespace licet::postgres {

std::unique_ptr<pqxx::connection> Pool::take() {
    {
        std::unique_lock lock(mutex_);
        if (!freed_.wait_for(lock, std::chrono::milliseconds(kPoolWaitMs), [&] { return !idle_.empty() || open_ < kPoolMaxConnections; }))
            return nullptr;
        while (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            if (connection->is_open()) return connection;
            --open_;
        }
        ++open_;
    }
    try {
        return std::make_unique<pqxx::connection>(dsn_);
    } catch (const std::exception&) {
        log::error("catalog.connect_failed");
        drop(nullptr);
        return nullptr;
    }
}

void Pool::give_back(std::unique_ptr<pqxx::connection> connection) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
    freed_.notify_one();
}

void Pool::drop(std::unique_ptr<pqxx::connection> connection) {
    connection.reset();
    const std::lock_guard lock(mutex_);
    --open_;
    // The rest of the pool most likely died with it.
    open_ -= idle_.size();
    idle_.clear();
    freed_.notify_all();
}

}  // namespace licet::postgres
