#include "server/stream/delivery/conflation.h"

#include <utility>

#include "base/limits.h"

namespace licet::stream {

void Conflation::keep(const ports::LogEntry& entry, std::string_view key, std::uint64_t subject) {
    if (subject != 0) subjects_.insert(subject);
    Kept now{entry.appended_at, std::string(key), std::string(entry.record), 0};
    if (!key.empty()) {
        const auto [at, first] = latest_.try_emplace(now.key, entry.offset);
        if (!first) {
            const auto before = kept_.find(std::exchange(at->second, entry.offset));
            now.skipped = before->second.skipped + 1;
            bytes_ -= before->second.record.size() + before->second.key.size();
            kept_.erase(before);
        }
    }
    bytes_ += now.record.size() + now.key.size();
    kept_.emplace_hint(kept_.end(), entry.offset, std::move(now));
    advance(entry.offset + 1);
}

bool Conflation::full() const noexcept {
    return kept_.size() >= limits::conflation_keys_max || bytes_ >= limits::conflation_pass_max_bytes ||
           looked_at_ >= limits::conflation_pass_max_events;
}

Conflation::Pass Conflation::take(ports::LogPosition position) {
    Pass out;
    auto batch = std::make_shared<ports::LogBatch>();
    batch->position = position;
    batch->next = head_;
    batch->storage.reserve(kept_.size());  // its strings stay where they are
    batch->entries.reserve(kept_.size());
    for (auto& [offset, one] : kept_) {
        batch->storage.push_back(std::move(one.record));
        batch->entries.push_back({offset, one.appended_at, batch->storage.back()});
        if (one.skipped > 0) out.skipped.by_offset.emplace(offset, one.skipped);
    }
    kept_.clear();
    latest_.clear();
    out.skipped.subjects = std::move(subjects_);
    out.batch = std::move(batch);
    return out;
}

}  // namespace licet::stream
