// What governance asks of the data plane: take a new epoch, and say when nothing the old one allowed and the new one forbids will be written any
// more. Implemented by server/stream; called by app::Governance.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "server/app/snapshot.h"

namespace licet::app {

struct EpochChange {
    GovernanceEpoch epoch;
    std::shared_ptr<const Snapshot> snapshot;
    // Set when the change is to this subject's consent alone (the index already holds it): only frames that name the subject are affected.
    std::optional<SubjectKey> subject;
    // Without `subject`: consents of many subjects may have changed, so that no frame encoded before may be written. False: the configuration
    // changed, and views whose key stayed the same are untouched.
    bool consents = true;
    // When the next consent runs out, for the last part of a change that knows of all; 0: none will.
    std::optional<UtcMillis> consents_until;
};

class DataPlane {
  public:
    virtual ~DataPlane() = default;
    // Any thread; does not block. `acknowledged` runs once, when every shard has applied the change: what is not yet written is decided again, and a
    // session caught inside a frame now forbidden is closed. Changes are applied in the order given.
    virtual void apply(EpochChange change, std::function<void()> acknowledged) = 0;
    // From `at` on nothing is written until a later change with `consents_until` is applied. Effective when it returns; a later moment than known so
    // far has no effect. Called before the index holds a consent that ends then. Any thread; does not block.
    virtual void consents_end_at(UtcMillis at) = 0;
};

}  // namespace licet::app
