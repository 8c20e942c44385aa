#include "server/stream/ingest/ingest.h"

#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "base/limits.h"
#include "event/json_scan.h"
#include "event/json_text.h"
#include "event/media_type.h"
#include "server/stream/ingest/builder.h"
#include "server/stream/ingest/json_checker.h"
#include "server/stream/ingest/protobuf_reader.h"

namespace licet::stream {
namespace {

Error bad(std::string pointer, std::string what) { return {Errc::invalid_event, std::move(what), std::move(pointer)}; }

// The pointer, one level further out.
Error below(const char* member, Error error) {
    error.pointer = member + error.pointer;
    return error;
}

// CloudEvents integers are of 32 bits (CloudEvents 1.0.2, section 2.2.2); nullopt for other numbers.
std::optional<std::string> integer_text(std::string_view token) {
    std::int32_t value = 0;
    const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
    if (read.ec != std::errc{} || read.ptr != token.data() + token.size()) return std::nullopt;
    return std::to_string(value);
}

}  // namespace

struct IngestParser::Impl {
    explicit Impl(IngestDigests digests) : builder(std::move(digests)) {}

    Result<Prepared> prepare(const IngestRequest& request) {
        out = {};
        const std::string type = event::media_type(request.content_type);
        if (type == "application/cloudevents-batch+json") {
            if (auto done = batch(request); !done) return done.error();
        } else if (type == "application/cloudevents+json") {
            one(request, 0, request.body, &Impl::structured_text);
        } else if (type == "application/cloudevents-batch+protobuf") {
            if (auto done = protobuf_batch(request); !done) return done.error();
        } else if (type == "application/cloudevents+protobuf") {
            one(request, 0, request.body, &Impl::protobuf);
        } else if (!request.ce_headers.empty()) {
            out.received = 1;
            if (auto read = binary(request, type); !read) out.rejections.push_back({0, read.error()});
        } else if (type == "application/x-ndjson") {
            if (auto done = lines(request); !done) return done.error();
        } else if (type == "application/json") {
            one(request, 0, request.body, &Impl::plain);
        } else {
            return Error{Errc::unsupported_media_type,
                         "expected application/cloudevents+json, application/cloudevents-batch+json, application/cloudevents+protobuf, "
                         "application/cloudevents-batch+protobuf, application/x-ndjson, application/json, or binary mode with ce- headers",
                         "header:Content-Type"};
        }
        return std::move(out);
    }

    using Reader = Status (Impl::*)(const IngestRequest&, std::string_view, std::size_t);
    void one(const IngestRequest& request, std::size_t index, std::string_view text, Reader reader) {
        ++out.received;
        if (auto read = (this->*reader)(request, text, index); !read) out.rejections.push_back({index, read.error()});
    }

    // Leaves the checked text in `minified`. The text may be larger than the event: white space does not count.
    Status parse(std::string_view text) {
        if (text.size() > limits::event_max_bytes * 2) return Error{Errc::event_too_large, "larger than an event may be", ""};
        return checker.minify(text, minified);
    }

    Status accept(const IngestRequest& request, std::size_t index, Attributes attributes, std::string_view data, event::DataKind kind) {
        // Text that is said to be no JSON cannot be looked into: where there is something to govern or to encrypt it is kept as bytes, as in binary
        // mode, and not as a JSON string without fields.
        if (kind == event::DataKind::json && data.starts_with('"') && !names_json(attributes) && !names_nothing(attributes) &&
            (request.product->product.shreddable || !request.product->mapping().fields.empty())) {
            std::string text;
            if (!event::unescape_json(data, text)) return bad("/data", "cannot be read");
            opaque = "\"" + base64(as_bytes(text)) + "\"";
            data = opaque;
            kind = event::DataKind::base64;
        }
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
        if (auto parsed = parse(text); !parsed) return below("/data", parsed.error());
        return accept(request, index, {}, minified, event::DataKind::json);
    }

    Status structured_text(const IngestRequest& request, std::string_view text, std::size_t index) {
        if (auto parsed = parse(text); !parsed) return parsed.error();
        return structured(request, minified, index);
    }

