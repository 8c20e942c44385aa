// Regions, products, parties, contracts.
#include "server/app/admin.h"

#include <algorithm>
#include <charconv>

#include "base/duration.h"
#include "base/limits.h"
#include "event/sealed.h"
#include "server/app/fields.h"
#include "server/app/quota_documents.h"
#include "server/ports/catalog_json.h"
#include "server/ports/price_json.h"

namespace licet::app {
namespace {

using nlohmann::json;

Error no_such(const char* what) { return {Errc::not_found, std::string("no such ") + what, {}}; }

// The list of a kind of entry, read from the catalog so that it also shows what a snapshot would refuse.
template <class Entries>
Result<Reply> listed(const char* key, const Entries& entries) {
    json list = json::array();
    for (const auto& entry : entries) list.push_back(ports::to_json(entry));
    return Reply{200, {{key, std::move(list)}}};
}
template <class Entries, class Match>
Result<Reply> one_of(const char* what, const Entries& entries, Match&& match) {
    const auto at = std::find_if(entries.begin(), entries.end(), match);
    if (at == entries.end()) return no_such(what);
    return Reply{200, ports::to_json(*at)};
}

std::optional<Error> check_name(const std::string& name) {
    if (valid_slug(name)) return std::nullopt;
    return Error{Errc::invalid_parameter, "a name is 1-64 characters of a-z 0-9 . _ - starting with a letter or digit", "path:name"};
}

// What redirects are built on: nothing that could end a header, a URL's authority or its path early. Plain HTTP is for loopback.
bool valid_endpoint(std::string_view url) {
    std::string_view rest = url;
    const bool plain = url.starts_with("http://127.");
    if (!plain && !url.starts_with("https://")) return false;
    rest.remove_prefix(plain ? 7 : 8);
    const auto host = rest.substr(0, rest.find('/'));
    if (host.empty() || rest.ends_with("/")) return false;
    if (plain && host.find_first_not_of("0123456789.:") != std::string_view::npos) return false;
    return std::all_of(rest.begin(), rest.end(),
                       [](char c) { return c > 0x20 && c < 0x7f && std::string_view("\"#<>?@\\^`{|}").find(c) == std::string_view::npos; });
}

// {lag: {maxBytes?, maxEvents?, maxAge?, then}}
Result<ports::LagLimits> lag_limits_of(const json& delivery) {
    Fields outer(delivery, "/delivery");
    const json* lag = outer.object("lag");
    if (lag == nullptr) outer.fail("lag", "is required: {maxBytes, maxEvents, maxAge, then}");
    if (auto error = outer.finish()) return *error;
    Fields fields(*lag, "/delivery/lag");
    ports::LagLimits out;
    const auto number = [&](const char* key, std::uint64_t most) -> std::uint64_t {
        const json* value = fields.any(key);
        if (value == nullptr) return 0;
        if (value->is_number_integer() && *value >= 1 && *value <= most) return value->get<std::uint64_t>();
        fields.fail(key, "expected a whole number from 1 to " + std::to_string(most));
        return 0;
    };
    out.max_bytes = number("maxBytes", limits::tape_max_bytes);
    out.max_events = number("maxEvents", limits::lag_events_max);
    if (const auto age = fields.optional_text("maxAge", 64); !age.empty()) {
        out.max_age_ms = parse_duration_ms(age).value_or(0);
        if (out.max_age_ms < 1000 || out.max_age_ms > limits::subscriber_lag_max_ms)
            fields.fail("maxAge", "expected an ISO 8601 duration from PT1S to " + format_duration_ms(limits::subscriber_lag_max_ms));
    }
    const auto then = ports::parse_lag_then(fields.optional_text("then"));
    if (!then) fields.fail("then", "expected wait, conflate or close");
    if (out.max_bytes == 0 && out.max_events == 0 && out.max_age_ms == 0) fields.fail("", "expected one of maxBytes, maxEvents, maxAge at least");
    if (auto error = fields.finish()) return *error;
    out.then = *then;
    return out;
}

}  // namespace

std::optional<Error> Admin::only_where_authored() const {
    if (parts_.authoring) return std::nullopt;
    return Error{Errc::misdirected, "the configuration is authored in another region: send this request to its endpoint", {}};
}

Result<Reply> Admin::held(const Result<ports::Changed>& changed, json body, int status) {
    if (!changed) return changed.error();
    const auto barrier = parts_.governance->hold(changed->epoch);
    body["epoch"] = barrier.epoch.value;
    if (barrier.complete()) return Reply{status, std::move(body)};
    return not_yet_held(barrier, std::move(body));
}

Error not_yet_held(const Barrier& barrier, json result) {
    Error error{Errc::barrier_incomplete, "the change is made, but " + barrier.missing(), {}};
    error.members = json{{"epoch", barrier.epoch.value},
                         {"outstanding", barrier.nodes.outstanding},
                         {"barrier", "/v1/admin/barriers/" + std::to_string(barrier.epoch.value)},
                         {"result", std::move(result)}}
                        .dump();
    return error;
}

Result<Reply> Admin::get_barrier(std::string_view epoch, std::string_view wait) const {
    const auto number = [](std::string_view text) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
        return read.ec == std::errc{} && read.ptr == text.data() + text.size() ? std::optional(value) : std::nullopt;
    };
    const auto of = number(epoch), wait_ms = number(wait.empty() ? "0" : wait);
    if (!of) return Error{Errc::invalid_parameter, "expected the number of an epoch", "path:epoch"};
    if (!wait_ms || *wait_ms > static_cast<std::uint64_t>(limits::barrier_wait_max_ms))
        return Error{Errc::invalid_parameter, "expected milliseconds up to " + std::to_string(limits::barrier_wait_max_ms), "query:wait"};
    const auto barrier = parts_.governance->barrier({*of}, static_cast<int>(*wait_ms));
    if (!barrier) return barrier.error();
    json body{{"epoch", barrier->epoch.value}, {"complete", barrier->complete()}, {"outstanding", barrier->nodes.outstanding}};
    if (!barrier->complete()) body["detail"] = barrier->missing();
    return Reply{200, std::move(body)};
}

