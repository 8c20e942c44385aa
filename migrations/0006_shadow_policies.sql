-- A stored version of a policy may be decided beside the active one, counted and without effect: state 'shadow', one of each policy.
ALTER TABLE policies DROP CONSTRAINT policies_state_check;
ALTER TABLE policies ADD CONSTRAINT policies_state_check CHECK (state IN ('draft', 'active', 'retired', 'shadow'));
CREATE UNIQUE INDEX policies_one_shadow ON policies (name) WHERE state = 'shadow';
