-- Consents recorded by one request share a revision; the order they were given in decides between a consent and a withdrawal that overlap.
ALTER TABLE consents ADD COLUMN position bigint NOT NULL DEFAULT 0;
DROP INDEX consents_by_revision;
CREATE INDEX consents_by_revision ON consents (revision, position);
