// Whether constraints can hold together: a search over the values that matter to them. Private to policy/findings.cpp.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "policy/program.h"

namespace licet::policy {

// A constraint and the value it should have: yes or no.
struct Goal {
    const Constraint* constraint;
    Ternary wanted;
};

class Search {
  public:
    // `steps`: what is left of the budget of an examination, shared by its searches.
    Search(std::shared_ptr<const Vocabulary> vocabulary, std::size_t& steps) : steps_(steps) { program_.vocabulary = std::move(vocabulary); }
    // Fixes what a contract fixes: recipient, country, product, stated purposes.
    void with_contract(const Entitlement& entitlement);
    // yes: some event, moment and contract meet all goals. no: none does. unknown: out of steps, or too many values.
    [[nodiscard]] Ternary possible(std::vector<Goal> goals);

  private:
    // One value of one operand; the others are left out.
    struct World {
        Facts facts;
        Entitlement entitlement;
        std::optional<PurposeId> purpose;
        Ternary consent = Ternary::unknown;
    };
    struct Operand {
        std::vector<World> worlds;
        bool too_many = false;
    };
    using Left = std::map<LeftOperand, std::vector<std::size_t>>;  // worlds of each operand that meet the goals so far

    void collect(const Constraint& constraint, std::map<LeftOperand, std::vector<const Constraint*>>& leaves) const;
    [[nodiscard]] Operand worlds_of(LeftOperand left, const std::vector<const Constraint*>& leaves) const;
    void purposes(const std::vector<const Constraint*>& leaves, Operand& out) const;
    void sets(LeftOperand left, const std::vector<const Constraint*>& leaves, Operand& out) const;
    void places(LeftOperand left, const std::vector<std::string>& words, Operand& out) const;
    [[nodiscard]] Ternary value(const Constraint& leaf, const World& world);
    [[nodiscard]] Ternary search(std::vector<Goal> goals, Left left);
    [[nodiscard]] Ternary leaf(const Goal& goal, std::vector<Goal> rest, Left left);
    [[nodiscard]] Ternary branches(std::vector<std::vector<Goal>> ways, const std::vector<Goal>& rest, const Left& left);

    CompiledProgram program_;
    const Entitlement* contract_ = nullptr;
    std::map<LeftOperand, Operand> operands_;
    std::size_t& steps_;
};

}  // namespace licet::policy