Result<std::uint64_t> Admin::configuration_epoch() const {
    const auto epochs = parts_.catalog->epochs();
    return epochs ? Result<std::uint64_t>(epochs->global) : epochs.error();
}

Result<Reply> Admin::put_region(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (auto error = check_name(name)) return *error;
    Fields fields(body);
    const ports::Region region{name, fields.text("endpoint", 512)};
    if (!valid_endpoint(region.endpoint)) fields.fail("endpoint", "expected an https:// URL without query, fragment or a slash at the end");
    if (auto error = fields.finish()) return *error;
    return held(parts_.catalog->put_region(region, {actor.client, "region.put", name, body, actor.only_at}), ports::to_json(region));
}
Result<Reply> Admin::list_regions() const {
    const auto all = parts_.catalog->configuration();
    return all ? listed("regions", all->regions) : Result<Reply>(all.error());
}
Result<Reply> Admin::get_region(const std::string& name) const {
    const auto all = parts_.catalog->configuration();
    return all ? one_of("region", all->regions, [&](const auto& r) { return r.name == name; }) : Result<Reply>(all.error());
}

Result<Reply> Admin::put_product(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (auto error = check_name(name)) return *error;
    Fields fields(body);
    ports::Product product;
    product.name = name;
    product.title = fields.text("title");
    product.owner = fields.slug("owner");
    product.controller = fields.slug("controller");
    product.residency = fields.optional_slug("residency");
    const json* mapping = fields.object("mapping");
    const json* shreddable = fields.any("shreddable");
    const auto snapshot = now();
    const ProductEntry* known = snapshot->product(name);
    product.shreddable = known != nullptr && known->product.shreddable;
    if (shreddable != nullptr && !shreddable->is_null()) {
        if (!shreddable->is_boolean())
            fields.fail("shreddable", "expected true or false");
        else
            product.shreddable = shreddable->get<bool>();
    }
    if (product.shreddable && !parts_.subject_keys) fields.fail("shreddable", "this node has no key-encryption key");
    if (fields.ok() && !product.residency.empty() && snapshot->region_named(product.residency) == nullptr) fields.fail("residency", "no such region");
    for (const auto& [key, party] : {std::pair("owner", product.owner), std::pair("controller", product.controller)})
        if (fields.ok() && snapshot->party(party) == nullptr) fields.fail(key, "no such party");
    if (mapping == nullptr && known == nullptr) fields.fail("mapping", "is required for a new product");
    if (auto error = fields.finish()) return *error;
    json stored;
    if (mapping != nullptr) {
        auto parsed = event::parse_mapping(*mapping, 1);
        if (!parsed) return Error{parsed.error().code, parsed.error().detail, "/mapping" + parsed.error().pointer};
        for (std::size_t i = 0; i < parsed->fields.size(); ++i)
            if (!parsed->fields[i].category.empty() && !parts_.vocabulary->is_category(parsed->fields[i].category))
                return Error{Errc::invalid_document, "unknown DPV personal-data category", "/mapping/fields/" + std::to_string(i) + "/category"};
        if (product.shreddable)
            if (auto sealed = event::check_sealable(*parsed); !sealed)
                return Error{sealed.error().code, sealed.error().detail, "/mapping" + sealed.error().pointer};
        stored = event::to_json(*parsed);
    }
    // What was accepted before would stay as it is: neither in clear for ever nor under keys of another controller.
    if (known != nullptr && known->product.shreddable != product.shreddable)
        return Error{Errc::conflict, "whether a product is shreddable is settled when it is made", "/shreddable"};
    if (known != nullptr && product.shreddable && known->product.controller != product.controller)
        return Error{Errc::conflict, "the controller of a shreddable product stays: its subjects' keys are by controller", "/controller"};
    const auto changed = parts_.catalog->put_product(product, stored, {actor.client, "product.put", name, body, actor.only_at});
    auto reply = held(changed, {});
    if (!reply) return reply;
    const json epoch = reply->body["epoch"];
    reply = get_product(name);
    if (reply) reply->body["epoch"] = epoch;
    return reply;
}
Result<Reply> Admin::list_products() const {
    const auto all = parts_.catalog->configuration();
    return all ? listed("products", all->products) : Result<Reply>(all.error());
}
Result<Reply> Admin::get_product(const std::string& name) const {
    const auto all = parts_.catalog->configuration();
    return all ? one_of("product", all->products, [&](const auto& p) { return p.name == name; }) : Result<Reply>(all.error());
}

