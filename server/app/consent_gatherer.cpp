#include "server/app/consent_gatherer.h"

#include <algorithm>
#include <cstdint>

#include "base/large_memory.h"

namespace licet::app {
namespace {

constexpr std::size_t kParts = 256, kBlockRows = 4096;

}  // namespace

struct ConsentGatherer::Row {
    SubjectKey subject;
    std::int64_t valid_until;
    std::uint64_t given_revision, withdrawn_revision;  // withdrawn 0: never
    std::uint32_t given_position, withdrawn_position;  // of a request's lines: far below what fits
    std::uint16_t purpose;
    policy::RecipientNo recipient;
    bool valid;

    Row(const SubjectKey& of, const HeldConsent& held)
        : subject(of),
          valid_until(held.valid_until.value),
          given_revision(held.given.first),
          withdrawn_revision(held.withdrawn ? held.withdrawn->first : 0),
          given_position(static_cast<std::uint32_t>(held.given.second)),
          withdrawn_position(held.withdrawn ? static_cast<std::uint32_t>(held.withdrawn->second) : 0),
          purpose(held.purpose.value),
          recipient(held.recipient),
          valid(held.valid) {}
    [[nodiscard]] HeldConsent held() const {
        HeldConsent out{{purpose}, valid, {valid_until}, {given_revision, given_position}, std::nullopt, recipient};
        if (withdrawn_revision != 0) out.withdrawn = {withdrawn_revision, withdrawn_position};
        return out;
    }
};

// Rows in blocks large enough that the system has their memory back at once.
class ConsentGatherer::Part {
  public:
    void add(const Row& row) {
        if (size_ % kBlockRows == 0) blocks_.emplace_back(take_large(kBlockRows * sizeof(Row)), &give_back_large);
        new (static_cast<Row*>(blocks_.back().get()) + size_ % kBlockRows) Row(row);
        ++size_;
    }
    // All rows by subject, and none any more here.
    [[nodiscard]] std::vector<Row> sorted() {
        std::vector<Row> out;
        out.reserve(size_);
        for (std::size_t i = 0; i < size_; ++i) out.push_back(static_cast<const Row*>(blocks_[i / kBlockRows].get())[i % kBlockRows]);
        blocks_.clear();
        size_ = 0;
        std::sort(out.begin(), out.end(), [](const Row& a, const Row& b) { return a.subject < b.subject; });
        return out;
    }

  private:
    std::vector<std::unique_ptr<void, void (*)(void*)>> blocks_;
    std::size_t size_ = 0;
};

ConsentGatherer::ConsentGatherer() : parts_(kParts) {}
ConsentGatherer::~ConsentGatherer() = default;

void ConsentGatherer::add(const SubjectKey& subject, const HeldConsent& held) { parts_[subject.bytes[0]].add({subject, held}); }

void ConsentGatherer::take(const std::function<void(const SubjectKey&, std::span<const HeldConsent>)>& each) {
    std::vector<HeldConsent> held;
    for (auto& part : parts_) {
        const auto rows = part.sorted();
        for (std::size_t from = 0, to; from < rows.size(); from = to) {
            held.clear();
            for (to = from; to < rows.size() && rows[to].subject == rows[from].subject; ++to) held.push_back(rows[to].held());
            each(rows[from].subject, held);
        }
    }
}

}  // namespace licet::app
