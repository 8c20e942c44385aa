#include "server/postgres/licences.h"

#include "base/limits.h"
#include "server/ports/catalog_json.h"
#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {

std::vector<ports::Licence> read_licences(pqxx::work& t) {
    std::vector<ports::Licence> out;
    for (const auto& r : t.exec("SELECT name, version, body FROM licences ORDER BY name"))
        out.push_back(ports::licence_from(r[0].as<std::string>(), r[1].as<std::uint32_t>(), json_of(r[2])));
    return out;
}

std::uint32_t write_licence(pqxx::work& t, const ports::Licence& licence) {
    auto body = ports::to_json(licence);
    for (const char* kept_beside : {"name", "id", "version"}) body.erase(kept_beside);
    const auto version = t.exec_params1(
                              "INSERT INTO licences VALUES ($1, 1, $2) ON CONFLICT (name) DO UPDATE SET "
                              "version = licences.version + (licences.body <> excluded.body)::integer, body = excluded.body RETURNING version",
                              licence.name, body.dump())[0]
                             .as<std::uint32_t>();
    if (t.exec1("SELECT count(*) FROM licences")[0].as<std::size_t>() > limits::own_licences_max)
        throw Refused{{Errc::conflict, "as many licences as may be are defined", {}}};
    return version;
}

}  // namespace licet::postgres
