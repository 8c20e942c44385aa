// Clients and policies.
#include <algorithm>
#include <array>
#include <charconv>

#include "base/limits.h"
#include "server/app/admin.h"
#include "server/app/fields.h"
#include "server/app/policy_check.h"
#include "server/ports/catalog_json.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> kRoles{"admin", "policy", "dpo", "finance", "auditor", "producer", "partner", "app"};

bool valid_scope(std::string_view scope) {
    const auto colon = scope.find(':');
    if (colon == std::string_view::npos) return false;
    const auto verb = scope.substr(0, colon), product = scope.substr(colon + 1);
    return (verb == "read" || verb == "write") && (product == "*" || valid_slug(product));
}

}  // namespace

Result<Reply> Admin::create_client(const Actor& actor, const json& body) {
    if (auto error = only_where_authored()) return *error;
    Fields fields(body);
    ports::Client client;
    client.id = fields.slug("id");
    client.party = fields.slug("party");
    client.roles = fields.texts("roles", kRoles.size());
    client.scopes = fields.texts("scopes", 64);
    for (std::size_t i = 0; i < client.roles.size(); ++i)
        if (std::find(kRoles.begin(), kRoles.end(), client.roles[i]) == kRoles.end())
            fields.fail("roles/" + std::to_string(i), "expected admin, policy, dpo, finance, auditor, producer, partner or app");
    for (std::size_t i = 0; i < client.scopes.size(); ++i)
        if (!valid_scope(client.scopes[i])) fields.fail("scopes/" + std::to_string(i), "expected read:PRODUCT or write:PRODUCT");
    if (fields.ok() && now()->party(client.party) == nullptr) fields.fail("party", "no such party");
    if (auto error = fields.finish()) return *error;
    std::array<std::uint8_t, 32> secret{};
    std::array<std::uint8_t, 16> salt{};
    parts_.crypto->random(secret);
    parts_.crypto->random(salt);
    const std::string text = base64url(secret);
    client.secret_salt = hex(salt);
    client.secret_hash = secret_hash(*parts_.crypto, client.secret_salt, text);
    json reply = ports::to_json(client);
    reply["secret"] = text;
    const auto changed = parts_.catalog->create_client(client, {actor.client, "client.create", client.id, body});
    if (!changed) return changed.error();
    // A new client forbids nothing, and its secret is shown once: it is told also when a node has not confirmed the change yet.
    (void)parts_.governance->hold(changed->epoch);
    reply["epoch"] = changed->epoch.value;
    return Reply{201, std::move(reply)};
}
Result<Reply> Admin::list_clients() const {
    const auto all = parts_.catalog->configuration();
    if (!all) return all.error();
    json list = json::array();
    for (const auto& c : all->clients) list.push_back(ports::to_json(c));
    return Reply{200, {{"clients", std::move(list)}}};
}
Result<Reply> Admin::get_client(const std::string& id) const {
    const auto all = parts_.catalog->configuration();
    if (!all) return all.error();
    for (const auto& c : all->clients)
        if (c.id == id) return Reply{200, ports::to_json(c)};
    return Error{Errc::not_found, "no such client", {}};
}
Result<Reply> Admin::revoke_client(const Actor& actor, const std::string& id) {
    if (auto error = only_where_authored()) return *error;
    return held(parts_.catalog->revoke_client(id, {actor.client, "client.revoke", id, json::object()}), {{"id", id}, {"revoked", true}});
}
Result<Reply> Admin::revoke_tokens(const Actor& actor, const std::string& id) {
    if (auto error = only_where_authored()) return *error;
    // Every token issued up to now: they carry milliseconds.
    const UtcMillis before{parts_.clock->utc_now().value + 1};
    return held(parts_.catalog->revoke_tokens(id, before, {actor.client, "client.revoke_tokens", id, json::object()}),
                {{"id", id}, {"tokensValidFrom", format_rfc3339(before)}});
}

