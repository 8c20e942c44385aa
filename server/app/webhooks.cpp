#include "server/app/webhooks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "base/usage_limits.h"
#include "server/app/fields.h"
#include "server/app/webhook_signing.h"

namespace licet::app {
namespace {

using nlohmann::json;
using ports::WebhookEndpoint;

Error invalid(std::string where, std::string why) { return {Errc::invalid_parameter, std::move(why), std::move(where)}; }

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || value > INT64_MAX) return std::nullopt;
    return value;
}

json time_or_null(UtcMillis at) { return at.value == 0 ? json() : json(format_rfc3339(at)); }

json shown_delivery(const ports::WebhookDelivery& d) {
    json out{{"id", d.no},
             {"webhook", d.webhook},
             {"message", d.message},
             {"state", d.state},
             {"attempts", d.attempts},
             {"toldAt", format_rfc3339(d.told_at)},
             {"lastAttemptAt", time_or_null(d.last_at)}};
    out["nextAttemptAt"] = d.state == "pending" ? json(format_rfc3339(d.next_at)) : json();
    out["lastStatus"] = d.last_status == 0 ? json() : json(d.last_status);
    out["lastError"] = d.last_error.empty() ? json() : json(d.last_error);
    return out;
}

// What can be known of the address without asking for its name.
std::optional<std::string> never_posted_to(const ports::WebAddress& to, bool allow_private) {
    if (!to.tls && !allow_private) return "expected https://: without TLS only loopback is posted to, and only where the configuration allows it";
    return std::nullopt;
}

// The path and query of a webhook often are a secret of its receiver: the audit log names where it is alone.
json audited(const ports::WebAddress& to) { return {{"to", (to.tls ? "https://" : "http://") + ports::authority_of(to)}}; }

}  // namespace

Result<ContractNo> Webhooks::contract_no(const std::string& name) const {
    const auto snapshot = parts_.snapshot();
    const auto* contract = snapshot->contract(name);
    if (contract == nullptr) return Error{Errc::not_found, "no such contract", {}};
    return contract->no;
}

Result<WebhookEndpoint> Webhooks::find(const std::string& contract, const std::string& name) const {
    const auto no = contract_no(contract);
    if (!no) return no.error();
    auto all = parts_.store->endpoints(*no);
    if (!all) return all.error();
    const auto at = std::find_if(all->begin(), all->end(), [&](const WebhookEndpoint& e) { return e.name == name; });
    if (at == all->end()) return Error{Errc::not_found, "no such webhook", {}};
    return std::move(*at);
}

json Webhooks::shown(const WebhookEndpoint& e) const {
    json out{{"name", e.name},
             {"url", e.url},
             {"state", e.disabled.empty() ? "active" : "disabled"},
             {"disabledBecause", e.disabled.empty() ? json() : json(e.disabled)},
             {"createdAt", format_rfc3339(e.created)}};
    out["formerSecretUntil"] = e.former_until > parts_.clock->utc_now() ? json(format_rfc3339(e.former_until)) : json();
    return out;
}

Result<Reply> Webhooks::put(const Actor& actor, const std::string& contract, const std::string& name, const json& body) {
    if (!valid_slug(name)) return invalid("path:webhook", "not a name");
    const auto no = contract_no(contract);
    if (!no) return no.error();
    if (!parts_.wrapping) return Error{Errc::unavailable, "this node has no key-encryption key, under which secrets of webhooks are kept", {}};
    Fields fields(body);
    const auto url = fields.text("url", limits::webhook_url_max_bytes);
    std::optional<ports::WebAddress> to;
    if (fields.ok()) {
        auto parsed = ports::parse_web_address(url);
        if (!parsed)
            fields.fail("url", parsed.error().detail);
        else if (auto why = never_posted_to(*parsed, parts_.allow_private))
            fields.fail("url", *why);
        else
            to = *std::move(parsed);
    }
    if (auto error = fields.finish()) return *error;
    WebhookEndpoint fresh;
    std::array<std::uint8_t, 16> id{};
    parts_.crypto->random(id);
    fresh.id = hex(id);
    fresh.contract = *no;
    fresh.name = name;
    fresh.url = url;
    ports::SecretKey secret;
    parts_.crypto->random(secret.raw());
    auto wrapped = parts_.wrapping->wrap(secret.bytes(), as_bytes(webhook_secret_context(fresh.id)));
    if (!wrapped) return wrapped.error();
    fresh.secret = {parts_.wrapping->current(), *std::move(wrapped)};
    const auto made = parts_.store->put(fresh, {actor.client, "webhook.put", contract + "/" + name, audited(*to)});
    if (!made) return made.error();
    if (!*made) return get(contract, name);
    const auto kept = find(contract, name);
    if (!kept) return kept.error();
    json reply = shown(*kept);
    reply["secret"] = webhook_secret_text(secret.bytes());
    return Reply{201, std::move(reply)};
}

