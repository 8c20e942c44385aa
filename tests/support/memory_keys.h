// Keys of data subjects kept in memory, for tests of what uses them.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "server/ports/subject_keys.h"

namespace licet::testing {

class MemoryKeyStore final : public ports::SubjectKeyStore {
  public:
    std::map<DataKeyId, ports::StoredKey> keys;
    std::vector<SubjectKey> erasures;
    bool reachable = true;
    int reads = 0;
    std::function<void()> after_read;  // something happens while an answer is on its way

    template <class Match>
    Result<std::vector<ports::StoredKey>> find(Match&& match) {
        if (!reachable) return Error{Errc::unavailable, "away", {}};
        ++reads;
        std::vector<ports::StoredKey> out;
        for (const auto& [id, key] : keys)
            if (match(key)) out.push_back(key);
        if (auto then = std::exchange(after_read, nullptr)) then();
        return out;
    }
    static bool among(const auto& list, const auto& item) { return std::find(list.begin(), list.end(), item) != list.end(); }
    Result<std::vector<ports::StoredKey>> of_subjects(const std::vector<SubjectKey>& subjects) override {
        return find([&](const auto& key) { return !key.wrapped.empty() && among(subjects, key.subject); });
    }
    Result<std::vector<ports::StoredKey>> add(const std::vector<ports::StoredKey>& fresh) override {
        if (!reachable) return Error{Errc::unavailable, "away", {}};
        std::vector<SubjectKey> subjects;
        for (const auto& key : fresh) {
            subjects.push_back(key.subject);
            const bool known =
                std::any_of(keys.begin(), keys.end(), [&](const auto& k) { return !k.second.wrapped.empty() && k.second.subject == key.subject; });
            if (!known) keys[key.id] = key;
        }
        return of_subjects(subjects);
    }
    Result<std::vector<ports::StoredKey>> by_id(const std::vector<DataKeyId>& ids) override {
        return find([&](const auto& key) { return among(ids, key.id); });
    }
    Result<ports::Erasure> erase(const SubjectKey& whose, const ports::AuditEntry&) override {
        ports::Erasure out;
        for (auto& [id, key] : keys)
            if (key.subject == whose && !key.wrapped.empty()) {
                key.wrapped.clear();
                key.wrapped_under.clear();
                out.fresh.push_back(id);
            }
        erasures.push_back(whose);
        return out;
    }
    Result<ports::ErasedSubjects> erased_after(std::uint64_t after) override {
        if (!reachable) return Error{Errc::unavailable, "away", {}};
        return ports::ErasedSubjects{{erasures.begin() + static_cast<std::ptrdiff_t>(after), erasures.end()}, erasures.size()};
    }
    Result<std::size_t> rewrap(const std::string& current, std::size_t most, const Rewrap& rewrap) override {
        std::size_t done = 0;
        for (auto& [id, key] : keys) {
            if (key.wrapped.empty() || key.wrapped_under == current || done == most) continue;
            auto anew = rewrap(key);
            if (!anew) return anew.error();
            key.wrapped = *anew;
            key.wrapped_under = current;
            ++done;
        }
        return done;
    }
};

}  // namespace licet::testing
