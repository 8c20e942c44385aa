#include "server/postgres/pool.h"

#include "base/limits.h"

namespace licet::postgres {

std::string with_timeouts(const std::string& dsn) {
    const std::string connect = "connect_timeout=" + std::to_string(limits::catalog_connect_timeout_ms / 1000);
    const std::string unanswered = "tcp_user_timeout=" + std::to_string(limits::catalog_unanswered_timeout_ms);
    // Of a keyword given twice libpq takes the last one.
    if (dsn.find("://") == std::string::npos) return connect + " " + unanswered + " " + dsn;
    std::string out = dsn;
    for (const auto& setting : {connect, unanswered})
        if (out.find(setting.substr(0, setting.find('=') + 1)) == std::string::npos)
            out += (out.find('?') == std::string::npos ? "?" : "&") + setting;
    return out;
}

std::unique_ptr<pqxx::connection> Pool::take() {
    {
        std::unique_lock lock(mutex_);
        if (!freed_.wait_for(lock, std::chrono::milliseconds(limits::catalog_connection_wait_ms),
                             [&] { return !idle_.empty() || open_ < limits::catalog_connections_max; }))
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
        auto connection = std::make_unique<pqxx::connection>(dsn_);
        connection->set_variable("statement_timeout", std::to_string(limits::catalog_statement_timeout_ms));
        return connection;
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
