#include "bench/support/contender.h"

#include <algorithm>

#include "bench/support/check.h"
#include "bench/support/machine.h"

namespace licet::bench {
namespace {

constexpr double kPeerRoundSeconds = 0.5;
// Batches and how many of them: from one message after the other to as many as anybody gains from.
constexpr Window kPeerWindows[] = {{1, 4}, {8, 4}, {32, 4}, {128, 4}, {256, 8}};

}  // namespace

NodeContender::NodeContender(Crowd& crowd, std::uint32_t target, std::string name, const NodeOptions& options, const NodeRounds& rounds)
    : Contender(crowd, target, std::move(name)), options_(options), rounds_(rounds), node_(Node::start(options)) {
    Order connect;
    connect.kind = Order::Kind::connect;
    connect.target = target;
    connect.service = rounds.tls ? Service::licet_tls : Service::licet;
    connect.port = node_->port();
    connect.tls_port = node_->tls_port();
    connect.contracts = options.contracts;
    connect.publishers = rounds.publishers;
    connect.subscribers = rounds.subscribers;
    (void)crowd.run(connect);
}

// One event tells how long its message is; the filling makes it as long as asked.
void NodeContender::prepare(std::size_t message_bytes) {
    const std::uint64_t without = probe(0);
    if (without > message_bytes) die("an event of " + std::to_string(without) + " B does not fit into " + std::to_string(message_bytes) + " B");
    const std::uint64_t pad = message_bytes - without;
    if (probe(pad) != message_bytes) die("the messages have another size than asked");
    frame_bytes_ = message_bytes + (message_bytes < 126 ? 2 : 4);
    order_ = {};
    order_.kind = Order::Kind::play;
    order_.target = target_;
    order_.batches = static_cast<std::uint32_t>(std::max<std::uint64_t>(rounds_.events / rounds_.window.batch, 1));
    order_.batch_events = rounds_.window.batch;
    order_.window = rounds_.window.batches;
    order_.pad = pad;
    order_.batch_bytes = frame_bytes_ * delivered_of_batch();
}

std::uint64_t NodeContender::probe(std::uint64_t pad) {
    Order order;
    order.kind = Order::Kind::play;
    order.target = target_;
    order.first_event = next_event();
    order.batches = order.batch_events = order.window = 1;
    order.pad = pad;
    const Outcome out = crowd_.run(order);
    account({crowd_.capture(), out.bytes}, out.frame_bytes, order.first_event, 1, 1);
    return out.frame_bytes - (out.frame_bytes < 2 + 126 ? 2 : 4);
}

// Numbers go on over all rounds; a round starts at a subject with consent.
std::uint64_t NodeContender::next_event() {
    next_event_ = (next_event_ + kConsentedOf - 1) / kConsentedOf * kConsentedOf;
    return next_event_;
}

void NodeContender::account(std::string_view frames, std::uint64_t frame_bytes, std::uint64_t first, std::uint64_t batches,
                            std::uint64_t batch_events) {
    delivered_bytes_ += check_frames(frames, frame_bytes, first, batches, batch_events, governed());
    delivered_events_ += frames.size() / frame_bytes;
    frames_bytes_ += frames.size();
    next_event_ = first + batches * batch_events;
}

void NodeContender::play() {
    order_.first_event = next_event();
    const double cpu = process_cpu_seconds();
    const Outcome out = crowd_.run(order_);
    const double used = process_cpu_seconds() - cpu;
    account({crowd_.capture(), out.bytes}, frame_bytes_, order_.first_event, order_.batches, order_.batch_events);
    add(deliveries(), static_cast<double>(out.ns) / 1e9, used);
}

// Every event of it is delivered: those of the feed that name somebody without consent are left out.
Order NodeContender::paced(double rate, double seconds, std::uint32_t batch) {
    Order order = order_;
    order.kind = Order::Kind::pace;
    order.first_event = next_event() / kConsentedOf * kConsented;
    order.all_consented = true;
    order.batches = rate > 0 ? static_cast<std::uint32_t>(std::max(rate * seconds / batch, 1.0)) : 0;
    order.batch_events = batch;
    order.batch_bytes = frame_bytes_;
    order.rate = rate;
    return order;
}

Outcome NodeContender::pace(double rate, double seconds, std::uint32_t batch) {
    const Order order = paced(rate, seconds, batch);
    const Outcome out = crowd_.run(order);
    next_event_ = consented_event(order.first_event + out.samples) + 1;
    delivered_events_ += out.samples;
    return out;
}

Outcome NodeContender::replay(std::uint32_t replayers, std::uint64_t bytes, double rate, double seconds) {
    Order order = paced(rate, seconds, 64);
    order.kind = Order::Kind::replay;
    order.replayers = replayers;
    order.replay_bytes = bytes;
    const Outcome out = crowd_.run(order);
    next_event_ = consented_event(order.first_event + out.samples) + 1;
    delivered_events_ += out.samples;
    return out;
}

bool NodeContender::metered() {
    node_->stop();
    if (!governed()) return true;
    const auto billed = node_->billed();
    std::printf("%s billed: %llu contracts, %llu to %llu events each of %llu delivered, %llu journal records\n", name().c_str(),
                static_cast<unsigned long long>(billed.contracts), static_cast<unsigned long long>(billed.least_events),
                static_cast<unsigned long long>(billed.most_events), static_cast<unsigned long long>(delivered_events_),
                static_cast<unsigned long long>(billed.records));
    return !billed.gap && !billed.overlap && billed.contracts == options_.contracts && billed.least_events == delivered_events_ &&
           billed.most_events == delivered_events_ && billed.bytes == delivered_bytes_ * options_.contracts;
}

FloorContender::FloorContender(Crowd& crowd, std::uint32_t target, std::string name, const NodeContender& of, const Certificate& certificate)
    : Contender(crowd, target, std::move(name)), of_(of), floor_(certificate) {
    Order connect;
    connect.kind = Order::Kind::connect;
    connect.target = target;
    connect.service = certificate.key.empty() ? Service::floor : Service::floor_tls;
    connect.port = floor_.port();
    crowd.tell(connect);
    floor_.accept_all(kSubscribers);
    (void)crowd.wait();
}

void FloorContender::play() {
    const std::string bytes = of_.last_bytes();
    Order order = of_.order();
    order.target = target_;
    crowd_.tell(order);
    const double used = floor_.send_to_all(bytes, order.batch_bytes, order.window, crowd_.progress(), [this] { return crowd_.batches_read(); });
    const Outcome out = crowd_.wait();
    add(of_.deliveries(), static_cast<double>(out.ns) / 1e9, used);
}

PeerContender::PeerContender(Crowd& crowd, std::uint32_t target, RunningPeer running)
    : Contender(crowd, target, make_peer(running.service)->name()), peer_(make_peer(running.service)), program_(std::move(running.program)) {
    Order connect;
    connect.kind = Order::Kind::connect;
    connect.target = target;
    connect.service = running.service;
    connect.port = running.port;
    (void)crowd.run(connect);
}

double PeerContender::play(const Window& window, std::uint64_t events) {
    order_ = {};
    order_.kind = Order::Kind::play;
    order_.target = target_;
    order_.batch_events = window.batch;
    order_.batches = static_cast<std::uint32_t>(std::max<std::uint64_t>(events / window.batch, window.batches));
    order_.window = window.batches;
    order_.pad = message_bytes_ - document(0, 0).size();
    order_.batch_bytes = peer_->delivered_bytes(message_bytes_) * window.batch;
    const double cpu = program_->cpu_seconds();
    const Outcome out = crowd_.run(order_);
    const double seconds = static_cast<double>(out.ns) / 1e9;
    const double published = static_cast<double>(order_.batches) * window.batch;
    add(published * kSubscribers, seconds, program_->cpu_seconds() - cpu);
    return published / seconds;
}

void PeerContender::prepare(std::size_t message_bytes) {
    message_bytes_ = message_bytes;
    double best = 0;
    events_per_s_ = 200;
    for (const Window& w : kPeerWindows) {
        if (best > 0 && w.batch * w.batches > best) break;  // a round would take longer than a second
        if (w.batch * w.batches > peer_->most_under_way()) break;
        const double rate = play(w, static_cast<std::uint64_t>(events_per_s_ * kPeerRoundSeconds / 2));
        events_per_s_ = std::max(rate, events_per_s_);
        if (rate > best) window_ = w;
        best = std::max(best, rate);
    }
    events_per_s_ = best;
    forget();
}

Outcome PeerContender::pace(double rate, double seconds, std::uint32_t batch) {
    Order order = order_;
    order.kind = Order::Kind::pace;
    order.batch_events = batch;
    order.batches = static_cast<std::uint32_t>(std::max(rate * seconds / batch, 1.0));
    order.batch_bytes = peer_->delivered_bytes(message_bytes_);
    order.rate = rate;
    return crowd_.run(order);
}

void PeerContender::play() { (void)play(window_, static_cast<std::uint64_t>(events_per_s_ * kPeerRoundSeconds)); }

}  // namespace licet::bench
