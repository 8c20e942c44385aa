#include "server/postgres/history.h"

#include <map>

#include "server/ports/catalog_json.h"
#include "server/postgres/consents.h"
#include "server/postgres/pool.h"
#include "server/postgres/rows.h"

namespace licet::postgres {
namespace {

using namespace ports;
using nlohmann::json;

void known(pqxx::work& t, UtcMillis at) {
    const auto start = t.exec("SELECT at FROM configuration_history WHERE kind = 'history'");
    if (start.empty()) throw Refused{{Errc::gone, "this catalog keeps no history", "query:at"}};
    const UtcMillis since{start[0][0].as<std::int64_t>()};
    if (at < since) throw Refused{{Errc::gone, "history is known from " + format_rfc3339(since) + " on", "query:at"}};
}

// The last word on every row, up to the moment.
pqxx::result rows_at(pqxx::work& t, UtcMillis at) {
    return t.exec_params(
        "SELECT kind, body FROM (SELECT DISTINCT ON (kind, key) kind, body FROM configuration_history WHERE at <= $1 ORDER BY kind, key, id DESC) "
        "held WHERE body IS NOT NULL AND (kind <> 'policies' OR body->>'state' = 'active') ORDER BY kind, body->>'name'",
        at.value);
}

struct Reached {
    std::uint64_t revision = 0, epoch = 0;
};
Reached consents_reached(pqxx::work& t, UtcMillis at) {
    const auto last = t.exec_params("SELECT revision, epoch FROM consent_history WHERE at <= $1 ORDER BY at DESC, revision DESC LIMIT 1", at.value);
    return last.empty() ? Reached{} : Reached{last[0][0].as<std::uint64_t>(), last[0][1].as<std::uint64_t>()};
}

}  // namespace

Configuration configuration_at(pqxx::work& t, UtcMillis at) {
    t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    known(t, at);
    Configuration out;
    std::map<std::uint32_t, Product> products;
    std::map<std::uint32_t, std::map<std::uint32_t, json>> mappings;
    std::map<std::uint32_t, Contract> contracts;
    for (const auto& row : rows_at(t, at)) {
        const auto kind = row[0].as<std::string>();
        json body = json_of(row[1]);
        if (kind == "global_epoch") {
            out.epochs.global = body.at("value");
        } else if (kind == "products") {
            const std::uint32_t no = body.at("no");
            products[no] = {{no},
                            body.at("name"),
                            body.at("title"),
                            body.at("owner"),
                            body.at("controller"),
                            body.at("residency"),
                            0,
                            {},
                            body.value("shreddable", false)};
        } else if (kind == "mappings") {
            mappings[body.at("product_no")][body.at("version")] = std::move(body.at("document"));
        } else if (kind == "parties") {
            out.parties.push_back(party_from(body.at("name"), body.at("body")));
        } else if (kind == "contracts") {
            const std::uint32_t no = body.at("no");
            contracts[no] = contract_from(body.at("name"), body.at("body"));
            contracts[no].no = {no};
        } else if (kind == "licences") {
            out.licences.push_back(licence_from(body.at("name"), body.at("version"), body.at("body")));
        } else if (kind == "policies") {
            out.active_policies.push_back({body.at("name"), body.at("version"), body.at("state"), std::move(body.at("document"))});
        }
    }
    for (auto& [no, product] : products) {
        for (auto& [version, document] : mappings[no]) {
            product.mapping_version = version;
            product.mappings.push_back(std::move(document));
        }
        out.products.push_back(std::move(product));
    }
    for (auto& [no, contract] : contracts) out.contracts.push_back(std::move(contract));
    // Those named later are in nobody's consents of then.
    out.consent_recipients = read_recipients(t);
    out.epochs.regional = consents_reached(t, at).epoch;
    return out;
}

ConsentsAt consents_at(pqxx::work& t, const SubjectKey& subject, UtcMillis at) {
    t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    known(t, at);
    ConsentsAt out;
    out.revision = consents_reached(t, at).revision;
    for (const auto& r :
         t.exec_params("SELECT purpose, status, valid_until, revision, position, withdrawn_revision, withdrawn_position, "
                       "recipient FROM (SELECT DISTINCT ON (purpose, recipient) * FROM consent_history WHERE subject = $1::bytea AND at <= $2 "
                       "ORDER BY purpose, recipient, id DESC) held WHERE status IS NOT NULL ORDER BY revision, position",
                       bytea_literal(subject), at.value))
        out.rows.push_back({subject,
                            r[0].as<std::string>(),
                            r[1].as<std::string>(),
                            {r[2].as<std::int64_t>()},
                            r[3].as<std::uint64_t>(),
                            r[4].as<std::uint64_t>(),
                            r[5].as<std::uint64_t>(),
                            r[6].as<std::uint64_t>(),
                            r[7].as<std::uint16_t>()});
    return out;
}

}  // namespace licet::postgres
