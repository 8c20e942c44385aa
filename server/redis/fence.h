// The fence as a timer of the kernel. Built by server/main; the cluster counts the lease on its clock.
#pragma once

#include <memory>

#include "base/result.h"
#include "server/ports/fence.h"

namespace licet::redis {

[[nodiscard]] ports::FenceTime fence_now() noexcept;

// Errors: unavailable, also in process 1 of a container, which the kernel spares its own signals.
[[nodiscard]] Result<std::shared_ptr<ports::Fence>> make_fence();

}  // namespace licet::redis
