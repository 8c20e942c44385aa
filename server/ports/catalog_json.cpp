#include "server/ports/catalog_json.h"

#include <array>

#include "base/duration.h"
#include "server/ports/price_json.h"
#include "server/ports/quota_json.h"

namespace licet::ports {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kStates{"active", "suspended", "ended"};
constexpr std::array<std::string_view, 3> kThens{"wait", "conflate", "close"};

json time_or_null(UtcMillis at) { return at.value == 0 ? json() : json(format_rfc3339(at)); }

UtcMillis time_of(const json& body, const char* key) {
    const auto at = body.find(key);
    if (at == body.end() || !at->is_string()) return {};
    return parse_rfc3339(at->get_ref<const std::string&>()).value_or(UtcMillis{});
}

std::string text_of(const json& body, const char* key) {
    const auto at = body.find(key);
    return at == body.end() || !at->is_string() ? std::string() : at->get<std::string>();
}

std::vector<std::string> list_of(const json& body, const char* key) {
    std::vector<std::string> out;
    if (const auto at = body.find(key); at != body.end())
        for (const auto& item : *at) out.push_back(item.get<std::string>());
    return out;
}

json delivery_json(const Contract& contract) {
    if (!contract.lag) return nullptr;
    json lag{{"then", lag_then_name(contract.lag->then)}};
    if (contract.lag->max_bytes != 0) lag["maxBytes"] = contract.lag->max_bytes;
    if (contract.lag->max_events != 0) lag["maxEvents"] = contract.lag->max_events;
    if (contract.lag->max_age_ms != 0) lag["maxAge"] = format_duration_ms(contract.lag->max_age_ms);
    return {{"lag", std::move(lag)}};
}

std::optional<LagLimits> lag_of(const json& body) {
    const auto delivery = body.find("delivery");
    if (delivery == body.end() || !delivery->is_object() || !delivery->contains("lag")) return std::nullopt;
    const json& lag = delivery->at("lag");
    const auto number = [&](const char* key) { return lag.contains(key) && lag[key].is_number_unsigned() ? lag[key].get<std::uint64_t>() : 0; };
    // What this build does not know how to do, it does not do to anyone.
    return LagLimits{number("maxBytes"), number("maxEvents"), parse_duration_ms(text_of(lag, "maxAge")).value_or(0),
                     parse_lag_then(text_of(lag, "then")).value_or(LagLimits::Then::wait)};
}

}  // namespace

json to_json(const Region& region) { return {{"name", region.name}, {"endpoint", region.endpoint}}; }

json to_json(const Product& p) {
    return {{"name", p.name},
            {"title", p.title},
            {"owner", p.owner},
            {"controller", p.controller},
            {"shreddable", p.shreddable},
            {"residency", p.residency},
            {"mappingVersion", p.mapping_version},
            {"mapping", p.mappings.empty() ? json() : p.mappings.back()}};
}

json to_json(const Party& p) {
    return {{"name", p.name}, {"title", p.title}, {"country", p.country}, {"collections", p.collections}, {"adequacySchemes", p.adequacy_schemes}};
}

json to_json(const Contract& c) {
    json out{{"name", c.name},
             {"party", c.party},
             {"products", c.products},
             {"purposes", c.purposes},
             {"transferTools", c.transfer_tools},
             {"pseudonymScope", c.pseudonym_scope},
             {"state", contract_state_name(c.state)},
             {"validFrom", time_or_null(c.valid_from)},
             {"validUntil", time_or_null(c.valid_until)},
             {"delivery", delivery_json(c)}};
    put_price_terms({c.prices, c.replays_billed}, out);
    add_quota_json(c.quota, out);
    return out;
}

json to_json(const Licence& l) {
    return {{"name", l.name},       {"id", "LicenseRef-" + l.name}, {"title", l.title},        {"version", l.version},
            {"permits", l.permits}, {"requires", l.requires_},      {"prohibits", l.prohibits}};
}

json to_json(const Client& c) {
    return {{"id", c.id},         {"party", c.party},     {"roles", c.roles},
            {"scopes", c.scopes}, {"revoked", c.revoked}, {"tokensValidFrom", time_or_null(c.tokens_valid_from)}};
}

json to_json(const PolicyRow& p) { return {{"name", p.name}, {"version", p.version}, {"state", p.state}, {"document", p.document}}; }

std::string_view contract_state_name(ContractState state) noexcept { return kStates[static_cast<std::size_t>(state)]; }

std::optional<ContractState> parse_contract_state(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kStates.size(); ++i)
        if (kStates[i] == name) return static_cast<ContractState>(i);
    return std::nullopt;
}

std::string_view lag_then_name(LagLimits::Then then) noexcept { return kThens[static_cast<std::size_t>(then)]; }

std::optional<LagLimits::Then> parse_lag_then(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kThens.size(); ++i)
        if (kThens[i] == name) return static_cast<LagLimits::Then>(i);
    return std::nullopt;
}

Party party_from(const std::string& name, const json& body) {
    return {name, text_of(body, "title"), text_of(body, "country"), list_of(body, "collections"), list_of(body, "adequacySchemes")};
}

Licence licence_from(const std::string& name, std::uint32_t version, const json& body) {
    return {name, text_of(body, "title"), version, list_of(body, "permits"), list_of(body, "requires"), list_of(body, "prohibits")};
}

Contract contract_from(const std::string& name, const json& body) {
    Contract c;
    c.name = name;
    c.party = text_of(body, "party");
    c.products = list_of(body, "products");
    c.purposes = list_of(body, "purposes");
    c.transfer_tools = list_of(body, "transferTools");
    c.pseudonym_scope = text_of(body, "pseudonymScope");
    // A state this build does not know grants nothing.
    c.state = parse_contract_state(text_of(body, "state")).value_or(ContractState::suspended);
    c.valid_from = time_of(body, "validFrom");
    c.valid_until = time_of(body, "validUntil");
    if (auto terms = price_terms_from(body)) {
        c.prices = std::move(terms->prices);
        c.replays_billed = terms->replays_billed;
    }
    c.lag = lag_of(body);
    c.quota = quota_terms_from(body);
    return c;
}

}  // namespace licet::ports
