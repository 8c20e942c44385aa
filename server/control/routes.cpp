#include "server/control/routes.h"

#include <algorithm>

#include "base/encoding.h"
#include "server/app/subject_report.h"
#include "server/control/body.h"
#include "server/control/exports.h"
#include "server/control/finance.h"
#include "server/control/webhooks.h"

namespace licet::control {
namespace {

using app::Admin;
using app::Reply;
using nlohmann::json;

constexpr std::size_t kEtagBytes = 16;
constexpr int kConditionalAttempts = 8;

Result<Answer> answer(Result<Reply> reply) {
    if (!reply) return reply.error();
    return Answer{reply->status, "application/json", reply->body.dump()};
}

// The body as JSON; its media type must say so.
Result<json> body_of(const Call& call) {
    if (!is_media_type(call.content_type, "application/json"))
        return Error{Errc::unsupported_media_type, "expected application/json", "header:Content-Type"};
    return parse_body(call.body);
}

Result<std::vector<json>> lines_of(std::string_view rest) {
    std::vector<json> records;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        auto record = parse_body(line, "/" + std::to_string(records.size()));
        if (!record) return record.error();
        records.push_back(*std::move(record));
    }
    return records;
}

// One consent record, or one per line.
Result<Answer> record_consents(Call& call) {
    if (is_media_type(call.content_type, "application/x-ndjson")) {
        const auto records = lines_of(call.body);
        if (!records) return records.error();
        return answer(call.services.admin->record_consents(call.actor, *records, app::Numbered::yes));
    }
    auto body = body_of(call);
    if (!body) return body.error();
    return answer(call.services.admin->record_consents(call.actor, {*std::move(body)}, app::Numbered::no));
}

Result<Answer> import_part(Call& call) {
    if (!is_media_type(call.content_type, "application/x-ndjson"))
        return Error{Errc::unsupported_media_type, "expected application/x-ndjson", "header:Content-Type"};
    return answer(call.services.admin->import_part(call.actor, call.path["name"], call.path["part"], call.body, lines_of(call.body)));
}

Result<Answer> finance_usage(Call& call) {
    const std::string format = call.query["format"].empty() ? "csv" : call.query["format"];
    if (format != "csv" && format != "json") return Error{Errc::invalid_parameter, "expected csv or json", "query:format"};
    const auto report = call.services.reports->report(*call.services.snapshot(), call.query["period"], call.query["group"], {});
    if (!report) return report.error();
    if (format == "csv") return Answer{200, "text/csv; charset=utf-8; header=present", app::to_csv(*report)};
    return Answer{200, "application/json", app::to_json(*report).dump()};
}

// RFC 9110, section 8.8.3: a strong validator of one entry, made of its representation.
std::string etag_of(const Call& call, const json& body) {
    const auto digest = call.services.crypto->sha256(as_bytes(body.dump()));
    return '"' + base64url(std::span(digest).first(kEtagBytes)) + '"';
}

// RFC 9110, section 13.1.1: one of the listed validators, compared strongly; "*" is anything that is there.
bool matches(std::string_view if_match, std::string_view etag) {
    for (;;) {
        const auto comma = if_match.find(',');
        auto one = if_match.substr(0, comma);
        while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
        while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
        if (one == "*" || one == etag) return true;
        if (comma == std::string_view::npos) return false;
        if_match.remove_prefix(comma + 1);
    }
}

template <Result<Reply> (Admin::*Put)(const app::Actor&, const std::string&, const json&), Result<Reply> (Admin::*Get)(const std::string&) const>
Result<Answer> put(Call& call) {
    auto body = body_of(call);
    if (!body) return body.error();
    auto& admin = *call.services.admin;
    const auto& name = call.path["name"];
    if (call.if_match.empty()) return answer((admin.*Put)(call.actor, name, *body));
    // Read, compared, and written only if nothing has changed meanwhile; what changed may have been another entry: again.
    for (int attempt = 0; attempt < kConditionalAttempts; ++attempt) {
        const auto epoch = admin.configuration_epoch();
        if (!epoch) return epoch.error();
        const auto current = (admin.*Get)(name);
        if (!current && current.error().code != Errc::not_found) return current.error();
        if (!current || !matches(call.if_match, etag_of(call, current->body)))
            return Error{Errc::precondition_failed, "the entry is not what If-Match names: read it again", "header:If-Match"};
        call.actor.only_at = *epoch;
        auto done = (admin.*Put)(call.actor, name, *body);
        if (done || done.error().code != Errc::precondition_failed) return answer(std::move(done));
    }
    return Error{Errc::conflict, "the configuration changes too fast for a conditional change: try again", "header:If-Match"};
}
template <Result<Reply> (Admin::*Post)(const app::Actor&, const json&)>
Result<Answer> post(Call& call) {
    auto body = body_of(call);
    return body ? answer((call.services.admin.get()->*Post)(call.actor, *body)) : Result<Answer>(body.error());
}
template <Result<Reply> (app::SubjectRights::*Post)(const app::Actor&, const json&)>
Result<Answer> for_subject(Call& call) {
    auto body = body_of(call);
    if (!body) return body.error();
    if (!call.services.subjects) return Error{Errc::unavailable, "not served here", {}};
    return answer((call.services.subjects.get()->*Post)(call.actor, *body));
}
Result<Answer> subject_report(Call& call) {
    const std::string format = call.query["format"].empty() ? "json" : call.query["format"];
    if (format != "json" && format != "html") return Error{Errc::invalid_parameter, "expected json or html", "query:format"};
    auto body = body_of(call);
    if (!body) return body.error();
    if (!call.services.subjects) return Error{Errc::unavailable, "not served here", {}};
    const auto report = call.services.subjects->report(call.actor, *body);
    if (!report) return report.error();
    if (format == "html") return Answer{200, "text/html; charset=utf-8", app::to_html(*report)};
    return Answer{200, "application/json", report->dump()};
}

template <Result<Reply> (Admin::*Act)(const app::Actor&, const std::string&)>
Result<Answer> act(Call& call) {
    return answer((call.services.admin.get()->*Act)(call.actor, call.path["name"]));
}
template <Result<Reply> (Admin::*Get)(const std::string&) const>
Result<Answer> get(Call& call) {
    auto reply = (call.services.admin.get()->*Get)(call.path["name"]);
    if (!reply) return reply.error();
    auto etag = etag_of(call, reply->body);
    return Answer{reply->status, "application/json", reply->body.dump(), std::move(etag)};
}
template <Result<Reply> (Admin::*List)() const>
Result<Answer> list(Call& call) {
    return answer((call.services.admin.get()->*List)());
}

std::vector<Route> all_routes() {
    std::vector<Route> routes{
        {"GET",
         "/v1/openapi.json",
         {},
         {},
         [](Call&) -> Result<Answer> {
             return Answer{200, "application/json", std::string(openapi_document())};
         }},

        {"GET", "/v1/admin/regions", {"admin"}, {}, list<&Admin::list_regions>},
        {"GET", "/v1/admin/regions/{name}", {"admin"}, {}, get<&Admin::get_region>},
        {"PUT", "/v1/admin/regions/{name}", {"admin"}, {}, put<&Admin::put_region, &Admin::get_region>},
        {"GET", "/v1/admin/products", {"admin", "producer"}, {}, list<&Admin::list_products>},
        {"GET", "/v1/admin/products/{name}", {"admin", "producer"}, {}, get<&Admin::get_product>},
        {"PUT", "/v1/admin/products/{name}", {"admin"}, {}, put<&Admin::put_product, &Admin::get_product>},
        {"GET", "/v1/admin/parties", {"admin"}, {}, list<&Admin::list_parties>},
        {"GET", "/v1/admin/parties/{name}", {"admin"}, {}, get<&Admin::get_party>},
        {"PUT", "/v1/admin/parties/{name}", {"admin"}, {}, put<&Admin::put_party, &Admin::get_party>},
        {"GET", "/v1/admin/contracts", {"admin", "finance"}, {}, list<&Admin::list_contracts>},
        {"GET", "/v1/admin/contracts/{name}", {"admin", "finance"}, {}, get<&Admin::get_contract>},
        {"PUT", "/v1/admin/contracts/{name}", {"admin"}, {}, put<&Admin::put_contract, &Admin::get_contract>},
        {"GET", "/v1/admin/licences", {"admin", "policy", "dpo", "auditor"}, {}, list<&Admin::list_licences>},
        {"GET", "/v1/admin/licences/{name}", {"admin", "policy", "dpo", "auditor"}, {}, get<&Admin::get_licence>},
        {"PUT", "/v1/admin/licences/{name}", {"admin", "policy"}, {}, put<&Admin::put_licence, &Admin::get_licence>},
        {"GET", "/v1/admin/clients", {"admin"}, {}, list<&Admin::list_clients>},
        {"POST", "/v1/admin/clients", {"admin"}, {}, post<&Admin::create_client>},
        {"GET", "/v1/admin/clients/{name}", {"admin"}, {}, get<&Admin::get_client>},
        {"POST", "/v1/admin/clients/{name}/revoke", {"admin"}, {}, act<&Admin::revoke_client>},
        {"POST", "/v1/admin/clients/{name}/revoke-tokens", {"admin"}, {}, act<&Admin::revoke_tokens>},

        {"GET", "/v1/admin/policies", {"admin", "policy", "dpo"}, {}, list<&Admin::list_policies>},
        {"GET", "/v1/admin/policies/{name}", {"admin", "policy", "dpo"}, {}, get<&Admin::get_policy>},
        {"PUT", "/v1/admin/policies/{name}", {"admin", "policy"}, {}, put<&Admin::put_policy, &Admin::get_policy>},
        {"POST",
         "/v1/admin/policies/{name}/versions/{version}/activate",
         {"admin", "policy"},
         {},
         [](Call& call) { return answer(call.services.admin->activate_policy(call.actor, call.path["name"], call.path["version"])); }},
        {"POST", "/v1/admin/policies/{name}/retire", {"admin", "policy"}, {}, act<&Admin::retire_policy>},
        {"GET", "/v1/admin/policies:shadow", {"admin", "policy", "dpo"}, {}, list<&Admin::shadow_counts>},
        {"POST",
         "/v1/admin/policies/{name}/versions/{version}/shadow",
         {"admin", "policy"},
         {},
         [](Call& call) { return answer(call.services.admin->shadow_policy(call.actor, call.path["name"], call.path["version"])); }},
        {"POST", "/v1/admin/policies/{name}/end-shadow", {"admin", "policy"}, {}, act<&Admin::end_shadow>},
        {"POST", "/v1/admin/policies:simulate", {"admin", "policy", "dpo"}, {}, post<&Admin::simulate_policy>},

        {"POST", "/v1/admin/consents", {"admin", "dpo"}, {}, record_consents},
        {"POST", "/v1/admin/consents/withdraw", {"admin", "dpo"}, {}, post<&Admin::withdraw_consent>},
        {"POST", "/v1/admin/consents/query", {"admin", "dpo"}, {}, post<&Admin::query_consent>},
        {"POST", "/v1/admin/consents/history", {"admin", "dpo"}, {}, post<&Admin::consent_history>},
        // PUT of a whole import is cut into parts by the edge.
        {"GET", "/v1/admin/consents/imports", {"admin", "dpo"}, {}, list<&Admin::list_imports>},
        {"GET", "/v1/admin/consents/imports/{name}", {"admin", "dpo"}, {}, get<&Admin::get_import>},
        {"POST", "/v1/admin/consents/imports/{name}", {"admin", "dpo"}, {}, act<&Admin::begin_import>},
        {"PUT", "/v1/admin/consents/imports/{name}/parts/{part}", {"admin", "dpo"}, {}, import_part},
        {"POST", "/v1/admin/consents/imports/{name}/complete", {"admin", "dpo"}, {}, act<&Admin::complete_import>},
        {"POST", "/v1/admin/subject-tokens", {"admin", "dpo", "app"}, {}, post<&Admin::issue_subject_token>},
        {"POST", "/v1/admin/subject-tokens/revoke", {"admin", "dpo", "app"}, {}, post<&Admin::revoke_subject_tokens>},
        // Only with the token of a data subject.
        {"GET", "/v1/me/consents", {kSubjectRole}, {}, [](Call& call) { return answer(call.services.admin->my_consents(call.actor)); }},
        {"GET",
         "/v1/me/consents/history",
         {kSubjectRole},
         {"after"},
         [](Call& call) { return answer(call.services.admin->my_history(call.actor, call.query["after"])); }},
        {"POST", "/v1/me/consents", {kSubjectRole}, {}, post<&Admin::record_mine>},
        {"POST", "/v1/me/consents/withdraw", {kSubjectRole}, {}, post<&Admin::withdraw_mine>},
        {"POST", "/v1/admin/subjects/report", {"admin", "dpo"}, {"format"}, subject_report},
        {"POST", "/v1/admin/subjects/erase", {"admin", "dpo"}, {}, for_subject<&app::SubjectRights::erase>},
        {"GET",
         "/v1/admin/explain",
         {"admin", "dpo", "auditor", "policy"},
         {"product", "contract", "offset", "cursor", "source", "event", "at"},
         [](Call& call) {
             auto& q = call.query;
             return answer(
                 call.services.admin->explain(call.actor, {q["product"], q["contract"], q["offset"], q["cursor"], q["source"], q["event"], q["at"]}));
         }},
        {"GET",
         "/v1/admin/audit",
         {"auditor"},
         {"after", "limit"},
         [](Call& call) -> Result<Answer> {
             auto lines = call.services.audit->lines(call.query["after"], call.query["limit"]);
             if (!lines) return lines.error();
             return Answer{200, "application/x-ndjson", *std::move(lines)};
         }},
        {"GET",
         "/v1/admin/barriers/{epoch}",
         {"admin", "policy", "dpo", "auditor"},
         {"wait"},
         [](Call& call) { return answer(call.services.admin->get_barrier(call.path["epoch"], call.query["wait"])); }},
        {"GET",
         "/v1/admin/audit/key",
         {"auditor", "admin"},
         {},
         [](Call& call) -> Result<Answer> {
             return Answer{200, "application/json", call.services.audit->key().dump()};
         }},
        {"GET",
         "/v1/admin/audit/checkpoint",
         {"auditor"},
         {},
         [](Call& call) -> Result<Answer> {
             auto note = call.services.audit->checkpoint();
             if (!note) return note.error();
             return Answer{200, "text/plain; charset=utf-8", *std::move(note)};
         }},
        {"GET",
         "/v1/admin/audit/proof",
         {"auditor"},
         {"entry", "from", "size"},
         [](Call& call) -> Result<Answer> {
             const auto proof = call.services.audit->proof(call.query["entry"], call.query["from"], call.query["size"]);
             if (!proof) return proof.error();
             return Answer{200, "application/json", proof->dump()};
         }},

        {"GET", "/v1/finance/usage", {"finance"}, {"period", "group", "format"}, finance_usage},
        {"GET", "/v1/finance/reports/{report}", {"finance"}, {"period", "format", "group", "contract"}, finance_report},
        // The content is sent by the edge.
        {"GET", "/v1/finance/exports", {"finance"}, {}, list_exports},
        {"POST", "/v1/finance/exports", {"finance"}, {}, start_export},
        {"GET", "/v1/finance/exports/{name}", {"finance"}, {}, get_export},
        {"DELETE", "/v1/finance/exports/{name}", {"finance"}, {}, delete_export},
    };
    for (auto& route : period_routes()) routes.push_back(std::move(route));
    for (auto& route : webhook_routes()) routes.push_back(std::move(route));
    return routes;
}

const std::vector<Route>& table() {
    static const std::vector<Route> routes = all_routes();
    return routes;
}

std::vector<std::string_view> segments(std::string_view path) {
    std::vector<std::string_view> out;
    while (!path.empty() && path.front() == '/') {
        path.remove_prefix(1);
        const auto slash = path.find('/');
        out.push_back(path.substr(0, slash));
        path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
    }
    return out;
}

bool fits(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path, std::map<std::string, std::string>& parameters) {
    if (pattern.size() != path.size()) return false;
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (pattern[i].starts_with('{')) {
            auto value = percent_decode(path[i], false);
            if (!value || value->empty()) return false;
            found.emplace(pattern[i].substr(1, pattern[i].size() - 2), *std::move(value));
        } else if (pattern[i] != path[i]) {
            return false;
        }
    }
    parameters = std::move(found);
    return true;
}

}  // namespace

std::span<const Route> routes() { return table(); }

Match match(std::string_view method, std::string_view path) {
    Match out;
    const auto wanted = segments(path);
    for (const Route& route : table()) {
        std::map<std::string, std::string> parameters;
        if (!fits(segments(route.path), wanted, parameters)) continue;
        if (route.method == method) {
            out.route = &route;
            out.path = std::move(parameters);
            return out;
        }
        out.allow += (out.allow.empty() ? "" : ", ") + std::string(route.method);
    }
    return out;
}

}  // namespace licet::control
