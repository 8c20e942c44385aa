// The lines report: every line as it is, or sums of the usage lines, as CSV or JSON.
#include <nlohmann/json.hpp>

#include "metering/csv.h"
#include "server/exports/groups.h"
#include "server/exports/layouts.h"
#include "server/exports/text.h"

namespace licet::exports {
namespace {

using metering::CsvRow;

std::string_view status_of(bool closed) { return closed ? "closed" : "open"; }

class LinesCsv final : public Layout {
  public:
    explicit LinesCsv(std::string period) : period_(std::move(period)) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out +=
            "period,contract,party,line,kind,product,region,day,view,purpose,jurisdiction,events,bytes,minutes,currency,amount,charge_period,reason,"
            "status,statement\r\n";
        return success();
    }
    Status line(const ports::Account& account, const ports::AccountLine& l, std::string& out) override {
        CsvRow row(out);
        row.raw(period_)
            .text(l.contract)
            .text(l.party)
            .number(l.no)
            .raw(ports::line_kind_name(l.kind))
            .text(l.product)
            .text(l.region)
            .raw(l.day)
            .text(l.view);
        row.text(l.purpose).text(l.jurisdiction).number(l.events).number(l.bytes).number(l.minutes).raw(l.currency);
        row.raw(l.amount.text(account.exponent)).raw(l.charge_period).text(l.reason).raw(status_of(account.closed));
        if (account.closed)
            row.number(account.statement);
        else
            row.empty();
        row.end();
        return success();
    }
    Status end(std::string&) override { return success(); }
    std::optional<std::string> state() const override { return ""; }
    bool restore(const std::vector<ports::Account>&, const std::string& state) override { return state.empty(); }

  private:
    const std::string period_;
};

// Sums are held until they cannot grow any more: to the end of the account where lines are grouped by contract, else to the end of all.
class Grouped : public Layout {
  public:
    explicit Grouped(std::vector<std::string> group) : group_(std::move(group)), sums_(group_) {
        for (const auto& g : group_) by_contract_ = by_contract_ || g == "contract";
    }
    Status line(const ports::Account& account, const ports::AccountLine& l, std::string& out) override {
        if (l.kind == ports::LineKind::usage) return sums_.add(account, l);
        GroupSums::Key key;
        for (const auto& g : group_) key.push_back(field(l, g));
        key.push_back(l.currency);
        write(key, l.kind, {l.events, l.bytes, l.minutes, l.amount, account.exponent, account.closed}, l.charge_period, l.reason, out);
        return success();
    }
    Status account_end(const ports::Account&, std::string& out) override {
        if (by_contract_) write_sums(out);
        return success();
    }
    Status end(std::string& out) override {
        write_sums(out);
        return success();
    }

  protected:
    virtual void write(const GroupSums::Key& key, ports::LineKind kind, const GroupSum& sum, const std::string& charge_period,
                       const std::string& reason, std::string& out) = 0;
    const std::vector<std::string> group_;

  private:
    void write_sums(std::string& out) {
        for (const auto& [key, sum] : sums_.all()) write(key, ports::LineKind::usage, sum, {}, {}, out);
        sums_.clear();
    }
    GroupSums sums_;
    bool by_contract_ = false;
};

class GroupedCsv final : public Grouped {
  public:
    GroupedCsv(std::vector<std::string> group, std::string period) : Grouped(std::move(group)), period_(std::move(period)) {}
    Status begin(const std::vector<ports::Account>&, std::string& out) override {
        out += "period,kind";
        for (const auto& g : group_) out += "," + g;
        out += ",events,bytes,minutes,currency,amount,charge_period,reason,status\r\n";
        return success();
    }

