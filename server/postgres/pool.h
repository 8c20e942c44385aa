// A bounded pool of PostgreSQL connections that turns libpqxx exceptions into errors. Used by everything in this folder. Thread-safe; a call waits
// for a free connection at most limits::catalog_connection_wait_ms.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/ports/log.h"

namespace licet::postgres {

// With limits on connecting and on a server that does not answer; what the operator's string says itself prevails.
[[nodiscard]] std::string with_timeouts(const std::string& dsn);

// A refusal found inside a transaction: rolls it back and becomes the call's error.
struct Refused {
    Error error;
};

class Pool {
  public:
    explicit Pool(const std::string& dsn) : dsn_(with_timeouts(dsn)) {}

    // Runs `use(pqxx::work&)` in a transaction and commits. Errors: what `use` threw as Refused; conflict for a violated constraint; unavailable
    // otherwise.
    template <class Use>
    auto transact(const char* what, Use&& use) -> Result<decltype(use(std::declval<pqxx::work&>()))> {
        auto connection = take();
        if (!connection) return Error{Errc::unavailable, "no catalog connection is free", {}};
        try {
            pqxx::work transaction(*connection);
            auto result = use(transaction);
            transaction.commit();
            give_back(std::move(connection));
            return result;
        } catch (const Refused& refused) {
            give_back(std::move(connection));
            return refused.error;
        } catch (const pqxx::integrity_constraint_violation& e) {
            log::warn("catalog.constraint", {{"operation", what}, {"sqlstate", e.sqlstate()}});
            give_back(std::move(connection));
            return Error{Errc::conflict, "the change conflicts with what the catalog holds", {}};
        } catch (const std::exception& e) {
            // The connection may be in any state: it is not used again. Server messages can quote values, so only their kind is logged.
            const auto* sql = dynamic_cast<const pqxx::sql_error*>(&e);
            log::error("catalog.failed", {{"operation", what}, {"sqlstate", sql != nullptr ? sql->sqlstate() : std::string("none")}});
            drop(std::move(connection));
            return Error{Errc::unavailable, "the catalog cannot be used", {}};
        }
    }

    [[nodiscard]] const std::string& dsn() const noexcept { return dsn_; }

  private:
    std::unique_ptr<pqxx::connection> take();
    void give_back(std::unique_ptr<pqxx::connection> connection);
    void drop(std::unique_ptr<pqxx::connection> connection);

    const std::string dsn_;
    std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<std::unique_ptr<pqxx::connection>> idle_;
    std::size_t open_ = 0;
};

}  // namespace licet::postgres
