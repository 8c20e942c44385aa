#include "server/control/exports.h"

#include "server/control/body.h"
#include "server/exports/exporter.h"
#include "server/exports/jobs.h"

namespace licet::control {
namespace {

using nlohmann::json;

Error not_here() { return {Errc::unavailable, "not served here", {}}; }

// The members of the request as the parameters of a report, with pointers into the body.
Result<exports::Wanted> wanted_of(const json& body) {
    if (!body.is_object()) return Error{Errc::invalid_document, "expected an object", ""};
    std::map<std::string, std::string> texts{{"report", ""}, {"format", ""}, {"period", ""}, {"contract", ""}};
    std::string group;
    for (const auto& [key, value] : body.items()) {
        if (key == "group") {
            if (!value.is_array() || value.size() > 16) return Error{Errc::invalid_document, "expected a list of names", "/group"};
            for (const auto& one : value) {
                if (!one.is_string()) return Error{Errc::invalid_document, "expected a list of names", "/group"};
                group += (group.empty() ? "" : ",") + one.get<std::string>();
            }
            continue;
        }
        const auto known = texts.find(key);
        if (known == texts.end()) return Error{Errc::invalid_document, "unknown member", "/" + key};
        if (!value.is_string()) return Error{Errc::invalid_document, "expected a string", "/" + key};
        known->second = value.get<std::string>();
    }
    auto wanted = exports::parse_wanted(texts["report"], texts["format"], texts["period"], group, texts["contract"]);
    if (wanted) return wanted;
    Error error = wanted.error();
    error.code = Errc::invalid_document;
    if (error.pointer.starts_with("query:")) error.pointer = "/" + error.pointer.substr(6);
    return error;
}

}  // namespace

Result<Answer> finance_report(Call& call) {
    if (!call.services.exporter) return not_here();
    auto& q = call.query;
    const auto wanted = exports::parse_wanted(call.path["report"], q["format"], q["period"], q["group"], q["contract"]);
    if (!wanted) {
        if (wanted.error().pointer == "query:report") return Error{Errc::not_found, "no such report: " + wanted.error().detail, {}};
        return wanted.error();
    }
    auto made = call.services.exporter->direct(*wanted);
    if (!made) return made.error();
    Answer answer{200, std::string(exports::media_type_of(wanted->format)), *std::move(made)};
    answer.file_name = exports::file_name_of(*wanted);
    return answer;
}

Result<Answer> start_export(Call& call) {
    if (!call.services.export_jobs) return not_here();
    if (!is_media_type(call.content_type, "application/json"))
        return Error{Errc::unsupported_media_type, "expected application/json", "header:Content-Type"};
    const auto body = parse_body(call.body);
    if (!body) return body.error();
    const auto wanted = wanted_of(*body);
    if (!wanted) return wanted.error();
    const auto job = call.services.export_jobs->start(*wanted, call.actor.client);
    if (!job) return job.error();
    Answer answer{202, "application/json", exports::to_json(*job)};
    answer.location = "/v1/finance/exports/" + job->id;
    return answer;
}

Result<Answer> list_exports(Call& call) {
    if (!call.services.export_jobs) return not_here();
    std::string body = "{\"exports\":[";
    bool first = true;
    for (const auto& job : call.services.export_jobs->list()) {
        body += (first ? "" : ",") + exports::to_json(job);
        first = false;
    }
    return Answer{200, "application/json", body + "]}"};
}

Result<Answer> get_export(Call& call) {
    if (!call.services.export_jobs) return not_here();
    const auto job = call.services.export_jobs->get(call.path["name"]);
    if (!job) return job.error();
    return Answer{200, "application/json", exports::to_json(*job)};
}

Result<Answer> delete_export(Call& call) {
    if (!call.services.export_jobs) return not_here();
    if (auto removed = call.services.export_jobs->remove(call.path["name"]); !removed) return removed.error();
    return Answer{200, "application/json", json{{"id", call.path["name"]}, {"removed", true}}.dump()};
}

}  // namespace licet::control
