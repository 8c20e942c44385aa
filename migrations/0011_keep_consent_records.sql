-- Consent records with the fields of ISO/IEC TS 27560: every event of them, as it was recorded. Regional, append-only.
CREATE TABLE consent_records (
    seq bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    record text NOT NULL,
    subject bytea NOT NULL CHECK (octet_length(subject) = 16),
    controller text NOT NULL,
    recipients integer[] NOT NULL, -- empty: every recipient
    purposes text[] NOT NULL,
    status text NOT NULL CHECK (status IN ('given', 'renewed', 'withdrawn', 'expired')),
    valid_until bigint NOT NULL,
    occurred_at bigint NOT NULL, -- as stated; 0: not stated
    legal_basis text NOT NULL,
    jurisdiction text NOT NULL,
    notice text NOT NULL,
    evidence jsonb,
    recorded_by text NOT NULL,
    recorded_at bigint NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX consent_records_by_subject ON consent_records (subject, seq);
CREATE INDEX consent_records_by_record ON consent_records (record);
CREATE INDEX consent_records_by_revision ON consent_records (revision);
CREATE TRIGGER records_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_records FOR EACH STATEMENT EXECUTE FUNCTION licet_refuse();
ALTER TABLE consent_records ENABLE ALWAYS TRIGGER records_kept;

CREATE TABLE consent_imports (
    name text PRIMARY KEY,
    started_by text NOT NULL,
    started_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    complete boolean NOT NULL DEFAULT false,
    refused jsonb
);
CREATE TABLE consent_import_parts (
    import text NOT NULL REFERENCES consent_imports (name),
    part integer NOT NULL CHECK (part > 0),
    digest text NOT NULL,
    records bigint NOT NULL,
    bytes bigint NOT NULL,
    revision bigint NOT NULL,
    epoch bigint NOT NULL,
    PRIMARY KEY (import, part)
);

-- Tokens of a data subject issued before are refused.
CREATE TABLE subject_token_revocations (
    subject bytea PRIMARY KEY CHECK (octet_length(subject) = 16),
    valid_from bigint NOT NULL
);

GRANT SELECT, INSERT ON consent_records, consent_import_parts TO licet_serving;
GRANT SELECT, INSERT, UPDATE ON consent_imports, subject_token_revocations TO licet_serving;
