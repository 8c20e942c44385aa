#include "metering/focus.h"

namespace licet::metering {
namespace {

using Level = FocusLevel;
using Format = FocusFormat;
using Nulls = FocusNulls;

// The columns of the standard, in its alphabetical order.
// clang-format off
constexpr FocusColumn kCostAndUsage[] = {
    {"AllocatedMethodDetails", Level::recommended, Format::json, Nulls::yes},
    {"AllocatedMethodId", Level::conditional, Format::text, Nulls::yes},
    {"AllocatedResourceId", Level::conditional, Format::text, Nulls::yes},
    {"AllocatedResourceName", Level::conditional, Format::text, Nulls::yes},
    {"AllocatedTags", Level::conditional, Format::key_value, Nulls::yes},
    {"AvailabilityZone", Level::recommended, Format::text, Nulls::yes},
    {"BilledCost", Level::mandatory, Format::decimal, Nulls::no},
    {"BillingAccountId", Level::mandatory, Format::text, Nulls::no},
    {"BillingAccountName", Level::mandatory, Format::text, Nulls::yes},
    {"BillingAccountType", Level::conditional, Format::text, Nulls::no},
    {"BillingCurrency", Level::mandatory, Format::currency, Nulls::no},
    {"BillingPeriodEnd", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodStart", Level::mandatory, Format::date_time, Nulls::no},
    {"CapacityReservationId", Level::conditional, Format::text, Nulls::yes},
    {"CapacityReservationStatus", Level::conditional, Format::allowed, Nulls::yes},
    {"ChargeCategory", Level::mandatory, Format::allowed, Nulls::no},
    {"ChargeClass", Level::mandatory, Format::allowed, Nulls::yes},
    {"ChargeDescription", Level::mandatory, Format::text, Nulls::yes},
    {"ChargeFrequency", Level::recommended, Format::allowed, Nulls::no},
    {"ChargePeriodEnd", Level::mandatory, Format::date_time, Nulls::no},
    {"ChargePeriodStart", Level::mandatory, Format::date_time, Nulls::no},
    {"CommitmentDiscountCategory", Level::conditional, Format::allowed, Nulls::yes},
    {"CommitmentDiscountId", Level::conditional, Format::text, Nulls::yes},
    {"CommitmentDiscountName", Level::conditional, Format::text, Nulls::yes},
    {"CommitmentDiscountQuantity", Level::conditional, Format::decimal, Nulls::yes},
    {"CommitmentDiscountStatus", Level::conditional, Format::allowed, Nulls::yes},
    {"CommitmentDiscountType", Level::conditional, Format::text, Nulls::yes},
    {"CommitmentDiscountUnit", Level::conditional, Format::unit, Nulls::yes},
    {"CommitmentProgramEligibilityDetails", Level::conditional, Format::json, Nulls::yes},
    {"ConsumedQuantity", Level::conditional, Format::decimal, Nulls::yes},
    {"ConsumedUnit", Level::conditional, Format::unit, Nulls::yes},
    {"ContractApplied", Level::conditional, Format::json, Nulls::yes},
    {"ContractedCost", Level::mandatory, Format::decimal, Nulls::no},
    {"ContractedUnitPrice", Level::conditional, Format::decimal_not_negative, Nulls::yes},
    {"EffectiveCost", Level::mandatory, Format::decimal, Nulls::no},
    {"HostProviderName", Level::mandatory, Format::text, Nulls::yes},
    {"InvoiceDetailId", Level::conditional, Format::text, Nulls::yes},
    {"InvoiceId", Level::conditional, Format::text, Nulls::yes},
    {"InvoiceIssuerName", Level::mandatory, Format::text, Nulls::no},
    {"ListCost", Level::mandatory, Format::decimal, Nulls::no},
    {"ListUnitPrice", Level::conditional, Format::decimal_not_negative, Nulls::yes},
    {"PricingCategory", Level::conditional, Format::allowed, Nulls::yes},
    {"PricingCurrency", Level::conditional, Format::currency, Nulls::no},
    {"PricingCurrencyContractedUnitPrice", Level::conditional, Format::decimal_not_negative, Nulls::yes},
    {"PricingCurrencyEffectiveCost", Level::conditional, Format::decimal, Nulls::no},
    {"PricingCurrencyListUnitPrice", Level::conditional, Format::decimal_not_negative, Nulls::yes},
    {"PricingQuantity", Level::mandatory, Format::decimal, Nulls::yes},
    {"PricingUnit", Level::mandatory, Format::unit, Nulls::yes},
    {"RegionId", Level::conditional, Format::text, Nulls::yes},
    {"RegionName", Level::conditional, Format::text, Nulls::yes},
    {"ResourceId", Level::conditional, Format::text, Nulls::yes},
    {"ResourceName", Level::conditional, Format::text, Nulls::yes},
    {"ResourceType", Level::conditional, Format::text, Nulls::yes},
    {"ServiceCategory", Level::mandatory, Format::allowed, Nulls::no},
    {"ServiceName", Level::mandatory, Format::text, Nulls::no},
    {"ServiceProviderName", Level::mandatory, Format::text, Nulls::no},
    {"ServiceSubcategory", Level::recommended, Format::allowed, Nulls::no},
    {"SkuId", Level::conditional, Format::text, Nulls::yes},
    {"SkuMeter", Level::conditional, Format::text, Nulls::yes},
    {"SkuPriceDetails", Level::conditional, Format::key_value, Nulls::yes},
    {"SkuPriceId", Level::conditional, Format::text, Nulls::yes},
    {"SubAccountId", Level::conditional, Format::text, Nulls::yes},
    {"SubAccountName", Level::conditional, Format::text, Nulls::yes},
    {"SubAccountType", Level::conditional, Format::text, Nulls::yes},
    {"Tags", Level::conditional, Format::key_value, Nulls::yes},
};
constexpr FocusColumn kInvoiceDetail[] = {
    {"BilledCost", Level::mandatory, Format::decimal, Nulls::no},
    {"BillingAccountId", Level::mandatory, Format::text, Nulls::no},
    {"BillingCurrency", Level::mandatory, Format::currency, Nulls::no},
    {"BillingPeriodEnd", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodStart", Level::mandatory, Format::date_time, Nulls::no},
    {"ChargeCategory", Level::mandatory, Format::allowed, Nulls::no},
    {"InvoiceDetailCreated", Level::mandatory, Format::date_time, Nulls::no},
    {"InvoiceDetailDescription", Level::mandatory, Format::text, Nulls::yes},
    {"InvoiceDetailGrain", Level::mandatory, Format::key_value, Nulls::yes},
    {"InvoiceDetailId", Level::mandatory, Format::text, Nulls::no},
    {"InvoiceDetailLastUpdated", Level::mandatory, Format::date_time, Nulls::no},
    {"InvoiceId", Level::mandatory, Format::text, Nulls::no},
    {"InvoiceIssueDate", Level::mandatory, Format::date_time, Nulls::yes},
    {"InvoiceIssueStatus", Level::mandatory, Format::allowed, Nulls::no},
    {"InvoiceIssuerName", Level::mandatory, Format::text, Nulls::no},
    {"PaymentCurrency", Level::conditional, Format::currency, Nulls::no},
    {"PaymentCurrencyBilledCost", Level::conditional, Format::decimal, Nulls::no},
    {"PaymentCurrencyInvoiceDetailId", Level::conditional, Format::text, Nulls::no},
    {"PaymentDueDate", Level::mandatory, Format::date_time, Nulls::yes},
    {"PaymentTerms", Level::mandatory, Format::text, Nulls::no},
    {"PurchaseOrderNumber", Level::conditional, Format::text, Nulls::yes},
    {"ReferenceInvoiceId", Level::mandatory, Format::text, Nulls::no},
};
constexpr FocusColumn kBillingPeriod[] = {
    {"BillingPeriodCreated", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodEnd", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodLastUpdated", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodStart", Level::mandatory, Format::date_time, Nulls::no},
    {"BillingPeriodStatus", Level::mandatory, Format::allowed, Nulls::no},
    {"InvoiceIssuerName", Level::mandatory, Format::text, Nulls::no},
};
// clang-format on

// What is written, in this order. Conditional columns are there when the condition is met by this server: it measures usage, has regions and accounts
// below the customer's, and issues invoices. It publishes no price list, sells no commitments that are resources, and bills in the currency of the
// price.
constexpr std::string_view kCostAndUsageWritten[] = {"BilledCost",
                                                     "BillingAccountId",
                                                     "BillingAccountName",
                                                     "BillingCurrency",
                                                     "BillingPeriodEnd",
                                                     "BillingPeriodStart",
                                                     "ChargeCategory",
                                                     "ChargeClass",
                                                     "ChargeDescription",
                                                     "ChargeFrequency",
                                                     "ChargePeriodEnd",
                                                     "ChargePeriodStart",
                                                     "ConsumedQuantity",
                                                     "ConsumedUnit",
                                                     "ContractedCost",
                                                     "EffectiveCost",
                                                     "HostProviderName",
                                                     "InvoiceDetailId",
                                                     "InvoiceId",
                                                     "InvoiceIssuerName",
                                                     "ListCost",
                                                     "PricingQuantity",
                                                     "PricingUnit",
                                                     "RegionId",
                                                     "RegionName",
                                                     "ServiceCategory",
                                                     "ServiceName",
                                                     "ServiceProviderName",
                                                     "ServiceSubcategory",
                                                     "SubAccountId",
                                                     "SubAccountName",
                                                     "x_LineNumber",
                                                     "x_LineKind",
                                                     "x_View",
                                                     "x_Purpose",
                                                     "x_Jurisdiction",
                                                     "x_Bytes",
                                                     "x_Minutes",
                                                     "x_Reason",
                                                     "x_PeriodStatus",
                                                     "x_StatementHash"};
constexpr std::string_view kInvoiceDetailWritten[] = {"BilledCost",
                                                      "BillingAccountId",
                                                      "BillingCurrency",
                                                      "BillingPeriodEnd",
                                                      "BillingPeriodStart",
                                                      "ChargeCategory",
                                                      "InvoiceDetailCreated",
                                                      "InvoiceDetailDescription",
                                                      "InvoiceDetailGrain",
                                                      "InvoiceDetailId",
                                                      "InvoiceDetailLastUpdated",
                                                      "InvoiceId",
                                                      "InvoiceIssueDate",
                                                      "InvoiceIssueStatus",
                                                      "InvoiceIssuerName",
                                                      "PaymentDueDate",
                                                      "PaymentTerms",
                                                      "ReferenceInvoiceId",
                                                      "x_Contract",
                                                      "x_LineKind",
                                                      "x_StatementHash"};
constexpr std::string_view kBillingPeriodWritten[] = {"BillingPeriodCreated", "BillingPeriodEnd",    "BillingPeriodLastUpdated",
                                                      "BillingPeriodStart",   "BillingPeriodStatus", "InvoiceIssuerName"};

}  // namespace

std::span<const FocusColumn> focus_columns(FocusDataset dataset) noexcept {
    switch (dataset) {
        case FocusDataset::cost_and_usage:
            return kCostAndUsage;
        case FocusDataset::invoice_detail:
            return kInvoiceDetail;
        case FocusDataset::billing_period:
            break;
    }
    return kBillingPeriod;
}

std::span<const std::string_view> focus_written(FocusDataset dataset) noexcept {
    switch (dataset) {
        case FocusDataset::cost_and_usage:
            return kCostAndUsageWritten;
        case FocusDataset::invoice_detail:
            return kInvoiceDetailWritten;
        case FocusDataset::billing_period:
            break;
    }
    return kBillingPeriodWritten;
}

}  // namespace licet::metering
