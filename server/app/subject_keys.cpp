#include "server/app/subject_keys.h"

#include <algorithm>
#include <unordered_set>

#include "base/limits.h"
#include "event/sealed.h"
#include "server/ports/log.h"

namespace licet::app {
namespace {

constexpr int kReadsMax = 3;  // erasures are rare: one read over suffices

const Error kUnreachable{Errc::unavailable, "the keys of the data subjects cannot be reached", {}};

// A wrapped key opens for no other subject and under no other id.
std::string bound_to(const DataKeyId& id, const SubjectKey& subject) {
    std::string out = "licet/data-key/1";
    out += '\0';
    out.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    out.append(reinterpret_cast<const char*>(subject.bytes.data()), subject.bytes.size());
    return out;
}

// An erased subject's key must not outlive its erasure in whoever used it last.
struct Drop {
    ports::SealingCipher& cipher;
    ~Drop() { cipher.drop(); }
};

template <class Id>
void keep_unique(std::vector<Id>& ids) {
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

}  // namespace

void SubjectKeys::Cache::put(const DataKeyId& id, const SubjectKey& subject, HeldKey key) {
    if (const auto at = by_id.find(id); at != by_id.end()) {
        touch(at->second);
        if (at->second.key == nullptr) return;  // destroyed is for good: what comes now was read before
        at->second.key = std::move(key);
        if (at->second.key == nullptr)
            if (const auto now = current.find(at->second.subject); now != current.end() && now->second == id) current.erase(now);
    } else {
        ages.push_front(id);
        by_id.emplace(id, Entry{subject, std::move(key), ages.begin()});
        while (by_id.size() > limits::subject_keys_cached_max) remove(DataKeyId(ages.back()));
    }
    if (by_id.at(id).key != nullptr) current[subject] = id;
}

void SubjectKeys::Cache::remove(const DataKeyId& id) {
    const auto at = by_id.find(id);
    if (at == by_id.end()) return;
    if (const auto now = current.find(at->second.subject); now != current.end() && now->second == id) current.erase(now);
    ages.erase(at->second.age);
    by_id.erase(at);
}

Result<HeldKey> SubjectKeys::unwrap(const ports::StoredKey& key) const {
    if (key.wrapped.empty()) return HeldKey();
    auto opened = parts_.wrapping->unwrap(key.wrapped_under, as_bytes(key.wrapped), as_bytes(bound_to(key.id, key.subject)));
    if (!opened) log::error("subject_keys.unwrap_failed", {{"wrapped_under", key.wrapped_under}, {"detail", opened.error().detail}});
    return opened;
}

Result<ports::StoredKey> SubjectKeys::make(const SubjectKey& subject) const {
    ports::StoredKey out;
    ports::SecretKey fresh;
    parts_.crypto->random(fresh.raw());
    parts_.crypto->random(out.id.bytes);
    out.subject = subject;
    out.created = parts_.clock->utc_now();
    out.wrapped_under = parts_.wrapping->current();
    auto wrapped = parts_.wrapping->wrap(fresh.bytes(), as_bytes(bound_to(out.id, subject)));
    if (!wrapped) return wrapped.error();
    out.wrapped = *std::move(wrapped);
    return out;
}

template <class Read>
Status SubjectKeys::take(Read&& read) {
    for (int i = 0; i < kReadsMax; ++i) {
        const auto generation = cache_.with([](Cache& c) { return c.generation; });
        const Result<std::vector<ports::StoredKey>> stored = read();
        if (!stored) return kUnreachable;
        std::vector<HeldKey> keys;
        for (const auto& key : *stored) {
            auto opened = unwrap(key);
            if (!opened) return kUnreachable;
            keys.push_back(*std::move(opened));
        }
        const bool kept = cache_.with([&](Cache& c) {
            if (c.generation != generation) return false;
            for (std::size_t k = 0; k < keys.size(); ++k) c.put((*stored)[k].id, (*stored)[k].subject, std::move(keys[k]));
            return true;
        });
        if (kept) return success();
    }
    return kUnreachable;
}

bool SubjectKeys::holds(const std::vector<SubjectKey>& subjects) {
    return cache_.with([&](Cache& c) {
        return std::all_of(subjects.begin(), subjects.end(), [&](const SubjectKey& subject) {
            const auto at = c.current.find(subject);
            if (at != c.current.end()) c.touch(c.by_id.at(at->second));
            return at != c.current.end();
        });
    });
}

Status SubjectKeys::provide(std::vector<SubjectKey> subjects) {
    keep_unique(subjects);
    cache_.with([&](Cache& c) {
        std::erase_if(subjects, [&](const SubjectKey& subject) {
            const auto at = c.current.find(subject);
            if (at == c.current.end()) return false;
            c.touch(c.by_id.at(at->second));
            return true;
        });
    });
    if (subjects.empty()) return success();
    return take([&]() -> Result<std::vector<ports::StoredKey>> {
        auto held = parts_.store->of_subjects(subjects);
        if (!held) return held;
        std::vector<SubjectKey> known;
        for (const auto& key : *held) known.push_back(key.subject);
        std::sort(known.begin(), known.end());
        std::vector<ports::StoredKey> fresh;
        for (const auto& subject : subjects) {
            if (std::binary_search(known.begin(), known.end(), subject)) continue;
            auto key = make(subject);
            if (!key) return key.error();
            fresh.push_back(*std::move(key));
        }
        if (fresh.empty()) return held;
        auto added = parts_.store->add(fresh);
        if (!added) return added;
        held->insert(held->end(), added->begin(), added->end());
        return held;
    });
}

Status SubjectKeys::seal(ProductNo product, std::vector<ports::AppendItem>& items, ports::SealingCipher& cipher) {
    const Drop drop{cipher};
    for (auto& item : items) {
        const auto event = event::StoredEvent::parse(item.record);
        if (!event) return Error{Errc::internal, "an event cannot be read back", {}};
        if (!event::sealable(*event)) continue;
        struct Current {
            DataKeyId id;
            HeldKey key;
        };
        const auto current = cache_.with([&](Cache& c) -> std::optional<Current> {
            const auto at = c.current.find(event->subject());
            if (at == c.current.end()) return std::nullopt;
            return Current{at->second, c.by_id.at(at->second).key};
        });
        if (!current) return kUnreachable;
        cipher.use(*current->key);
        auto sealed = event::seal_record(*event, product, current->id, cipher);
        if (!sealed) return Error{Errc::internal, "an event cannot be encrypted", {}};
        item.record = *std::move(sealed);
    }
    return success();
}

SubjectKeys::Found SubjectKeys::find(const DataKeyId& id) {
    return cache_.with([&](Cache& c) -> Found {
        const auto at = c.by_id.find(id);
        if (at == c.by_id.end()) return {};
        c.touch(at->second);
        return {at->second.key != nullptr ? State::held : State::erased, at->second.key};
    });
}

Status SubjectKeys::load(const ports::LogBatch& batch) {
    std::vector<DataKeyId> ids;
    for (const auto& entry : batch.entries)
        if (event::sealed_record(entry.record))
            if (const auto event = event::StoredEvent::parse(entry.record)) ids.push_back(event->key_id());
    if (ids.empty()) return success();
    keep_unique(ids);
    cache_.with([&](Cache& c) {
        std::erase_if(ids, [&](const DataKeyId& id) {
            const auto at = c.by_id.find(id);
            if (at == c.by_id.end()) return false;
            c.touch(at->second);
            return true;
        });
    });
    if (ids.empty()) return success();
    return take([&]() -> Result<std::vector<ports::StoredKey>> {
        auto stored = parts_.store->by_id(ids);
        if (!stored) return stored;
        // One the store does not know at all is as good as destroyed: no one can open what was sealed under it.
        std::vector<DataKeyId> known;
        for (const auto& key : *stored) known.push_back(key.id);
        std::sort(known.begin(), known.end());
        for (const auto& id : ids)
            if (!std::binary_search(known.begin(), known.end(), id)) stored->push_back({id, {}, {}, {}, {}, {}});
        return stored;
    });
}

Result<ports::ErasedSubjects> SubjectKeys::erased() {
    return parts_.store->erased_after(cache_.with([](Cache& c) { return c.erasures; }));
}

void SubjectKeys::forget_all() {
    cache_.with([](Cache& c) {
        ++c.generation;
        c.by_id.clear();
        c.current.clear();
        c.ages.clear();
    });
}

void SubjectKeys::forget(const ports::ErasedSubjects& erased) {
    cache_.with([&](Cache& c) {
        if (erased.last <= c.erasures && erased.subjects.empty()) return;
        c.erasures = std::max(c.erasures, erased.last);
        ++c.generation;
        // Every key of theirs, not the current one alone. Rare enough to look at all.
        const std::unordered_set<SubjectKey> subjects(erased.subjects.begin(), erased.subjects.end());
        std::vector<DataKeyId> gone;
        for (const auto& [id, entry] : c.by_id)
            if (subjects.contains(entry.subject)) gone.push_back(id);
        for (const auto& id : gone) c.remove(id);
    });
}

Result<std::size_t> SubjectKeys::rewrap() {
    std::size_t all = 0;
    for (;;) {
        const auto done = parts_.store->rewrap(parts_.wrapping->current(), limits::subject_keys_rewrapped_at_once,
                                               [&](const ports::StoredKey& key) -> Result<std::string> {
                                                   auto opened = unwrap(key);
                                                   if (!opened) return opened.error();
                                                   return parts_.wrapping->wrap((*opened)->bytes(), as_bytes(bound_to(key.id, key.subject)));
                                               });
        if (!done) return done.error();
        all += *done;
        if (*done == 0) return all;
    }
}

void open_event(SubjectKeys* keys, ports::SealingCipher& cipher, ProductNo product, const event::StoredEvent& event, OpenedData& out) {
    out.state = SubjectKeys::State::absent;
    if (keys == nullptr) return;
    const auto found = keys->find(event.key_id());
    out.state = found.state;
    if (found.state != SubjectKeys::State::held) return;
    const Drop drop{cipher};
    cipher.use(*found.key);
    // What does not open is damaged: it is as little to be had as what was erased, but says so.
    if (!event::open_data(event, product, cipher, out.data)) out.state = SubjectKeys::State::damaged;
}

Status load_keys(SubjectKeys* keys, const ports::LogBatch& batch) {
    if (keys != nullptr) return keys->load(batch);
    const bool any = std::any_of(batch.entries.begin(), batch.entries.end(), [](const auto& entry) { return event::sealed_record(entry.record); });
    return any ? Status(kUnreachable) : success();
}

}  // namespace licet::app
