-- When a purpose was last withdrawn: a withdrawal also ended consents above and below it, which a later consent to the same purpose must not bring back.
ALTER TABLE consents ADD COLUMN withdrawn_revision bigint NOT NULL DEFAULT 0;
ALTER TABLE consents ADD COLUMN withdrawn_position bigint NOT NULL DEFAULT 0;
UPDATE consents SET withdrawn_revision = revision, withdrawn_position = position WHERE status IN ('withdrawn', 'expired');
