// Life of the crowd's process: connects, publishes through the same door a producer uses, reads everything.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "bench/support/crowd_server.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

class Play {
  public:
    Play(const Order& order, CrowdServer& server, SharedPage& page) : order_(order), server_(server), page_(page) {
        if (server.is_floor()) return;
        for (std::uint32_t b = 0; b < order.batches; ++b)
            requests_.push_back(server.request(order, order.first_event + b * order.batch_events, order.batch_events));
    }

    Outcome run() {
        server_.begin(order_.batches, order_.batch_bytes);
        const double cpu = process_cpu_seconds();
        const std::int64_t start = now_ns();
        std::uint64_t done = 0;  // batches that everyone has
        std::vector<epoll_event> events(server_.subscribers() + 64);
        while (done < order_.batches) {
            publish(done);
            const int count = ::epoll_wait(server_.epoll(), events.data(), static_cast<int>(events.size()), kIdleMs);
            if (count == 0) die("nothing arrives: " + std::to_string(done) + " of " + std::to_string(order_.batches) + " batches");
            for (int i = 0; i < count; ++i) {
                const std::uint64_t tag = events[static_cast<std::size_t>(i)].data.u64;
                if (tag >= kSourceTag)
                    (void)server_.sources()[tag - kSourceTag]->advance();
                else
                    done = server_.read(tag);
            }
            if (done != page_.batches_read.exchange(done, std::memory_order_acq_rel)) announce_progress(page_);
        }
        Outcome out;
        out.ns = now_ns() - start;
        out.bytes = server_.received(0);
        out.cpu_seconds = process_cpu_seconds() - cpu;
        if (server_.is_node()) out.frame_bytes = server_.frame_bytes();
        for (auto& s : server_.sources())
            while (!s->idle()) (void)s->advance();
        return out;
    }

  private:
    void publish(std::uint64_t done) {
        for (auto& s : server_.sources()) {
            while (s->idle() && next_ < order_.batches && next_ < done + order_.window)
                if (!s->begin(requests_[next_++], order_.batch_events)) break;
        }
    }

    const Order& order_;
    CrowdServer& server_;
    SharedPage& page_;
    std::vector<std::string> requests_;
    std::size_t next_ = 0;
};

}  // namespace

void live_as_crowd(SharedPage& page, int link, const std::string& secret) {
    std::map<std::uint32_t, std::unique_ptr<CrowdServer>> servers;
    for (;;) {
        Order order;
        if (::recv(link, &order, sizeof order, 0) != sizeof order) ::_exit(0);
        Outcome out;
        switch (order.kind) {
            case Order::Kind::connect:
                servers[order.target] = std::make_unique<CrowdServer>(order, page, secret);
                break;
            case Order::Kind::play:
                out = Play(order, *servers.at(order.target), page).run();
                break;
            case Order::Kind::pace:
            case Order::Kind::replay:
                out = pace(order, *servers.at(order.target), page);
                break;
            case Order::Kind::exit:
                ::_exit(0);
        }
        for (auto& [target, server] : servers) server->give_sign();
        if (::send(link, &out, sizeof out, MSG_NOSIGNAL) != sizeof out) ::_exit(0);
    }
}

}  // namespace licet::bench