Result<Reply> Admin::put_party(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (auto error = check_name(name)) return *error;
    Fields fields(body);
    ports::Party party{name, fields.text("title"), fields.text("country"), fields.texts("collections", 64), fields.texts("adequacySchemes", 16)};
    if (fields.ok() && !parts_.vocabulary->is_country(party.country)) fields.fail("country", "expected an ISO 3166-1 alpha-2 code");
    for (std::size_t i = 0; i < party.collections.size(); ++i)
        if (!valid_slug(party.collections[i])) fields.fail("collections/" + std::to_string(i), "expected a name");
    if (auto error = fields.finish()) return *error;
    return held(parts_.catalog->put_party(party, {actor.client, "party.put", name, body, actor.only_at}), ports::to_json(party));
}
Result<Reply> Admin::list_parties() const {
    const auto all = parts_.catalog->configuration();
    return all ? listed("parties", all->parties) : Result<Reply>(all.error());
}
Result<Reply> Admin::get_party(const std::string& name) const {
    const auto all = parts_.catalog->configuration();
    return all ? one_of("party", all->parties, [&](const auto& p) { return p.name == name; }) : Result<Reply>(all.error());
}

Result<Reply> Admin::put_contract(const Actor& actor, const std::string& name, const json& body) {
    if (auto error = only_where_authored()) return *error;
    if (auto error = check_name(name)) return *error;
    Fields fields(body);
    ports::Contract c;
    c.name = name;
    c.party = fields.slug("party");
    c.products = fields.texts("products", limits::policy_list_max);
    c.purposes = fields.texts("purposes", limits::contract_purposes_max);
    c.transfer_tools = fields.texts("transferTools", 16);
    c.pseudonym_scope = fields.optional_slug("pseudonymScope");
    if (c.pseudonym_scope.empty()) c.pseudonym_scope = "contract";
    const auto state = fields.optional_text("state");
    const auto known_state = ports::parse_contract_state(state.empty() ? "active" : state);
    if (!known_state)
        fields.fail("state", "expected active, suspended or ended");
    else
        c.state = *known_state;
    c.valid_from = fields.time("validFrom");
    c.valid_until = fields.time("validUntil");
    // One that ended before it began says so.
    if (c.valid_until.value != 0 && c.valid_until <= c.valid_from && c.state != ports::ContractState::ended)
        fields.fail("validUntil", "expected a time after validFrom");
    (void)fields.any("price");
    (void)fields.any("priceChanges");
    auto terms = ports::price_terms_from(body);
    if (!terms) return terms.error();
    c.prices = std::move(terms->prices);
    c.replays_billed = terms->replays_billed;
    if (const json* delivery = fields.object("delivery")) {
        auto lag = lag_limits_of(*delivery);
        if (!lag) return lag.error();
        c.lag = *lag;
    }
    auto quota = quota_terms_of(fields);
    if (!quota) return quota.error();
    c.quota = *std::move(quota);
    const auto snapshot = now();
    if (c.state == ports::ContractState::ended && c.valid_until.value == 0) {
        // Ended now, or when it was: a minimum is owed until then.
        const auto* before = snapshot->contract(name);
        const bool known = before != nullptr && before->state == ports::ContractState::ended;
        c.valid_until = known && before->valid_until.value != 0 ? before->valid_until : parts_.clock->utc_now();
    }
    if (fields.ok() && snapshot->party(c.party) == nullptr) fields.fail("party", "no such party");
    for (std::size_t i = 0; i < c.products.size(); ++i)
        if (snapshot->product(c.products[i]) == nullptr) fields.fail("products/" + std::to_string(i), "no such product");
    for (std::size_t i = 0; i < c.purposes.size(); ++i)
        if (!parts_.vocabulary->purpose(c.purposes[i])) fields.fail("purposes/" + std::to_string(i), "expected a DPV purpose, dpv:...");
    for (std::size_t i = 0; i < c.transfer_tools.size(); ++i)
        if (!parts_.vocabulary->is_transfer_tool(c.transfer_tools[i]))
            fields.fail("transferTools/" + std::to_string(i), "expected a GDPR Art. 46 tool, eu-gdpr:A46-...");
    if (auto error = fields.finish()) return *error;
    return held(parts_.catalog->put_contract(c, {actor.client, "contract.put", name, body, actor.only_at}), ports::to_json(c));
}
Result<Reply> Admin::list_contracts() const {
    const auto all = parts_.catalog->configuration();
    return all ? listed("contracts", all->contracts) : Result<Reply>(all.error());
}
Result<Reply> Admin::get_contract(const std::string& name) const {
    const auto all = parts_.catalog->configuration();
    return all ? one_of("contract", all->contracts, [&](const auto& c) { return c.name == name; }) : Result<Reply>(all.error());
}

}  // namespace licet::app
