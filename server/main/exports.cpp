#include "server/main/exports.h"

#include <array>
#include <filesystem>

#include "base/encoding.h"
#include "server/xlsx/workbook.h"

namespace licet::commands {

ports::InvoicingConfig invoicing_of(const config::Config& config) {
    const auto& f = config.finance;
    ports::InvoicingConfig out;
    out.name = f.seller_name;
    out.address = f.seller_address;
    out.country = f.seller_country;
    out.vat_id = f.seller_vat_id;
    out.registration = f.seller_registration;
    out.payment_terms = f.payment_terms;
    for (const auto& tax : f.tax) out.tax.push_back({tax.from, tax.buyers, tax.category, tax.rate, tax.reason});
    for (const auto& [party, id] : f.buyer_vat_ids) out.buyer_vat_ids.emplace(party, id);
    return out;
}

Result<Exports> make_exports(const config::Config& config, std::shared_ptr<ports::Accounts> accounts, std::shared_ptr<const ports::Crypto> crypto,
                             std::shared_ptr<const Clock> clock) {
    const std::string directory = (std::filesystem::path(config.node.data_dir) / "exports").string();
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return Error{Errc::unavailable, "cannot create " + directory, {}};
    exports::Issuer issuer{invoicing_of(config), config.node.region};
    Exports out;
    out.exporter = std::make_shared<const exports::Exporter>(
        exports::Exporter::Parts{std::move(accounts), std::move(issuer), clock, xlsx::make_workbook, directory});
    auto new_id = [crypto = std::move(crypto)] {
        std::array<std::uint8_t, 16> bytes{};
        crypto->random(bytes);
        return hex(bytes);
    };
    auto jobs = exports::Jobs::open({out.exporter, std::move(clock), std::move(new_id), directory});
    if (!jobs) return jobs.error();
    out.jobs = *std::move(jobs);
    return out;
}

Result<stream::ExportedFile> exported_file(const exports::Jobs& jobs, const std::string& id) {
    auto content = jobs.content(id);
    if (!content) return content.error();
    const auto file = *std::move(content);
    const auto& job = file->job();
    return stream::ExportedFile{job.bytes, std::string(exports::media_type_of(job.wanted.format)), exports::file_name_of(job.wanted),
                                '"' + job.id + "-" + std::to_string(job.bytes) + '"',
                                [file](std::uint64_t from, std::size_t most) { return file->read(from, most); }};
}

}  // namespace licet::commands
