// The registry of consents in memory, over the catalog in memory. For tests of the use cases and of the control plane.
#pragma once

#include "server/ports/consents.h"
#include "tests/unit/app/fakes.h"

namespace licet::testing {

class MemoryRegistry final : public ports::ConsentRegistry {
  public:
    explicit MemoryRegistry(std::shared_ptr<MemoryCatalog> catalog) : catalog_(std::move(catalog)) {}

    std::vector<ports::ConsentEvent> events;
    std::map<std::string, ports::ConsentImport> held;
    std::map<std::pair<std::string, std::uint32_t>, std::pair<std::string, ports::Changed>> parts;
    std::map<SubjectKey, UtcMillis> valid_from;

    Result<ports::Recorded> record(const std::vector<ports::ConsentEvent>& given, const std::optional<ports::ImportPart>& part,
                                   const ports::AuditEntry& audit) override {
        if (part) {
            const auto import = held.find(part->import);
            if (import == held.end()) return Error{Errc::not_found, "no such import", {}};
            if (const auto before = parts.find({part->import, part->number}); before != parts.end()) {
                if (before->second.first != part->digest) return Error{Errc::conflict, "applied with other lines", {}};
                return ports::Recorded{before->second.second, true};
            }
            if (part->number != import->second.parts + 1) return Error{Errc::conflict, "not the next part", "path:part"};
        }
        for (const auto& event : given)
            for (const auto& other : events)
                if (other.record == event.record && other.subject != event.subject)
                    return Error{Errc::conflict, "this record is of another subject", "/" + std::to_string(event.index) + "/recordId"};
        std::vector<ports::ConsentRow> rows;
        for (const auto& event : given) append_rows(event, rows);
        auto changed = catalog_->put_consents(rows, audit);
        if (!changed) return changed.error();
        for (auto event : given) {
            event.sequence = events.size() + 1;
            event.revision = changed->revision;
            event.recorded_by = audit.actor;
            events.push_back(std::move(event));
        }
        if (part) {
            auto& import = held[part->import];
            import.parts = part->number;
            import.records += given.size();
            import.refused = nullptr;
            parts[{part->import, part->number}] = {part->digest, *changed};
        }
        return ports::Recorded{*changed, false};
    }
    Result<std::vector<ports::ConsentEvent>> history(const SubjectKey& subject, std::uint64_t after, std::size_t limit) override {
        std::vector<ports::ConsentEvent> out;
        for (const auto& event : events)
            if (event.subject == subject && event.sequence > after && out.size() < limit) out.push_back(event);
        return out;
    }
    Status begin_import(const std::string& name, const ports::AuditEntry& audit) override {
        if (!held.contains(name)) held[name] = {name, audit.actor, 0, 0, 0, 0, false, {}, {}, {}};
        return success();
    }
    Status complete_import(const std::string& name, const ports::AuditEntry&) override {
        held.at(name).complete = true;
        return success();
    }
    Status refuse_part(const std::string& name, const json& why) override {
        held.at(name).refused = why;
        return success();
    }
    Result<std::vector<ports::ConsentImport>> imports(const std::string& name) override {
        std::vector<ports::ConsentImport> out;
        for (const auto& [key, import] : held)
            if (name.empty() || key == name) out.push_back(import);
        return out;
    }
    Result<UtcMillis> subject_tokens_valid_from(const SubjectKey& subject) override { return valid_from[subject]; }
    Status revoke_subject_tokens(const SubjectKey& subject, UtcMillis before, const ports::AuditEntry& audit) override {
        valid_from[subject] = before;
        return catalog_->record_audit(audit);
    }

  private:
    const std::shared_ptr<MemoryCatalog> catalog_;
};

}  // namespace licet::testing
