#include "server/stream/ingest/ingest.h"

#include <simdjson.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/limits.h"
#include "server/stream/ingest/builder.h"

namespace licet::stream {
namespace {

using simdjson::dom::element;

std::string media_type(std::string_view content_type) {
    std::string out(content_type.substr(0, content_type.find(';')));
    while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

bool is_json_type(std::string_view type) { return type == "application/json" || type.ends_with("+json"); }

Error invalid_json(simdjson::error_code code) { return {Errc::invalid_json, std::string("not valid JSON: ") + simdjson::error_message(code), ""}; }

// Standard base64 with padding (RFC 4648 section 4) as a JSON string token.
std::string base64_token(std::string_view bytes) {
    std::string text = base64url(as_bytes(bytes));
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
    while (text.size() % 4 != 0) text += '=';
    return "\"" + text + "\"";
}

bool is_base64(std::string_view text) {
    if (text.size() % 4 != 0) return false;
    const auto end = text.find('=');
    const auto body = text.substr(0, end), pad = end == std::string_view::npos ? std::string_view{} : text.substr(end);
    return pad.size() <= 2 && pad.find_first_not_of('=') == std::string_view::npos &&
           body.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == std::string_view::npos;
}

}  // namespace

struct IngestParser::Impl {
    explicit Impl(IngestDigests digests) : builder(std::move(digests)) {}

    Result<Prepared> prepare(const IngestRequest& request) {
        out = {};
        const std::string type = media_type(request.content_type);
        if (!request.ce_headers.empty()) {
            binary(request, type);
        } else if (type == "application/cloudevents-batch+json") {
            if (auto done = batch(request); !done) return done.error();
        } else if (type == "application/x-ndjson") {
            if (auto done = lines(request); !done) return done.error();
        } else if (type == "application/cloudevents+json") {
            one(request, 0, request.body, &Impl::structured_text);
        } else if (type == "application/json") {
            one(request, 0, request.body, &Impl::plain);
        } else {
            return Error{Errc::unsupported_media_type,
                         "expected application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, application/json, or "
                         "binary mode with ce- headers",
                         "header:Content-Type"};
        }
        return std::move(out);
    }

    using Reader = Status (Impl::*)(const IngestRequest&, std::string_view, std::size_t);
    void one(const IngestRequest& request, std::size_t index, std::string_view text, Reader reader) {
        ++out.received;
        if (auto read = (this->*reader)(request, text, index); !read) out.rejections.push_back({index, read.error()});
    }

    // Checks the whole text and leaves it minified in `minified`.
    Result<element> parse(std::string_view text) {
        if (text.size() > limits::event_max_bytes * 2) return Error{Errc::event_too_large, "larger than an event may be", ""};
        padded.assign(text);
        padded.append(simdjson::SIMDJSON_PADDING, '\0');
        element root;
        if (const auto error = parser.parse(padded.data(), text.size(), false).get(root)) return invalid_json(error);
        minified.resize(text.size());
        std::size_t size = 0;
        if (const auto error = simdjson::minify(text.data(), text.size(), minified.data(), size)) return invalid_json(error);
        minified.resize(size);
        return root;
    }

    Status accept(const IngestRequest& request, std::size_t index, Attributes attributes, std::string_view data, event::DataKind kind) {
        auto built = builder.build(request, std::move(attributes), data, kind);
        if (!built) return built.error();
        if (!built->residency.empty() && built->residency != request.region) {
            ++out.misdirected;
            out.misdirected_region = built->residency;
            return Error{Errc::misdirected, "the event is resident in another region", "/residency"};
        }
        out.items.push_back(std::move(built->item));
        out.indexes.push_back(index);
        return success();
    }

    Status plain(const IngestRequest& request, std::string_view text, std::size_t index) {
        if (auto root = parse(text); !root) return root.error();
        return accept(request, index, {}, minified, event::DataKind::json);
    }

    Status structured_text(const IngestRequest& request, std::string_view text, std::size_t index) {
        auto root = parse(text);
        if (!root) return root.error();
        return structured(request, *root, minified, index);
    }

