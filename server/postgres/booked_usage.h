// ports::BookedUsage over one transaction. Used by billing; private to this folder.
#pragma once

#include <pqxx/pqxx>

#include "server/ports/billing.h"

namespace licet::postgres {

// What it hands out is valid as long as the transaction. Of a period that is cut every transaction sees the same; of open ones it sees one state when
// it is repeatable read.
class Booked final : public ports::BookedUsage {
  public:
    explicit Booked(pqxx::work& transaction) : t_(transaction) {}

    Result<std::unique_ptr<ports::UsageParts>> parts(const ports::PartsWanted& wanted) override;
    Result<std::vector<ContractNo>> used(std::string_view period, const std::vector<ContractNo>& contracts) override;
    Result<std::vector<Late>> late(std::string_view period, const std::vector<ContractNo>& contracts) override;
    Result<std::vector<ports::UsageBalance>> balance(std::string_view period, const std::vector<ContractNo>& contracts) override;
    Status correction_lines(std::string_view period, std::string_view contract, const std::function<Status(const std::string&)>& take) override;
    Result<std::optional<ports::StatementRow>> statement_of(std::string_view period, std::string_view contract) override;
    Result<std::vector<std::string>> statement_lines(std::uint64_t number, std::uint64_t after, std::size_t most) override;

  private:
    pqxx::work& t_;
    std::uint64_t cursors_ = 0;
};

}  // namespace licet::postgres
