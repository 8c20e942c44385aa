// What a change of rights, consents, contracts or tokens does to the views and sessions of a shard.
#include "server/stream/delivery/shard.h"

namespace licet::stream {
namespace {

constexpr std::string_view kNotInForce = "the contract is not in force";
constexpr std::string_view kNotHere = "the product is served from another region";

}  // namespace

bool Shard::in_force(ContractNo no, UtcMillis now) const {
    const auto* contract = snapshot_->contract(no);
    return contract != nullptr && contract->state == ports::ContractState::active && contract->valid_from <= now &&
           (contract->valid_until.value == 0 || now < contract->valid_until);
}

bool Shard::served_here(ProductNo no) const {
    const auto* product = snapshot_->product(no);
    return product != nullptr && (product->product.residency.empty() || product->product.residency == snapshot_->region);
}

bool Shard::still_allowed(const ReadRequest& request, CloseCode& code, std::string_view& reason) const {
    const auto* client = snapshot_->client(request.client);
    code = CloseCode::token_revoked;
    reason = "the token was revoked";
    if (client == nullptr || client->revoked || request.token_issued_at < client->tokens_valid_from) return false;
    const auto* contract = snapshot_->contract(request.contract);
    code = CloseCode::policy_violation;
    reason = kNotHere;
    if (!served_here(request.product)) return false;
    reason = kNotInForce;
    return contract != nullptr && contract->party == client->party && in_force(request.contract, services_.clock->utc_now());
}

void Shard::apply(const app::EpochChange& change) {
    snapshot_ = change.snapshot;
    if (change.subject)
        apply_subject(change.subject->low64());
    else
        apply_generation(change.consents);
}

void Shard::apply_subject(std::uint64_t subject) {
    const auto all = std::vector(sessions_.begin(), sessions_.end());
    for (const auto& session : all) session->on_subject(subject);
    slices_.forget_subject(subject);
    // A live tape that still names the subject is not for anyone who joins later.
    for (auto& [key, view] : views_)
        for (const WireFormat format : kStreamFormats) {
            Tape* tape = view->live_if(format);
            if (tape != nullptr && tape->names(subject, tape->start())) restart(view, format);
        }
}

// Nobody is written from the live tape what is on it; whoever stood there reads the log from where they are.
void Shard::restart(const std::shared_ptr<View>& view, WireFormat format, Offset head) {
    for (const auto& session : view->roster.all())
        if (session->request().format == format) session->leave_live();
    view->restart_live(format, head);
    has_news(view);
}

void Shard::restart_all(const std::shared_ptr<View>& view, Offset head) {
    for (const WireFormat format : kStreamFormats)
        if (view->live_if(format) != nullptr) restart(view, format, head);
}

void Shard::apply_generation(bool consents) {
    for (auto& [key, view] : views_) view->clear_shadows();  // those of now are added below
    if (consents) slices_.forget_all();
    const auto all = std::vector(sessions_.begin(), sessions_.end());
    for (const auto& session : all) {
        if (session->ended()) continue;
        CloseCode code{};
        std::string_view reason;
        if (!still_allowed(session->request(), code, reason)) {
            session->end(code, reason);
            continue;
        }
        set_ending(session);
        if (session->ended() || !session->view()) continue;
        session->limits_changed();
        const auto rights = snapshot_->rights(session->request().contract, session->request().product);
        if (!rights) {
            session->end(CloseCode::policy_violation, "the contract gives no more rights to this product");
            continue;
        }
        const bool moved = rights->program->view_key() != session->view()->key();
        if (!moved && !consents) {
            session->view()->add_shadow(*rights);
            continue;
        }
        auto view = view_for(session->request(), {services_.log->bounds(session->view()->position()).stream_epoch});
        if (!view) {
            session->end(CloseCode::internal, "no view");
            continue;
        }
        session->on_new_generation(*view);
        // It may have ended in place of going over.
        if ((*view)->roster.empty()) views_.erase({(*view)->position().product, (*view)->key()});
    }
    if (!consents) return;
    for (auto& [key, view] : views_)
        for (const WireFormat format : kStreamFormats)
            if (view->live_if(format) != nullptr) view->restart_live(format);
}

}  // namespace licet::stream
