// Runs a call that blocks away from the shard. Private to edge/.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"
#include "server/stream/edge/shard.h"

namespace licet::stream {

// Runs `call` on the pool; the coroutine goes on where it was. Error: overloaded.
template <class T>
boost::asio::awaitable<std::shared_ptr<Result<T>>> off_the_shard(boost::asio::io_context& io, BlockingPool& blocking,
                                                                 std::function<Result<T>()> call) {
    namespace asio = boost::asio;
    using Outcome = std::shared_ptr<Result<T>>;
    if (blocking.calls.fetch_add(1) >= blocking.max) {
        --blocking.calls;
        co_return std::make_shared<Result<T>>(Error{Errc::overloaded, "too many such requests are being answered", {}});
    }
    auto initiate = [&io, &blocking, call = std::move(call)](auto handler) mutable {
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        asio::post(blocking.pool, [&io, &blocking, shared, call = std::move(call)]() mutable {
            auto result = std::make_shared<Result<T>>(call());
            --blocking.calls;
            asio::post(io, [shared = std::move(shared), result]() mutable { std::move (*shared)(result); });
        });
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Outcome)>(std::move(initiate), asio::use_awaitable);
}

}  // namespace licet::stream
