-- The Merkle tree over the audit lines (RFC 6962): every complete subtree, by level and position from the left; and the signed checkpoints of it.
-- A node may add to both and change neither.
CREATE TABLE audit_tree (
    level smallint NOT NULL,
    position bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (level, position)
);
CREATE TABLE audit_checkpoints (
    size bigint PRIMARY KEY,
    note text NOT NULL
);
GRANT SELECT, INSERT ON audit_tree, audit_checkpoints TO licet_serving;

-- Over the lines there are.
LOCK TABLE audit IN EXCLUSIVE MODE;
INSERT INTO audit_tree SELECT 0, seq - 1, sha256('\x00'::bytea || convert_to(line, 'UTF8')) FROM audit;
DO $$
DECLARE
    below smallint := 0;
BEGIN
    LOOP
        INSERT INTO audit_tree
        SELECT below + 1, l.position / 2, sha256('\x01'::bytea || l.hash || r.hash)
        FROM audit_tree l JOIN audit_tree r ON r.level = below AND r.position = l.position + 1
        WHERE l.level = below AND l.position % 2 = 0;
        EXIT WHEN NOT FOUND;
        below := below + 1;
    END LOOP;
END $$;
