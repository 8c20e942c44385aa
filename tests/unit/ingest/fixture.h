// A product with a mapping, and requests against it. Digests are plain hashes: ingest must only carry them.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "event/record.h"
#include "server/stream/ingest/ingest.h"

namespace ingest_test {

using namespace licet;
using namespace licet::stream;

inline nlohmann::json mapping_document() {
    return nlohmann::json::parse(R"({
      "attributes": {"id": {"digest": true}, "source": {"constant": "urn:example:feed"}, "type": {"constant": "org.example.edit"},
                     "time": {"pointer": "/at"}, "license": {"constant": "CC0-1.0"}, "jurisdiction": {"pointer": "/country"},
                     "residency": {"pointer": "/home"}, "datasubject": {"pointer": "/user", "infoType": "IP_ADDRESS"}},
      "fields": [{"pointer": "/user", "category": "pd:IPAddress", "infoType": "IP_ADDRESS"}, {"pointer": "/list/1"}]})");
}

template <class Digest>
Digest digest_of(const std::string& text) {
    Digest out;
    const auto h = std::hash<std::string>{}(text);
    std::memcpy(out.bytes.data(), &h, sizeof h);
    out.bytes[15] = 1;
    return out;
}

inline std::string hash_text(std::string_view text) { return std::to_string(std::hash<std::string_view>{}(text)); }

inline IngestDigests digests() {
    return {[](std::string_view controller, std::string_view subject) {
                return digest_of<SubjectKey>(std::string(controller) + "|" + std::string(subject));
            },
            [](ProductNo product, std::string_view source, std::string_view id) {
                return digest_of<EventIdentity>(std::to_string(product.value) + "|" + std::string(source) + "|" + std::string(id));
            },
            hash_text};
}

class Bench {
  public:
    explicit Bench(const nlohmann::json& mapping = mapping_document(), std::string residency = {}) : parser_(digests()) {
        product_.product = {{7}, "wiki", "Wiki", "owner", "owner", std::move(residency), 1, {mapping}};
        product_.mappings.push_back(std::make_shared<const event::Mapping>(*event::parse_mapping(mapping, 1)));
    }

    Result<Prepared> send(std::string_view type, std::string_view body, std::map<std::string, std::string, std::less<>> ce_headers = {}) {
        IngestRequest request;
        request.product = &product_;
        request.content_type = type;
        request.body = body;
        request.ce_headers = std::move(ce_headers);
        request.region = "eu";
        request.now = {1'000'000};
        return parser_.prepare(request);
    }
    Result<Prepared> plain(std::string_view body) { return send("application/json", body); }
    Result<Prepared> structured(std::string_view body) { return send("application/cloudevents+json", body); }
    Result<Prepared> batch(std::string_view body) { return send("application/cloudevents-batch+json", body); }
    Result<Prepared> protobuf(std::string_view body) { return send("application/cloudevents+protobuf", body); }
    Result<Prepared> protobuf_batch(std::string_view body) { return send("application/cloudevents-batch+protobuf", body); }
    Result<Prepared> lines(std::string_view body) { return send("application/x-ndjson", body); }

  private:
    app::ProductEntry product_;
    IngestParser parser_;
};

// The event a request of one made; fails the test otherwise.
inline event::StoredEvent stored(const Result<Prepared>& prepared, std::size_t at = 0) {
    const auto parsed = event::StoredEvent::parse(prepared.value().items.at(at).record);
    if (!parsed) throw std::runtime_error("the record cannot be read back");
    return *parsed;
}

inline nlohmann::json envelope(const event::StoredEvent& e) { return nlohmann::json::parse(std::string(e.envelope()) + "}"); }

}  // namespace ingest_test
