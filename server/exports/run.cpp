#include <algorithm>

#include "base/usage_limits.h"
#include "server/exports/layout.h"

namespace licet::exports {
namespace {

Error moved() { return {Errc::precondition_failed, "the period was closed while it was exported", {}}; }

// Of which accounts, and of which statements of them: FNV-1a, to notice a change, not to withstand anyone.
std::string names_of(const std::vector<ports::Account>& accounts) {
    std::uint64_t digest = 14'695'981'039'346'656'037u;
    const auto take = [&](std::string_view text) {
        for (const char c : text) digest = (digest ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
    };
    for (const auto& account : accounts) {
        take(account.contract);
        take(account.closed ? " closed " + account.hash + ";" : " open;");
    }
    return std::to_string(digest);
}

// One run over the accounts.
class Run {
  public:
    Run(ports::Accounts& accounts, const Wanted& wanted, Layout& layout, const Sink& sink, const Passed& passed)
        : accounts_(accounts), wanted_(wanted), layout_(layout), sink_(sink), passed_(passed) {}

    Status all(const std::optional<Place>& from) {
        auto read = accounts_.accounts(wanted_.accounts);
        if (!read) return read.error();
        list_ = *std::move(read);
        if (list_.empty() && !wanted_.accounts.contract.empty())
            return Error{Errc::not_found, "the contract has no account in this period", "query:contract"};
        std::sort(list_.begin(), list_.end(), [](const auto& a, const auto& b) { return a.contract < b.contract; });
        if (layout_.wants_lines())
            for (const auto& account : list_) progress_.lines_total += account.lines;
        progress_.lines = from ? from->lines : 0;
        if (auto may = passed_(progress_, nullptr); !may) return may;
        place_.accounts = names_of(list_);
        if (from) {
            if (from->accounts != place_.accounts) return moved();
            if (!layout_.restore(list_, from->state)) return Error{Errc::corrupt, "the export cannot be taken up where it stood", {}};
            place_ = *from;
        } else {
            if (auto done = layout_.begin(list_, buffer_); !done) return done;
            if (auto done = flush(); !done) return done;
        }
        for (const auto& account : list_) {
            if (!layout_.wants_lines()) break;
            if (from && (account.contract < from->contract || (account.contract == from->contract && from->ended))) continue;
            if (auto done = one(account); !done) return done;
        }
        if (auto same = still_the_same(); !same) return same;
        if (auto done = layout_.end(buffer_); !done) return done;
        return flush();
    }

  private:
    // A period that was closed meanwhile: half a draft and half a statement is neither.
    Status still_the_same() const {
        if (std::all_of(list_.begin(), list_.end(), [](const auto& a) { return a.closed; })) return success();
        const auto now = accounts_.accounts(wanted_.accounts);
        if (!now) return now.error();
        for (const auto& account : *now) {
            const auto before =
                std::lower_bound(list_.begin(), list_.end(), account.contract, [](const auto& a, const auto& name) { return a.contract < name; });
            if (before != list_.end() && before->contract == account.contract && before->closed != account.closed) return moved();
        }
        return success();
    }

    Status one(const ports::Account& account) {
        if (place_.contract != account.contract || place_.ended) {
            place_.contract = account.contract;
            place_.after = 0;
            place_.ended = false;
            sum_ = {};
        } else {
            const auto sum = metering::Decimal::parse(place_.sum);
            if (!sum) return Error{Errc::corrupt, "the export cannot be taken up where it stood", {}};
            sum_ = *sum;
        }
        for (;;) {
            auto page = accounts_.lines(wanted_.accounts.period, account.contract, place_.after, limits::export_page_lines);
            if (!page) return page.error();
            for (const auto& line : *page) {
                if (line.no <= place_.after) return Error{Errc::corrupt, "the lines of contract " + account.contract + " are out of order", {}};
                place_.after = line.no;
                sum_ += line.amount;
                if (auto done = layout_.line(account, line, buffer_); !done) return done;
            }
            place_.lines += page->size();
            const bool last = page->size() < limits::export_page_lines;
            if (last) {
                // A closed account is what was signed, or it is not exported at all.
                if (account.closed && !(sum_ == account.total))
                    return Error{Errc::corrupt, "the lines of contract " + account.contract + " do not come to the total of its statement", {}};
                if (auto done = layout_.account_end(account, buffer_); !done) return done;
                place_.ended = true;
            }
            if (auto done = passed(); !done) return done;
            if (last) return success();
        }
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
