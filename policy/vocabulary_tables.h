// The tables behind builtin_vocabulary(): identifiers and relations of published vocabularies, as facts with their versions. Included by vocabulary.cpp only.
//   purposes, personal-data categories, countries: W3C DPV 2.3; places: ISO 3166-1; EEA and adequacy: dates of membership and of the decisions (GDPR Art. 45);
//   licences: what each permits, requires, prohibits in ccREL terms.
#pragma once

#include <string_view>

namespace licet::policy::tables {

inline constexpr std::string_view kVersion = "dpv-2.3 spdx-3 eu-adequacy-2026-01";

// "term broader,broader": a DAG; terms in alphabetical order.
inline constexpr std::string_view kPurposes[] = {
    "AcademicResearch ResearchAndDevelopment", "AccountManagement Purpose", "Advertising Marketing", "AgeVerification Verification",
    "CombatClimateChange PublicBenefit", "CommercialPurpose Purpose", "CommercialResearch CommercialPurpose,ResearchAndDevelopment", "CommunicationForCustomerCare CommunicationManagement,CustomerCare",
    "CommunicationManagement Purpose", "CounterMoneyLaundering FraudPreventionAndDetection", "Counterterrorism PublicBenefit", "CustomerCare CustomerManagement",
    "CustomerClaimsManagement CustomerManagement", "CustomerManagement Purpose", "CustomerOrderManagement CustomerManagement", "CustomerRelationshipManagement CustomerManagement",
    "CustomerSolvencyMonitoring CustomerManagement", "DataAltruism PublicBenefit", "DeliveryOfGoods RequestedServiceProvision", "DirectMarketing Marketing",
    "DisputeManagement OrganisationGovernance", "EnforceAccessControl EnforceSecurity", "EnforceSecurity Purpose", "EstablishContractualAgreement Purpose",
    "FraudPreventionAndDetection MisusePreventionAndDetection", "FulfilmentOfContractualObligation FulfilmentOfObligation", "FulfilmentOfObligation Purpose", "HumanResourceManagement Purpose",
    "IdentityAuthentication EnforceSecurity", "IdentityVerification Verification", "ImproveExistingProductsAndServices OptimisationForController", "ImproveHealthcare PublicBenefit",
    "ImproveInternalCRMProcesses CustomerRelationshipManagement,OptimisationForController", "ImprovePublicServices PublicBenefit", "ImproveTransportMobility PublicBenefit", "IncreaseServiceRobustness OptimisationForController",
    "InternalResourceOptimisation OptimisationForController", "LegalCompliance FulfilmentOfObligation", "MaintainFraudDatabase FraudPreventionAndDetection", "Marketing Purpose",
    "MemberPartnerManagement OrganisationGovernance", "MisusePreventionAndDetection EnforceSecurity", "NonCommercialPurpose Purpose", "NonCommercialResearch NonCommercialPurpose,ResearchAndDevelopment",
    "OptimisationForConsumer ServiceOptimisation", "OptimisationForController ServiceOptimisation", "OptimiseUserInterface OptimisationForConsumer", "OrganisationComplianceManagement OrganisationGovernance",
    "OrganisationGovernance Purpose", "OrganisationRiskManagement OrganisationGovernance", "PaymentManagement ServiceManagement", "Personalisation Purpose",
    "PersonalisedAdvertising Advertising,Personalisation", "PersonalisedBenefits ServicePersonalisation", "PersonnelBehaviourMonitoring PersonnelMonitoring", "PersonnelHiring PersonnelManagement",
    "PersonnelManagement HumanResourceManagement", "PersonnelMonitoring PersonnelManagement", "PersonnelOffboarding PersonnelManagement", "PersonnelOnboarding PersonnelHiring",
    "PersonnelPayment PersonnelManagement", "PersonnelPerformanceEvaluation PersonnelPerformanceManagement", "PersonnelPerformanceManagement PersonnelManagement,PersonnelMonitoring", "PersonnelPerformanceMonitoring PersonnelMonitoring,PersonnelPerformanceManagement",
    "PersonnelPerformancePrediction PersonnelPerformanceManagement", "PersonnelPromotionManagement PersonnelManagement", "PersonnelTerminationManagement PersonnelManagement", "PersonnelWorkloadManagement PersonnelManagement",
    "PoliticalCampaign Advertising,Personalisation", "ProtectionOfIPR FulfilmentOfObligation", "ProtectionOfNationalSecurity PublicBenefit", "ProtectionOfPublicSecurity PublicBenefit",
    "ProvideEventRecommendations ProvidePersonalisedRecommendations", "ProvideOfficialStatistics PublicBenefit", "ProvidePersonalisedRecommendations ServicePersonalisation", "ProvideProductRecommendations ProvidePersonalisedRecommendations",
    "PublicBenefit Purpose", "PublicPolicyMaking PublicBenefit", "PublicRelations Marketing", "Purpose ",
    "RecordManagement Purpose", "RecruitmentAdvertising Advertising,PersonnelHiring", "RecruitmentApplicantBackgroundCheck RecruitmentManagement", "RecruitmentApplicantCriminalBackgroundCheck RecruitmentManagement",
    "RecruitmentApplicantInformationAuthentication RecruitmentManagement", "RecruitmentApplicantSelection RecruitmentManagement", "RecruitmentApplicationAnalysis RecruitmentApplicationManagement", "RecruitmentApplicationManagement RecruitmentManagement",
    "RecruitmentApplicationScreening RecruitmentApplicationManagement", "RecruitmentInterviewAnalysis RecruitmentInterviewManagement", "RecruitmentInterviewAssessment RecruitmentInterviewManagement", "RecruitmentInterviewManagement RecruitmentManagement",
    "RecruitmentInterviewScheduling RecruitmentInterviewManagement", "RecruitmentManagement PersonnelHiring", "RecruitmentTargetedAdvertising RecruitmentAdvertising,TargetedAdvertising", "RepairImpairments ServiceManagement",
    "RequestedServiceProvision ServiceProvision", "ResearchAndDevelopment Purpose", "RightsFulfilment ", "ScientificResearch ResearchAndDevelopment",
    "SearchFunctionalities ServiceProvision", "Sector ", "SellDataToThirdParties SellProducts", "SellInsightsFromData SellProducts",
    "SellProducts ServiceProvision", "SellProductsToDataSubject SellProducts", "ServiceAccessDetermination ServiceManagement", "ServiceManagement Purpose",
    "ServiceMonitoring ServiceManagement", "ServiceOptimisation ServiceManagement", "ServicePersonalisation Personalisation,ServiceManagement", "ServiceProvision ServiceManagement",
    "ServiceRegistration ServiceManagement", "ServiceUsageAnalytics ServiceMonitoring", "SocialMediaMarketing Marketing", "TargetedAdvertising PersonalisedAdvertising",
    "TechnicalServiceProvision ServiceProvision", "UserInterfacePersonalisation ServicePersonalisation", "VendorManagement Purpose", "VendorPayment VendorManagement",
    "VendorRecordsManagement VendorManagement", "VendorSelectionAssessment VendorManagement", "Verification EnforceSecurity",
};

// Personal-data categories, without the prefix.
inline constexpr std::string_view kCategories[] = {
    "Accent", "AccountIdentifier", "Acquaintance", "Age", "AgeExact", "AgeRange", "ApartmentOwned", "Association", "Attitude",
    "Authenticating", "AuthenticationHistory", "BankAccount", "Behavioural", "Biometric", "BirthCountry", "BirthDate", "BirthPlace", "BloodType",
    "BrowserFingerprint", "BrowserHistory", "BrowsingBehaviour", "BrowsingReferral", "CallLog", "CarOwned", "Character", "Citizenship", "City",
    "Communication", "CommunicationsMetadata", "Connection", "Contact", "Country", "Credit", "CreditCapacity", "CreditCardNumber", "CreditRecord",
    "CreditScore", "CreditStanding", "CreditWorthiness", "Criminal", "CriminalCharge", "CriminalConviction", "CriminalOffence", "CriminalPardon", "CurrentEmployment",
    "CurrentLocation", "DNACode", "Demeanour", "Demographic", "DeviceApplications", "DeviceBased", "DeviceOperatingSystem", "DeviceSoftware", "Dialect",
    "DigitalFingerprint", "Disability", "DisciplinaryAction", "Dislike", "Divorce", "Domicile", "DrugTestResult", "Education", "EducationExperience",
    "EducationQualification", "EducationTraining", "EmailAddress", "EmailAddressPersonal", "EmailAddressWork", "EmailContent", "Emotion", "EmploymentHistory", "EthnicOrigin",
    "Ethnicity", "External", "FacialExpression", "FacialPrint", "Family", "FamilyHealthHistory", "FamilyStructure", "Favourite", "FavouriteColour",
    "FavouriteFood", "FavouriteMusic", "Fetish", "Financial", "FinancialAccount", "FinancialAccountNumber", "FinancialStatus", "Fingerprint", "Friend",
    "GPSCoordinate", "Gender", "GeneralReputation", "Genetic", "Geographic", "GroupMembership", "GroupProfile", "HairColour", "Health",
    "HealthHistory", "HealthRecord", "Height", "Historical", "HomeLocation", "HouseNumber", "HouseOwned", "Household", "IPAddress",
    "Identifier", "Identifying", "Income", "IncomeBracket", "IndividualHealthHistory", "IndividualProfile", "Insurance", "Intention", "Interaction",
    "Interest", "Internal", "Job", "KnowledgeBelief", "Language", "LifeHistory", "Like", "LinkClicked", "LoanRecord",
    "Locality", "Location", "MACAddress", "MaritalStatus", "Marriage", "MedicalHealth", "MentalHealth", "Mood", "Name",
    "Nationality", "OfficialID", "Offspring", "Opinion", "Ownership", "PINCode", "Parent", "Passport", "Password",
    "PastEmployment", "PaymentCard", "PaymentCardExpiry", "PaymentCardNumber", "PerformanceAtWork", "PersonalDocuments", "PersonalPossession", "Personality", "PhilosophicalBelief",
    "PhysicalAddress", "PhysicalCharacteristic", "PhysicalHealth", "PhysicalTrait", "Picture", "Piercing", "PoliticalAffiliation", "PoliticalOpinion", "PostalCode",
    "Preference", "Prescription", "PrivacyPreference", "Proclivity", "Professional", "ProfessionalCertification", "ProfessionalEvaluation", "ProfessionalExperience", "ProfessionalInterview",
    "ProfessionalTraining", "Profile", "PublicLife", "PubliclyAvailableSocialMedia", "Purchase", "PurchasesAndSpendingHabit", "Race", "Reference", "Region",
    "Relationship", "Reliability", "Religion", "ReligiousBelief", "Residency", "Retina", "RoomNumber", "Salary", "Sale",
    "School", "SecretText", "ServiceConsumptionBehaviour", "Sexual", "SexualHistory", "SexualPreference", "Sibling", "SkinTone", "Social",
    "SocialBehaviour", "SocialMedia", "SocialMediaCommunication", "SocialNetwork", "SocialStatus", "Street", "TVViewingBehaviour", "Tattoo", "Tax",
    "TechnicalKnowledge", "TelephoneNumber", "Thought", "Tracking", "TradeUnionMembership", "Transaction", "Transactional", "TravelHistory", "UID",
    "UserAgent", "Username", "VehicalLicenseNumber", "VehicalLicenseRegistration", "Vehicle", "VehicleLicense", "VehicleUsage", "VoiceCommunicationRecording", "VoiceMail",
    "Vulnerability", "Weight", "WorkEnvironment", "WorkExperience", "WorkHistory", "WorkLocation",
};

inline constexpr std::string_view kCountries =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI "
    "CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ "
    "GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
    "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG "
    "PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK "
    "TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW ";

struct Period {
    std::string_view country, from, until, scheme;  // dates, half-open; empty `from`: always; empty `until`: still; `scheme`: the certification a partial decision asks of the recipient
};
// Members of the European Economic Area by accession; the first ones count at any earlier time too, so that an old event of theirs is not taken for a foreign
// one. GB: until the end of the transition period. Then the territories with codes of their own in which Union law applies in full.
inline constexpr Period kEea[] = {
    {"AT", "", "", ""}, {"BE", "", "", ""}, {"BG", "2007-01-01", "", ""}, {"CY", "2004-05-01", "", ""},
    {"CZ", "2004-05-01", "", ""}, {"DE", "", "", ""}, {"DK", "", "", ""}, {"EE", "2004-05-01", "", ""},
    {"ES", "", "", ""}, {"FI", "", "", ""}, {"FR", "", "", ""}, {"GB", "", "2021-01-01", ""},
    {"GR", "", "", ""}, {"HR", "2013-07-01", "", ""}, {"HU", "2004-05-01", "", ""}, {"IE", "", "", ""},
    {"IS", "", "", ""}, {"IT", "", "", ""}, {"LI", "1995-05-01", "", ""}, {"LT", "2004-05-01", "", ""},
    {"LU", "", "", ""}, {"LV", "2004-05-01", "", ""}, {"MT", "2004-05-01", "", ""}, {"NL", "", "", ""},
    {"NO", "", "", ""}, {"PL", "2004-05-01", "", ""}, {"PT", "", "", ""}, {"RO", "2007-01-01", "", ""},
    {"SE", "", "", ""}, {"SI", "2004-05-01", "", ""}, {"SK", "2004-05-01", "", ""},
    {"AX", "", "", ""},           {"GF", "", "", ""},           {"GI", "", "2021-01-01", ""}, {"GP", "", "", ""},
    {"MF", "", "", ""},           {"MQ", "", "", ""},           {"RE", "", "", ""},           {"YT", "2014-01-01", "", ""},
};

// Adequacy decisions: from adoption. US: Safe Harbor until Schrems I, Privacy Shield until Schrems II, the Data Privacy Framework since.
inline constexpr Period kAdequate[] = {
    {"AD", "2010-10-19", "", ""}, {"AR", "2003-06-30", "", ""}, {"BR", "2026-01-27", "", ""},
    {"CA", "2001-12-20", "", "ca-pipeda"}, {"CH", "2000-07-26", "", ""}, {"FO", "2010-03-05", "", ""},
    {"GB", "2021-06-28", "2031-12-27", ""}, {"GG", "2003-11-21", "", ""}, {"IL", "2011-01-31", "", ""},
    {"IM", "2004-04-28", "", ""}, {"JE", "2008-05-08", "", ""}, {"JP", "2019-01-23", "", "jp-appi"},
    {"KR", "2021-12-17", "", "kr-pipa"}, {"NZ", "2012-12-19", "", ""}, {"US", "2000-07-26", "2015-10-06", "us-safe-harbor"},
    {"US", "2016-07-12", "2020-07-16", "eu-us-privacy-shield"}, {"US", "2023-07-10", "", "eu-us-dpf"}, {"UY", "2012-08-21", "", ""},
};

// Transfer tools of GDPR Art. 46; Art. 49 is not among them: it is never a standing basis.
inline constexpr std::string_view kTransferTools[] = {"eu-gdpr:A46-2-a", "eu-gdpr:A46-2-b", "eu-gdpr:A46-2-c", "eu-gdpr:A46-2-d",
                                                      "eu-gdpr:A46-2-e", "eu-gdpr:A46-2-f", "eu-gdpr:A46-3-a", "eu-gdpr:A46-3-b"};

// Letters: R reproduction, D distribution, W derivative works, C commercial use, N notice, A attribution, S share alike, T state changes.
struct Licence {
    std::string_view id, permits, requires_, prohibits;
};
inline constexpr Licence kLicences[] = {
    {"Apache-2.0", "RDWC", "NT", ""}, {"CC-BY-1.0", "RDWC", "NA", ""}, {"CC-BY-2.0", "RDWC", "NA", ""},
    {"CC-BY-2.5", "RDWC", "NA", ""}, {"CC-BY-3.0", "RDWC", "NA", ""}, {"CC-BY-4.0", "RDWC", "NA", ""},
    {"CC-BY-NC-1.0", "RDW", "NA", "C"}, {"CC-BY-NC-2.0", "RDW", "NA", "C"}, {"CC-BY-NC-2.5", "RDW", "NA", "C"},
    {"CC-BY-NC-3.0", "RDW", "NA", "C"}, {"CC-BY-NC-4.0", "RDW", "NA", "C"}, {"CC-BY-NC-ND-1.0", "RD", "NA", "C"},
    {"CC-BY-NC-ND-2.0", "RD", "NA", "C"}, {"CC-BY-NC-ND-2.5", "RD", "NA", "C"}, {"CC-BY-NC-ND-3.0", "RD", "NA", "C"},
    {"CC-BY-NC-ND-4.0", "RD", "NA", "C"}, {"CC-BY-NC-SA-1.0", "RDW", "NAS", "C"}, {"CC-BY-NC-SA-2.0", "RDW", "NAS", "C"},
    {"CC-BY-NC-SA-2.5", "RDW", "NAS", "C"}, {"CC-BY-NC-SA-3.0", "RDW", "NAS", "C"}, {"CC-BY-NC-SA-4.0", "RDW", "NAS", "C"},
    {"CC-BY-ND-1.0", "RDC", "NA", ""}, {"CC-BY-ND-2.0", "RDC", "NA", ""}, {"CC-BY-ND-2.5", "RDC", "NA", ""},
    {"CC-BY-ND-3.0", "RDC", "NA", ""}, {"CC-BY-ND-4.0", "RDC", "NA", ""}, {"CC-BY-SA-1.0", "RDWC", "NAS", ""},
    {"CC-BY-SA-2.0", "RDWC", "NAS", ""}, {"CC-BY-SA-2.5", "RDWC", "NAS", ""}, {"CC-BY-SA-3.0", "RDWC", "NAS", ""},
    {"CC-BY-SA-4.0", "RDWC", "NAS", ""}, {"CC-PDDC", "RDWC", "", ""}, {"CC0-1.0", "RDWC", "", ""},
    {"CDLA-Permissive-1.0", "RDWC", "N", ""}, {"CDLA-Permissive-2.0", "RDWC", "N", ""}, {"CDLA-Sharing-1.0", "RDWC", "NST", ""},
    {"DL-DE-BY-2.0", "RDWC", "AT", ""}, {"DL-DE-ZERO-2.0", "RDWC", "", ""}, {"MIT", "RDWC", "N", ""},
    {"ODC-By-1.0", "RDWC", "NA", ""}, {"ODbL-1.0", "RDWC", "NAS", ""}, {"OGL-Canada-2.0", "RDWC", "A", ""},
    {"OGL-UK-1.0", "RDWC", "A", ""}, {"OGL-UK-2.0", "RDWC", "A", ""}, {"OGL-UK-3.0", "RDWC", "A", ""},
    {"PDDL-1.0", "RDWC", "", ""}, {"etalab-2.0", "RDWC", "A", ""},
};

}  // namespace licet::policy::tables
