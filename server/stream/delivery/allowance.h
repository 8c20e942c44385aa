// Allowance: how far a session may write what its contract has limited: it draws on the contract's purse for each event before the event's frame is
// begun, once, and gives back what was not begun. Owned by a session of a contract that has quotas or rates; others have none. One shard thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/app/quotas.h"
#include "server/stream/delivery/meters.h"
#include "server/stream/delivery/tape.h"

namespace licet::stream {

class Allowance {
  public:
    Allowance(std::shared_ptr<app::QuotaPurse> purse, ports::UsageOf of) : purse_(std::move(purse)), of_(of) {}
    ~Allowance() { leave_all(); }
    Allowance(const Allowance&) = delete;
    Allowance& operator=(const Allowance&) = delete;

    // What was billed before and lies below is billed again.
    void paid_below(Offset offset) noexcept { paid_below_ = offset; }

    struct Reach {
        std::uint64_t until = 0;  // byte position, at the end of a frame or where nothing more is drawn
        app::QuotaPurse::Short why = app::QuotaPurse::Short::no;
    };
    // How far of [at, limit) may be written. Draws for frames, so many at a time; with `whole` for all of them, and asks for what is not there.
    [[nodiscard]] Reach draw(const Tape& tape, std::uint64_t at, std::uint64_t limit, Guarded<Meter>& meter, const Clock& clock, bool whole = false);
    // Frames of all events below `next` are written; `fresh` of them for the first time.
    void wrote(Offset next, const std::vector<metering::OffsetRange>& fresh);
    // Of what was drawn nothing from `from` on is begun.
    void leave_from(Offset from);
    void leave_all() { leave_from(0); }

    // Warnings that hold and were not taken before: numbers of quotas, each once per threshold (of a period).
    [[nodiscard]] std::vector<std::size_t> take_warnings();
    [[nodiscard]] app::QuotaPurse& purse() const noexcept { return *purse_; }

  private:
    const std::shared_ptr<app::QuotaPurse> purse_;
    const ports::UsageOf of_;
    std::vector<app::QuotaPurse::Item> drawn_;  // in order of offset
    std::vector<app::QuotaPurse::Item> wanted_;
    std::vector<metering::OffsetRange> missing_;
    Offset paid_below_ = 0;
    std::uint32_t warned_ = 0;
};

}  // namespace licet::stream
