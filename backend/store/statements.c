/* The text of every SQL statement. */
#include "backend/store/statements.h"

#define CONTAINER_COLUMNS                                                                          \
    "seq, id, scope_key, owner, uid, agent_id, session_id, scope, one_shot, tier, template, "      \
    "image, runtime, network, workspace_access, cpu_cores, memory_mb, disk_mb, max_processes, "    \
    "timeout_seconds, labels, status, worker, created_at, started_at, last_used_at, "              \
    "executions_count, gpus, gpu_mask, gid, disk_bytes"

#define AUDIT_COLUMNS                                                                              \
    "seq, id, kind, owner, agent_id, session_id, container_id, tier, template, command, status, "  \
    "started_at, finished_at, duration_ms, cpu_ms, exit_code, signal, stdout_bytes, "              \
    "stderr_bytes, request_id, worker, hash, details, max_memory_kib, background, output_cap"

/* A row's texts may be large, and are read only where they are needed. */
#define TEMPLATE_COLUMNS(dockerfile, files)                                                        \
    "name, image, " dockerfile ", " files ", removing, created_at, updated_at, nonce"

#define JOB_COLUMNS "template, kind, status, attempts, error, created_at, finished_at, nonce"
/* A container that may be taken away: of ?1 or earlier is its last use, and nothing runs in it. The
 * sign before container_id has SQLite look through the few entries that run, not the many it had.
 */
#define IS_IDLE                                                                                    \
    "one_shot = 0 AND status IN ('running', 'stopped') "                                           \
    "AND MAX(last_used_at, COALESCE(started_at, 0)) <= ?1 "                                        \
    "AND NOT EXISTS (SELECT 1 FROM audit a "                                                       \
    "                WHERE a.status = 'running' AND +a.container_id = container.id)"
#define TOKEN_COLUMNS "seq, id, owner, name, created_at, expires_at, last_used_at"
#define SNAPSHOT_COLUMNS                                                                           \
    "seq, id, container_id, owner, name, status, worker, size_bytes, created_at"

/* clang-format off */

/* The executions of a summary, started from ?1 until ?2; of one owner, ?3. */
#define SUMMARY_ALL "FROM audit WHERE kind = 'execution' AND started_at >= ?1 AND started_at < ?2 "
#define SUMMARY_OWNER SUMMARY_ALL "AND owner = ?3 "

/* An execution that was begun and is over; a refused one took no time. */
#define SUMMARY_ENDED "AND status NOT IN ('running', 'refused') "

