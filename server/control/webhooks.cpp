#include "server/control/webhooks.h"

#include "server/app/webhooks.h"
#include "server/control/body.h"

namespace licet::control {
namespace {

using app::Webhooks;

// `use(webhooks)`, where they are served.
template <class Use>
Result<Answer> with(const Call& call, Use&& use) {
    if (!call.services.webhooks) return Error{Errc::unavailable, "not served here", {}};
    Result<app::Reply> reply = use(*call.services.webhooks);
    if (!reply) return reply.error();
    return Answer{reply->status, "application/json", reply->body.dump()};
}

Result<Answer> put(Call& call) {
    if (!is_media_type(call.content_type, "application/json"))
        return Error{Errc::unsupported_media_type, "expected application/json", "header:Content-Type"};
    const auto body = parse_body(call.body);
    if (!body) return body.error();
    return with(call, [&](Webhooks& w) { return w.put(call.actor, call.path["name"], call.path["webhook"], *body); });
}

}  // namespace

std::vector<Route> webhook_routes() {
    return {
        {"GET",
         "/v1/admin/contracts/{name}/webhooks",
         {"admin"},
         {},
         [](Call& call) { return with(call, [&](Webhooks& w) { return w.list(call.path["name"]); }); }},
        {"GET",
         "/v1/admin/contracts/{name}/webhooks/{webhook}",
         {"admin"},
         {},
         [](Call& call) { return with(call, [&](Webhooks& w) { return w.get(call.path["name"], call.path["webhook"]); }); }},
        {"PUT", "/v1/admin/contracts/{name}/webhooks/{webhook}", {"admin"}, {}, put},
        {"DELETE",
         "/v1/admin/contracts/{name}/webhooks/{webhook}",
         {"admin"},
         {},
         [](Call& call) { return with(call, [&](Webhooks& w) { return w.remove(call.actor, call.path["name"], call.path["webhook"]); }); }},
        {"POST",
         "/v1/admin/contracts/{name}/webhooks/{webhook}/rotate",
         {"admin"},
         {},
         [](Call& call) { return with(call, [&](Webhooks& w) { return w.rotate(call.actor, call.path["name"], call.path["webhook"]); }); }},
        {"GET",
         "/v1/admin/contracts/{name}/deliveries",
         {"admin"},
         {"state", "after", "limit"},
         [](Call& call) {
             return with(call,
                         [&](Webhooks& w) { return w.deliveries(call.path["name"], call.query["state"], call.query["after"], call.query["limit"]); });
         }},
        {"POST",
         "/v1/admin/contracts/{name}/deliveries/{delivery}/redeliver",
         {"admin"},
         {},
         [](Call& call) { return with(call, [&](Webhooks& w) { return w.redeliver(call.actor, call.path["name"], call.path["delivery"]); }); }},
    };
}

}  // namespace licet::control
