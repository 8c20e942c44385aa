#include "server/app/consent_documents.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "server/app/evidence.h"
#include "server/app/fields.h"

namespace licet::app {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 5> kStatuses{"given", "renewed", "withdrawn", "expired", "evidenced"};
constexpr std::size_t kReferenceMaxBytes = 1024, kRecordMaxBytes = 128, kPurposesMax = 64;
constexpr std::int64_t kClocksDifferMs = 5 * 60'000;
constexpr std::size_t kTellingBytes = 4;  // a shorter subject id may stand in another text by chance

class Reader {
  public:
    Reader(const json& object, const std::string& at, const ConsentContext& context) : at_(at), context_(context), fields_(object, at) {}

    Fields& fields() { return fields_; }
    ConsentDraft& draft() { return draft_; }
    const Evidence& evidence() const { return evidence_; }

    void subject() {
        auto& e = draft_.event;
        if (context_.own) {
            e.subject = context_.own->key;
            e.controller = context_.own->controller;
            return;
        }
        raw_ = fields_.text("subject", limits::subject_id_max_bytes);
        e.controller = fields_.slug("controller");
        if (fields_.ok() && context_.snapshot.party(e.controller) == nullptr) fields_.fail("controller", "no such party");
        if (fields_.ok()) e.subject = context_.digest(e.controller, raw_);
    }
    void purposes() {
        const auto given = fields_.texts("purposes", kPurposesMax);
        for (std::size_t i = 0; i < given.size(); ++i) {
            const auto purpose = context_.vocabulary.purpose(given[i]);
            if (!purpose) return fields_.fail("purposes/" + std::to_string(i), "expected a DPV purpose, dpv:...");
            add_once(draft_.event.purposes, std::string(context_.vocabulary.purpose_name(*purpose)));
        }
    }
    void recipients() {
        const json* list = fields_.any("recipients");
        if (list == nullptr) return;
        if (!list->is_array() || list->empty() || list->size() > limits::consent_record_recipients_max)
            return fields_.fail("recipients", "expected an array of 1 to " + std::to_string(limits::consent_record_recipients_max));
        for (std::size_t i = 0; i < list->size(); ++i) {
            const std::string here = "recipients/" + std::to_string(i);
            Fields one((*list)[i], at_ + "/" + here);
            const auto party = one.optional_slug("party"), category = one.optional_slug("category");
            if (one.ok() && party.empty() == category.empty()) one.fail("", "expected either party or category");
            if (one.ok() && !party.empty() && context_.snapshot.party(party) == nullptr) one.fail("party", "no such party");
            // A name that is new is numbered for good: that is not for everybody to do.
            if (one.ok() && context_.own && !category.empty() && !context_.snapshot.knows_collection(category))
                one.fail("category", "no such category");
            if (auto error = one.finish()) return fail(*error);
            add_once(draft_.recipients, party.empty() ? "category:" + category : "party:" + party);
        }
    }
    void papers() {
        auto& e = draft_.event;
        e.record = own_words("recordId", kRecordMaxBytes);
        // Records of others are not to be run into, nor found out.
        if (context_.own && !e.record.empty() && !e.record.starts_with("cr-")) fields_.fail("recordId", "expected the id of a record made here");
        e.notice = own_words("notice", kReferenceMaxBytes);
        e.legal_basis = fields_.optional_text("legalBasis");
        if (!e.legal_basis.empty() && !context_.vocabulary.is_legal_basis(e.legal_basis))
            fields_.fail("legalBasis", "expected a legal basis, such as eu-gdpr:A6-1-a");
        e.jurisdiction = fields_.optional_text("jurisdiction", 6);
        const auto& j = e.jurisdiction;
        if (!j.empty() && (j.size() < 2 || !context_.vocabulary.is_country(j.substr(0, 2)) || (j.size() > 2 && (j[2] != '-' || j.size() == 3))))
            fields_.fail("jurisdiction", "expected an ISO 3166 code, such as DE or US-CA");
        e.occurred_at = fields_.time("occurredAt");
        if (e.occurred_at.value > context_.now.value + kClocksDifferMs) fields_.fail("occurredAt", "is in the future");
        if (const json* given = fields_.object("evidence")) {
            auto read = read_evidence(*given, at_ + "/evidence");
            if (!read) return fail(read.error());
            evidence_ = *std::move(read);
            if (tells(evidence_.stored["value"].get<std::string>())) fields_.fail("evidence/value", "must not contain the subject's id");
            e.evidence = evidence_.stored;
        }
        if (fields_.ok() && e.record.empty()) e.record = context_.new_record();
    }
    // A mistake found by another reader, with its whole pointer.
    void fail(const Error& error) {
        if (!error_ && fields_.ok()) error_ = error;
        fields_.fail("", error.detail);
    }
    std::optional<Error> finish() {
        auto own = fields_.finish();
        return error_ ? error_ : own;
    }

  private:
    static void add_once(std::vector<std::string>& to, std::string text) {
        if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(std::move(text));
    }
    // Raw ids are not stored, in no field. Of people acting for themselves only the key is known, which tells the id by itself and not within a text.
    [[nodiscard]] bool tells(const std::string& text) const {
        if (context_.own) return !text.empty() && context_.digest(context_.own->controller, text) == context_.own->key;
        if (raw_.empty()) return false;
        return raw_.size() < kTellingBytes ? text == raw_ : text.find(raw_) != std::string::npos;
    }
    std::string own_words(const char* key, std::size_t max) {
        auto text = fields_.optional_text(key, max);
        if (tells(text)) fields_.fail(key, "must not contain the subject's id");
        return text;
    }