Result<Reply> Webhooks::list(const std::string& contract) const {
    const auto no = contract_no(contract);
    if (!no) return no.error();
    const auto all = parts_.store->endpoints(*no);
    if (!all) return all.error();
    json out = json::array();
    for (const auto& e : *all) out.push_back(shown(e));
    return Reply{200, {{"webhooks", std::move(out)}}};
}

Result<Reply> Webhooks::get(const std::string& contract, const std::string& name) const {
    const auto endpoint = find(contract, name);
    if (!endpoint) return endpoint.error();
    return Reply{200, shown(*endpoint)};
}

Result<Reply> Webhooks::remove(const Actor& actor, const std::string& contract, const std::string& name) {
    const auto no = contract_no(contract);
    if (!no) return no.error();
    const auto done = parts_.store->remove(*no, name, {actor.client, "webhook.delete", contract + "/" + name, json::object()});
    if (!done) return done.error();
    return Reply{200, {{"name", name}, {"deleted", true}}};
}

Result<Reply> Webhooks::rotate(const Actor& actor, const std::string& contract, const std::string& name) {
    const auto endpoint = find(contract, name);
    if (!endpoint) return endpoint.error();
    if (!parts_.wrapping) return Error{Errc::unavailable, "this node has no key-encryption key, under which secrets of webhooks are kept", {}};
    ports::SecretKey secret;
    parts_.crypto->random(secret.raw());
    auto wrapped = parts_.wrapping->wrap(secret.bytes(), as_bytes(webhook_secret_context(endpoint->id)));
    if (!wrapped) return wrapped.error();
    const auto until = parts_.store->rotate(endpoint->id, {parts_.wrapping->current(), *std::move(wrapped)}, limits::webhook_secret_overlap_ms,
                                            {actor.client, "webhook.rotate", contract + "/" + name, json::object()});
    if (!until) return until.error();
    return Reply{200, {{"name", name}, {"secret", webhook_secret_text(secret.bytes())}, {"formerSecretUntil", format_rfc3339(*until)}}};
}

Result<Reply> Webhooks::deliveries(const std::string& contract, const std::string& state, std::string_view after, std::string_view limit) const {
    const auto no = contract_no(contract);
    if (!no) return no.error();
    if (!state.empty() && state != "pending" && state != "delivered" && state != "dead")
        return invalid("query:state", "expected pending, delivered or dead");
    const auto from = after.empty() ? std::optional<std::uint64_t>(0) : number_of(after);
    if (!from) return invalid("query:after", "expected the id of a delivery");
    const auto most = limit.empty() ? std::optional<std::uint64_t>(limits::webhook_page_max_deliveries) : number_of(limit);
    if (!most || *most == 0 || *most > limits::webhook_page_max_deliveries)
        return invalid("query:limit", "expected 1 to " + std::to_string(limits::webhook_page_max_deliveries));
    const auto found = parts_.store->deliveries(*no, state, *from, *most);
    if (!found) return found.error();
    json out = json::array();
    for (const auto& d : *found) out.push_back(shown_delivery(d));
    return Reply{200, {{"deliveries", std::move(out)}}};
}

Result<Reply> Webhooks::redeliver(const Actor& actor, const std::string& contract, std::string_view delivery) {
    const auto no = contract_no(contract);
    if (!no) return no.error();
    const auto id = number_of(delivery);
    if (!id) return invalid("path:delivery", "expected the id of a delivery");
    const auto done = parts_.store->redeliver(*no, *id, {actor.client, "webhook.redeliver", contract, {{"delivery", *id}}});
    if (!done) return done.error();
    if (parts_.due) parts_.due();
    return Reply{202, {{"id", *id}, {"state", "pending"}}};
}

Result<std::size_t> Webhooks::rewrap(ports::WebhookStore& store, const ports::KeyWrapping& wrapping) {
    return store.rewrap(wrapping.current(), [&](const std::string& endpoint, const ports::WrappedSecret& secret) -> Result<std::string> {
        const auto context = webhook_secret_context(endpoint);
        const auto key = wrapping.unwrap(secret.under, as_bytes(secret.wrapped), as_bytes(context));
        if (!key) return key.error();
        return wrapping.wrap((*key)->bytes(), as_bytes(context));
    });
}

}  // namespace licet::app