/* Keys and counts: of many keys those with the most, of days the newest. */
#define SUMMARY_STATEMENTS(suffix, rows)                                                           \
    [STMT_SUMMARY_TOTALS##suffix] = "SELECT COUNT(*), COALESCE(SUM(cpu_ms), 0) " rows,             \
    [STMT_SUMMARY_STATUS##suffix] = "SELECT status, COUNT(*) " rows "GROUP BY 1 LIMIT ?4",         \
    [STMT_SUMMARY_TIER##suffix] =                                                                  \
        "SELECT COALESCE(MIN(tier), 'none'), COUNT(*) " rows "GROUP BY tier COLLATE NOCASE "       \
        "ORDER BY 2 DESC, 1 LIMIT ?4",                                                             \
    [STMT_SUMMARY_AGENT##suffix] =                                                                 \
        "SELECT agent_id, COUNT(*) " rows "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?4",                \
    [STMT_SUMMARY_DAY##suffix] =                                                                   \
        "SELECT date(started_at / 1000, 'unixepoch'), COUNT(*) " rows                              \
        "GROUP BY 1 ORDER BY 1 DESC LIMIT ?4",                                                     \
    [STMT_SUMMARY_DURATION##suffix] =                                                              \
        "SELECT duration_ms, COUNT(*), SUM(COUNT(*)) OVER () " rows SUMMARY_ENDED                  \
        "GROUP BY 1 ORDER BY 1",

const char *const statement_sql[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_BEGIN_READ] = "BEGIN DEFERRED",

    [STMT_OVERRIDE_GET] = "SELECT policy FROM override WHERE id = 1",
    [STMT_OVERRIDE_SET] = "UPDATE override SET policy = ?1 WHERE id = 1",

    [STMT_OWNER_GET] = "SELECT uid FROM owner WHERE name = ?1",
    [STMT_OWNER_ADD] =
        "INSERT INTO owner (name, uid) "
        "SELECT ?1, MIN(free) FROM ("
        "  SELECT ?2 AS free WHERE NOT EXISTS (SELECT 1 FROM owner WHERE uid = ?2)"
        "  UNION ALL SELECT uid + 1 FROM owner o"
        "  WHERE uid >= ?2 AND uid < ?3 AND NOT EXISTS (SELECT 1 FROM owner WHERE uid = o.uid + 1)) "
        "HAVING MIN(free) IS NOT NULL RETURNING uid",

    [STMT_CONTAINER_INSERT] =
        "INSERT INTO container (id, scope_key, owner, uid, agent_id, session_id, scope, one_shot, "
        "tier, template, image, runtime, network, workspace_access, cpu_cores, memory_mb, disk_mb, "
        "max_processes, timeout_seconds, labels, status, worker, created_at, last_used_at, gpus, "
        "gpu_mask, gid) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
        "?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
    [STMT_CONTAINER_GPUS] = "SELECT gpu_mask FROM container WHERE gpu_mask <> 0",
    [STMT_CONTAINER_GET] = "SELECT " CONTAINER_COLUMNS " FROM container WHERE id = ?1",
    [STMT_CONTAINER_BY_SCOPE] = "SELECT " CONTAINER_COLUMNS " FROM container WHERE scope_key = ?1",
    [STMT_CONTAINER_LIST] =
        "SELECT " CONTAINER_COLUMNS " FROM container "
        "WHERE status <> 'removing' AND (?1 IS NULL OR owner = ?1) "
        "AND (?2 IS NULL OR agent_id = ?2) AND (?3 IS NULL OR tier = ?3 COLLATE NOCASE) "
        "AND (?4 IS NULL OR scope = ?4) AND (?5 IS NULL OR status = ?5) "
        "AND (?6 = 0 OR seq < ?6) ORDER BY seq DESC LIMIT ?7",
    [STMT_CONTAINER_ALL] = "SELECT " CONTAINER_COLUMNS " FROM container ORDER BY seq",
    [STMT_CONTAINER_STATUS] =
        "UPDATE container SET status = ?2, started_at = iif(?2 = 'running', ?3, started_at) "
        "WHERE id = ?1 AND status <> 'removing'",
    [STMT_CONTAINER_LIMITS] =
        "UPDATE container SET cpu_cores = ?2, memory_mb = ?3, max_processes = ?4 WHERE id = ?1",
    [STMT_CONTAINER_REMOVING] =
        "UPDATE container SET status = 'removing', scope_key = NULL WHERE id = ?1",
    [STMT_CONTAINER_DELETE] = "DELETE FROM container WHERE id = ?1",
    [STMT_CONTAINER_COUNT] =
        "UPDATE container SET last_used_at = ?2, executions_count = executions_count + 1 WHERE id = ?1",

    [STMT_CONTAINER_KNOWN] =
        "SELECT EXISTS (SELECT 1 FROM pool WHERE id = ?1) "
        "OR EXISTS (SELECT 1 FROM container WHERE id = ?1)",
    [STMT_POOL_INSERT] =
        "INSERT INTO pool (id, template, tier, fingerprint, status, created_at) "
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS ("
        "  SELECT 1 FROM pool_counter WHERE template = ?2 AND tier = ?3 AND held = 1)",
    [STMT_POOL_READY] = "UPDATE pool SET status = 'ready' WHERE id = ?1 AND status = 'warming'",
    [STMT_POOL_DRAIN] = "UPDATE pool SET status = 'draining' WHERE id = ?1",
    [STMT_POOL_DELETE] = "DELETE FROM pool WHERE id = ?1",
    [STMT_POOL_LIST] =
        "SELECT id, template, tier, fingerprint, status, created_at FROM pool ORDER BY created_at",
    [STMT_POOL_TAKE] =
        "DELETE FROM pool WHERE id = (SELECT id FROM pool WHERE template = ?1 AND tier = ?2 "
        "AND fingerprint = ?3 AND status = 'ready' ORDER BY created_at LIMIT 1) RETURNING id",
    [STMT_POOL_COUNT] =
        "INSERT INTO pool_counter (template, tier, claimed, missed) VALUES (?1, ?2, ?3, 1 - ?3) "
        "ON CONFLICT DO UPDATE SET claimed = claimed + ?3, missed = missed + 1 - ?3",
    [STMT_POOL_FIGURES] =
        "SELECT (SELECT COUNT(*) FROM pool WHERE template = ?1 AND tier = ?2 AND status = 'ready'), "
        "(SELECT COUNT(*) FROM pool WHERE template = ?1 AND tier = ?2 AND status = 'warming'), "
        "IFNULL(MAX(claimed), 0), IFNULL(MAX(missed), 0), IFNULL(MAX(held), 0) "
        "FROM pool_counter WHERE template = ?1 AND tier = ?2",
    [STMT_POOL_HOLD] =
        "INSERT INTO pool_counter (template, tier, held) VALUES (?1, ?2, ?3) "
        "ON CONFLICT DO UPDATE SET held = ?3",
    [STMT_POOL_RELEASE] = "UPDATE pool_counter SET held = 0 WHERE held = 1 AND ?1 IS NULL",
    [STMT_CONTAINER_USED] =
        "SELECT id FROM container WHERE status = 'running' AND id > ?1 "
        "AND (MAX(last_used_at, COALESCE(started_at, 0)) >= ?2 OR EXISTS ("
        "SELECT 1 FROM audit a WHERE a.status = 'running' AND +a.container_id = container.id)) "
        "ORDER BY id LIMIT ?3",
    [STMT_IDLE_LIST] =
        "SELECT id FROM container WHERE " IS_IDLE " AND (?2 IS NULL OR owner = ?2) "
        "AND (?3 = 0 OR status = 'running') ORDER BY last_used_at LIMIT ?4",
    [STMT_IDLE_REMOVING] =
        "UPDATE container SET status = 'removing', scope_key = NULL WHERE id = ?2 AND " IS_IDLE,
    [STMT_IDLE_STOPPED] =
        "UPDATE container SET status = 'stopped' WHERE id = ?2 AND status = 'running' AND " IS_IDLE,
    [STMT_SNAPSHOT_COUNT] =
        "SELECT COUNT(*) FROM snapshot WHERE container_id = ?1 AND status <> 'removing'",
    [STMT_SNAPSHOT_INSERT] =
        "INSERT INTO snapshot (id, container_id, owner, name, status, worker, size_bytes, created_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STMT_SNAPSHOT_GET] =
        "SELECT " SNAPSHOT_COLUMNS " FROM snapshot WHERE container_id = ?1 AND id = ?2",
    [STMT_SNAPSHOT_LIST] =
        "SELECT " SNAPSHOT_COLUMNS " FROM snapshot "
        "WHERE (?1 IS NULL OR container_id = ?1) AND (?2 IS NULL OR status = ?2) "
        "AND (?3 = 0 OR seq < ?3) ORDER BY seq DESC LIMIT iif(?4 = 0, -1, ?4)",
    [STMT_SNAPSHOT_TAKE] =
        "UPDATE snapshot SET status = 'creating', worker = ?2, created_at = ?3 WHERE id = ?1",
    [STMT_SNAPSHOT_READY] =
        "UPDATE snapshot SET status = 'ready', size_bytes = ?2 WHERE id = ?1 AND status = 'creating'",
    [STMT_SNAPSHOT_REMOVING] = "UPDATE snapshot SET status = 'removing' WHERE id = ?1",
    [STMT_SNAPSHOT_DELETE] = "DELETE FROM snapshot WHERE id = ?1",

    [STMT_COUNTS] =
        "SELECT (SELECT COUNT(*) FROM container WHERE status <> 'removing'), "
        "(SELECT COUNT(*) FROM audit WHERE status = 'running'), "
        "(SELECT COUNT(*) FROM audit WHERE started_at >= ?2 AND kind = 'execution' "
        " AND status <> 'refused')",
    [STMT_COUNTS_BY_STATUS] =
        "SELECT status, COUNT(*) FROM container GROUP BY status UNION ALL "
        "SELECT 'jobs', COUNT(*) FROM job WHERE status = 'queued' UNION ALL "
        "SELECT 'executions', COUNT(*) FROM audit WHERE status = 'running'",
    [STMT_COUNTS_OF] =
        "SELECT (SELECT COUNT(*) FROM container WHERE owner = ?1 AND status <> 'removing'), "
        "(SELECT COUNT(*) FROM audit WHERE status = 'running' AND owner = ?1), "
        "(SELECT COUNT(*) FROM audit WHERE started_at >= ?2 AND owner = ?1 AND kind = 'execution' "
        " AND status <> 'refused')",

    [STMT_USAGE_GET] = "SELECT executions, cpu_ms FROM usage WHERE owner = ?1 AND day = ?2",
    [STMT_USAGE_ADD] =
        "INSERT INTO usage (owner, day, executions, cpu_ms) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (owner) DO UPDATE SET "
        "executions = excluded.executions + iif(day = excluded.day, executions, 0), "
        "cpu_ms = excluded.cpu_ms + iif(day = excluded.day, cpu_ms, 0), day = excluded.day",
    [STMT_RECENT_NTH] =
        "SELECT at FROM recent WHERE owner = ?1 AND at > ?2 AND at <= ?3 "
        "ORDER BY at DESC LIMIT 1 OFFSET ?4",
    [STMT_RECENT_ADD] = "INSERT INTO recent (owner, at, id) VALUES (?1, ?2, ?3)",
    [STMT_RECENT_EXPIRE] = "DELETE FROM recent WHERE owner = ?1 AND (at <= ?2 OR at > ?3)",
    [STMT_CONTAINERS_OF] =
        "SELECT COUNT(*) FROM container WHERE owner = ?1 AND status <> 'removing'",
    [STMT_SNAPSHOTS_OF] =
        "SELECT COUNT(*) FROM snapshot WHERE owner = ?1 AND status <> 'removing'",
    [STMT_DISK_USED] =
        "SELECT (SELECT COALESCE(SUM(disk_bytes), 0) FROM container WHERE owner = ?1) "
        "+ (SELECT COALESCE(SUM(size_bytes), 0) FROM snapshot WHERE owner = ?1)",
    [STMT_CONTAINER_DISK] = "UPDATE container SET disk_bytes = ?2 WHERE id = ?1",
    [STMT_AUDIT_RUNNING] = "SELECT COUNT(*) FROM audit WHERE status = 'running' AND owner = ?1",
    /* The sign has SQLite look through a minute's entries, not through all of the owner's. */
    [STMT_AUDIT_SINCE] =
        "SELECT COUNT(*) FROM audit WHERE started_at > ?2 AND +owner = ?1 "
        "AND kind = 'execution' AND status <> 'refused'",

    [STMT_AUDIT_STOPPED] = "SELECT 1 FROM container WHERE id = ?1 AND status <> 'running'",
    [STMT_AUDIT_BEGIN] =
        "INSERT INTO audit (id, kind, owner, agent_id, session_id, container_id, tier, template, "
        "command, status, started_at, request_id, worker, details, background, output_cap) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'running', ?10, ?11, ?12, ?13, ?14, ?15)",
    [STMT_AUDIT_FINISH] =
        "UPDATE audit SET status = ?2, finished_at = ?3, duration_ms = ?4, cpu_ms = ?5, "
        "exit_code = ?6, signal = ?7, stdout_bytes = ?8, stderr_bytes = ?9, chain = ?10, hash = ?11, "
        "max_memory_kib = ?12, output_hash = ?13 "
        "WHERE id = ?1 AND status = 'running' RETURNING seq",
    [STMT_AUDIT_GET] =
        "SELECT " AUDIT_COLUMNS " FROM audit WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)",
    [STMT_AUDIT_LIST] =
        "SELECT " AUDIT_COLUMNS " FROM audit "
        "WHERE (?1 IS NULL OR owner = ?1) AND (?2 IS NULL OR agent_id = ?2) "
        "AND (?3 IS NULL OR session_id = ?3) AND (?4 IS NULL OR container_id = ?4) "
        "AND (?5 IS NULL OR tier = ?5 COLLATE NOCASE) AND (?6 IS NULL OR status = ?6) "
        "AND (?7 IS NULL OR kind = ?7) AND (?8 = 0 OR started_at >= ?8) "
        "AND (?9 = 0 OR started_at < ?9) AND (?10 = 0 OR seq < ?10) ORDER BY seq DESC LIMIT ?11",
    [STMT_BACKGROUND_RUNNING] =
        "SELECT " AUDIT_COLUMNS " FROM audit WHERE background = 1 AND status = 'running' "
        "AND (?1 IS NULL OR container_id = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3",
    [STMT_BACKGROUND_SPENT] =
        "SELECT id FROM container c WHERE one_shot = 1 AND status <> 'removing' "
        "AND EXISTS (SELECT 1 FROM audit WHERE container_id = c.id AND background = 1) "
        "AND NOT EXISTS (SELECT 1 FROM audit WHERE container_id = c.id AND status = 'running') "
        "LIMIT 1",
    [STMT_OUTPUT_ADD] =
        "INSERT INTO output (audit_seq, stdout, stderr, stdout_truncated, stderr_truncated, "
        "stdout_head, stderr_head) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STMT_OUTPUT_GET] =
        "SELECT stdout, stderr, stdout_truncated, stderr_truncated, stdout_head, stderr_head "
        "FROM output WHERE audit_seq = ?1",
    [STMT_CHAIN_GET] = "SELECT length, hash, gaps_entry FROM chain WHERE id = 1",
    [STMT_CHAIN_SET] = "UPDATE chain SET length = ?1, hash = ?2 WHERE id = 1",
    [STMT_CHAIN_SIGN] = "UPDATE chain SET gaps_entry = ?1 WHERE id = 1",
    [STMT_CHAIN_WALK] =
        "SELECT " AUDIT_COLUMNS ", chain, output_hash, audit_seq, stdout, stderr, stdout_truncated, "
        "stderr_truncated, stdout_head, stderr_head "
        "FROM audit LEFT JOIN output ON audit_seq = seq WHERE chain IS NOT NULL ORDER BY chain",
    [STMT_CHAIN_STRAY] = "SELECT id FROM audit WHERE chain IS NULL AND status <> 'running' LIMIT 1",
    [STMT_GAP_LIST] = "SELECT first, last, hash FROM chain_gap ORDER BY first",
    [STMT_GAP_AT] = "SELECT last, hash FROM chain_gap WHERE first = ?1",
    [STMT_GAP_TAKE] =
        "DELETE FROM chain_gap WHERE first <= ?2 + 1 AND last >= ?1 - 1 RETURNING first, last, hash",
    [STMT_GAP_ADD] = "INSERT INTO chain_gap (first, last, hash) VALUES (?1, ?2, ?3)",
    [STMT_RETIRE_LIST] =
        "SELECT chain, hash FROM audit INDEXED BY audit_chain "
        "WHERE chain IS NOT NULL AND started_at < ?1 ORDER BY chain",
    [STMT_PURGE] =
        "DELETE FROM audit WHERE seq IN ("
        "  SELECT seq FROM ("
        "    SELECT seq, bytes, SUM(bytes) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS sum FROM ("
        "      SELECT a.seq AS seq, COALESCE(length(stdout) + length(stderr), 0) AS bytes"
        "      FROM chain_gap g CROSS JOIN audit a ON a.chain BETWEEN g.first AND g.last"
        "      LEFT JOIN output ON audit_seq = a.seq LIMIT ?1))"
        "  WHERE sum - bytes < ?2)",
    [STMT_AUDIT_NTH] =
        "SELECT started_at FROM audit WHERE chain IS NOT NULL ORDER BY started_at LIMIT 1 "
        "OFFSET (SELECT COUNT(*) FROM audit WHERE chain IS NOT NULL) * ?1 / ?2",
    [STMT_PAGE_SIZE] = "PRAGMA page_size",
    [STMT_PAGE_COUNT] = "PRAGMA page_count",
    [STMT_PAGE_FREE] = "PRAGMA freelist_count",

    [STMT_TEMPLATE_INSERT] =
        "INSERT INTO template (name, image, dockerfile, files, created_at, updated_at, nonce) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
    [STMT_TEMPLATE_GET] = 
        "SELECT " TEMPLATE_COLUMNS("NULL", "'{}'") " FROM template WHERE name = ?1",
    [STMT_TEMPLATE_SOURCE] =
        "SELECT " TEMPLATE_COLUMNS("dockerfile", "files") " FROM template WHERE name = ?1",
    [STMT_TEMPLATE_LIST] =
        "SELECT " TEMPLATE_COLUMNS("NULL", "'{}'") " FROM template ORDER BY created_at DESC, name",
    [STMT_TEMPLATE_USED] =
        "SELECT (SELECT COUNT(*) FROM container WHERE template = ?1), "
        "(SELECT COUNT(*) FROM pool WHERE template = ?1)",
    [STMT_TEMPLATE_REMOVING] = "UPDATE template SET removing = 1 WHERE name = ?1",
    [STMT_TEMPLATE_TOUCH] = "UPDATE template SET updated_at = ?2 WHERE name = ?1",
    [STMT_TEMPLATE_DELETE] = "DELETE FROM template WHERE name = ?1",
    [STMT_JOB_QUEUE] =
        "INSERT INTO job (template, kind, status, created_at, nonce) "
        "VALUES (?1, ?2, 'queued', ?3, ?4) "
        "ON CONFLICT (template) DO UPDATE SET kind = excluded.kind, status = 'queued', "
        "attempts = 0, error = NULL, created_at = excluded.created_at, finished_at = NULL, "
        "nonce = excluded.nonce "
        "WHERE status NOT IN ('queued', 'running') RETURNING template",
    [STMT_JOB_GET] = "SELECT " JOB_COLUMNS " FROM job WHERE template = ?1",
    [STMT_JOB_LIST] = "SELECT " JOB_COLUMNS " FROM job",
    [STMT_JOB_QUEUED] = "SELECT 1 FROM job WHERE status = 'queued' LIMIT 1",
    [STMT_JOB_CLAIM] =
        "UPDATE job SET status = 'running', attempts = attempts + 1 WHERE template = "
        "(SELECT template FROM job WHERE status = 'queued' ORDER BY created_at, template LIMIT 1) "
        "RETURNING " JOB_COLUMNS,
    [STMT_JOB_AGAIN] = "UPDATE job SET status = 'queued' WHERE template = ?1 AND status = 'running'",
    [STMT_JOB_FINISH] =
        "UPDATE job SET status = iif(?2 IS NULL, 'done', 'failed'), error = ?2, finished_at = ?3 "
        "WHERE template = ?1 AND status = 'running'",
    [STMT_JOB_RECOVER] =
        "UPDATE job SET status = iif(attempts < ?1, 'queued', 'failed'), "
        "error = iif(attempts < ?1, NULL, ?2), finished_at = iif(attempts < ?1, NULL, ?3) "
        "WHERE status = 'running'",
    [STMT_JOB_DELETE] = "DELETE FROM job WHERE template = ?1",
    [STMT_JOB_LOG_GET] = "SELECT text FROM job_log WHERE template = ?1 ORDER BY piece",
    [STMT_JOB_LOG_ADD] =
        "INSERT INTO job_log (template, piece, text) "
        "SELECT ?1, COALESCE(MAX(piece), 0) + 1, ?2 FROM job_log WHERE template = ?1",
    [STMT_JOB_LOG_CLEAR] = "DELETE FROM job_log WHERE template = ?1",

    SUMMARY_STATEMENTS(, SUMMARY_ALL)
    SUMMARY_STATEMENTS(_OF, SUMMARY_OWNER)

    [STMT_IDEMPOTENCY_GET] =
        "SELECT fingerprint, nonce, worker, status, body FROM idempotency "
        "WHERE owner = ?1 AND key = ?2",
    [STMT_IDEMPOTENCY_ADD] =
        "INSERT INTO idempotency (owner, key, fingerprint, nonce, worker, created_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING 1",
    [STMT_IDEMPOTENCY_TAKE] =
        "UPDATE idempotency SET worker = ?5 WHERE owner = ?1 AND key = ?2 AND nonce = ?3 "
        "AND worker = ?4 AND status IS NULL RETURNING 1",
    [STMT_IDEMPOTENCY_ANSWER] =
        "UPDATE idempotency SET status = ?4, body = ?5 WHERE owner = ?1 AND key = ?2 AND nonce = ?3",
    [STMT_IDEMPOTENCY_FORGET] =
        "DELETE FROM idempotency WHERE owner = ?1 AND key = ?2 AND nonce = ?3",
    [STMT_IDEMPOTENCY_EXPIRE] = "DELETE FROM idempotency WHERE created_at < ?1",

    [STMT_TOKEN_COUNT] =
        "SELECT COUNT(*) FROM token WHERE owner = ?1 AND id <> ?2 "
        "AND (expires_at IS NULL OR expires_at > ?3)",
    [STMT_TOKEN_PUT] =
        "INSERT INTO token (id, owner, name, hash, created_at, expires_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET hash = ?4, "
        "created_at = ?5, expires_at = ?6, last_used_at = NULL",
    [STMT_TOKEN_BY_HASH] = "SELECT " TOKEN_COLUMNS ", hash FROM token WHERE hash = ?1",
    [STMT_TOKEN_LIST] =
        "SELECT " TOKEN_COLUMNS " FROM token WHERE (?1 IS NULL OR owner = ?1) "
        "AND (?2 = 0 OR seq < ?2) ORDER BY seq DESC LIMIT ?3",
    [STMT_TOKEN_DELETE] = "DELETE FROM token WHERE id = ?1 RETURNING " TOKEN_COLUMNS,
    [STMT_TOKEN_USED] = "UPDATE token SET last_used_at = ?2 WHERE seq = ?1",
    [STMT_TOKEN_EXPIRE] = "DELETE FROM token WHERE expires_at < ?1",
};
/* clang-format on */