    // A CloudEvent as it is read, member by member.
    struct Members {
        Attributes attributes;
        std::string_view data;  // token; empty: none
        event::DataKind kind = event::DataKind::none;
        bool version = false;
    };

    // One CloudEvent in JSON format (CloudEvents JSON format 1.0, section 3). `text` is its minified JSON.
    Status structured(const IngestRequest& request, std::string_view text, std::size_t index) {
        if (text.front() != '{') return bad("", "expected an object: a CloudEvent");
        Members members;
        Status read = success();
        event::scan::members(text, 0, [&](std::string_view key, std::size_t at) {
            const std::size_t end = event::scan::value_end(text, at);
            if (read) read = member(key, text.substr(at, end - at), members);
            return end;
        });
        if (!read) return read;
        if (!members.version) return bad("/specversion", "is required");
        if (members.kind == event::DataKind::base64 && names_json(members.attributes)) {
            if (auto parsed = parse(decoded); !parsed) return below("/data_base64", parsed.error());
            return accept(request, index, std::move(members.attributes), minified, event::DataKind::json);
        }
        return accept(request, index, std::move(members.attributes), members.data, members.kind);
    }

    Status member(std::string_view key, std::string_view value, Members& into) {
        if (!event::unescape_json(key, name)) return bad("", "a name cannot be read");
        if (name == "data" || name == "data_base64") return payload(value, into);
        const auto kind = event::scan::kind_at(value, 0);
        Attribute attribute;
        if (kind == event::ValueKind::string) {
            if (!event::unescape_json(value, attribute.text)) return bad(attribute_pointer(name), "cannot be read");
        } else if (kind == event::ValueKind::number) {
            auto integer = integer_text(value);
            if (!integer) return bad(attribute_pointer(name), "a number is an integer of 32 bits");
            attribute = {*std::move(integer), true};
        } else if (kind == event::ValueKind::boolean) {
            attribute = {std::string(value), true};
        } else if (kind != event::ValueKind::null) {
            return bad(attribute_pointer(name), "an attribute is a string, an integer or a boolean");
        }
        if (name == "specversion") {
            if (into.version) return bad("/specversion", "occurs twice");
            if (attribute.bare || attribute.text != "1.0") return bad("/specversion", "expected \"1.0\"");
            into.version = true;
            return success();
        }
        if (!into.attributes.emplace(name, std::move(attribute)).second) return bad(attribute_pointer(name), "occurs twice");
        return success();
    }

    // `data` or `data_base64`: one of them, once.
    Status payload(std::string_view value, Members& into) {
        if (name == "data_base64" && value == "null") return success();
        if (into.kind != event::DataKind::none) {
            if (name == "data" && into.kind == event::DataKind::json) return Error{Errc::duplicate_governed_key, "data occurs twice", "/data"};
            return bad("/" + name, "data and data_base64 exclude each other, and occur once");
        }
        into.kind = event::DataKind::json;
        into.data = value;
        if (name == "data") return success();
        into.kind = event::DataKind::base64;
        std::string text;
        auto bytes = value.front() == '"' && event::unescape_json(value, text) ? parse_base64(text) : std::nullopt;
        if (!bytes) return bad("/data_base64", "expected base64 (RFC 4648 section 4)");
        decoded = *std::move(bytes);
        encoded = "\"" + text + "\"";  // without the escapes JSON allows
        into.data = encoded;
        return success();
    }

    Status batch(const IngestRequest& request) {
        if (auto checked = checker.minify(request.body, whole); !checked) return checked;
        if (whole.front() != '[') return bad("", "expected an array of CloudEvents");
        std::size_t count = 0;
        const std::string_view text = whole;
        event::scan::elements(text, 0, [&](std::size_t, std::size_t at) { return ++count, event::scan::value_end(text, at); });
        if (count > limits::ingest_batch_max_events) return too_many();
        event::scan::elements(text, 0, [&](std::size_t index, std::size_t at) {
            const std::size_t end = event::scan::value_end(text, at);
            one(request, index, text.substr(at, end - at), &Impl::structured);
            return end;
        });
        return success();
    }

    // Whether the data is said to be JSON: it is governed as such, however it is carried.
    static bool names_json(const Attributes& attributes) {
        const auto type = attributes.find("datacontenttype");
        return type != attributes.end() && event::is_json_media_type(type->second.text);
    }

