// Mapping documents: what is accepted says the same after being written out, and is within its limits.
#include <nlohmann/json.hpp>

#include "base/limits.h"
#include "event/mapping.h"
#include "tests/fuzz/fuzz.h"

using licet::fuzz::require;
using nlohmann::json;

std::vector<std::string> licet::fuzz::seeds() {
    return {
        R"({"attributes":{"id":{"digest":true},"source":{"constant":"/feed"},"type":{"constant":"edit"},"time":{"pointer":"/time","required":true},
                "datasubject":{"pointer":"/user","infoType":"IP_ADDRESS"}},"fields":[{"pointer":"/user","category":"pd:IPAddress","infoType":"IP_ADDRESS"}]})",
        R"({"attributes":{"id":{"pointer":"/a~1b/0"},"source":{"pointer":""},"type":{"constant":"\u00e9"}},"fields":[{"pointer":"/x"},{"pointer":"/x/y"}]})",
        R"({"attributes":{},"fields":[]})"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    const auto document = json::parse(licet::fuzz::as_text(bytes, size), nullptr, false);
    if (document.is_discarded()) return 0;
    const auto mapping = licet::event::parse_mapping(document, 7);
    if (!mapping) {
        require(mapping.error().code == licet::Errc::invalid_document, "a refusal is an invalid document");
        require(mapping.error().pointer.empty() || mapping.error().pointer.front() == '/', "a refusal says where");
        return 0;
    }
    require(mapping->fields.size() <= licet::limits::mapping_fields_max, "the number of fields is bounded");
    for (const char* needed : {"id", "source", "type"}) require(mapping->rule(needed) != nullptr, "plain JSON can become an event");
    const auto written = licet::event::to_json(*mapping);
    const auto again = licet::event::parse_mapping(written, 7);
    require(again.ok(), "what is written out is accepted");
    require(licet::event::to_json(*again) == written, "and says the same");
    for (std::size_t i = 0; i < mapping->fields.size(); ++i) require(again->fields[i].path == mapping->fields[i].path, "paths stay");
    return 0;
}