    const std::string at_;
    const ConsentContext& context_;
    Fields fields_;
    ConsentDraft draft_;
    Evidence evidence_;
    std::string raw_;
    std::optional<Error> error_;
};

// What the evidence states must bear what the record says.
void check_evidence(Reader& reader, const std::string& status, const policy::Vocabulary& vocabulary) {
    const auto& evidence = reader.evidence();
    auto& purposes = reader.draft().event.purposes;
    Fields& fields = reader.fields();
    if (!fields.ok()) return;
    if (!evidence.decides) {
        if (status == "evidenced") return fields.fail("status", "needs evidence that states choices: tcf, gpp or gpc");
        if (purposes.empty()) fields.fail("purposes", "is required");
        return;
    }
    if (status == "expired") return;
    if (status == "evidenced") {
        if (!purposes.empty())
            fields.fail("purposes", "the evidence says which");
        else if (evidence.consented.empty() && evidence.refused.empty())
            fields.fail("evidence/value", "says nothing of any purpose");
        return;
    }
    const bool gives = status != "withdrawn";
    const auto& said = gives ? evidence.consented : evidence.refused;
    if (said.empty()) return fields.fail("evidence/value", gives ? "consents to no purpose" : "objects to no purpose");
    if (purposes.empty()) purposes = said;
    for (std::size_t i = 0; i < purposes.size(); ++i)
        if (!bears(said, *vocabulary.purpose(purposes[i]), vocabulary))
            return fields.fail("purposes/" + std::to_string(i),
                               gives ? "the evidence does not consent to this" : "the evidence does not object to this");
}

}  // namespace

Result<std::vector<ConsentDraft>> read_consent(const json& record, const std::string& at, const ConsentContext& context) {
    Reader reader(record, at, context);
    Fields& fields = reader.fields();
    reader.subject();
    reader.purposes();
    const auto status = fields.text("status");
    if (fields.ok() && std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end())
        fields.fail("status", "expected given, renewed, withdrawn, expired or evidenced");
    reader.draft().event.status = status;
    reader.draft().event.valid_until = fields.time("validUntil");
    reader.recipients();
    reader.papers();
    check_evidence(reader, status, context.vocabulary);
    if (reader.draft().event.purposes.empty() && status == "expired") fields.fail("purposes", "is required");
    if (auto error = reader.finish()) return *error;
    std::vector<ConsentDraft> out;
    if (status != "evidenced") {
        out.push_back(std::move(reader.draft()));
        return out;
    }
    for (const auto& [what, purposes] : {std::pair("withdrawn", reader.evidence().refused), std::pair("given", reader.evidence().consented)}) {
        if (purposes.empty()) continue;
        out.push_back(reader.draft());
        out.back().event.status = what;
        out.back().event.purposes = purposes;
        if (out.back().event.status == "withdrawn") out.back().event.valid_until = {};
    }
    return out;
}

Result<ConsentDraft> read_withdrawal(const json& body, const ConsentContext& context) {
    Reader reader(body, {}, context);
    reader.subject();
    reader.purposes();
    reader.recipients();
    reader.papers();
    reader.draft().event.status = "withdrawn";
    if (reader.evidence().decides) check_evidence(reader, "withdrawn", context.vocabulary);
    if (auto error = reader.finish()) return *error;
    return std::move(reader.draft());
}

json recipient_json(const std::string& name) {
    const auto colon = name.find(':');
    return {{name.substr(0, colon), colon == std::string::npos ? "" : name.substr(colon + 1)}};
}

json to_json(const ports::ConsentEvent& e, const Snapshot& snapshot) {
    const auto text = [](const std::string& value) { return value.empty() ? json() : json(value); };
    const auto time = [](UtcMillis at) { return at.value == 0 ? json() : json(format_rfc3339(at)); };
    json out{{"recordId", e.record},
             {"sequence", e.sequence},
             {"controller", e.controller},
             {"purposes", e.purposes},
             {"status", e.status},
             {"validUntil", time(e.valid_until)},
             {"occurredAt", time(e.occurred_at)},
             {"recordedAt", time(e.recorded_at)},
             {"recordedBy", e.recorded_by},
             {"legalBasis", text(e.legal_basis)},
             {"jurisdiction", text(e.jurisdiction)},
             {"notice", text(e.notice)},
             {"evidence", e.evidence},
             {"recipients", json::array()},
             {"revision", e.revision}};
    for (const auto no : e.recipients)
        for (const auto& recipient : snapshot.consent_recipients())
            if (recipient.no == no) out["recipients"].push_back(recipient_json(recipient.name));
    return out;
}

json to_json(const ports::ConsentImport& i) {
    return {{"name", i.name},
            {"state", i.complete ? "complete" : "open"},
            {"startedBy", i.started_by},
            {"startedAt", format_rfc3339(i.started_at)},
            {"updatedAt", format_rfc3339(i.updated_at)},
            {"parts", i.parts},
            {"records", i.records},
            {"bytes", i.bytes},
            {"revision", i.revision},
            {"refused", i.refused}};
}

}  // namespace licet::app
