// Governed values encrypted at rest: sealing an accepted event under its data subject's key, opening it again, and what can be had of it without the
// key. Sealed are the outermost governed values (a value inside another goes with it), of data that is not JSON all of it. Used by ingest, views and
// the admin use cases. Pure: the cipher is passed in.
//
// In the place of each value stands a JSON string, base64url of nonce | ciphertext | tag of the value's JSON text. Its size follows from the value's,
// so that the recorded spans still tell where everything is. Its key is derived of the subject's for this product, subject, source and id alone, and
// the value's number is authenticated with it: it opens nowhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "base/ids.h"
#include "base/result.h"
#include "event/mapping.h"
#include "event/record.h"

namespace licet::event {

// Authenticated encryption (AES-256-GCM, server/openssl) under keys derived of one data key. `out` is appended to; as before when false.
class ValueCipher {
  public:
    static constexpr std::size_t kOverheadBytes = 12 + 16;  // a fresh nonce before, the tag behind
    virtual ~ValueCipher() = default;
    // What follows is under the key of this context. So no key sees more values than one event has, however many its subject has.
    [[nodiscard]] virtual bool derive(Bytes context) noexcept = 0;
    [[nodiscard]] virtual bool seal(Bytes plain, Bytes associated, std::string& out) noexcept = 0;
    [[nodiscard]] virtual bool open(Bytes sealed, Bytes associated, std::string& out) noexcept = 0;
};

// Whether a mapping keeps governed values in governed fields alone: an attribute is stored, and delivered, in clear. Only what decisions rest on
// (`time`, `license`, `jurisdiction`, ...) may come from a governed field; `datasubject`, of which a digest is kept, must. Error: invalid_document.
[[nodiscard]] Status check_sealable(const Mapping& mapping);

// Whether the event has anything to seal.
[[nodiscard]] bool sealable(const StoredEvent& event) noexcept;
// The record with its governed values sealed; nullopt when the cipher fails. Precondition: sealable, not sealed.
[[nodiscard]] std::optional<std::string> seal_record(const StoredEvent& event, ProductNo product, const DataKeyId& key, ValueCipher& cipher);
// `data` becomes the event's data as it was. False: not sealed under this key for this event, or damaged. Precondition: event.sealed().
[[nodiscard]] bool open_data(const StoredEvent& event, ProductNo product, ValueCipher& cipher, std::string& data);

// What a sealed event is without its key: the outermost governed values, at the positions of the strings that stand for them. For transforms that
// drop or replace a value without looking at it. nullopt when the data is not what the spans say. `spans` holds what the result refers to.
// Precondition: event.sealed(), data is JSON.
[[nodiscard]] std::optional<StoredEvent> outer_values(const StoredEvent& event, std::string& spans);

}  // namespace licet::event
