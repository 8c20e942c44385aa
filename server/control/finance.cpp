#include "server/control/finance.h"

#include "server/control/body.h"

namespace licet::control {
namespace {

using app::Periods;
using nlohmann::json;

constexpr const char* kJson = "application/json";
constexpr const char* kLines = "application/x-ndjson";

const Error kAbsent{Errc::unavailable, "not served here", {}};

Result<Answer> answer(Result<app::Reply> reply) {
    if (!reply) return reply.error();
    return Answer{reply->status, kJson, reply->body.dump()};
}
Result<Answer> text(Result<std::string> made, const char* type) {
    if (!made) return made.error();
    return Answer{200, type, *std::move(made)};
}

template <class Use>
Result<Answer> with_body(Call& call, Use&& use) {
    if (!is_media_type(call.content_type, kJson)) return Error{Errc::unsupported_media_type, "expected application/json", "header:Content-Type"};
    auto body = parse_body(call.body);
    if (!body) return body.error();
    if (!call.services.periods) return kAbsent;
    return answer(use(*call.services.periods, *body));
}

// Finance sees all; a partner its own.
std::string all(const Call&) { return {}; }
std::string own(const Call& call) { return call.actor.party; }
using Whose = std::string (*)(const Call&);

template <Whose whose>
Result<Answer> statements(Call& call) {
    if (!call.services.periods) return kAbsent;
    auto& q = call.query;
    return text(call.services.periods->statements({q["period"], q["contract"], q["after"], q["limit"]}, whose(call)), kLines);
}
template <Whose whose>
Result<Answer> statement(Call& call) {
    if (!call.services.periods) return kAbsent;
    return text(call.services.periods->statement(call.path["number"], whose(call)), kJson);
}
template <Whose whose>
Result<Answer> lines(Call& call) {
    if (!call.services.periods) return kAbsent;
    return text(call.services.periods->lines(call.path["number"], call.query["after"], call.query["limit"], whose(call)), kLines);
}
template <Whose whose>
Result<Answer> proof(Call& call) {
    if (!call.services.periods) return kAbsent;
    return text(call.services.periods->proof(call.path["number"], call.query["line"], whose(call)), kJson);
}

}  // namespace

std::vector<Route> period_routes() {
    return {
        {"GET",
         "/v1/finance/periods",
         {"finance", "auditor"},
         {},
         [](Call& call) { return call.services.periods ? answer(call.services.periods->list()) : Result<Answer>(kAbsent); }},
        {"POST",
         "/v1/finance/periods/{period}/close",
         {"finance"},
         {},
         [](Call& call) {
             return call.services.periods ? answer(call.services.periods->close(call.actor, call.path["period"])) : Result<Answer>(kAbsent);
         }},
        {"POST",
         "/v1/finance/nodes/{node}/write-off",
         {"finance"},
         {},
         [](Call& call) {
             return with_body(call, [&](Periods& periods, const json& body) { return periods.write_off(call.actor, call.path["node"], body); });
         }},
        {"POST",
         "/v1/finance/corrections",
         {"finance"},
         {},
         [](Call& call) { return with_body(call, [&](Periods& periods, const json& body) { return periods.correct(call.actor, body); }); }},
        {"GET", "/v1/finance/statements", {"finance", "auditor"}, {"period", "contract", "after", "limit"}, statements<all>},
        {"GET", "/v1/finance/statements/{number}", {"finance", "auditor"}, {}, statement<all>},
        {"GET", "/v1/finance/statements/{number}/lines", {"finance", "auditor"}, {"after", "limit"}, lines<all>},
        {"GET", "/v1/finance/statements/{number}/proof", {"finance", "auditor"}, {"line"}, proof<all>},
        {"GET",
         "/v1/finance/statements/{number}/rerate",
         {"finance", "auditor"},
         {},
         [](Call& call) { return call.services.periods ? answer(call.services.periods->rerate(call.path["number"])) : Result<Answer>(kAbsent); }},
        {"GET", "/v1/statements", {kAnyRole}, {"period", "contract", "after", "limit"}, statements<own>},
        {"GET",
         "/v1/statements/key",
         {kAnyRole},
         {},
         [](Call& call) {
             return call.services.periods ? Result<Answer>(Answer{200, kJson, call.services.periods->key().dump()}) : Result<Answer>(kAbsent);
         }},
        {"GET", "/v1/statements/{number}", {kAnyRole}, {}, statement<own>},
        {"GET", "/v1/statements/{number}/lines", {kAnyRole}, {"after", "limit"}, lines<own>},
        {"GET", "/v1/statements/{number}/proof", {kAnyRole}, {"line"}, proof<own>},
    };
}

}  // namespace licet::control
