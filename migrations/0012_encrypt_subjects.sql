-- Personal values of a product so marked are encrypted at rest, under a key per data subject.
ALTER TABLE products ADD COLUMN shreddable boolean NOT NULL DEFAULT false;

-- Regional, like the events: keys never leave the region, and have no history. Destroyed ones stay by their id, to tell erased from unknown.
CREATE TABLE subject_keys (
    id bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    subject bytea NOT NULL CHECK (octet_length(subject) = 16),
    wrapped_under text,
    wrapped bytea,
    created bigint NOT NULL,
    destroyed bigint NOT NULL DEFAULT 0, -- UTC milliseconds
    CHECK ((wrapped IS NULL) = (wrapped_under IS NULL) AND (wrapped IS NULL) = (destroyed <> 0))
);
CREATE UNIQUE INDEX subject_keys_live ON subject_keys (subject) WHERE wrapped IS NOT NULL;
CREATE INDEX subject_keys_by_subject ON subject_keys (subject);
CREATE INDEX subject_keys_by_wrapping ON subject_keys (wrapped_under) WHERE wrapped IS NOT NULL;

CREATE TABLE erasures (
    no bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    subject bytea NOT NULL CHECK (octet_length(subject) = 16),
    at bigint NOT NULL,
    epoch bigint NOT NULL -- the regional one
);
CREATE INDEX erasures_by_subject ON erasures (subject);

-- What is destroyed stays so, whoever serves.
CREATE FUNCTION licet_keep_destroyed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.wrapped IS NULL OR NEW.id <> OLD.id OR NEW.subject <> OLD.subject THEN
        RAISE EXCEPTION 'a destroyed key stays destroyed, and a key is of one subject';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER destroyed_kept BEFORE UPDATE ON subject_keys FOR EACH ROW EXECUTE FUNCTION licet_keep_destroyed();

GRANT SELECT, INSERT, UPDATE ON subject_keys TO licet_serving;
GRANT SELECT, INSERT ON erasures TO licet_serving;