  private:
    void write(const GroupSums::Key& key, ports::LineKind kind, const GroupSum& sum, const std::string& charge_period, const std::string& reason,
               std::string& out) override {
        CsvRow row(out);
        row.raw(period_).raw(ports::line_kind_name(kind));
        for (std::size_t i = 0; i + 1 < key.size(); ++i) row.text(key[i]);
        row.number(sum.events).number(sum.bytes).number(sum.minutes).raw(key.back()).raw(sum.amount.text(sum.exponent));
        row.raw(kind == ports::LineKind::usage ? period_ : charge_period).text(reason).raw(status_of(sum.closed)).end();
    }
    const std::string period_;
};

void open_json(std::string& out, const std::string& period, const std::vector<std::string>& group, const std::vector<ports::Account>& accounts) {
    out += "{\"period\":" + json_text(period) + ",\"group\":" + nlohmann::json(group).dump() + ",\"accounts\":[";
    bool first = true;
    for (const auto& account : accounts) {
        out += (first ? "\n" : ",\n") + account_json(account);
        first = false;
    }
    out += "],\n\"lines\":[";
}

void close_json(std::string& out, const Totals& totals) {
    out += "],\n\"totals\":[";
    bool first = true;
    for (const auto& [currency, total] : totals.all()) {
        out += std::string(first ? "" : ",") + "{\"currency\":" + json_text(currency) + ",\"amount\":\"" + total.amount.text(total.exponent) + "\"}";
        first = false;
    }
    out += "]}\n";
}

void member(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(",\"").append(name).append("\":");
    out += json_text(value);
}

void quantities(std::string& out, std::uint64_t events, std::uint64_t bytes, std::uint64_t minutes) {
    out += ",\"events\":" + std::to_string(events) + ",\"bytes\":" + std::to_string(bytes) + ",\"minutes\":" + std::to_string(minutes);
}

class LinesJson final : public Layout {
  public:
    explicit LinesJson(std::string period) : period_(std::move(period)) {}
    Status begin(const std::vector<ports::Account>& accounts, std::string& out) override {
        open_json(out, period_, {}, accounts);
        return success();
    }
    Status line(const ports::Account& account, const ports::AccountLine& l, std::string& out) override {
        out += first_ ? "\n" : ",\n";
        first_ = false;
        out += "{\"contract\":" + json_text(l.contract) + ",\"line\":" + std::to_string(l.no) + ",\"kind\":\"";
        out.append(ports::line_kind_name(l.kind)).append("\"");
        member(out, "product", l.product);
        member(out, "region", l.region);
        member(out, "day", l.day);
        member(out, "view", l.view);
        member(out, "purpose", l.purpose);
        member(out, "jurisdiction", l.jurisdiction);
        quantities(out, l.events, l.bytes, l.minutes);
        member(out, "currency", l.currency);
        member(out, "amount", l.amount.text(account.exponent));
        member(out, "chargePeriod", l.charge_period);
        member(out, "reason", l.reason);
        out += '}';
        totals_.add(l.currency, account.exponent, l.amount);
        return success();
    }
    Status end(std::string& out) override {
        close_json(out, totals_);
        return success();
    }
    std::optional<std::string> state() const override { return (first_ ? "0" : "1") + totals_.text(); }
    bool restore(const std::vector<ports::Account>&, const std::string& state) override {
        if (state.empty()) return false;
        first_ = state.front() == '0';
        return totals_.parse(std::string_view(state).substr(1));
    }

  private:
    const std::string period_;
    bool first_ = true;
    Totals totals_;
};

class GroupedJson final : public Grouped {
  public:
    GroupedJson(std::vector<std::string> group, std::string period) : Grouped(std::move(group)), period_(std::move(period)) {}
    Status begin(const std::vector<ports::Account>& accounts, std::string& out) override {
        open_json(out, period_, group_, accounts);
        return success();
    }
    Status end(std::string& out) override {
        auto done = Grouped::end(out);
        close_json(out, totals_);
        return done;
    }

  private:
    void write(const GroupSums::Key& key, ports::LineKind kind, const GroupSum& sum, const std::string& charge_period, const std::string& reason,
               std::string& out) override {
        out += first_ ? "\n" : ",\n";
        first_ = false;
        out.append("{\"kind\":\"").append(ports::line_kind_name(kind)).append("\"");
        for (std::size_t i = 0; i < group_.size(); ++i) member(out, group_[i], key[i]);
        quantities(out, sum.events, sum.bytes, sum.minutes);
        member(out, "currency", key.back());
        member(out, "amount", sum.amount.text(sum.exponent));
        member(out, "chargePeriod", kind == ports::LineKind::usage ? period_ : charge_period);
        member(out, "reason", reason);
        out += '}';
        totals_.add(key.back(), sum.exponent, sum.amount);
    }
    const std::string period_;
    bool first_ = true;
    Totals totals_;
};

}  // namespace

std::unique_ptr<Layout> lines_layout(const Wanted& wanted) {
    const auto& period = wanted.accounts.period;
    if (wanted.format == Format::csv) {
        if (wanted.group.empty()) return std::make_unique<LinesCsv>(period);
        return std::make_unique<GroupedCsv>(wanted.group, period);
    }
    if (wanted.group.empty()) return std::make_unique<LinesJson>(period);
    return std::make_unique<GroupedJson>(wanted.group, period);
}

}  // namespace licet::exports