    // One CloudEvent in JSON format (CloudEvents JSON format 1.0, section 3). `text` is its minified JSON.
    Status structured(const IngestRequest& request, element root, std::string_view text, std::size_t index) {
        simdjson::dom::object object;
        if (root.get(object)) return Error{Errc::invalid_event, "expected an object: a CloudEvent", ""};
        Attributes attributes;
        bool version = false, has_data = false, has_base64 = false;
        for (const auto [key, value] : object) {
            const std::string name(key);
            if (name == "data") {
                if (has_data) return Error{Errc::duplicate_governed_key, "data occurs twice", "/data"};
                has_data = true;
                continue;
            }
            if (value.is_null()) continue;
            std::string_view string_value;
            if (name == "data_base64") {
                if (has_base64 || value.get(string_value) || !is_base64(string_value))
                    return Error{Errc::invalid_event, "expected base64 (RFC 4648) once", "/data_base64"};
                has_base64 = true;
                continue;
            }
            std::string content;
            std::int64_t integer = 0;
            bool boolean = false;
            if (!value.get(string_value))
                content = string_value;
            else if (!value.get(integer))
                content = std::to_string(integer);
            else if (!value.get(boolean))
                content = boolean ? "true" : "false";
            else
                return Error{Errc::invalid_event, "an attribute is a string, an integer or a boolean", "/" + name};
            if (name == "specversion") {
                if (content != "1.0") return Error{Errc::invalid_event, "expected 1.0", "/specversion"};
                version = true;
                continue;
            }
            if (!attributes.emplace(name, std::move(content)).second) return Error{Errc::invalid_event, "occurs twice", "/" + name};
        }
        if (!version) return Error{Errc::invalid_event, "is required", "/specversion"};
        if (has_data && has_base64) return Error{Errc::invalid_event, "data and data_base64 exclude each other", "/data_base64"};
        if (!has_data && !has_base64) return accept(request, index, std::move(attributes), {}, event::DataKind::none);
        static const event::PathTree data_path = [] {
            event::PathTree tree;
            tree.add({"data"}, 0);
            tree.add({"data_base64"}, 1);
            return tree;
        }();
        found.clear();
        if (auto scanned = event::find_values(text, data_path, found); !scanned) return scanned;
        for (const auto& f : found)
            if (f.target == (has_data ? 0u : 1u))
                return accept(request, index, std::move(attributes), text.substr(f.value_begin, f.value_end - f.value_begin),
                              has_data ? event::DataKind::json : event::DataKind::base64);
        return Error{Errc::invalid_event, "the data cannot be located", "/data"};
    }

    Status batch(const IngestRequest& request) {
        padded.assign(request.body);
        padded.append(simdjson::SIMDJSON_PADDING, '\0');
        simdjson::dom::array array;
        element root;
        if (const auto error = parser.parse(padded.data(), request.body.size(), false).get(root)) return invalid_json(error);
        if (root.get(array)) return Error{Errc::invalid_event, "expected an array of CloudEvents", ""};
        const std::size_t count = array.size();
        if (count > limits::ingest_batch_max_events || (count == 0xFFFFFF))
            return Error{Errc::body_too_large, "more than " + std::to_string(limits::ingest_batch_max_events) + " events", ""};
        whole.resize(request.body.size());
        std::size_t size = 0;
        if (const auto error = simdjson::minify(request.body.data(), request.body.size(), whole.data(), size)) return invalid_json(error);
        whole.resize(size);
        // Where each element's text is: the same order as the parsed elements.
        event::PathTree tree;
        for (std::size_t i = 0; i < count; ++i) tree.add({std::to_string(i)}, i);
        std::vector<event::FoundValue> places;
        if (auto scanned = event::find_values(whole, tree, places); !scanned) return scanned;
        std::size_t index = 0;
        for (const element item : array) {
            ++out.received;
            const auto& place = places[index];
            const auto text = std::string_view(whole).substr(place.value_begin, place.value_end - place.value_begin);
            if (auto read = structured(request, item, text, index); !read) out.rejections.push_back({index, read.error()});
            ++index;
        }
        return success();
    }

    Status lines(const IngestRequest& request) {
        std::size_t count = 0, index = 0;
        for (std::string_view rest = request.body; !rest.empty(); ++index) {
            const auto end = rest.find('\n');
            std::string_view line = rest.substr(0, end);
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
            if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
            if (++count > limits::ingest_batch_max_events)
                return Error{Errc::body_too_large, "more than " + std::to_string(limits::ingest_batch_max_events) + " events", ""};
            one(request, index, line, &Impl::plain);
        }
        return success();
    }

    // HTTP binary mode (CloudEvents HTTP binding 1.0.2, section 3.1).
    void binary(const IngestRequest& request, const std::string& type) {
        ++out.received;
        const auto reject = [&](Error error) { out.rejections.push_back({0, std::move(error)}); };
        Attributes attributes(request.ce_headers.begin(), request.ce_headers.end());
        const auto version = attributes.find("specversion");
        if (version == attributes.end() || version->second != "1.0") return reject({Errc::invalid_event, "expected 1.0", "header:ce-specversion"});
        attributes.erase(version);
        if (!request.content_type.empty()) attributes.insert_or_assign("datacontenttype", std::string(request.content_type));
        Status done = success();
        if (request.body.empty()) {
            done = accept(request, 0, std::move(attributes), {}, event::DataKind::none);
        } else if (is_json_type(type)) {
            if (auto root = parse(request.body); !root) return reject(root.error());
            done = accept(request, 0, std::move(attributes), minified, event::DataKind::json);
        } else {
            done = accept(request, 0, std::move(attributes), base64_token(request.body), event::DataKind::base64);
        }
        if (!done) reject(done.error());
    }

    EventBuilder builder;
    simdjson::dom::parser parser;
    std::string padded, minified, whole;
    std::vector<event::FoundValue> found;
    Prepared out;
};

IngestParser::IngestParser(IngestDigests digests) : impl_(std::make_unique<Impl>(std::move(digests))) {}
IngestParser::~IngestParser() = default;

Result<Prepared> IngestParser::prepare(const IngestRequest& request) { return impl_->prepare(request); }

}  // namespace licet::stream
