// AES-256-GCM for values at rest and for the keys they are encrypted under. Built by server/main.
#pragma once

#include <memory>
#include <vector>

#include "server/ports/subject_keys.h"

namespace licet::openssl {

// One object per thread.
[[nodiscard]] std::unique_ptr<ports::SealingCipher> make_sealing_cipher();

// Key-encryption keys of 32 bytes: the first wraps, all unwrap. Null when there is none or one has another size.
[[nodiscard]] std::shared_ptr<const ports::KeyWrapping> make_key_wrapping(const std::vector<std::string>& keys);

}  // namespace licet::openssl