    static bool names_nothing(const Attributes& attributes) {
        const auto type = attributes.find("datacontenttype");
        return type == attributes.end() || type->second.text.empty();
    }

    // One CloudEvent in protobuf format. What JSON implies by saying nothing, text implies here: it is JSON.
    Status protobuf(const IngestRequest& request, std::string_view message, std::size_t index) {
        if (message.size() > limits::event_max_bytes * 2) return Error{Errc::event_too_large, "larger than an event may be", ""};
        auto read = read_protobuf_event(message);
        if (!read) return read.error();
        auto& attributes = read->attributes;
        const bool text = read->data_kind == ProtobufEvent::Data::text;
        if (read->data_kind == ProtobufEvent::Data::none) return accept(request, index, std::move(attributes), {}, event::DataKind::none);
        if (names_json(attributes) || (text && names_nothing(attributes))) {
            if (auto parsed = parse(read->data); !parsed) return below("/data", parsed.error());
            return accept(request, index, std::move(attributes), minified, event::DataKind::json);
        }
        encoded.clear();
        if (text)
            event::append_json_string(read->data, encoded);
        else
            encoded = "\"" + base64(as_bytes(read->data)) + "\"";
        return accept(request, index, std::move(attributes), encoded, text ? event::DataKind::json : event::DataKind::base64);
    }

    Status protobuf_batch(const IngestRequest& request) {
        const auto messages = split_protobuf_batch(request.body, limits::ingest_batch_max_events);
        if (!messages) return messages.error();
        if (messages->size() > limits::ingest_batch_max_events) return too_many();
        for (std::size_t index = 0; index < messages->size(); ++index) one(request, index, (*messages)[index], &Impl::protobuf);
        return success();
    }

    static Error too_many() { return {Errc::body_too_large, "more than " + std::to_string(limits::ingest_batch_max_events) + " events", ""}; }

    Status lines(const IngestRequest& request) {
        std::size_t count = 0, index = 0;
        for (std::string_view rest = request.body; !rest.empty(); ++index) {
            const auto end = rest.find('\n');
            std::string_view line = rest.substr(0, end);
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
            if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
            if (++count > limits::ingest_batch_max_events) return too_many();
            one(request, index, line, &Impl::plain);
        }
        return success();
    }

    // HTTP binary mode (CloudEvents HTTP binding 1.0.2, section 3.1): the headers are the attributes, the body is the data.
    Status binary(const IngestRequest& request, const std::string& type) {
        Attributes attributes;
        for (const auto& [header, value] : request.ce_headers) attributes.emplace(header, Attribute{value, false});
        const auto version = attributes.find("specversion");
        if (version == attributes.end() || version->second.text != "1.0") return bad("/specversion", "expected the header ce-specversion: 1.0");
        attributes.erase(version);
        if (attributes.contains("datacontenttype")) return bad("/datacontenttype", "is the header Content-Type in binary mode");
        if (!request.content_type.empty()) attributes.emplace("datacontenttype", Attribute{std::string(request.content_type), false});
        if (request.body.empty()) return accept(request, 0, std::move(attributes), {}, event::DataKind::none);
        if (event::is_json_media_type(type)) {
            if (auto parsed = parse(request.body); !parsed) return below("/data", parsed.error());
            return accept(request, 0, std::move(attributes), minified, event::DataKind::json);
        }
        encoded = "\"" + base64(as_bytes(request.body)) + "\"";
        return accept(request, 0, std::move(attributes), encoded, event::DataKind::base64);
    }

    EventBuilder builder;
    JsonChecker checker;
    std::string minified, whole;
    std::string name;     // of the member at hand
    std::string encoded;  // data at hand as a JSON string token: base64, text of protobuf
    std::string decoded;  // what base64 data at hand holds
    std::string opaque;   // text at hand that is kept as bytes
    Prepared out;
};

IngestParser::IngestParser(IngestDigests digests) : impl_(std::make_unique<Impl>(std::move(digests))) {}
IngestParser::~IngestParser() = default;

Result<Prepared> IngestParser::prepare(const IngestRequest& request) { return impl_->prepare(request); }

}  // namespace licet::stream
