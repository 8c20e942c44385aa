// Terms of data protection law: legal bases (W3C DPV 2.3 and its EU GDPR extension), consent status (DPV 2.3), transfer tools (GDPR Art. 46).
// Identifiers and relations as facts. Included by vocabulary.cpp only.
#pragma once

#include <string_view>

// clang-format off: rows in columns
namespace licet::policy::tables {

// "term broader,broader" within this table; what else DPV places above a term (kinds of expressed consent, a general notion of law) is left out.
inline constexpr std::string_view kLegalBases[] = {
    "dpv:Consent dpv:LegalBasis",
    "dpv:Contract dpv:LegalBasis",
    "dpv:ContractPerformance dpv:Contract",
    "dpv:DataTransferLegalBasis dpv:LegalBasis",
    "dpv:EnterIntoContract dpv:Contract",
    "dpv:LegalBasis ",
    "dpv:LegalObligation dpv:LegalBasis",
    "dpv:LegitimateInterest dpv:LegalBasis",
    "dpv:LegitimateInterestOfController dpv:LegitimateInterest",
    "dpv:LegitimateInterestOfDataSubject dpv:LegitimateInterest",
    "dpv:LegitimateInterestOfThirdParty dpv:LegitimateInterest",
    "dpv:OfficialAuthorityOfController dpv:LegalBasis",
    "dpv:PublicInterest dpv:LegalBasis",
    "dpv:VitalInterest dpv:LegalBasis",
    "dpv:VitalInterestOfDataSubject dpv:VitalInterestOfNaturalPerson",
    "dpv:VitalInterestOfNaturalPerson dpv:VitalInterest",
    "eu-gdpr:A45-3 dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-a dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-b dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-c dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-d dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-e dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-2-f dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-3-a dpv:DataTransferLegalBasis",
    "eu-gdpr:A46-3-b dpv:DataTransferLegalBasis",
    "eu-gdpr:A49-1-a dpv:DataTransferLegalBasis,eu-gdpr:Consent",
    "eu-gdpr:A49-1-b dpv:Contract,dpv:DataTransferLegalBasis",
    "eu-gdpr:A49-1-c dpv:Contract,dpv:DataTransferLegalBasis",
    "eu-gdpr:A49-1-d dpv:DataTransferLegalBasis,dpv:PublicInterest",
    "eu-gdpr:A49-1-e dpv:DataTransferLegalBasis",
    "eu-gdpr:A49-1-f dpv:DataTransferLegalBasis,dpv:VitalInterestOfNaturalPerson",
    "eu-gdpr:A49-1-g dpv:DataTransferLegalBasis",
    "eu-gdpr:A49-2 dpv:DataTransferLegalBasis,dpv:LegitimateInterest",
    "eu-gdpr:A6-1-a eu-gdpr:Consent",
    "eu-gdpr:A6-1-a-explicit-consent eu-gdpr:A6-1-a,eu-gdpr:Consent",
    "eu-gdpr:A6-1-a-non-explicit-consent eu-gdpr:A6-1-a,eu-gdpr:Consent",
    "eu-gdpr:A6-1-b dpv:Contract",
    "eu-gdpr:A6-1-b-contract-performance dpv:ContractPerformance,eu-gdpr:A6-1-b",
    "eu-gdpr:A6-1-b-enter-into-contract dpv:EnterIntoContract,eu-gdpr:A6-1-b",
    "eu-gdpr:A6-1-c dpv:LegalObligation",
    "eu-gdpr:A6-1-d dpv:VitalInterest",
    "eu-gdpr:A6-1-d-data-subject dpv:VitalInterestOfDataSubject,eu-gdpr:A6-1-d",
    "eu-gdpr:A6-1-d-natural-person dpv:VitalInterestOfNaturalPerson,eu-gdpr:A6-1-d",
    "eu-gdpr:A6-1-e dpv:OfficialAuthorityOfController,dpv:PublicInterest",
    "eu-gdpr:A6-1-e-official-authority dpv:OfficialAuthorityOfController,eu-gdpr:A6-1-e",
    "eu-gdpr:A6-1-e-public-interest dpv:PublicInterest,eu-gdpr:A6-1-e",
    "eu-gdpr:A6-1-f dpv:LegitimateInterest",
    "eu-gdpr:A6-1-f-controller dpv:LegitimateInterestOfController,eu-gdpr:A6-1-f",
    "eu-gdpr:A6-1-f-third-party dpv:LegitimateInterestOfThirdParty,eu-gdpr:A6-1-f",
    "eu-gdpr:A9-2-a eu-gdpr:Consent",
    "eu-gdpr:A9-2-b dpv:LegalBasis",
    "eu-gdpr:A9-2-c dpv:VitalInterest",
    "eu-gdpr:A9-2-d dpv:LegitimateInterest",
    "eu-gdpr:A9-2-e dpv:LegalBasis",
    "eu-gdpr:A9-2-f dpv:LegalBasis",
    "eu-gdpr:A9-2-g dpv:PublicInterest",
    "eu-gdpr:A9-2-h dpv:LegalBasis",
    "eu-gdpr:A9-2-i dpv:PublicInterest",
    "eu-gdpr:A9-2-j dpv:PublicInterest",
    "eu-gdpr:AdequacyDecision eu-gdpr:A45-3",
    "eu-gdpr:Consent dpv:Consent",
};

// Valid for processing or not, by the term above.
inline constexpr std::string_view kConsentStatus[] = {
    "dpv:ConsentExpired dpv:ConsentStatusInvalidForProcessing",         "dpv:ConsentGiven dpv:ConsentStatusValidForProcessing",
    "dpv:ConsentInvalidated dpv:ConsentStatusInvalidForProcessing",     "dpv:ConsentRefused dpv:ConsentStatusInvalidForProcessing",
    "dpv:ConsentRequestDeferred dpv:ConsentStatusInvalidForProcessing", "dpv:ConsentRequested dpv:ConsentStatusInvalidForProcessing",
    "dpv:ConsentRevoked dpv:ConsentStatusInvalidForProcessing",         "dpv:ConsentStatus ",
    "dpv:ConsentStatusInvalidForProcessing dpv:ConsentStatus",          "dpv:ConsentStatusValidForProcessing dpv:ConsentStatus",
    "dpv:ConsentUnknown dpv:ConsentStatusInvalidForProcessing",         "dpv:ConsentWithdrawn dpv:ConsentStatusInvalidForProcessing",
    "dpv:RenewedConsentGiven dpv:ConsentStatusValidForProcessing",
};

// Transfer tools of GDPR Art. 46; Art. 49 is not among them: it is never a standing basis.
inline constexpr std::string_view kTransferTools[] = {"eu-gdpr:A46-2-a", "eu-gdpr:A46-2-b", "eu-gdpr:A46-2-c", "eu-gdpr:A46-2-d",
                                                      "eu-gdpr:A46-2-e", "eu-gdpr:A46-2-f", "eu-gdpr:A46-3-a", "eu-gdpr:A46-3-b"};

}  // namespace licet::policy::tables
// clang-format on
