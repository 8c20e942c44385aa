// FairQueue<Key, T>: in order within a key, and the keys in turn: who has much to do waits behind himself alone. Used by the readers of the data
// plane and by its shards. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <utility>

namespace licet {

template <class Key, class T>
class FairQueue {
  public:
    void push(const Key& key, T item) {
        auto& of = items_[key];
        if (of.empty()) turns_.push_back(key);
        of.push_back(std::move(item));
        ++size_;
    }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    // Whose turn it is. Precondition of both: not empty.
    [[nodiscard]] const T& front() const { return items_.find(turns_.front())->second.front(); }
    [[nodiscard]] T pop() {
        const auto at = items_.find(turns_.front());
        turns_.pop_front();
        T item = std::move(at->second.front());
        at->second.pop_front();
        --size_;
        if (at->second.empty())
            items_.erase(at);
        else
            turns_.push_back(at->first);
        return item;
    }

  private:
    std::map<Key, std::deque<T>> items_;  // of keys that have any
    std::deque<Key> turns_;               // those keys
    std::size_t size_ = 0;
};

}  // namespace licet
