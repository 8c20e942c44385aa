#include <algorithm>

#include "base/usage_limits.h"
#include "server/exports/layout.h"

namespace licet::exports {
namespace {

Error moved() { return {Errc::precondition_failed, "what is exported was closed, or moved, while it was exported", {}}; }

// FNV-1a: to notice a change, not to withstand anyone.
class Digest {
  public:
    void take(std::string_view text) {
        for (const char c : text) value_ = (value_ ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
    }
    void take(std::uint64_t number) { take(std::to_string(number) + ";"); }
    [[nodiscard]] std::string text() const { return std::to_string(value_); }

  private:
    std::uint64_t value_ = 14'695'981'039'346'656'037u;
};

// Of which accounts, and of which statements of them.
std::string names_of(const std::vector<ports::Account>& accounts, const std::optional<UtcMillis>& closed_at) {
    Digest digest;
    digest.take(closed_at ? "closed;" : "open;");
    for (const auto& account : accounts) {
        digest.take(account.contract);
        digest.take(account.closed ? " closed " + account.hash + ";" : " open;");
    }
    return digest.text();
}

// What an open account came to: while this is the same, so are its lines, in the same order.
std::string draft_of(const ports::Account& account) {
    if (account.closed) return {};
    Digest digest;
    digest.take(account.total.text(account.exponent) + " " + account.currency + ";");
    const auto& b = account.books;
    for (const auto& count : {b.delivered, b.billed, b.unbilled, b.replayed}) {
        digest.take(count.events);
        digest.take(count.bytes);
    }
    digest.take(account.lines);
    return digest.text();
}

// One run over the accounts.
class Run {
  public:
    Run(ports::Accounts& accounts, const Wanted& wanted, Layout& layout, const Sink& sink, const Passed& passed)
        : accounts_(accounts), wanted_(wanted), layout_(layout), sink_(sink), passed_(passed) {}

    Status all(const std::optional<Place>& from) {
        // Asked first: what is closed behind this is noticed at the end.
        auto closed = accounts_.closed_at(wanted_.accounts.period);
        if (!closed) return closed.error();
        closed_at_ = *closed;
        return accounts_.read(wanted_.accounts, [&](ports::AccountsReading& reading) { return all(reading, from); });
    }

  private:
    Status all(ports::AccountsReading& reading, const std::optional<Place>& from) {
        list_ = reading.accounts();
        if (list_.empty() && !wanted_.accounts.contract.empty())
            return Error{Errc::not_found, "the contract has no account in this period", "query:contract"};
        std::sort(list_.begin(), list_.end(), [](const auto& a, const auto& b) { return a.contract < b.contract; });
        if (layout_.wants_lines())
            for (const auto& account : list_) progress_.lines_total += account.lines;
        progress_.lines = from ? from->lines : 0;
        if (auto may = passed_(progress_, nullptr); !may) return may;
        place_.accounts = names_of(list_, closed_at_);
        layout_.period_closed(closed_at_);
        if (from) {
            if (from->accounts != place_.accounts || !still_at_hand(*from)) return moved();
            if (!layout_.restore(list_, from->state)) return Error{Errc::corrupt, "the export cannot be taken up where it stood", {}};
            place_ = *from;
        } else {
            if (auto done = layout_.begin(list_, buffer_); !done) return done;
            if (auto done = flush(); !done) return done;
        }
        for (const auto& account : list_) {
            if (!layout_.wants_lines()) break;
            if (from && (account.contract < from->contract || (account.contract == from->contract && from->ended))) continue;
            if (auto done = one(reading, account); !done) return done;
        }
        if (auto same = still_the_same(); !same) return same;
        if (auto done = layout_.end(buffer_); !done) return done;
        return flush();
    }

    // A period that was closed meanwhile: half a draft and half a statement is neither.
    Status still_the_same() const {
        if (closed_at_) return success();  // for good
        const auto now = accounts_.closed_at(wanted_.accounts.period);
        if (!now) return now.error();
        return *now ? Status(moved()) : success();
    }

    // Lines of a draft that moved have other numbers: half of them would be missed, or written twice.
    [[nodiscard]] bool still_at_hand(const Place& from) const {
        if (from.ended || from.contract.empty()) return true;
        const auto at = std::find_if(list_.begin(), list_.end(), [&](const auto& a) { return a.contract == from.contract; });
        return at != list_.end() && draft_of(*at) == from.draft;
    }

    Status one(ports::AccountsReading& reading, const ports::Account& account) {
        if (place_.contract != account.contract || place_.ended) {
            place_.contract = account.contract;
            place_.after = 0;
            place_.ended = false;
            place_.draft = draft_of(account);
            sum_ = {};
        } else {
            const auto sum = metering::Decimal::parse(place_.sum);
            if (!sum) return Error{Errc::corrupt, "the export cannot be taken up where it stood", {}};
            sum_ = *sum;
        }
        std::uint64_t in_page = 0;
        const auto read = reading.lines(account.contract, place_.after, [&](const ports::AccountLine& line) -> Status {
            if (line.no <= place_.after) return Error{Errc::corrupt, "the lines of contract " + account.contract + " are out of order", {}};
            place_.after = line.no;
            sum_ += line.amount;
            ++place_.lines;
            if (auto done = layout_.line(account, line, buffer_); !done) return done;
            if (++in_page % limits::export_page_lines != 0) return success();
            return passed();
        });
        if (!read) return read;
        // A closed account is what was signed, or it is not exported at all.
        if (account.closed && !(sum_ == account.total))
            return Error{Errc::corrupt, "the lines of contract " + account.contract + " do not come to the total of its statement", {}};
        if (auto done = layout_.account_end(account, buffer_); !done) return done;
        place_.ended = true;
        return passed();
    }

    Status flush() {
        if (buffer_.empty()) return success();
        place_.bytes += buffer_.size();
        if (place_.bytes > limits::export_file_max_bytes)
            return Error{Errc::invalid_parameter, "the export is larger than " + std::to_string(limits::export_file_max_bytes) + " bytes", {}};
        auto done = sink_(buffer_);
        buffer_.clear();
        return done;
    }

    Status passed() {
        if (auto done = flush(); !done) return done;
        progress_.lines = place_.lines;
        progress_.lines_total = std::max(progress_.lines_total, progress_.lines);  // a draft may have grown
        auto state = layout_.state();
        if (!state) return passed_(progress_, nullptr);
        place_.state = *std::move(state);
        place_.sum = sum_.text(metering::Decimal::kScale);
        return passed_(progress_, &place_);
    }

    ports::Accounts& accounts_;
    const Wanted& wanted_;
    Layout& layout_;
    const Sink& sink_;
    const Passed& passed_;
    std::vector<ports::Account> list_;
    std::optional<UtcMillis> closed_at_;
    std::string buffer_;
    metering::Decimal sum_;
    Place place_;
    Progress progress_;
};

}  // namespace

Status run(ports::Accounts& accounts, const Wanted& wanted, Layout& layout, const Sink& sink, const Passed& passed,
           const std::optional<Place>& from) {
    return Run(accounts, wanted, layout, sink, passed).all(from);
}

}  // namespace licet::exports
