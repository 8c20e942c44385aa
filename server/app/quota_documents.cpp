#include "server/app/quota_documents.h"

#include "base/usage_limits.h"
#include "server/ports/quota_json.h"

namespace licet::app {
namespace {

using nlohmann::json;

std::uint64_t number(Fields& fields, const char* key, std::uint64_t most, bool required) {
    const json* value = fields.any(key);
    if (value == nullptr && !required) return 0;
    if (value != nullptr && value->is_number_integer() && *value >= 1 && *value <= most) return value->get<std::uint64_t>();
    fields.fail(key, "expected a whole number from 1 to " + std::to_string(most));
    return 0;
}

Result<ports::Quota> quota_of(const json& document, const std::string& at) {
    if (!document.is_object()) return Error{Errc::invalid_document, "expected an object: {metric, period, kind, limit}", at};
    Fields fields(document, at);
    const auto metric = ports::parse_quota_metric(fields.optional_text("metric"));
    if (!metric) fields.fail("metric", "expected events or bytes");
    const auto period = ports::parse_quota_period(fields.optional_text("period"));
    if (!period) fields.fail("period", "expected month or day");
    const auto kind = ports::parse_quota_kind(fields.optional_text("kind"));
    if (!kind) fields.fail("kind", "expected hard or soft");
    const auto limit = number(fields, "limit", limits::quota_limit_max, true);
    if (auto error = fields.finish()) return *error;
    return ports::Quota{*metric, *period, *kind, limit};
}

}  // namespace

Result<ports::QuotaTerms> quota_terms_of(Fields& contract) {
    ports::QuotaTerms out;
    if (const json* quotas = contract.any("quotas")) {
        if (!quotas->is_array() || quotas->size() > limits::quotas_max) {
            contract.fail("quotas", "expected a list of at most " + std::to_string(limits::quotas_max) + " quotas");
            return out;
        }
        for (std::size_t i = 0; i < quotas->size(); ++i) {
            const std::string at = "/quotas/" + std::to_string(i);
            const auto quota = quota_of((*quotas)[i], at);
            if (!quota) return quota.error();
            for (const auto& other : out.quotas)
                if (other.metric == quota->metric && other.period == quota->period && other.kind == quota->kind)
                    return Error{Errc::invalid_document, "there is another of this metric, period and kind", at};
            out.quotas.push_back(*quota);
        }
    }
    if (const json* rates = contract.object("rates")) {
        Fields fields(*rates, "/rates");
        out.events_per_second = number(fields, "eventsPerSecond", limits::rate_events_max_per_s, false);
        out.bytes_per_second = number(fields, "bytesPerSecond", limits::rate_bytes_max_per_s, false);
        if (fields.ok() && out.events_per_second == 0 && out.bytes_per_second == 0)
            fields.fail("", "expected eventsPerSecond, bytesPerSecond or both");
        if (auto error = fields.finish()) return *error;
    }
    return out;
}

}  // namespace licet::app
