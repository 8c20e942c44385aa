// Consents as a catalog gives them at start, in no order, gathered by subject: what the index keeps of a subject follows from all that is held of
// her. 56 bytes a row, given up part by part as the subjects are taken. Used by Governance::load. Not thread-safe.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/ids.h"
#include "server/app/consents.h"

namespace licet::app {

class ConsentGatherer {
  public:
    ConsentGatherer();
    ~ConsentGatherer();
    void add(const SubjectKey& subject, const HeldConsent& held);
    // Every subject once, with all that is held of her; then nothing is left. Valid during the call only.
    void take(const std::function<void(const SubjectKey&, std::span<const HeldConsent>)>& each);

  private:
    struct Row;
    class Part;
    std::vector<Part> parts_;  // by the first byte of the subject: keys are digests, so they are as good as equal in size
};

}  // namespace licet::app
