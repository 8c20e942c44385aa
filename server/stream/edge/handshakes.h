// HandshakeTurns: a TLS handshake costs as much as writing to a hundred streams, and a storm brings thousands at once. So many are taken a turn, then
// whoever else is ready on the shard; the others wait in the order they came. Private to edge/; one shard thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

#include "base/limits.h"

namespace licet::stream {

class HandshakeTurns {
  public:
    explicit HandshakeTurns(boost::asio::io_context& io) : io_(io) {}

    // Returns when it is the caller's turn. What is bounded besides: connections of a shard, and the time a handshake has.
    boost::asio::awaitable<void> mine() {
        if (left_ > 0) {
            --left_;
            next_turn();
            co_return;
        }
        boost::asio::steady_timer called(io_, boost::asio::steady_timer::time_point::max());
        waiting_.push_back(&called);
        boost::system::error_code ignored;
        co_await called.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    }

  private:
    void next_turn() {
        if (posted_) return;
        posted_ = true;
        boost::asio::post(io_, [this] {  // behind all that is ready now
            posted_ = false;
            left_ = limits::tls_handshakes_per_turn;
            for (; left_ > 0 && !waiting_.empty(); --left_) {
                waiting_.front()->cancel();
                waiting_.pop_front();
            }
            if (left_ < limits::tls_handshakes_per_turn) next_turn();
        });
    }

    boost::asio::io_context& io_;
    std::size_t left_ = limits::tls_handshakes_per_turn;
    bool posted_ = false;
    std::deque<boost::asio::steady_timer*> waiting_;
};

}  // namespace licet::stream
