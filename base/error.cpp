#include "base/error.h"

#include <array>

namespace licet {

namespace {
constexpr std::array kCatalogue{
#define LICET_ERROR(name, slug, status, title) ErrorEntry{slug, status, title},
#include "base/errors.def"
#undef LICET_ERROR
};
}  // namespace

const ErrorEntry& catalogue_entry(Errc code) noexcept { return kCatalogue[static_cast<std::size_t>(code)]; }
std::size_t catalogue_size() noexcept { return kCatalogue.size(); }

}  // namespace licet
