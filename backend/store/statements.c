/* The text of every SQL statement. */
#include "backend/store/statements.h"

#define CONTAINER_COLUMNS                                                                          \
    "seq, id, scope_key, owner, uid, agent_id, session_id, scope, one_shot, tier, template, "      \
    "image, runtime, network, workspace_access, cpu_cores, memory_mb, disk_mb, max_processes, "    \
    "timeout_seconds, labels, status, worker, created_at, started_at, last_used_at, "              \
    "executions_count, gpus"

#define AUDIT_COLUMNS                                                                              \
    "seq, id, kind, owner, agent_id, session_id, container_id, tier, template, command, status, "  \
    "started_at, finished_at, duration_ms, cpu_ms, exit_code, signal, stdout_bytes, "              \
    "stderr_bytes, request_id, worker, hash, details, max_memory_kib, background, output_cap"

/* A row's texts may be large, and are read only where they are needed. */
#define TEMPLATE_COLUMNS(dockerfile, files)                                                        \
    "name, image, " dockerfile ", " files ", removing, created_at, updated_at"

#define JOB_COLUMNS "template, kind, status, attempts, error, created_at, finished_at"

/* clang-format off */
const char *const statement_sql[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",

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
        "max_processes, timeout_seconds, labels, status, worker, created_at, last_used_at, gpus) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
        "?19, ?20, ?21, ?22, ?23, ?24, ?25)",
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
    [STMT_CONTAINER_REMOVING] =
        "UPDATE container SET status = 'removing', scope_key = NULL WHERE id = ?1",
    [STMT_CONTAINER_DELETE] = "DELETE FROM container WHERE id = ?1",
    [STMT_CONTAINER_COUNT] =
        "UPDATE container SET last_used_at = ?2, executions_count = executions_count + 1 WHERE id = ?1",

    [STMT_COUNTS] =
        "SELECT (SELECT COUNT(*) FROM container WHERE status <> 'removing'), "
        "(SELECT COUNT(*) FROM audit WHERE status = 'running'), "
        "(SELECT COUNT(*) FROM audit WHERE started_at >= ?2 AND kind = 'execution' "
        " AND status <> 'refused')",
    [STMT_COUNTS_OF] =
        "SELECT (SELECT COUNT(*) FROM container WHERE owner = ?1 AND status <> 'removing'), "
        "(SELECT COUNT(*) FROM audit WHERE status = 'running' AND owner = ?1), "
        "(SELECT COUNT(*) FROM audit WHERE started_at >= ?2 AND owner = ?1 AND kind = 'execution' "
        " AND status <> 'refused')",

    [STMT_AUDIT_BEGIN] =
        "INSERT INTO audit (id, kind, owner, agent_id, session_id, container_id, tier, template, "
        "command, status, started_at, request_id, worker, details, background, output_cap) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'running', ?10, ?11, ?12, ?13, ?14, ?15)",
    [STMT_AUDIT_FINISH] =
        "UPDATE audit SET status = ?2, finished_at = ?3, duration_ms = ?4, cpu_ms = ?5, "
        "exit_code = ?6, signal = ?7, stdout_bytes = ?8, stderr_bytes = ?9, chain = ?10, hash = ?11, "
        "max_memory_kib = ?12 "
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
    [STMT_OUTPUT_ADD] =
        "INSERT INTO output (audit_seq, stdout, stderr, stdout_truncated, stderr_truncated, "
        "stdout_head, stderr_head) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STMT_OUTPUT_GET] =
        "SELECT stdout, stderr, stdout_truncated, stderr_truncated, stdout_head, stderr_head "
        "FROM output WHERE audit_seq = ?1",
    [STMT_CHAIN_GET] = "SELECT length, hash FROM chain WHERE id = 1",
    [STMT_CHAIN_SET] = "UPDATE chain SET length = ?1, hash = ?2 WHERE id = 1",

    [STMT_TEMPLATE_INSERT] =
        "INSERT INTO template (name, image, dockerfile, files, created_at, updated_at) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
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
        "INSERT INTO job (template, kind, status, created_at) VALUES (?1, ?2, 'queued', ?3) "
        "ON CONFLICT (template) DO UPDATE SET kind = excluded.kind, status = 'queued', "
        "attempts = 0, error = NULL, created_at = excluded.created_at, finished_at = NULL "
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
};
/* clang-format on */
