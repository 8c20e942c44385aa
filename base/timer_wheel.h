// TimerWheel: many timers of one thread at a constant cost each (a hierarchical wheel, as Varghese and Lauck describe). Setting one again, which
// a busy connection does all the time, moves a list entry; nothing is allocated. Time is a count of ticks the owner chooses. Pure. Used by delivery.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace licet {

class TimerWheel {
  public:
    // Part of what is timed; set in at most one wheel, and out of it when it dies.
    class Entry {
      public:
        Entry() = default;
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry() { cancel(); }
        [[nodiscard]] bool set() const noexcept { return next_ != this; }
        [[nodiscard]] std::uint64_t due() const noexcept { return due_; }  // while set
        void cancel() noexcept {
            previous_->next_ = next_;
            next_->previous_ = previous_;
            previous_ = next_ = this;
        }

      private:
        friend class TimerWheel;
        Entry *previous_ = this, *next_ = this;
        std::uint64_t due_ = 0;
    };

    explicit TimerWheel(std::uint64_t now) : now_(now) {}
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;
    ~TimerWheel() {
        for (auto& level : slots_)
            for (auto& slot : level)
                while (slot.set()) slot.next_->cancel();
    }

    // At `due`, but with the next tick at the earliest.
    void set(Entry& entry, std::uint64_t due) noexcept {
        entry.cancel();
        entry.due_ = due > now_ ? due : now_ + 1;
        place(entry);
    }

    // Calls `is_due(entry)` for each whose time has come, tick by tick; they are not set any more. It may set, cancel and destroy any entry.
    template <class IsDue>
    void advance(std::uint64_t now, IsDue is_due) {
        while (now_ < now) {
            ++now_;
            for (std::size_t level = kLevels - 1; level > 0; --level)
                if ((now_ & (span(level) - 1)) == 0) each(slot_of(level, now_), [this](Entry& entry) { place(entry); });
            each(slot_of(0, now_), is_due);
        }
    }

  private:
    static constexpr std::size_t kLevels = 4, kBits = 6, kSlots = std::size_t{1} << kBits;

    // Ticks that a slot of the level covers.
    static constexpr std::uint64_t span(std::size_t level) noexcept { return std::uint64_t{1} << (kBits * level); }
    Entry& slot_of(std::size_t level, std::uint64_t at) noexcept { return slots_[level][(at >> (kBits * level)) & (kSlots - 1)]; }

    void place(Entry& entry) noexcept {
        const std::uint64_t left = entry.due_ > now_ ? entry.due_ - now_ : 0;
        std::size_t level = 0;
        while (level < kLevels - 1 && left >= span(level + 1)) ++level;
        // Further than the wheel reaches: as far as it does, and then again.
        const std::uint64_t at = left < span(kLevels) ? now_ + left : now_ + span(kLevels) - 1;
        Entry& slot = slot_of(level, at);
        entry.previous_ = slot.previous_;
        entry.next_ = &slot;
        slot.previous_->next_ = &entry;
        slot.previous_ = &entry;
    }

    template <class Call>
    static void each(Entry& slot, Call call) {
        Entry taken;
        if (!slot.set()) return;
        taken.next_ = slot.next_;
        taken.previous_ = slot.previous_;
        taken.next_->previous_ = taken.previous_->next_ = &taken;
        slot.next_ = slot.previous_ = &slot;
        while (taken.set()) {
            Entry& entry = *taken.next_;
            entry.cancel();
            call(entry);
        }
    }

    std::uint64_t now_;
    std::array<std::array<Entry, kSlots>, kLevels> slots_;
};

}  // namespace licet
