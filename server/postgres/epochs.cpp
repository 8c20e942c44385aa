#include "server/postgres/epochs.h"

namespace licet::postgres {

ports::Epochs read_epochs(pqxx::work& t) {
    const auto row = t.exec1("SELECT coalesce((SELECT value FROM global_epoch), 0), (SELECT value FROM regional_epoch)");
    return {row[0].as<std::uint64_t>(), row[1].as<std::uint64_t>()};
}

}  // namespace licet::postgres
