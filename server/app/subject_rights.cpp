#include "server/app/subject_rights.h"

#include "base/limits.h"
#include "server/app/erasure_certificate.h"
#include "server/app/subject_report.h"

namespace licet::app {
namespace {

using nlohmann::json;

}  // namespace

// The fields that name a subject; meaningful when `fields` finds nothing wrong.
SubjectRights::Named SubjectRights::named(Fields& fields) const {
    const auto subject = fields.text("subject", limits::subject_id_max_bytes);
    Named out{fields.slug("controller"), {}};
    if (fields.ok() && parts_.governance->snapshot()->party(out.controller) == nullptr) fields.fail("controller", "no such party");
    if (fields.ok()) out.subject = parts_.subject_digest(out.controller, subject);
    return out;
}

Result<json> SubjectRights::report(const Actor& actor, const json& body) {
    Fields fields(body);
    const Named who = named(fields);
    ReportRequest request{who.controller, who.subject, fields.optional_slug("product"), 0};
    if (const json* offset = fields.any("offset"); offset != nullptr && !offset->is_null()) {
        if (!offset->is_number_unsigned())
            fields.fail("offset", "expected a whole number");
        else
            request.offset = offset->get<Offset>();
    }
    if (fields.ok() && request.product.empty() && request.offset != 0) fields.fail("offset", "goes with product");
    if (auto error = fields.finish()) return *error;
    if (auto audited = parts_.catalog->record_audit({actor.client, "subject.report", who.controller, json::object()}); !audited)
        return audited.error();
    if (auto read = parts_.governance->refresh(); !read) return read.error();  // what the catalog holds now, not what this node has heard of
    return subject_report({parts_.catalog, parts_.governance, parts_.keys, parts_.log, parts_.ledger, parts_.admin, parts_.clock}, request);
}

Result<Reply> SubjectRights::erase(const Actor& actor, const json& body) {
    Fields fields(body);
    const Named who = named(fields);
    if (auto error = fields.finish()) return *error;
    if (!parts_.keys) return Error{Errc::unavailable, "this node has no key-encryption key: ask one that serves shreddable products", {}};
    const auto erasure = parts_.keys->store().erase(who.subject, {actor.client, "subject.erase", who.controller, json::object()});
    if (!erasure) return erasure.error();
    const auto barrier = parts_.governance->hold(erasure->changed.epoch);
    // No certificate before it holds everywhere: asked again, there is one.
    if (!barrier.complete()) return not_yet_held(barrier, {{"epoch", barrier.epoch.value}});
    const auto snapshot = parts_.governance->snapshot();
    ErasureFacts facts{snapshot->region, who.controller, who.subject, {}, {}};
    for (const auto* entry : snapshot->all_products())
        if (entry->product.controller == who.controller)
            (entry->product.shreddable ? facts.encrypted_products : facts.clear_products).push_back(entry->product.name);
    return Reply{200, make_certificate(facts, *erasure, *parts_.signer)};
}

}  // namespace licet::app
