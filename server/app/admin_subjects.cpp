// Tokens of data subjects, and what a person does with one: see, give and withdraw their own consents.
#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "server/app/admin.h"
#include "server/app/fields.h"

namespace licet::app {
namespace {

using nlohmann::json;

bool has_role(const Actor& actor, std::string_view role) { return std::find(actor.roles.begin(), actor.roles.end(), role) != actor.roles.end(); }

// Data protection officers speak for every controller, an app for the one it belongs to.
std::optional<Error> may_speak_for(const Actor& actor, const std::string& controller) {
    if (has_role(actor, "dpo") || has_role(actor, "admin") || actor.party == controller) return std::nullopt;
    return Error{Errc::forbidden, "an app may issue tokens for consents to its own party only", "/controller"};
}

}  // namespace

Result<Reply> Admin::issue_subject_token(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto subject = fields.text("subject", limits::subject_id_max_bytes);
    const auto controller = fields.slug("controller");
    int lifetime = limits::subject_token_lifetime_default_s;
    if (const json* given = fields.any("expiresIn")) {
        if (given->is_number_integer() && given->get<std::int64_t>() > 0 && given->get<std::int64_t>() <= limits::subject_token_lifetime_max_s)
            lifetime = given->get<int>();
        else
            fields.fail("expiresIn", "expected seconds, 1 to " + std::to_string(limits::subject_token_lifetime_max_s));
    }
    const auto snapshot = now();
    if (fields.ok() && snapshot->party(controller) == nullptr) fields.fail("controller", "no such party");
    if (auto error = fields.finish()) return *error;
    if (auto error = may_speak_for(actor, controller)) return *error;
    const SubjectKey key = parts_.subject_digest(controller, subject);
    const auto not_before = parts_.registry->subject_tokens_valid_from(key);
    if (!not_before) return not_before.error();
    if (auto audited = parts_.catalog->record_audit({actor.client, "subject_token.issue", controller, {{"expiresIn", lifetime}}}); !audited)
        return audited.error();
    return Reply{201,
                 {{"access_token", parts_.tokens->issue_subject(*snapshot, actor.client, key, controller, lifetime, *not_before)},
                  {"token_type", "Bearer"},
                  {"expires_in", lifetime},
                  {"scope", "consents:self"}}};
}

Result<Reply> Admin::revoke_subject_tokens(const Actor& actor, const json& body) {
    Fields fields(body);
    const auto subject = fields.text("subject", limits::subject_id_max_bytes);
    const auto controller = fields.slug("controller");
    if (fields.ok() && now()->party(controller) == nullptr) fields.fail("controller", "no such party");
    if (auto error = fields.finish()) return *error;
    if (auto error = may_speak_for(actor, controller)) return *error;
    // Past this millisecond: what was issued within it is revoked too.
    const UtcMillis from{parts_.clock->utc_now().value + 1};
    if (auto done = parts_.registry->revoke_subject_tokens(parts_.subject_digest(controller, subject), from,
                                                           {actor.client, "subject_token.revoke", controller, json::object()});
        !done)
        return done.error();
    return Reply{200, {{"revoked", true}}};
}

Result<SubjectKey> Admin::still_good(const Actor& actor) const {
    if (!actor.subject) return Error{Errc::forbidden, "needs the token of a data subject", {}};
    const auto from = parts_.registry->subject_tokens_valid_from(actor.subject->subject);
    if (!from) return from.error();
    if (actor.subject->token.issued_at < *from) return Error{Errc::invalid_token, "the token was revoked", "header:Authorization"};
    return actor.subject->subject;
}

Result<Reply> Admin::my_consents(const Actor& actor) {
    const auto key = still_good(actor);
    if (!key) return key.error();
    auto holds = what_holds(*key);
    if (!holds) return holds.error();
    if (auto audited = audit_own(actor, "consent.query"); !audited) return audited.error();
    (*holds)["controller"] = actor.subject->controller;
    return Reply{200, *std::move(holds)};
}

Result<Reply> Admin::my_history(const Actor& actor, std::string_view after) {
    const auto key = still_good(actor);
    if (!key) return key.error();
    std::uint64_t from = 0;
    if (!after.empty()) {
        const auto read = std::from_chars(after.data(), after.data() + after.size(), from);
        if (read.ec != std::errc{} || read.ptr != after.data() + after.size() || from > std::uint64_t{1} << 62)
            return Error{Errc::invalid_parameter, "expected a sequence", "query:after"};
    }
    if (auto audited = audit_own(actor, "consent.history"); !audited) return audited.error();
    return history_of(*key, from, limits::consent_history_page_max);
}

// That a person read what is held of them, through which client; not who.
Status Admin::audit_own(const Actor& actor, const char* action) {
    return parts_.catalog->record_audit({actor.client, action, "consents", {{"by", "subject"}}});
}

Result<Reply> Admin::record_mine(const Actor& actor, const json& body) {
    if (const auto key = still_good(actor); !key) return key.error();
    const auto events = read_events({body}, Numbered::no, 0, &actor);
    if (!events) return events.error();
    const auto done =
        parts_.registry->record(*events, std::nullopt, {actor.client, "consent.record", "consents", {{"records", 1}, {"by", "subject"}}});
    if (!done) return Error{done.error().code, done.error().detail, done.error().code == Errc::conflict ? "/recordId" : ""};
    return held(done->changed, {{"records", 1}, {"revision", done->changed.revision}, {"recordId", events->front().record}});
}

Result<Reply> Admin::withdraw_mine(const Actor& actor, const json& body) {
    if (const auto key = still_good(actor); !key) return key.error();
    return withdraw(actor, body, true);
}

}  // namespace licet::app
