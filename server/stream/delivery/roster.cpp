#include "server/stream/delivery/roster.h"

#include "server/stream/delivery/session.h"

namespace licet::stream {

void Roster::add(std::shared_ptr<Session> session) {
    session->place_in_view(sessions_.size());
    sessions_.push_back(std::move(session));
    if (left_ > 0) begin_round();
}

// The last one takes the place, which may be among those already told: a round under way begins anew. Being told twice costs nothing.
void Roster::remove(Session& session) {
    const std::size_t at = session.place_in_view();
    sessions_[at] = std::move(sessions_.back());
    sessions_[at]->place_in_view(at);
    sessions_.pop_back();
    if (left_ > 0) begin_round();
}

std::shared_ptr<Session> Roster::next() noexcept {
    if (left_ == 0) return nullptr;
    --left_;
    if (turn_ >= sessions_.size()) turn_ = 0;
    return sessions_[turn_++];
}

}  // namespace licet::stream
