// Bulk imports of consents: each part is one transaction and one epoch, applied in order and once. What was applied is exactly the records of the
// parts that are counted; an import that broke off goes on when it is sent again from its beginning.
#include <charconv>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/app/admin.h"

namespace licet::app {

using nlohmann::json;

Result<Reply> Admin::begin_import(const Actor& actor, const std::string& name) {
    if (auto begun = parts_.registry->begin_import(name, {actor.client, "consent.import_begin", name, json::object()}); !begun) return begun.error();
    return get_import(name);
}

Result<Reply> Admin::import_part(const Actor& actor, const std::string& name, std::string_view number, std::string_view lines,
                                 const Result<std::vector<json>>& records) {
    ports::ImportPart part{name, 0, hex(parts_.crypto->sha256(as_bytes(lines))), lines.size()};
    const auto read = std::from_chars(number.data(), number.data() + number.size(), part.number);
    if (read.ec != std::errc{} || read.ptr != number.data() + number.size() || part.number == 0 || part.number > 1'000'000'000)
        return Error{Errc::invalid_parameter, "expected the number of a part, from 1", "path:part"};
    const auto before = parts_.registry->imports(name);
    if (!before) return before.error();
    if (before->empty()) return Error{Errc::not_found, "no such import", {}};
    // Records are counted through the whole import, so that a pointer is into the file that was sent.
    const auto first = part.number == before->front().parts + 1 ? before->front().records : 0;
    const auto refuse = [&](Error error) -> Result<Reply> {
        // Of a part that has been applied, or is not the next one, the registry knows better.
        if (part.number == before->front().parts + 1)
            (void)parts_.registry->refuse_part(name, {{"part", part.number}, {"pointer", error.pointer}, {"detail", error.detail}});
        return error;
    };
    const auto numbered_pointer = [&](Error error) {
        // "/3/purposes": the third record of this part.
        std::uint64_t index = 0;
        if (!error.pointer.starts_with("/")) return error;
        const char *begin = error.pointer.data() + 1, *end = error.pointer.data() + error.pointer.size();
        const auto digits = std::from_chars(begin, end, index);
        if (digits.ec == std::errc{}) error.pointer = "/" + std::to_string(first + index) + std::string(digits.ptr, end);
        return error;
    };
    if (!records) return refuse(numbered_pointer(records.error()));
    if (records->empty()) return refuse({Errc::invalid_document, "expected at least one consent record", {}});
    if (records->size() > limits::consent_import_part_max_records)
        return refuse({Errc::body_too_large, "more than " + std::to_string(limits::consent_import_part_max_records) + " records in a part", {}});
    const auto events = read_events(*records, Numbered::yes, first, nullptr);
    if (!events) return refuse(events.error());
    const auto done = parts_.registry->record(
        *events, part, {actor.client, "consent.import", name, {{"part", part.number}, {"records", records->size()}, {"sha256", part.digest}}});
    if (!done) return refuse(done.error());
    return held(done->changed,
                {{"part", part.number}, {"records", records->size()}, {"revision", done->changed.revision}, {"repeated", done->repeated}});
}

Result<Reply> Admin::complete_import(const Actor& actor, const std::string& name) {
    if (auto done = parts_.registry->complete_import(name, {actor.client, "consent.import_complete", name, json::object()}); !done)
        return done.error();
    return get_import(name);
}

Result<Reply> Admin::get_import(const std::string& name) const {
    const auto found = parts_.registry->imports(name);
    if (!found) return found.error();
    if (found->empty()) return Error{Errc::not_found, "no such import", {}};
    return Reply{200, to_json(found->front())};
}

Result<Reply> Admin::list_imports() const {
    const auto found = parts_.registry->imports({});
    if (!found) return found.error();
    json list = json::array();
    for (const auto& import : *found) list.push_back(to_json(import));
    return Reply{200, {{"imports", std::move(list)}}};
}

}  // namespace licet::app