Result<Reply> Admin::put_policy(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (!valid_slug(name)) return Error{Errc::invalid_parameter, "not a name", "path:name"};
    Fields fields(body);
    const json* document = fields.object("document");
    if (document == nullptr) fields.fail("document", "is required: an ODRL Set under the Licet profile");
    if (auto error = fields.finish()) return *error;
    const std::string text = document->dump();
    if (text.size() > limits::policy_document_max_bytes) return Error{Errc::body_too_large, "a policy document has at most 256 KiB", "/document"};
    const auto snapshot = now();
    const auto check = policy::check_policy(*document, *snapshot->vocabulary());
    if (check.document == nullptr) return policy_mistakes(check);
    const auto configuration = parts_.catalog->configuration();
    if (!configuration) return configuration.error();
    json findings = policy_findings(*check.document, name, *configuration, snapshot->vocabulary());
    const json detail{{"sha256", hex(parts_.crypto->sha256(as_bytes(text)))}};
    const auto changed = parts_.catalog->add_policy_version(name, *document, {actor.client, "policy.put", name, detail, actor.only_at});
    return held(changed, {{"name", name}, {"version", changed ? changed->number : 0}, {"state", "draft"}, {"findings", std::move(findings)}}, 201);
}
Result<Reply> Admin::list_policies() const {
    const auto rows = parts_.catalog->policies({});
    if (!rows) return rows.error();
    json list = json::array();
    for (const auto& p : *rows) list.push_back({{"name", p.name}, {"version", p.version}, {"state", p.state}});
    return Reply{200, {{"policies", std::move(list)}}};
}
Result<Reply> Admin::get_policy(const std::string& name) const {
    const auto rows = parts_.catalog->policies(name);
    if (!rows) return rows.error();
    if (rows->empty()) return Error{Errc::not_found, "no such policy", {}};
    json list = json::array();
    for (const auto& p : *rows) list.push_back(ports::to_json(p));
    return Reply{200, {{"name", name}, {"versions", std::move(list)}}};
}

Result<Reply> Admin::activate_policy(const Actor& actor, const std::string& name, std::string_view version) {
    if (auto error = only_where_authored()) return *error;
    std::uint32_t number = 0;
    const auto read = std::from_chars(version.data(), version.data() + version.size(), number);
    if (read.ec != std::errc{} || read.ptr != version.data() + version.size())
        return Error{Errc::invalid_parameter, "expected a version number", "path:version"};
    // It must compile for every contract it would govern, before it governs any.
    auto configuration = parts_.catalog->configuration();
    if (!configuration) return configuration.error();
    const auto rows = parts_.catalog->policies(name);
    if (!rows) return rows.error();
    const auto chosen = std::find_if(rows->begin(), rows->end(), [&](const ports::PolicyRow& p) { return p.version == number; });
    if (chosen == rows->end()) return Error{Errc::not_found, "no such policy version", {}};
    auto& active = configuration->active_policies;
    std::erase_if(active, [&](const ports::PolicyRow& p) { return p.name == name; });
    active.push_back(*chosen);
    const auto before = now();
    const auto trial = build_snapshot(*configuration, before->region, before->consents, parts_.vocabulary, before.get());
    for (const auto& contract : configuration->contracts)
        for (const auto& product : contract.products) {
            const auto* entry = trial->product(product);
            if (entry == nullptr) continue;
            if (auto program = trial->program(contract.no, entry->product.no); !program)
                return Error{Errc::invalid_document, "does not compile for contract " + contract.name + ": " + program.error().detail, {}};
        }
    return held(parts_.catalog->activate_policy(name, number, {actor.client, "policy.activate", name, {{"version", number}}}),
                {{"name", name}, {"version", number}, {"state", "active"}});
}
Result<Reply> Admin::retire_policy(const Actor& actor, const std::string& name) {
    if (auto error = only_where_authored()) return *error;
    return held(parts_.catalog->retire_policy(name, {actor.client, "policy.retire", name, json::object()}), {{"name", name}, {"state", "retired"}});
}

}  // namespace licet::app
